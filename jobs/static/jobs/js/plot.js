// One chart on a canvas: curves or bars over time, three numbers at the left, times below, a line where the cursor is.

import { parted, stepped, room } from "./chartdata.js";

const [GUTTER, TOP, RIGHT, BELOW] = [46, 6, 1, 24]; // pixels around the curves; numbers stand at the left, times below
const BARE = 8; // pixels below a chart without times
const SPACE = 76; // pixels between two times at least
const [LABEL, GAP] = [26, 6]; // pixels: half a time, which would be cut off nearer to the end; numbers to curves
const [LINE, DOT] = [1.75, 3.5]; // pixels
const FAINT = 0.13;
const [BAR, MOST] = [0.7, 10]; // of the room of a bar, and pixels: how wide it is

export class Plot {
  /** `point` is told where the cursor is, as a part of the width from 0 to 1, and null once it is gone. */
  constructor(place, point) {
    this.place = place;
    this.bars = place.hasAttribute("data-bars");
    this.names = place.dataset.plot.split(" ");
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
    place.append(this.canvas);
    place.addEventListener("pointermove", (event) => {
      const at = (event.clientX - place.getBoundingClientRect().left - GUTTER) / (place.clientWidth - GUTTER - RIGHT);
      point(at >= 0 && at <= 1 ? at : null);
    });
    for (const name of ["pointerleave", "pointercancel"]) place.addEventListener(name, () => point(null));
  }

  /**
   * Draws all of it: `xs`, and `curves` of {values, colour} with nulls where they break; `span` and `top` are the ends of
   * the axes, `time(x, step)` and `figure(y)` write what stands at them; the cursor is at `at` on the line and at the
   * point number `index`, where it is anywhere; `ink`, `line` and `font` are the look.
   */
  draw(scene) {
    Object.assign(this, scene);
    this.#fit();
    this.#figures();
    if (!this.bars) this.#times();
    this.context.save();
    this.context.beginPath();
    this.context.rect(GUTTER, 0, this.wide, this.height);
    this.context.clip();
    this.curves.forEach((curve, i) => (this.bars ? this.#bars(curve) : this.#curve(curve, i)));
    this.context.restore();
    if (this.index !== null) this.#cursor();
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.place;
    const ratio = devicePixelRatio || 1;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== across || this.canvas.height !== down) Object.assign(this.canvas, { width: across, height: down });
    this.wide = width - GUTTER - RIGHT;
    this.height = height - (this.bars ? BARE : BELOW);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, width, height);
    Object.assign(this.context, { font: this.font, fillStyle: this.ink, lineWidth: 1 });
  }

  #x(x) {
    const [first, last] = this.span;
    return GUTTER + ((x - first) / (last - first || 1)) * this.wide;
  }

  #y(y) {
    return this.height - (y / this.top) * (this.height - TOP);
  }

  #figures() {
    const { context, top } = this;
    Object.assign(context, { textAlign: "right", textBaseline: "middle", strokeStyle: this.line });
    for (const value of this.bars ? [0, top] : [0, top / 2, top]) {
      const y = Math.round(this.#y(value)) - 0.5;
      context.fillText(this.figure(value), GUTTER - GAP, y);
      this.#stroke([[GUTTER, y], [GUTTER + this.wide, y]]);
    }
  }

  #times() {
    Object.assign(this.context, { textAlign: "center", textBaseline: "top" });
    const [first, last] = this.span;
    const step = stepped((SPACE * (last - first)) / this.wide);
    for (let x = Math.ceil(first / step) * step; x <= last; x += step) {
      const at = this.#x(x);
      if (at <= GUTTER + this.wide - LABEL) this.context.fillText(this.time(x, step), at, this.height + GAP);
    }
  }

  #stroke(points) {
    this.context.beginPath();
    for (const point of points) this.context.lineTo(...point);
    this.context.stroke();
  }

  /** The first curve has its area filled, others are dashed. */
  #curve({ values, colour }, i) {
    const { context } = this;
    for (const part of parted(this.xs, values)) {
      const points = part.map(([x, y]) => [this.#x(x), this.#y(y)]);
      Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: LINE, lineJoin: "round" });
      context.setLineDash(i ? [5, 4] : []);
      this.#stroke(points);
      context.setLineDash([]);
      if (i) continue;
      context.lineTo(points.at(-1)[0], this.height);
      context.lineTo(points[0][0], this.height);
      context.globalAlpha = FAINT;
      context.fill();
      context.globalAlpha = 1;
    }
  }

  #bars({ values, colour }) {
    const wide = Math.max(1, Math.min(MOST, BAR * (room(this.xs) / (this.span[1] - this.span[0] || 1)) * this.wide));
    this.context.fillStyle = colour;
    values.forEach((value, i) => {
      const y = this.#y(value ?? 0);
      this.context.fillRect(this.#x(this.xs[i]) - wide / 2, y, wide, this.height - y);
    });
  }

  #cursor() {
    const { context, index } = this;
    const at = Math.round(GUTTER + this.at * this.wide) - 0.5;
    Object.assign(context, { strokeStyle: this.ink, lineWidth: 1 });
    this.#stroke([[at, 0], [at, this.height]]);
    for (const { values, colour } of this.bars ? [] : this.curves) {
      if (values[index] == null) continue;
      context.beginPath();
      context.arc(this.#x(this.xs[index]), this.#y(values[index]), DOT, 0, 2 * Math.PI);
      context.fillStyle = colour;
      context.fill();
    }
  }
}
