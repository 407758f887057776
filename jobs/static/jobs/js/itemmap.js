// <item-map>: one cell for each item in the order of the file, always all of them in its box; and close up, in a box that
// scrolls. It is given a `source` with the states of the items and draws when it is told to.
//
// Attributes: `items`, the address below which each row has its page; `filter`, names of the states that are looked for,
// which dims the others. Events: `item-open` with {row}, after which the page of the item is opened unless somebody
// prevents it; `map-drawn` with {caption, zoomed, closer, farther}.

import { STATES } from "./cells.js";
import { number } from "./format.js";
import { FAILED } from "./mapcells.js";
import { dotAt, fit, gap, MARKED, moved, nextIn, severity, SEVERITY, shownBy, squares, zooms } from "./maplayout.js";
import { Painter } from "./mappaint.js";
import { announce, setText } from "./shell.js";

const WORDS = ["Waiting", "Running", "Succeeded", "Failed", "Rejected", "Retrying", "Not attempted"];
const REACH = 1.5; // pixels around the pointer in which a mark is meant rather than the cell below it
const TAPPED = 12; // cells smaller than this are too small for a finger
const NOTCH = 40; // of the wheel for one step closer
const SPOKEN = 150; // milliseconds of rest before a position is said
const THEMES = ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)"];

const range = (first, last) => (first === last ? `Item ${number(first)}` : `Items ${number(first)} to ${number(last)}`);

class ItemMap extends HTMLElement {
  static observedAttributes = ["filter"];

  connectedCallback() {
    if (this.painter) return;
    this.append(...["canvas", "div", "div", "div"].map((tag) => document.createElement(tag)));
    [this.canvas, this.space, this.ring, this.tip] = this.children;
    this.space.className = "map-space";
    this.ring.className = "map-ring";
    this.tip.className = "map-tip";
    for (const part of this.children) part.setAttribute("aria-hidden", "true");
    this.ring.hidden = this.tip.hidden = true;
    Object.assign(this, { painter: new Painter(this.canvas), zoom: 0, cursor: 0, wheel: 0, drawn: null, wanted: [] });
    this.attributeChangedCallback();
    this.#listen();
  }

  attributeChangedCallback() {
    if (!this.painter) return;
    const names = (this.getAttribute("filter") ?? "").split(/[\s,]+/);
    this.wanted = names.map((name) => STATES.indexOf(name)).filter((state) => state >= 0);
    this.request();
  }

  /** How many items are drawn in each state; null while they are of another moment than the page's numbers. */
  counts() {
    return this.drawn;
  }

