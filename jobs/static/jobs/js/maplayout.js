// Where the cells of the item map are: n items in a box of so many CSS pixels, from numbered squares down to dots that
// stand for several items each. Pure, so that it can be tested without a page.

import { STATES } from "./cells.js";
import { FAILED, NOT_ATTEMPTED, REJECTED, RETRYING, RUNNING, SUCCEEDED, WAITING } from "./mapcells.js";

export const LARGEST = 28; // pixels of a cell with its gap, at least
const SMALLEST = 4; // below it cells have fractions of a pixel and fill the box
export const GLYPHS = 10; // from this size on cells carry a glyph
const ZOOMS = [4, 8, 14, 20, 28];
const TALLEST = 8_000_000; // pixels that every browser can scroll
const MARK = 3; // pixels of a rare cell where cells are smaller
const SHARE = 0.012; // of the box that such marks take at most, and
const SHARE_FILTERED = 0.08; // when only these are asked for

// The worst one last; where items share a dot, it is shown.
const ORDER = [SUCCEEDED, WAITING, NOT_ATTEMPTED, RUNNING, RETRYING, REJECTED, FAILED];
export const SEVERITY = Uint8Array.from(ORDER.keys(), (_, state) => ORDER.indexOf(state));
export const MARKED = [RUNNING, RETRYING, REJECTED, FAILED];

/** The pixels between two cells of this size. */
export const gap = (cell) => (cell >= 8 ? 2 : cell >= 5 ? 1 : 0);

/**
 * {per, dots, columns, rows, cell, width, height}: `per` items in each of `dots` dots; a dot is `width` × `height`
 * pixels, gaps included; `cell` is the side of a square one and 0 for those that have fractions.
 */
export function fit(items, width, height) {
  const square = largest(items, width, height);
  return square ? squares(items, width, square) : fractions(items, width, height);
}

/** All items as squares of at least this size, as wide as the box, which may be taller than what is seen of it. */
export function squares(items, width, least) {
  const across = width + gap(least);
  const columns = Math.max(1, Math.floor(across / least));
  const cell = Math.max(least, across / columns);
  return { per: 1, dots: items, columns, rows: Math.ceil(items / columns), cell, width: cell, height: cell };
}

function largest(items, width, height) {
  for (let least = LARGEST; least >= SMALLEST; least -= 1) {
    const { rows, columns, cell } = squares(items, width, least);
    if (rows * cell - gap(least) <= height && columns * cell - gap(least) <= width + 1e-6) return least;
  }
  return 0;
}

function fractions(items, width, height) {
  const per = Math.ceil(items / (width * height));
  const dots = Math.ceil(items / per);
  const columns = Math.max(1, Math.min(width, Math.ceil(Math.sqrt((dots * width) / height))));
  const rows = Math.ceil(dots / columns);
  return { per, dots, columns, rows, cell: 0, width: width / columns, height: height / rows };
}

/** The sizes that one can zoom to from this layout. */
export function zooms(items, width, fitted) {
  const larger = (cell) => fitted.per > 1 || cell > fitted.width;
  return ZOOMS.filter((cell) => larger(cell) && squares(items, width, cell).rows * cell <= TALLEST);
}

/** The states that a filter of the items asks for; none where it asks for all, or for what the map does not tell. */
export function lookedFor(filter) {
  if (filter === "waiting") return [WAITING, RETRYING];
  if (filter === "not_succeeded") return [...STATES.keys()].filter((state) => state !== SUCCEEDED);
  return STATES.includes(filter) ? [STATES.indexOf(filter)] : [];
}

/** How bad each state is; those that somebody looks for are worse than any other. */
export const severity = (wanted = []) => SEVERITY.map((bad, state) => bad + (wanted.includes(state) ? ORDER.length : 0));

/** The worst state among the items of each dot, from dot `first` to before dot `last`. */
export function worst(states, { per, dots }, bad = SEVERITY, first = 0, last = dots) {
  if (per === 1) return states.subarray(first, last);
  const found = new Uint8Array(last - first);
  for (let dot = first; dot < last; dot += 1) {
    const end = Math.min(states.length, (dot + 1) * per);
    let state = states[dot * per];
    for (let at = dot * per + 1; at < end; at += 1) if (bad[states[at]] > bad[state]) state = states[at];
    found[dot - first] = state;
  }
  return found;
}

/** The position of the item that a dot shows: its worst one. */
export function shownBy(states, { per }, dot, bad = SEVERITY) {
  const end = Math.min(states.length, (dot + 1) * per);
  let found = dot * per;
  for (let at = found + 1; at < end; at += 1) if (bad[states[at]] > bad[states[found]]) found = at;
  return found;
}

/** The dot at a point of the box, given in CSS pixels from its top left corner; -1 where there is none. */
export function dotAt({ columns, rows, width, height, dots }, x, y) {
  const column = Math.floor(x / width);
  const row = Math.floor(y / height);
  if (column < 0 || row < 0 || column >= columns || row >= rows) return -1;
  const dot = row * columns + column;
  return dot < dots ? dot : -1;
}

/**
 * The side in CSS pixels of the mark that stands for one of `count` dots of a state: large enough to be seen, and all of
 * them together no more of the box than `SHARE`. 0 where they are drawn as they are.
 */
export function markSize(count, layout, area, filtered = false) {
  const own = Math.min(layout.width, layout.height);
  if (!count || own >= MARK) return 0;
  const most = Math.sqrt(((filtered ? SHARE_FILTERED : SHARE) * area) / count);
  const size = Math.min(MARK, Math.floor(most * 2) / 2);
  return size > own ? size : 0;
}

/** The next item from `from` on (or before it) that is in one of `wanted`, going round at the end; -1 where none is. */
export function nextIn(states, from, wanted, backwards = false) {
  const n = states.length;
  const step = backwards ? n - 1 : 1;
  for (let i = 1, at = from; i <= n; i += 1) {
    at = (at + step) % n;
    if (wanted.includes(states[at])) return at;
  }
  return -1;
}

const JUMPS = { ArrowLeft: -1, ArrowRight: 1 };

/** The dot that a key leads to from `dot`; null for a key that leads nowhere. `page` is how many rows are in sight. */
export function moved(key, dot, { columns, dots }, page) {
  const steps = { ...JUMPS, ArrowUp: -columns, ArrowDown: columns, PageUp: -page * columns, PageDown: page * columns };
  if (key === "Home") return 0;
  if (key === "End") return dots - 1;
  if (!Object.hasOwn(steps, key)) return null;
  const there = dot + steps[key];
  if (there >= 0 && there < dots) return there;
  if (!key.startsWith("Page")) return dot;
  return there < 0 ? dot % columns : lastOf(dot % columns, columns, dots);
}

function lastOf(column, columns, dots) {
  const last = Math.floor((dots - 1) / columns) * columns + column;
  return last < dots ? last : last - columns;
}
