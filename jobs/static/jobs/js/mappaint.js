// Draws the item map: pixels for small cells, small pictures for large ones. The whole of what is in sight each time,
// which is cheaper than to find out what has changed.

import { FAILED, NOT_ATTEMPTED, REJECTED, RETRYING, RUNNING, SUCCEEDED, WAITING } from "./mapcells.js";
import { GLYPHS, MARKED, gap, markSize, severity, worst } from "./maplayout.js";

const DIMMED = 0.18; // what is left of the colours that nobody looks for
const NUMBERED = 20; // from this size on cells that wait carry their number
const LONGEST = 4; // digits that fit there

// On a grid of 24 × 24; a point alone is a dot.
const GLYPH = {
  [RUNNING]: [[[12, 12]]],
  [SUCCEEDED]: [[[6, 12.5], [10.5, 17], [18, 8]]],
  [FAILED]: [[[7.5, 7.5], [16.5, 16.5]], [[16.5, 7.5], [7.5, 16.5]]],
  [REJECTED]: [[[7, 12], [17, 12]]],
  [RETRYING]: [[[16.5, 8.5], [13, 6.8], [9, 7.6], [6.9, 11.4], [8, 15.4], [12, 17.4], [15.6, 16]], [[17.4, 4.8], [16.9, 9], [12.9, 9]]],
  [NOT_ATTEMPTED]: [[[7.5, 16.5], [16.5, 7.5]]],
};

const light = ([r, g, b]) => 0.2126 * r ** 2.2 + 0.7152 * g ** 2.2 + 0.0722 * b ** 2.2 > 0.4 * 255 ** 2.2;
const ink = (colour) => (light(colour) ? "rgb(19 26 43)" : "rgb(255 255 255)");
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

// Pixels are written four bytes at once, in the order that this machine keeps them.
const word = new Uint32Array(1);
const bytes = new Uint8Array(word.buffer);

function pixel([r, g, b], alpha) {
  bytes.set([r, g, b, Math.round(alpha * 255)]);
  return word[0];
}

