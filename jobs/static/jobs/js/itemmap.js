// <item-map>: one cell for each item in the order of the file, always all of them in its box; and close up, in a box that
// scrolls. It is given a `source` with the states of the items and draws when it is told to.
//
// Attributes: `items`, the address below which each row has its page; `filter`, the state that is looked for, which dims
// the others. Events: `item-open` with {row}, after which the page of the item is opened unless somebody
// prevents it; `map-drawn` with {caption, closer, farther}.

import { STATES } from "./cells.js";
import { FAILED } from "./mapcells.js";
import { lookedFor, nextIn } from "./maplayout.js";
import { Lens } from "./maplens.js";
import { Painter } from "./mappaint.js";
import { announce, setText } from "./shell.js";

const LARGE = 12; // cells from this size on are large enough for a finger, and what a click on a dot leads to
const NOTCH = 40; // of the wheel for one step closer
const SPOKEN = 150; // milliseconds of rest before a position is said
const THEMES = ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)"];

class ItemMap extends HTMLElement {
  static observedAttributes = ["filter"];

  connectedCallback() {
    if (this.lens) return;
    this.append(...["canvas", "div", "div", "div"].map((tag) => document.createElement(tag)));
    [this.canvas, this.space, this.ring, this.tip] = this.children;
    this.space.className = "map-space";
    this.ring.className = "map-ring";
    this.tip.className = "map-tip";
    for (const part of this.children) part.setAttribute("aria-hidden", "true");
    this.ring.hidden = this.tip.hidden = true;
    Object.assign(this, { lens: new Lens(), painter: new Painter(this.canvas), cursor: 0, wheel: 0, drawn: null });
    this.attributeChangedCallback();
    this.#listen();
  }

  attributeChangedCallback() {
    if (!this.lens) return;
    this.lens.wanted = lookedFor(this.getAttribute("filter") ?? "");
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
    this.addEventListener("scroll", () => this.#scrolled(), { passive: true });
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

  #scrolled() {
    this.tip.hidden = true;
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
    if (!this.source?.total || !this.clientWidth) return;
    const { lens, source } = this;
    this.#arrange();
    lens.top = this.scrollTop;
    lens.states = source.cells.shown;
    const known = lens.states.length === lens.total;
    this.toggleAttribute("ready", known);
    if (known) this.#paint();
    this.drawn = known && source.current ? source.cells.counts() : null;
    if (!this.ring.hidden) this.#point();
    const detail = { caption: lens.caption(), closer: lens.next(1) !== null, farther: lens.next(-1) !== null };
    this.dispatchEvent(new CustomEvent("map-drawn", { bubbles: true, detail }));
  }

  #paint() {
    this.colours ??= this.#readColours();
    const { states, layout, wanted, tall, top } = this.lens;
    const { colours, clientWidth: width } = this;
    this.painter.paint({ states, layout, width, height: tall, top, ratio: devicePixelRatio, colours, wanted });
  }

  #arrange() {
    const { lens } = this;
    lens.fit(this.source.total, this.clientWidth, parseFloat(getComputedStyle(this).getPropertyValue("--map-height")));
    set(this, "height", lens.tall);
    this.toggleAttribute("zoomed", lens.zoom > 0);
    lens.lay(this.clientWidth); // by now without the bar that scrolls
    set(this.space, "height", lens.space);
    set(this.canvas, "width", this.clientWidth);
    set(this.canvas, "height", lens.tall);
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

  // Closer and farther

  /** One step closer (1) or farther (-1), so that what is at this point stays there: by default in the middle. */
  zoomBy(direction, point = { x: this.clientWidth / 2, y: this.lens.tall / 2 }, item = this.#itemAt(point)) {
    const cell = this.lens.next(direction);
    if (cell !== null) this.#zoomTo(cell, point, item);
  }

