// Single keys. Each presses what can be seen on the page, so that a key never does what its button would not.

import { Chords, taken } from "./chords.js";
import { $, $$, announce } from "./shell.js";

const FIELDS = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const ROWS = "#items tbody .row-link, .jobs tbody .name";
const STEP = { j: 1, k: -1 };

const seen = (element) => element.checkVisibility();
const first = (selector) => $$(selector).find(seen);

const press = (selector) => first(selector)?.click();

function focus(selector) {
  const found = first(selector);
  found?.focus();
  found?.scrollIntoView({ block: "nearest" });
}

/** To the row after or before the one that has the focus; on the page of one item, to the item after or before it. */
function step(by) {
  const rows = $$(ROWS).filter(seen);
  if (!rows.length) return press(`main [rel="${by > 0 ? "next" : "prev"}"]`);
  const at = rows.findIndex((row) => row.closest("tr")?.contains(document.activeElement));
  const to = at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by));
  rows[to].focus();
  rows[to].scrollIntoView({ block: "nearest" });
}

function openDownload() {
  const menu = first("#download");
  if (!menu) return;
  menu.open = true;
  $("a", menu).focus();
}

/** The focus returns to what had it, and that must not be hidden by then. */
function showSheet() {
  const menu = $(".header .menu[open]");
  if (menu) {
    menu.open = false;
    $("summary", menu).focus();
  }
  if (!$("#keys").open) $("#keys").showModal();
}

const DOES = {
  "?": showSheet,
  "/": () => focus('main input[type="search"]'),
  p: () => press('[data-verb="pause"] button, [data-verb="resume"] button'),
  r: () => press("#item-retry, [data-verb=retry] > a"),
  e: () => press("#item-edit"),
  x: () => $("#items tbody tr:focus-within .pick input")?.click(),
  d: openDownload,
  0: () => press("#items [data-clear], #items .segments a"),
  m: () => focus("item-map[tabindex], item-map [tabindex]"),
  j: () => step(STEP.j),
  k: () => step(STEP.k),
  "g j": () => press('.header [data-go="jobs"]'),
  "g n": () => press('.header [data-go="new"]'),
  ...Object.fromEntries([1, 2, 3, 4, 5, 6].map((n) => [n, () => press(`#tiles > a:nth-child(${n})`)])),
};

// And what keys press in the drawer, where the page is out of reach
const BESIDE = { r: () => press("#drawer #item-retry"), e: () => press("#drawer #item-edit") };

// People who dictate, or whose fingers slip, can switch single keys off: WCAG 2.1.4.

let on = true;

function remember() {
  on = $("#single-keys").checked;
  document.documentElement.toggleAttribute("data-keys", on);
  try {
    localStorage.setItem("keys", on ? "on" : "off");
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  announce(on ? "Single keys are on." : "Single keys are off.");
}

function recall() {
  try {
    on = localStorage.getItem("keys") !== "off";
  } catch {
    on = true;
  }
  $("#single-keys").checked = on;
  document.documentElement.toggleAttribute("data-keys", on);
}

function listen() {
  const chords = new Chords(Object.keys(DOES));
  document.addEventListener("keydown", (event) => {
    const inField = event.target.closest?.(FIELDS);
    if (event.key === "Escape" && inField?.type === "search") inField.blur();
    if (!on || (event.repeat && !(event.key in STEP)) || taken(event, inField, $("dialog[open]:not(#drawer)"))) return;
    const does = $("#drawer[open]") ? BESIDE : DOES;
    const name = chords.press(event.key, performance.now());
    if (!name || !does[name]) return;
    event.preventDefault();
    does[name]();
  });
}

/** Nobody who has not signed in has anything to press. */
if ($("#keys")) {
  recall();
  listen();
  for (const button of $$("[data-keys-open]")) button.addEventListener("click", showSheet);
  $("#single-keys").addEventListener("change", remember);
  $("#keys").addEventListener("click", (event) => event.target === event.currentTarget && event.target.close());
}