export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.image = null;
    this.sprites = new Map();
  }

  /**
   * `states` of all items, their `layout`, the box's `width` and `height` and how far it is scrolled (`top`) in CSS
   * pixels, `ratio` of device pixels to those, `colours` by state, and the states that are `wanted`; none: all.
   */
  paint(picture) {
    const { width, height, ratio, layout } = picture;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== across || this.canvas.height !== down) this.#size(across, down);
    if (layout.cell >= GLYPHS) this.#squares(picture);
    else this.#pixels(picture);
  }

  #size(across, down) {
    Object.assign(this.canvas, { width: across, height: down });
    this.image = null;
  }

  // Small cells

  #pixels(picture) {
    const { width, height } = this.canvas;
    this.image ??= this.context.createImageData(width, height);
    const data = new Uint32Array(this.image.data.buffer);
    data.fill(0);
    const [, dots] = inSight(picture);
    fillRows(data, width, height, picture, dots);
    if (!picture.layout.cell) this.#marks(data, picture, dots);
    this.context.putImageData(this.image, 0, 0);
  }

  /** Rare cells of what matters, drawn larger than they are. */
  #marks(data, picture, dots) {
    const { layout, wanted, colours, ratio, width, height } = picture;
    const counts = new Uint32Array(colours.length);
    for (let dot = 0; dot < dots.length; dot += 1) counts[dots[dot]] += 1;
    for (const state of wanted.length ? wanted : MARKED) {
      const size = Math.round(ratio * markSize(counts[state], layout, width * height, wanted.length > 0));
      if (size < 2) continue;
      const colour = pixel(colours[state], 1);
      for (let dot = dots.indexOf(state); dot >= 0; dot = dots.indexOf(state, dot + 1)) this.#mark(data, layout, dot, size, colour);
    }
  }

  #mark(data, { columns, rows }, dot, size, colour) {
    const { width, height } = this.canvas;
    const middle = (at, of, all) => Math.max(0, Math.min(all - size, Math.round(((at + 0.5) * all) / of - size / 2)));
    const x = middle(dot % columns, columns, width);
    const y = middle(Math.floor(dot / columns), rows, height);
    for (let row = y; row < y + size; row += 1) data.fill(colour, row * width + x, row * width + x + size);
  }

  // Large cells

  #squares(picture) {
    const { context, canvas } = this;
    const { layout, top, ratio } = picture;
    context.clearRect(0, 0, canvas.width, canvas.height);
    const [first, dots] = inSight(picture);
    const place = edges(layout.cell, ratio);
    dots.forEach((state, i) => {
      const [x, width] = place((first + i) % layout.columns);
      const [y, height] = place(Math.floor((first + i) / layout.columns), top);
      const dim = picture.wanted.length && !picture.wanted.includes(state);
      context.globalAlpha = dim ? DIMMED : 1;
      context.drawImage(this.#sprite(state, width, height, picture.colours[state]), x, y);
      if (layout.cell >= NUMBERED && state === WAITING) this.#number(String(first + i + 1), x, y, width, picture.colours[state]);
    });
    context.globalAlpha = 1;
  }

  #number(text, x, y, size, colour) {
    if (text.length > LONGEST) return;
    const { context } = this;
    context.font = `500 ${Math.round(size * 0.4)}px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = ink(colour);
    context.fillText(text, x + size / 2, y + size / 2 + size * 0.03);
  }

  #sprite(state, width, height, colour) {
    const key = `${state} ${width} ${height} ${colour}`;
    if (!this.sprites.has(key)) this.sprites.set(key, sprite(state, width, height, colour));
    return this.sprites.get(key);
  }
}

/** The first dot in sight, and the state of each that is in sight. */
function inSight({ states, layout, wanted, top, height }) {
  const bad = severity(wanted);
  if (!layout.cell) return [0, worst(states, layout, bad)];
  const first = Math.min(layout.dots, Math.floor(top / layout.cell) * layout.columns);
  const last = Math.min(layout.dots, Math.ceil((top + height) / layout.cell) * layout.columns);
  return [first, worst(states, layout, bad, first, last)];
}

function palette({ colours, wanted }) {
  const alpha = (state) => (wanted.length && !wanted.includes(state) ? DIMMED : 1);
  return Uint32Array.from(colours, (colour, state) => pixel(colour, alpha(state)));
}

/**
 * Where cells of this size begin in one direction, and how large they are, in device pixels: all gaps are equal, so that
 * cells are which differ by a pixel where the size has a fraction.
 */
function edges(cell, ratio) {
  const between = Math.round(gap(cell) * ratio);
  return (at, top = 0) => {
    const [begin, end] = [at, at + 1].map((edge) => Math.round((edge * cell - top) * ratio));
    return [begin, end - begin - between];
  };
}

/** The same for all cells of one direction: [begin, end, begin, end, …]. */
function spans(count, cell, all, ratio, top = 0) {
  const place = cell ? edges(cell, ratio) : edges(all / count, 1);
  return Int32Array.from({ length: 2 * count }, (_, i) => {
    const [begin, size] = place(i >> 1, top);
    return i % 2 ? begin + size : begin;
  });
}

function fillRows(data, across, down, picture, dots) {
  const { layout, ratio, top } = picture;
  const colours = palette(picture);
  const xs = spans(layout.columns, layout.cell, across, ratio);
  const rows = Math.ceil(dots.length / layout.columns);
  const ys = spans(layout.cell ? rows : layout.rows, layout.cell, down, ratio, layout.cell ? top % layout.cell : 0);
  for (let row = 0; row < rows; row += 1) {
    const y = Math.max(0, ys[2 * row]);
    const end = Math.min(down, ys[2 * row + 1]);
    if (y >= end) continue;
    fillRow(data, y * across, across, xs, colours, dots, row * layout.columns, layout.columns);
    for (let below = y + 1; below < end; below += 1) data.copyWithin(below * across, y * across, (y + 1) * across);
  }
}

function fillRow(data, start, across, xs, colours, dots, from, columns) {
  const last = Math.min(columns, dots.length - from);
  for (let column = 0; column < last; column += 1) {
    const colour = colours[dots[from + column]];
    const end = Math.min(across, xs[2 * column + 1]);
    for (let x = xs[2 * column]; x < end; x += 1) data[start + x] = colour;
  }
}

/** One large cell with its glyph. */
function sprite(state, width, height, colour) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  const size = Math.min(width, height);
  context.fillStyle = css(colour);
  context.beginPath();
  context.roundRect(0, 0, width, height, size * 0.18);
  context.fill();
  context.strokeStyle = ink(colour);
  context.lineWidth = Math.max(1.2, size * 0.1);
  context.lineCap = context.lineJoin = "round";
  context.translate((width - size) / 2, (height - size) / 2);
  for (const points of GLYPH[state] ?? []) stroke(context, points, size / 24);
  return canvas;
}

function stroke(context, points, scale) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x * scale, y * scale) : context.moveTo(x * scale, y * scale)));
  if (points.length === 1) {
    context.arc(points[0][0] * scale, points[0][1] * scale, 3.4 * scale, 0, 2 * Math.PI);
    context.fillStyle = context.strokeStyle;
    context.fill();
  } else {
    context.stroke();
  }
}