  #listen() {
    new ResizeObserver(() => this.request()).observe(this);
    new MutationObserver(() => this.#recolour()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    for (const query of THEMES) matchMedia(query).addEventListener("change", () => this.#recolour());
    this.addEventListener("scroll", () => this.request(), { passive: true });
    this.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    this.addEventListener("pointermove", (event) => this.#hovered(event));
    this.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.addEventListener("click", (event) => this.#clicked(event));
    this.addEventListener("keydown", (event) => this.#pressed(event));
    this.addEventListener("focus", () => this.#point());
    this.addEventListener("blur", () => (this.ring.hidden = true));
  }

  #recolour() {
    this.colours = null;
    this.request();
  }

  // Drawing

  /** Draws with the next frame of the screen. */
  request() {
    if (this.due || !this.source || document.hidden) return;
    this.due = requestAnimationFrame(() => this.draw());
  }

  /** Draws now: the states of `source`, {cells, current, total}. */
  draw() {
    cancelAnimationFrame(this.due);
    this.due = 0;
    if (!this.source || !this.clientWidth) return;
    this.#arrange();
    const { cells, current } = this.source;
    this.colours ??= this.#readColours();
    this.ratio = devicePixelRatio;
    const { layout, wanted, colours, ratio } = this;
    const known = cells.shown.length === this.total;
    this.painter.paint({
      states: cells.shown, layout: known ? layout : { ...layout, dots: 0 }, width: this.clientWidth, height: this.tall,
      top: this.scrollTop, ratio, colours, wanted,
    });
    this.drawn = current ? cells.counts() : null;
    this.toggleAttribute("ready", known);
    if (!this.ring.hidden) this.#point();
    this.dispatchEvent(new CustomEvent("map-drawn", { bubbles: true, detail: this.#told() }));
  }

  #told() {
    return { caption: this.#caption(), zoomed: this.zoom > 0, closer: this.#next(1) > 0, farther: this.zoom > 0 };
  }

  /** The box is as tall as all items need, up to what the style says, and stays so however close one looks. */
  #arrange() {
    this.total = this.source.total;
    const most = parseFloat(getComputedStyle(this).getPropertyValue("--map-height"));
    let width = this.clientWidth;
    this.fitted = fit(this.total, width, most);
    const { rows, cell } = this.fitted;
    this.tall = cell ? Math.max(cell, rows * cell - gap(cell)) : most;
    this.#set(this, "height", this.tall);
    this.zooms = zooms(this.total, width, this.fitted);
    if (!this.zooms.includes(this.zoom)) this.zoom = 0;
    if (this.hasAttribute("zoomed") !== this.zoom > 0) {
      this.toggleAttribute("zoomed", this.zoom > 0);
      width = this.clientWidth; // without the bar that scrolls
    }
    this.layout = this.zoom ? squares(this.total, width, this.zoom) : this.fitted;
    this.#set(this.space, "height", this.zoom ? this.layout.rows * this.zoom : 0);
    this.#set(this.canvas, "width", width);
    this.#set(this.canvas, "height", this.tall);
  }

  #set(element, name, pixels) {
    const text = `${pixels}px`;
    if (element.style[name] !== text) element.style[name] = text;
  }

  #readColours() {
    const probe = document.createElement("span");
    probe.className = "map-colour";
    this.append(probe);
    const colours = STATES.map((state) => {
      probe.dataset.state = state;
      return getComputedStyle(probe).backgroundColor.match(/[\d.]+/g).slice(0, 3).map(Number);
    });
    probe.remove();
    return colours;
  }

  #caption() {
    if (this.zoom) return range(this.#firstInSight() + 1, this.#lastInSight() + 1);
    const { per } = this.fitted;
    return per > 1 ? `1 dot = ${per} items, worst state shown – click to zoom in` : "1 cell = 1 item";
  }

  #firstInSight() {
    return Math.floor(this.scrollTop / this.zoom) * this.layout.columns;
  }

  #lastInSight() {
    return Math.min(this.total, Math.ceil((this.scrollTop + this.tall) / this.zoom) * this.layout.columns) - 1;
  }

  // Closer and farther

  #next(direction) {
    const at = this.zooms.indexOf(this.zoom) + direction;
    return at < 0 ? 0 : (this.zooms[at] ?? -1);
  }

  /** One step closer (1) or farther (-1), so that the item stays where it is: by default the middle of the box. */
  zoomBy(direction, point = { x: this.clientWidth / 2, y: this.tall / 2 }) {
    if (direction < 0 && !this.zoom) return;
    const cell = this.#next(direction);
    if (cell >= 0) this.zoomTo(cell, point);
  }

  zoomTo(cell, point, item = this.#itemAt(point.x, point.y)) {
    this.zoom = cell;
    this.#arrange();
    const row = Math.floor(Math.max(0, item) / this.layout.columns);
    if (cell) this.scrollTop = (row + 0.5) * cell - point.y;
    this.draw();
  }

  #wheeled(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.wheel += event.deltaY * (event.deltaMode ? NOTCH : 1);
    if (Math.abs(this.wheel) < NOTCH) return;
    this.zoomBy(this.wheel < 0 ? 1 : -1, this.#inside(event));
    this.wheel = 0;
  }

  // Which item

