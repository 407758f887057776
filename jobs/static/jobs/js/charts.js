// How fast the job is, and how long an item takes: three curves over the same time, with one cursor.

import { columns, joined, nearest, top, unit } from "./chartdata.js";
import { clock, compact, duration, number } from "./format.js";
import { paced } from "./throttled_paint.js";
import { Plot } from "./plot.js";
import { $, $$, setText } from "./shell.js";

const REDRAW = 500; // milliseconds
const SHORTEST = 20; // seconds that the charts of a job are wide at least while it goes on
const ENDED = ["finished", "cancelled", "invalid"];
const NAMES = ["done", "failed", "p50", "p95"];
/** A rate, which may be less than one. */
const rate = (value) => (value && value < 1 ? String(Number(value.toPrecision(2))) : number(value));
const WRITE = { done: rate, failed: rate, p50: duration, p95: duration };
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export class Charts {
  /** `root` holds the places of the charts, and says in `data-src` where all points are. */
  constructor(root) {
    this.root = root;
    this.points = [];
    this.cursor = null;
    this.paint = paced(REDRAW, () => this.#draw());
    this.follow = paced(0, () => this.data && this.#show());
    this.plots = $$("[data-plot]", root).map((place) => new Plot(place, (at) => this.#point(at)));
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
    const { data, real, over } = columns(this.points);
    Object.assign(this, { data, real, unit: unit(Math.max(...data[4], 0)) });
    setText($("#pace-note"), over > 1 ? `items per second, mean of ${over} s` : "items per second");
    setText($("#times-note"), this.unit.name);
    this.#readColours();
    this.#show();
  }

  #show() {
    const span = this.#span();
    const index = this.cursor === null ? null : nearest(this.data[0], this.data[1], span[0] + this.cursor * (span[1] - span[0]));
    const all = { xs: this.data[0], span, at: this.cursor, index, ink: this.ink, line: this.line, font: this.font };
    for (const plot of this.plots) plot.draw({ ...all, ...this.#part(plot.names) });
    this.#say(index);
  }

  /** What differs from chart to chart. */
  #part(names) {
    const curves = names.map((name) => ({ values: this.data[NAMES.indexOf(name) + 1], colour: this.colours[name] }));
    const { per } = names[0] === "p50" ? this.unit : { per: 1 };
    const most = Math.max(0, ...curves.flatMap(({ values }) => values));
    return {
      curves,
      top: top(most * per) / per,
      figure: (value) => figure(value * per),
      time: (x, step) => written(this.real(x), step),
    };
  }

  #point(at) {
    if (at === this.cursor) return;
    this.cursor = at;
    this.follow();
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
    const index = at ?? this.data[0].length - 1;
    NAMES.forEach((name, i) => setText($(`[data-series="${name}"] b`, this.root), WRITE[name](this.data[i + 1][index])));
    const time = at === null ? "" : clock(new Date(this.real(this.data[0][index]) * 1000));
    for (const place of $$(".chart-time", this.root)) setText(place, time);
  }

  /** The time that is shown: all of it, and while the job goes on not less than some seconds. */
  #span() {
    const [first, last] = [this.data[0][0], this.data[0].at(-1)];
    return [first, this.active ? Math.max(last, first + SHORTEST) : last];
  }
}

/** A number of an axis. */
const figure = (value) => (value < 10 ? String(Number(value.toPrecision(2))) : compact(value));

/** A time of the axis, as exact as the distance between two of them. */
function written(seconds, step) {
  const date = new Date(seconds * 1000);
  if (step >= 43_200) return dayFormat.format(date);
  return step < 60 ? clock(date) : clock(date).slice(0, 5);
}
