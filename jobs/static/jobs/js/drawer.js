// One item beside the page of its job. Its address is that of the item's own page, which a reload shows; Back closes it.

import "./copy.js";
import { busy, post } from "./confirm_retry.js";
import { $, $$, announce, ask, localTimes, takeToasts } from "./shell.js";

const own = (event) => event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);

const UNSAVED = { title: "Close without saving?", text: "What you typed is not kept.", yes: "Close it", no: "Go on editing" };
const edited = () => $$("#drawer #edit-form textarea").some((field) => field.value !== field.defaultValue);

export class Drawer {
  /** `items` is the address below which the items have their pages. */
  constructor(items) {
    this.items = items;
    this.dialog = $("#drawer");
    this.row = 0;
    this.asked = 0;
    this.coming = 0; // the row that was asked for last, and
    this.late = false; // whether it has changed since
    this.leaving = false;
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("item-open", (event) => {
      event.preventDefault();
      this.open(event.detail.row);
    });
    this.dialog.addEventListener("close", () => this.#closed());
    this.dialog.addEventListener("cancel", (event) => {
      if (event.target !== this.dialog || !edited()) return;
      event.preventDefault();
      this.#leave();
    });
    this.dialog.addEventListener("submit", (event) => {
      if (event.target.id !== "edit-form") return;
      event.preventDefault();
      busy(event.submitter ?? $(".primary", event.target), () => this.#save(event.target));
    });
    // Before htmx, which would fetch the whole page again.
    addEventListener("popstate", (event) => this.#popped(event), { capture: true });
  }

  #clicked(event) {
    const { target } = event;
    if (target.closest("[data-close]") || target === this.dialog) this.#leave();
    if (own(event) && target.closest("#drawer [data-edit]")) {
      event.preventDefault();
      this.#edit();
      return;
    }
    const row = own(event) && !target.closest("a:not([data-item]), button, summary, input, .pick") && target.closest("#items tbody tr");
    const link = own(event) ? target.closest("a[data-item]") ?? (row && String(getSelection()) === "" && $("a[data-item]", row)) : null;
    if (!link) return;
    event.preventDefault();
    this.open(Number(link.dataset.item));
  }

  /** Shows the item of a row; its page where that cannot be had. */
  async open(row) {
    const address = `${this.items}${row}/`;
    const part = await this.#fetched(row);
    if (part === undefined) return;
    if (!part) {
      location.assign(address);
      return;
    }
    if (this.dialog.open) history.replaceState({ drawer: row }, "", address);
    else history.pushState({ drawer: row }, "", address);
    this.#show(row, part);
  }

  async #leave() {
    if (!edited() || (await ask(UNSAVED))) this.dialog.close();
  }

  /** The item with its input as a form. */
  async #edit() {
    const part = await this.#fetched(this.row, "edit/");
    if (!part) return;
    this.#show(this.row, part);
    $("#edit-form textarea", this.dialog)?.focus();
  }

  /** The answer is the item; with its form where something in that is wrong. */
  async #save(form) {
    this.#expect(this.row);
    const done = await post(form.action, new FormData(form));
    if (!done) return;
    this.#show(this.row, $(".item-page", done.page));
    if (!done.wrong) return;
    $("#drawer #errors")?.focus();
    announce($("#drawer #errors")?.textContent.trim().replace(/\s+/g, " ") ?? "");
  }

  /** What the server says of an item; null where it says nothing, undefined where another one was asked for meanwhile. */
  async #fetched(row, part = "") {
    const asked = ++this.asked;
    this.#expect(row);
    try {
      const answer = await fetch(`${this.items}${row}/${part}`, { headers: { "HX-Request": "true" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      takeToasts(page);
      if (asked !== this.asked) return undefined;
      return answer.ok ? $(".item-page", page) : null;
    } catch {
      return asked === this.asked ? null : undefined;
    }
  }

  #expect(row) {
    this.coming = row;
    this.late = false;
  }

  #show(row, part) {
    const focused = document.activeElement?.id;
    this.row = row;
    $("#drawer-page").href = `${this.items}${row}/`;
    $("#drawer-body").replaceChildren(document.adoptNode(part));
    localTimes(this.dialog);
    // The answer may be older than what was heard while it was on its way.
    if (this.late) setTimeout(() => this.look());
    if (!this.dialog.open) {
      this.dialog.showModal();
      return;
    }
    // Whoever goes from row to row by a button stays on it.
    ($(`#drawer-body #${focused || "drawer-title"}`) ?? $("#drawer-title")).focus();
  }

  /** Looks again at an item that has changed. */
  touched(changes) {
    this.late ||= changes.some(([at]) => at === this.coming - 1);
    if (changes.some(([at]) => at === this.row - 1)) this.look();
  }

  async look() {
    if (!this.dialog.open || $("#edit-form", this.dialog)) return;
    const row = this.row;
    const part = await this.#fetched(row);
    if (!part || !this.dialog.open || row !== this.row) return;
    if (!$("#drawer-body :is(input, textarea):focus, #edit-form") && !$("#drawer-body details[open]")) this.#show(row, part);
  }

  #closed() {
    this.asked += 1;
    const link = $(`#items a[data-item="${this.row}"]`);
    if (link && [document.body, null].includes(document.activeElement)) link.focus();
    if (!history.state?.drawer) return;
    this.leaving = true;
    history.back();
  }

  #popped(event) {
    const row = event.state?.drawer;
    if (!row && !this.dialog.open && !this.leaving) return;
    event.stopImmediatePropagation();
    this.leaving = false;
    if (row) this.#reopen(row);
    else this.dialog.close();
  }

  /** Forward, after Back. */
  async #reopen(row) {
    const part = await this.#fetched(row);
    if (part) this.#show(row, part);
  }
}