  #inside({ clientX, clientY }) {
    const box = this.getBoundingClientRect();
    return { x: clientX - box.x, y: clientY - box.y };
  }

  /** The dot at a point of the box; of rare states also one beside it, since these are drawn larger than they are. */
  #dotAt(x, y) {
    const top = this.zoom ? this.scrollTop : 0;
    const own = dotAt(this.layout, x, y + top);
    if (this.layout.cell) return own;
    let found = own;
    for (const dx of [0, -REACH, REACH]) {
      for (const dy of [0, -REACH, REACH]) {
        const dot = dotAt(this.layout, x + dx, y + dy);
        if (dot >= 0 && (found < 0 || this.#bad(dot) > this.#bad(found))) found = dot;
      }
    }
    return MARKED.includes(this.#state(found)) ? found : own;
  }

  #item(dot) {
    return this.layout.per === 1 ? dot : shownBy(this.source.cells.shown, this.layout, dot, severity(this.wanted));
  }

  #state(dot) {
    return dot < 0 ? -1 : this.source.cells.shown[this.#item(dot)];
  }

  #bad(dot) {
    return SEVERITY[this.#state(dot)];
  }

  #itemAt(x, y) {
    const dot = this.#dotAt(x, y);
    return dot < 0 ? -1 : this.#item(dot);
  }

  /** “Item 48,213 · Failed”, or all that share a dot with the worst of them. */
  #said(dot, mark = " · ") {
    const { per } = this.layout;
    const last = Math.min(this.total, (dot + 1) * per);
    const states = this.source.cells.shown.subarray(dot * per, last);
    const word = WORDS[this.#state(dot)];
    return `${range(dot * per + 1, last)}${mark}${states.every((state) => state === states[0]) ? word : `worst: ${word}`}`;
  }

  // Pointer

  #hovered(event) {
    if (event.pointerType === "touch" || !this.hasAttribute("ready")) return;
    const { x, y } = this.#inside(event);
    const dot = this.#dotAt(x, y);
    this.tip.hidden = dot < 0;
    if (dot < 0) return;
    setText(this.tip, this.#said(dot));
    const left = Math.min(event.clientX + 12, document.documentElement.clientWidth - this.tip.offsetWidth - 8);
    this.tip.style.translate = `${left}px ${event.clientY + 18}px`;
  }

  #clicked(event) {
    const point = this.#inside(event);
    if (!this.hasAttribute("ready") || point.x >= this.clientWidth) return;
    const dot = this.#dotAt(point.x, point.y);
    if (dot < 0) return;
    this.cursor = this.#item(dot);
    const small = event.pointerType === "touch" && this.layout.width < TAPPED;
    const closer = this.zooms.find((cell) => cell >= TAPPED);
    if (closer && (this.layout.per > 1 || small)) this.zoomTo(closer, point, this.cursor);
    else this.open(this.cursor + 1);
  }

  open(row) {
    this.tip.hidden = true;
    const event = new CustomEvent("item-open", { bubbles: true, cancelable: true, detail: { row } });
    if (this.dispatchEvent(event)) location.assign(`${this.getAttribute("items")}${row}/`);
  }

  // Keyboard

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.hasAttribute("ready")) return;
    if (!this.#key(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Whether the key meant something here. */
  #key(key) {
    if (key === "Enter") this.open(this.cursor + 1);
    else if (key === "f" || key === "F") this.#seek(key === "F");
    else if (key === "+" || key === "=") this.zoomBy(1, this.#place());
    else if (key === "-") this.zoomBy(-1, this.#place());
    else if (key === "Escape" && this.zoom) this.zoomTo(0, this.#place());
    else return this.#move(key);
    return true;
  }

  #move(key) {
    const page = Math.max(1, Math.floor(this.tall / this.layout.height) - 1);
    const dot = moved(key, this.#dotOf(this.cursor), this.layout, this.zoom ? page : Math.ceil(page / 10));
    if (dot === null) return false;
    this.#go(this.#item(dot));
    return true;
  }

  #seek(backwards) {
    const found = nextIn(this.source.cells.shown, this.cursor, [FAILED], backwards);
    if (found < 0) announce("No item has failed.");
    else this.#go(found, true);
  }

  #dotOf(item) {
    return Math.floor(item / this.layout.per);
  }

  /** The middle of the cursor's cell in the box. */
  #place() {
    const { columns, width, height } = this.layout;
    const dot = this.#dotOf(this.cursor);
    return { x: ((dot % columns) + 0.5) * width, y: (Math.floor(dot / columns) + 0.5) * height - (this.zoom ? this.scrollTop : 0) };
  }

  #go(item, alone = false) {
    this.cursor = Math.max(0, Math.min(this.total - 1, item));
    const { y } = this.#place();
    const half = this.layout.height / 2;
    if (this.zoom && y - half < 0) this.scrollTop += y - half;
    else if (this.zoom && y + half > this.tall) this.scrollTop += y + half - this.tall;
    this.#point();
    clearTimeout(this.speaking);
    const said = () => (alone ? `Item ${number(this.cursor + 1)}, ${WORDS[this.source.cells.shown[this.cursor]]}` : this.#said(this.#dotOf(this.cursor), ", "));
    this.speaking = setTimeout(() => announce(said()), SPOKEN);
  }

  /** Puts the ring around the cursor's cell. */
  #point() {
    if (!this.layout || !this.matches(":focus-visible") || this.cursor >= this.total) {
      this.ring.hidden = true;
      return;
    }
    const { x, y } = this.#place();
    const side = Math.max(10, this.layout.width + 2);
    this.ring.hidden = y < 0 || y > this.tall;
    this.#set(this.ring, "width", side);
    this.#set(this.ring, "height", side);
    this.ring.style.translate = `${x - side / 2}px ${y - side / 2 + this.scrollTop}px`;
  }
}

customElements.define("item-map", ItemMap);
