// Which rows are chosen, over all pages of the table: some rows, or the whole of what is filtered for.

import { askRetry, busy, post } from "./confirm_retry.js";
import { number } from "./format.js";
import { $, $$, announce, setText, toast } from "./shell.js";
import { between, spans } from "./row_ranges.js";

const MOST = 1000; // rows that can be chosen one by one

const section = () => $("#items");
const boxes = () => $$("#items tbody .pick input");
const row = (box) => Number(box.value);
const failed = (box) => $(".badge", box.closest("tr"))?.dataset.state === "failed";

/** What is filtered for, on whichever page of it. */
function filter() {
  const query = new URLSearchParams(section().dataset.src.split("?")[1]);
  for (const name of ["after", "before", "sort"]) query.delete(name);
  return String(query);
}

export class Selection {
  /** `job` is the code under which this tab remembers what is chosen. */
  constructor(job) {
    this.name = `chosen in ${job}`;
    this.rows = new Map();
    this.whole = null;
    this.anchor = null;
    this.#recall();
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("submit", (event) => this.#submitted(event));
    document.addEventListener("acted", (event) => !event.detail?.refused && this.sent && this.clear());
    this.paint();
  }

  get size() {
    return this.whole?.count ?? this.rows.size;
  }

  /** What `retry/`, `accept/` and the downloads are asked. */
  get query() {
    return this.whole ? this.whole.query : `rows=${spans(this.rows.keys())}`;
  }

  clear() {
    this.rows.clear();
    this.whole = null;
    this.#changed();
  }

  // Choosing

  #clicked(event) {
    const { target } = event;
    if (target.matches("#items tbody .pick input")) this.#pick(target, event.shiftKey);
    else if (target.closest("#pick-page")) this.#page(target.checked);
    else if (target.closest("#choose-page")) this.#page(true);
    else if (target.closest("#choose-whole")) this.#choose();
    else if (target.closest("#chosen-clear")) this.#leave();
  }

  #pick(box, ranged) {
    const on = box.checked;
    this.#leaveWhole();
    const list = boxes();
    const known = list.find((one) => row(one) === this.anchor);
    this.#put(ranged ? between(list, known, box) : [box], on);
    this.anchor = row(box);
  }

  #page(on) {
    this.#leaveWhole();
    this.#put(boxes(), on);
  }

  #put(some, on) {
    for (const box of some) {
      if (!on) this.rows.delete(row(box));
      else if (this.rows.size < MOST || this.rows.has(row(box))) this.rows.set(row(box), failed(box));
      else {
        toast(`Up to ${number(MOST)} rows can be chosen one by one.`, "warning");
        break;
      }
    }
    this.#changed();
  }

  /** Whoever leaves a row out of the whole has the rest of the page. */
  #leaveWhole() {
    if (!this.whole) return;
    this.whole = null;
    for (const box of boxes()) this.rows.set(row(box), failed(box));
  }

  #choose() {
    const { dataset, innerHTML } = $("#whole");
    this.rows.clear();
    this.whole = { query: dataset.query, count: Number(dataset.count), words: innerHTML.trim(), filter: filter() };
    this.#changed();
    $("#chosen-retry").focus();
  }

  #leave() {
    this.clear();
    ($("#pick-page:not(:disabled)") ?? $("#items-title")).focus();
  }

  // Acting

  #submitted(event) {
    if (event.target.id !== "chosen") return;
    event.preventDefault();
    const button = event.submitter ?? $("#chosen-retry");
    this.sent = true;
    if (button.id === "chosen-retry") askRetry(this.query);
    else if (button.id === "chosen-accept") busy(button, () => this.#accept(button));
    else this.#download();
  }

  #accept(button) {
    const data = new FormData();
    for (const [name, value] of new URLSearchParams(this.query)) data.set(name, value);
    data.set("csrfmiddlewaretoken", $("#actions [name=csrfmiddlewaretoken]").value);
    return post(button.formAction, data);
  }

  /** What failed, to be fixed; with other rows among the chosen ones the results of all of them. */
  #download() {
    const { failed: fix, results } = section().dataset;
    const all = this.whole || [...this.rows.values()].every(Boolean);
    location.assign(`${all ? fix : results}?${this.query}`);
  }

  // Showing

  #changed() {
    this.sent = false;
    this.#remember();
    this.paint();
    announce(this.size ? `${number(this.size)} chosen.` : "Nothing is chosen.");
  }

  /** Shows what is chosen in the rows that there are now; those that need nothing any more are not chosen. */
  paint() {
    const bar = $("#chosen");
    if (!bar) return;
    if (this.whole && this.whole.filter !== filter()) this.whole = null;
    this.#forget();
    const list = boxes();
    for (const box of list) {
      box.checked = Boolean(this.whole) || this.rows.has(row(box));
      box.closest("tr").classList.toggle("picked", box.checked);
    }
    this.#paintBar(bar, list);
  }

  #paintBar(bar, list) {
    const on = list.filter((box) => box.checked).length;
    const page = $("#pick-page");
    if (page) Object.assign(page, { disabled: !list.length, checked: on > 0 && on === list.length, indeterminate: on > 0 && on < list.length });
    bar.hidden = !this.size;
    setText($("#chosen-said"), this.whole ? `${this.whole.words[0].toUpperCase()}${this.whole.words.slice(1)} chosen` : `${number(this.size)} chosen`);
    $("#choose-page").hidden = on === list.length;
    const offer = $("#whole");
    $("#choose-whole").hidden = !offer || Boolean(this.whole) || on < list.length;
    if (offer) setText($("#choose-whole"), `Choose ${offer.innerHTML.trim()}`);
  }

  /** The newest attempts list a row once for each, so they say nothing of what an item is now. */
  #forget() {
    if (section().dataset.mode === "newest") return;
    for (const shown of $$("tbody tr", section())) {
      if (!$(".pick input", shown)) this.rows.delete(Number(shown.dataset.position) + 1);
    }
  }

  #remember() {
    try {
      sessionStorage.setItem(this.name, JSON.stringify([...this.rows]));
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }

  #recall() {
    try {
      this.rows = new Map(JSON.parse(sessionStorage.getItem(this.name) ?? "[]"));
    } catch {
      this.rows = new Map();
    }
  }
}
