// The table of items: looked at again when rows that it shows have changed, at most once a second, cell by cell, so that
// neither focus nor a selection is lost.

import { concerns } from "./rows.js";
import { $, $$, localTimes } from "./shell.js";

const PAUSE = 1000; // milliseconds between two looks
const FLASHED = 5; // more changed rows than this do not flash

const section = () => $("#items");
const rows = (root) => $$("tbody > tr", root);
const position = (row) => Number(row.dataset.position);

function shown() {
  const all = rows(section());
  return {
    first: all.length ? position(all[0]) : 0,
    last: all.length ? position(all[all.length - 1]) : -1,
    open: section().dataset.open === "yes",
    filtered: /[?&](state|cause)=[^&]/.test(section().dataset.src),
  };
}

function patchRow(row, fresh) {
  let changed = false;
  [...fresh.cells].forEach((cell, i) => {
    if (row.cells[i].innerHTML === cell.innerHTML) return;
    row.cells[i].replaceWith(cell.cloneNode(true));
    changed = true;
  });
  return changed;
}

/** Takes over what differs; the whole table only where other rows are in it. */
function patch(fresh) {
  const [old, now] = [rows(section()), rows(fresh)];
  const same = old.length === now.length && old.every((row, i) => position(row) === position(now[i]));
  if (!same || !old.length) {
    section().replaceWith(fresh);
    window.htmx?.process(fresh);
    return;
  }
  const changed = old.filter((row, i) => patchRow(row, now[i]));
  $(".card-foot", section()).replaceWith($(".card-foot", fresh));
  window.htmx?.process($(".card-foot", section()));
  if (changed.length <= FLASHED) changed.forEach(flash);
}

function flash(row) {
  row.classList.remove("fresh");
  requestAnimationFrame(() => row.classList.add("fresh"));
}

export class Items {
  constructor() {
    this.timer = null;
    this.wanted = false;
    this.reading = false; // somebody's pointer or focus is in rows that may move
    this.last = 0;
    document.addEventListener("pointerover", (event) => this.#hold(event));
    document.addEventListener("focusin", (event) => this.#hold(event));
    document.addEventListener("click", (event) => {
      if (event.target.closest("#held button")) this.#release();
    });
    document.addEventListener("visibilitychange", () => this.wanted && this.look());
    document.addEventListener("htmx:afterSwap", () => this.#moved());
  }

  /** Tells the table which items have changed. */
  touched(changes) {
    if (concerns(changes, shown())) this.look();
  }

  /** Looks again soon. */
  look() {
    this.wanted = true;
    if (this.timer || document.hidden || this.#held()) return;
    this.timer = setTimeout(() => this.#fetch(), Math.max(0, this.last + PAUSE - performance.now()));
  }

  async #fetch() {
    this.wanted = false;
    const source = section().dataset.src;
    try {
      const answer = await fetch(source, { headers: { "HX-Request": "true" } });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (source === section().dataset.src && page.querySelector("#items")) patch(document.adoptNode(page.querySelector("#items")));
      localTimes(section());
    } catch {
      this.wanted = true;
    } finally {
      this.last = performance.now();
      this.timer = null;
      if (this.wanted) this.look();
    }
  }

  // Rows of a filter move when others come in or leave; they hold still while somebody reads them.

  #held() {
    const hold = this.reading && shown().filtered;
    $("#held").hidden = !(hold && this.wanted);
    return hold;
  }

  #hold(event) {
    if (event.pointerType === "touch") return;
    const reading = Boolean(event.target.closest?.("#items tbody, #held"));
    if (reading === this.reading) return;
    this.reading = reading;
    if (!reading) this.#release();
  }

  #release() {
    this.reading = false;
    if (this.wanted) this.look();
    $("#held").hidden = true;
  }

  /** Another page or filter was opened: the tiles show which. */
  #moved() {
    const { stateFilter } = section().dataset;
    for (const tile of $$("#tiles [data-filter]")) {
      if (tile.dataset.filter === stateFilter) tile.setAttribute("aria-current", "true");
      else tile.removeAttribute("aria-current");
    }
    localTimes(section());
  }
}
