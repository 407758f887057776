// The table of items: the newest ones while a job runs, else a page of the server. That is looked at again when rows that
// it shows have changed, at most once a second, cell by cell, so that neither focus nor a selection is lost. What stands
// in the form above it is never touched.

import { Newest } from "./live_rows.js";
import { concerns, outrun, running } from "./rows.js";
import { $, $$, announce, localTimes } from "./shell.js";

const PAUSE = 1000; // milliseconds between two looks
const FLASHED = 5; // more changed rows than this do not flash

const section = () => $("#items");
const rows = (root) => $$("tbody > tr", root);
const position = (row) => Number(row.dataset.position);
const reading = () => Boolean($("#items tbody:is(:hover, :focus-within)"));
const newest = (root = section()) => root.dataset.mode === "newest";
const fixed = () => "fixed" in section().dataset;

function shown() {
  const all = rows(section());
  return {
    first: all.length ? Math.min(position(all[0]), position(all[all.length - 1])) : 0,
    last: all.length ? Math.max(position(all[0]), position(all[all.length - 1])) : -1,
    open: section().dataset.open === "yes",
    filtered: "filtered" in section().dataset,
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

/** Takes over what differs; all below the form only where other rows are in it. */
function patch(fresh) {
  const [old, now] = [rows(section()), rows(fresh)];
  const same = old.length === now.length && old.every((row, i) => position(row) === position(now[i]));
  if (same && old.length && newest() === newest(fresh)) patchRows(old, now, fresh);
  else replaceBody(fresh);
}

function patchRows(old, now, fresh) {
  const changed = old.filter((row, i) => patchRow(row, now[i]));
  $(".card-foot", section()).replaceWith($(".card-foot", fresh));
  window.htmx?.process($(".card-foot", section()));
  section().dataset.open = fresh.dataset.open;
  if (changed.length <= FLASHED) changed.forEach(flash);
}

function replaceBody(fresh) {
  for (const name of ["mode", "open", "stateFilter"]) section().dataset[name] = fresh.dataset[name];
  for (const link of $$(".segments a", section())) {
    link.toggleAttribute("aria-current", $(`#${link.id}`, fresh)?.hasAttribute("aria-current") ?? false);
    if (link.hasAttribute("aria-current")) link.setAttribute("aria-current", "true");
  }
  $("#items-body").replaceWith($("#items-body", fresh));
  window.htmx?.process($("#items-body"));
}

function flash(row) {
  row.classList.remove("fresh");
  requestAnimationFrame(() => row.classList.add("fresh"));
}

export class Items {
  /** `address` is where the items have their pages, `frame` what the server wrote; `drawn` is called when rows changed. */
  constructor(address, frame, drawn) {
    this.drawn = drawn;
    this.newest = new Newest(address, newest() ? frame.rows : []);
    this.timer = this.sampling = null;
    this.wanted = false;
    this.last = 0;
    for (const name of ["pointerover", "focusin", "focusout"]) document.addEventListener(name, () => this.#resume());
    document.addEventListener("click", (event) => {
      if (event.target.closest("#held button")) this.#show();
    });
    document.addEventListener("visibilitychange", () => this.#resume());
    document.addEventListener("htmx:afterSwap", (event) => event.target.id === "items" && this.#moved());
    document.addEventListener("htmx:afterSettle", (event) => this.#longer(event.detail.requestConfig?.elt));
    document.addEventListener("htmx:beforeSwap", () => (this.before = rows(section()).length));
    this.#tell();
  }

  /** Takes the newest attempts of a frame, and what runs now. */
  take(frame) {
    this.newest.take(frame);
    if (newest()) this.#sample();
    else if (!fixed() && this.#outrun(frame)) this.look();
  }

  #outrun(frame) {
    const listed = rows(section()).map((row) => [position(row), $(".badge", row).dataset.state]);
    return outrun(listed, running(frame.running), section().dataset.stateFilter === "running");
  }

  /** Tells the table which items have changed. */
  touched(changes) {
    if (!newest() && concerns(changes, shown())) this.look();
  }

  /** Looks again soon. */
  look() {
    this.wanted = true;
    this.#note();
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
      if (source === section().dataset.src && $("#items", page)) this.#take(document.adoptNode($("#items", page)));
    } catch {
      this.wanted = true;
    } finally {
      this.last = performance.now();
      this.timer = null;
      this.#note();
      if (this.wanted) this.look();
    }
  }

  /** While the newest ones are shown, the frames bring them. */
  #take(fresh) {
    if (!newest() || !newest(fresh) || !rows(section()).length) {
      patch(fresh);
      if (newest()) this.newest.shown = [];
    }
    localTimes(section());
    this.drawn();
  }

  // The newest attempts

  #sample() {
    this.#note();
    if (this.sampling || document.hidden || reading() || !this.newest.news) return;
    if (!$("tbody", section())) this.look();
    else this.sampling = setTimeout(() => this.#paint(), this.newest.wait);
  }

  #paint() {
    this.sampling = null;
    if (newest() && $("tbody", section()) && !document.hidden && !reading()) this.#paintNewest();
    this.#note();
  }

  #paintNewest() {
    this.newest.paint($("tbody", section()));
    this.drawn();
  }

  // Rows of a filter move when others come in or leave, and the newest ones always do: they hold still while somebody
  // reads them. What was looked for in another order than the file's, or by reading the rows, stays until asked.

  #held() {
    return fixed() || (reading() && (newest() || shown().filtered));
  }

  #note() {
    const [held, still] = [$("#held"), fixed() && !newest()];
    held.hidden = !(this.#held() && (this.wanted || (newest() && this.newest.news)));
    $("#held-why").textContent = still ? "Items have changed since" : "Held still while you read";
    $("button", held).textContent = still ? "Look again" : "Show newest";
  }

  #resume() {
    if (newest()) this.#sample();
    if (this.wanted) this.look();
    else this.#note();
  }

  /** Somebody asks for it: whatever holds it still. */
  #show() {
    if (newest() && !this.wanted) this.#paintNewest();
    else if (!this.timer) this.timer = setTimeout(() => this.#fetch());
    $("#held").hidden = true;
  }

  /** The tiles and the map show which state is listed. */
  #tell() {
    const { stateFilter } = section().dataset;
    for (const tile of $$("#tiles [data-filter]")) {
      if (tile.dataset.filter === stateFilter) tile.setAttribute("aria-current", "true");
      else tile.removeAttribute("aria-current");
    }
    $("item-map")?.setAttribute("filter", stateFilter);
  }

  /** Who asked for more rows reads on with the first of them. */
  #longer(asked) {
    if (asked?.id !== "items-more") return;
    $(".row-link", rows(section())[this.before])?.focus({ preventScroll: true });
  }

  /** Another page or filter was opened. */
  #moved() {
    this.#tell();
    this.wanted = false;
    if (newest()) this.newest.shown = [];
    localTimes(section());
    this.drawn();
    announce($(".items-said", section()).textContent.trim().replace(/\s+/g, " ") || $(".empty", section())?.textContent.trim() || "");
  }
}
