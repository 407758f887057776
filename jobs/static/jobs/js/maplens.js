// How one looks at the item map: all of it, or close up on a part that scrolls; which item is where. Pure, but for what it
// remembers, so that it can be tested without a page.

import { number } from "./format.js";
import { dotAt, fit, gap, MARKED, moved, severity, SEVERITY, shownBy, squares, zooms } from "./maplayout.js";

const WORDS = ["Waiting", "Running", "Succeeded", "Failed", "Rejected", "Retrying", "Not attempted"];
const REACH = 1.5; // pixels around the pointer in which a mark is meant rather than the cell below it

const range = (first, last) => (first === last ? `Item ${number(first)}` : `Items ${number(first)} to ${number(last)}`);
const between = (least, value, most) => Math.max(least, Math.min(most, value));

export class Lens {
  constructor() {
    this.states = new Uint8Array(0);
    this.wanted = [];
    this.zoom = 0; // pixels of a cell, 0 for all items in the box
    this.top = 0; // pixels above what is in sight
  }

  /** Fits so many items into a box; it is as tall as all of them need and stays so however close one looks. */
  fit(total, width, most) {
    this.total = total;
    this.fitted = fit(total, width, most);
    const { rows, cell } = this.fitted;
    this.tall = cell ? Math.max(cell, rows * cell - gap(cell)) : most;
    this.zooms = zooms(total, width, this.fitted);
    if (!this.zooms.includes(this.zoom)) this.zoom = 0;
  }

  /** Lays the items out as they are looked at, in a width that a bar which scrolls may have made smaller. */
  lay(width) {
    this.layout = this.zoom ? squares(this.total, width, this.zoom) : this.fitted;
    this.space = this.zoom ? this.layout.rows * this.layout.height : 0;
    if (!this.zoom) this.top = 0;
  }

  /** The size of cells one step closer (1) or farther (-1); 0 for all items, null where it goes no further. */
  next(direction) {
    const at = this.zooms.indexOf(this.zoom) + direction;
    return at < -1 ? null : at < 0 ? 0 : (this.zooms[at] ?? null);
  }

  /** Where to scroll so that an item, once laid out, is at this height of the box and whole. */
  topFor(item, y) {
    const { columns, height } = this.layout;
    return (Math.floor(item / columns) + 0.5) * height - between(height / 2, y, this.tall - height / 2);
  }

  /** Where to scroll so that the item is in sight, as little as needed. */
  topToShow(item) {
    const { y } = this.place(item);
    return this.zoom && (y < this.layout.height / 2 || y > this.tall - this.layout.height / 2) ? this.topFor(item, y) : this.top;
  }

  /** The middle of an item's cell in the box. */
  place(item) {
    const { columns, width, height, cell } = this.layout;
    const dot = this.dotOf(item);
    const middle = (at, size) => (at + 0.5) * size - gap(cell) / 2;
    return { x: middle(dot % columns, width), y: middle(Math.floor(dot / columns), height) - this.top };
  }

  dotOf(item) {
    return Math.floor(item / this.layout.per);
  }

  /** The item that a dot shows: its worst one, or the one that is looked for. */
  itemOf(dot) {
    return this.layout.per === 1 ? dot : shownBy(this.states, this.layout, dot, severity(this.wanted));
  }

  /** The dot at a point of the box; of rare states also one beside it, since these are drawn larger than they are. */
  dotAt(x, y) {
    const own = dotAt(this.layout, x, y + this.top);
    if (this.layout.cell) return own;
    let found = own;
    for (const dx of [0, -REACH, REACH]) {
      for (const dy of [0, -REACH, REACH]) {
        const dot = dotAt(this.layout, x + dx, y + dy);
        if (dot >= 0 && (found < 0 || this.#bad(dot) > this.#bad(found))) found = dot;
      }
    }
    return found >= 0 && MARKED.includes(this.states[this.itemOf(found)]) ? found : own;
  }

  #bad(dot) {
    return SEVERITY[this.states[this.itemOf(dot)]];
  }

  /** The item that a key leads to; null for a key that leads nowhere. */
  moved(key, item) {
    const inSight = Math.floor(this.tall / this.layout.height);
    const page = Math.max(1, this.zoom ? inSight - 1 : Math.ceil(inSight / 10));
    const dot = moved(key, this.dotOf(item), this.layout, page);
    return dot === null ? null : this.itemOf(dot);
  }

  // Words

  caption() {
    if (!this.zoom) {
      const { per } = this.fitted;
      return per > 1 ? `1 dot = ${number(per)} items, worst state shown – click to zoom in` : "1 cell = 1 item";
    }
    const { columns, height } = this.layout;
    const first = Math.floor(this.top / height) * columns;
    const last = Math.ceil((this.top + this.tall) / height) * columns;
    return range(first + 1, Math.min(this.total, last));
  }

  /** “Item 48,213 · Failed”. */
  said(item, mark = " · ") {
    return `${range(item + 1, item + 1)}${mark}${WORDS[this.states[item]]}`;
  }

  /** The same for all that share a dot, with the worst of them. */
  saidOf(dot, mark = " · ") {
    const { per } = this.layout;
    if (per === 1) return this.said(dot, mark);
    const [first, last] = [dot * per, Math.min(this.total, (dot + 1) * per)];
    const states = this.states.subarray(first, last);
    const word = WORDS[this.states[this.itemOf(dot)]];
    return `${range(first + 1, last)}${mark}${states.every((state) => state === states[0]) ? word : `worst: ${word}`}`;
  }
}
