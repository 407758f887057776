// How fast the job is, and how long an item takes: three curves over the same time, with one cursor.

import { columns, joined, top, unit } from "./chartdata.js";
import { clock, compact, duration, number } from "./format.js";
import { paced } from "./paced.js";
import { $, $$, setText } from "./shell.js";

const REDRAW = 500; // milliseconds
const GUTTER = 46; // pixels for the numbers of the axis
const LABEL = 26; // pixels, of half the time below an axis, which would be cut off nearer to the end
const SHORTEST = 20; // seconds that the charts of a job are wide at least while it goes on
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 172_800, 604_800];
const ENDED = ["finished", "cancelled", "invalid"];
const NAMES = ["done", "failed", "p50", "p95"];
/** A rate, which may be less than one. */
const rate = (value) => (value && value < 1 ? String(Number(value.toPrecision(2))) : number(value));
const WRITE = { done: rate, failed: rate, p50: duration, p95: duration };
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** Fetches the library, once there is something to draw. */
function fetched(address) {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    // It asks for the numbers of this language as it starts, and some browsers name one that there is not.
    Object.defineProperty(navigator, "language", { value: "en" });
  }
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: address, onload: resolve, onerror: reject });
    document.head.append(script);
  });
}

export class Charts {
  /** `root` holds the places of the charts, and says in `data-src` where all points are, in `data-library` uPlot. */
  constructor(root) {
    this.root = root;
    this.points = [];
    this.plots = [];
    this.paint = paced(REDRAW, () => this.#draw());
    this.#follow();
    this.fetch();
  }

  /** Takes the newest points of a frame; where some were missed, all are fetched. */
  take(frame) {
    this.active = !ENDED.includes(frame.state);
    const { points, missed } = joined(this.points, frame.points);
    this.points = points;
    // A hidden tab is told on its return, and finds then that something is missing.
    if (missed && !document.hidden) this.fetch();
    this.paint();
  }

  /** Fetches all points. */
  async fetch() {
    if (this.fetching) return;
    this.fetching = true;
    try {
      const answer = await fetch(this.root.dataset.src, { headers: { Accept: "application/json" } });
      if (answer.ok && !answer.redirected) this.points = (await answer.json()).points;
    } catch {
      // The next frame finds that something is missing.
    } finally {
      this.fetching = false;
      this.paint();
    }
  }

  #follow() {
    new ResizeObserver(() => this.paint()).observe(this.root);
    new MutationObserver(() => this.paint()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.paint());
    }
  }

  // Painting

  #draw() {
    if (!this.root.offsetWidth) return;
    this.root.toggleAttribute("data-empty", !this.points.length);
    if (!this.points.length) return;
    if (!window.uPlot) {
      this.library ??= fetched(this.root.dataset.library).then(this.paint, () => (this.library = null));
      return;
    }
    const { data, real, over } = columns(this.points);
    Object.assign(this, { data, real, unit: unit(Math.max(...data[4], 0)) });
    setText($("#pace-note"), over > 1 ? `items per second, mean of ${over} s` : "items per second");
    setText($("#times-note"), this.unit.name);
    this.#readColours();
    if (!this.plots.length) this.plots = $$("[data-plot]", this.root).map((place) => this.#plot(place));
    this.plots.forEach((plot) => this.#redraw(plot));
    this.#say(this.cursor);
  }

  #redraw({ plot, place, shown }) {
    const { clientWidth: width, clientHeight: height } = place;
    if (plot.width !== width || plot.height !== height) plot.setSize({ width, height });
    plot.setData(this.#of(shown));
  }

  /** The columns with these names. */
  #of(shown) {
    return [this.data[0], ...shown.map((name) => this.data[NAMES.indexOf(name) + 1])];
  }

  /** The colours of the legend, which the theme and the system choose. */
  #readColours() {
    this.colours = Object.fromEntries(
      NAMES.map((name) => [name, getComputedStyle($(`[data-series="${name}"] i`, this.root)).borderTopColor]),
    );
    const style = getComputedStyle($(".legend", this.root));
    this.ink = style.color;
    this.line = getComputedStyle(this.root.firstElementChild).borderTopColor;
    this.font = `12px ${style.fontFamily}`;
  }

  /** Writes the values at the cursor, or the newest. */
  #say(at) {
    this.cursor = at ?? null;
    const index = this.cursor ?? this.data[0].length - 1;
    NAMES.forEach((name, i) => setText($(`[data-series="${name}"] b`, this.root), WRITE[name](this.data[i + 1][index])));
    const time = this.cursor === null ? "" : clock(new Date(this.real(this.data[0][index]) * 1000));
    for (const place of $$(".chart-time", this.root)) setText(place, time);
  }

  #plot(place) {
    const shown = place.dataset.plot.split(" ");
    const options = {
      width: place.clientWidth,
      height: place.clientHeight,
      padding: [6, 1, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "job" }, points: { size: 7, width: 2 } },
      scales: { x: { time: false, range: () => this.#span() }, y: { range: (_, __, most) => [0, this.#top(place, most)] } },
      axes: [this.#times(place), this.#values(place)],
      series: [{}, ...shown.map((name, i) => this.#curve(name, i, place))],
      hooks: { setCursor: [(plot) => this.#say(plot.cursor.idx)] },
    };
    return { place, shown, plot: new window.uPlot(options, this.#of(shown), place) };
  }

  /** The time that is shown: all of it, and while the job goes on not less than some seconds. */
  #span() {
    const [first, last] = [this.data[0][0], this.data[0].at(-1)];
    return [first, this.active ? Math.max(last, first + SHORTEST) : last];
  }

  #curve(name, i, place) {
    const bars = place.hasAttribute("data-bars");
    return {
      stroke: () => (bars ? null : this.colours[name]),
      fill: () => (bars ? this.colours[name] : i ? null : faint(this.colours[name])),
      width: bars ? 0 : 1.75,
      dash: i ? [5, 4] : undefined,
      paths: bars ? window.uPlot.paths.bars({ size: [0.7, 10] }) : undefined,
      points: { show: false },
    };
  }

  #times(place) {
    const bare = place.hasAttribute("data-bars");
    return {
      size: bare ? 8 : 24,
      gap: 4,
      space: 76,
      incrs: STEPS,
      stroke: () => this.ink,
      font: this.font,
      grid: { show: false },
      ticks: { show: false },
      values: (plot, splits, _, __, step) => {
        const room = plot.width - GUTTER - LABEL;
        return splits.map((x) => (bare || plot.valToPos(x, "x") > room ? "" : written(this.real(x), step)));
      },
    };
  }

  #values(place) {
    const bars = place.hasAttribute("data-bars");
    const per = () => (isTimes(place) ? this.unit.per : 1);
    return {
      size: GUTTER,
      gap: 6,
      stroke: () => this.ink,
      font: this.font,
      grid: { stroke: () => this.line, width: 1 },
      ticks: { show: false },
      splits: (_, __, ___, most) => (bars ? [0, most] : [0, most / 2, most]),
      values: (_, splits) => splits.map((value) => figure(value * per())),
    };
  }

  #top(place, most) {
    const { per } = isTimes(place) ? this.unit : { per: 1 };
    return top(most * per) / per;
  }
}

const isTimes = (place) => place.dataset.plot.startsWith("p");

/** A number of an axis. */
const figure = (value) => (value < 10 ? String(Number(value.toPrecision(2))) : compact(value));

/** A colour so thin that what lies behind it shows. */
const faint = (colour) => colour.replace(/^rgb\((.*)\)$/, "rgba($1, 0.13)");

/** A time of the axis, as exact as the distance between two of them. */
function written(seconds, step) {
  const date = new Date(seconds * 1000);
  if (step >= 43_200) return dayFormat.format(date);
  return step < 60 ? clock(date) : clock(date).slice(0, 5);
}