  #zoomTo(cell, point, item) {
    this.tip.hidden = true;
    this.lens.zoom = cell;
    this.#arrange();
    if (cell) this.scrollTop = this.lens.topFor(Math.max(0, item), point.y);
    this.draw();
  }

  #wheeled(event) {
    if (!event.ctrlKey || !this.hasAttribute("ready")) return;
    event.preventDefault();
    this.wheel += event.deltaY * (event.deltaMode ? NOTCH : 1);
    if (Math.abs(this.wheel) < NOTCH) return;
    this.zoomBy(this.wheel < 0 ? 1 : -1, this.#inside(event));
    this.wheel = 0;
  }

  // Pointer

  #inside({ clientX, clientY }) {
    const box = this.getBoundingClientRect();
    return { x: clientX - box.x, y: clientY - box.y };
  }

  #itemAt({ x, y }) {
    const dot = this.lens.dotAt(x, y);
    return dot < 0 ? -1 : this.lens.itemOf(dot);
  }

  #hovered(event) {
    if (event.pointerType === "touch" || !this.hasAttribute("ready")) return;
    const { x, y } = this.#inside(event);
    const dot = x < this.clientWidth ? this.lens.dotAt(x, y) : -1;
    this.tip.hidden = dot < 0;
    if (dot < 0) return;
    setText(this.tip, this.lens.saidOf(dot));
    const left = Math.min(event.clientX + 12, document.documentElement.clientWidth - this.tip.offsetWidth - 8);
    this.tip.style.translate = `${left}px ${event.clientY + 18}px`;
  }

  #clicked(event) {
    const point = this.#inside(event);
    const item = this.hasAttribute("ready") && point.x < this.clientWidth ? this.#itemAt(point) : -1;
    if (item < 0) return;
    this.cursor = item;
    const { per, width } = this.lens.layout;
    const closer = this.lens.zooms.find((cell) => cell >= LARGE);
    const small = per > 1 || (event.pointerType === "touch" && width < LARGE);
    if (small && closer) this.#zoomTo(closer, point, item);
    else this.open(item + 1);
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
    else if (key === "+" || key === "=") this.zoomBy(1, this.lens.place(this.cursor), this.cursor);
    else if (key === "-") this.zoomBy(-1, this.lens.place(this.cursor), this.cursor);
    else if (key === "Escape" && this.lens.zoom) this.#zoomTo(0, this.lens.place(this.cursor), this.cursor);
    else return this.#move(key);
    return true;
  }

  #move(key) {
    const item = this.lens.moved(key, this.cursor);
    if (item === null) return false;
    this.#go(item, () => this.lens.saidOf(this.lens.dotOf(item), ", "));
    return true;
  }

  #seek(backwards) {
    const item = nextIn(this.lens.states, this.cursor, [FAILED], backwards);
    if (item < 0) announce("No item has failed.");
    else this.#go(item, () => this.lens.said(item, ", "));
  }

  /** Moves the cursor, and says where it is once it rests. */
  #go(item, words) {
    this.cursor = item;
    this.scrollTop = this.lens.topToShow(item);
    this.lens.top = this.scrollTop;
    this.#point();
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => announce(words()), SPOKEN);
  }

  /** Puts the ring around the cursor's cell. */
  #point() {
    const shown = this.hasAttribute("ready") && this.cursor < this.lens.total && this.matches(":focus-visible");
    const { x, y } = shown ? this.lens.place(this.cursor) : { x: 0, y: -1 };
    this.ring.hidden = y < 0 || y > this.lens.tall;
    if (this.ring.hidden) return;
    const side = Math.max(12, Math.round(this.lens.layout.width) + 4);
    set(this.ring, "width", side);
    set(this.ring, "height", side);
    this.ring.style.translate = `${x - side / 2}px ${y - side / 2 + this.scrollTop}px`;
  }
}

function set(element, name, pixels) {
  const text = `${pixels}px`;
  if (element.style[name] !== text) element.style[name] = text;
}

customElements.define("item-map", ItemMap);
