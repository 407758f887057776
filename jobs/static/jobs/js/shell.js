// What every page has: theme switch, account menu, toasts, questions before something is lost, local times.

import { ago, exact, moment } from "./format.js";

const TOAST_SECONDS = 7;

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Sets a text only where it differs: the browser lays out again for every write. */
export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/** Says something to screen readers, politely and once. */
export function announce(text) {
  const region = $("#announce");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = text));
}

// Theme

const dark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme === "dark" || (theme !== "light" && dark.matches);
}

function showTheme() {
  $("#theme use").setAttribute("href", `${document.body.dataset.sprite}#${isDark() ? "sun" : "moon"}`);
}

/** The other theme; the one that the system prefers is stored as “auto”, so that it goes on following the system. */
function switchTheme() {
  const wanted = isDark() ? "light" : "dark";
  const theme = (wanted === "dark") === dark.matches ? "auto" : wanted;
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  showTheme();
}

// Toasts

function leaveLater(item) {
  if (item.classList.contains("error")) return;
  let timer = setTimeout(() => item.remove(), TOAST_SECONDS * 1000);
  const stay = () => clearTimeout(timer);
  const go = () => (timer = setTimeout(() => item.remove(), TOAST_SECONDS * 500));
  item.addEventListener("pointerenter", stay);
  item.addEventListener("focusin", stay);
  item.addEventListener("pointerleave", go);
  item.addEventListener("focusout", go);
}

function show(item) {
  $("#toasts").append(item);
  leaveLater(item);
  announce($("p", item).textContent);
}

export function toast(text, level = "info") {
  const item = $("#toast-template").content.firstElementChild.cloneNode(true);
  item.classList.add(level);
  $("p", item).textContent = text;
  show(item);
}

/** Shows the messages of a page that was fetched instead of opened. */
export function takeToasts(page) {
  for (const item of $$("#toasts > .toast", page)) show(document.adoptNode(item));
}

// Questions

/** Asks in a dialog; resolves to true when the person goes ahead. The words are in the button's data attributes. */
export function ask({ title, text, yes, no, danger }) {
  const dialog = $("#confirm");
  $("#confirm-title").textContent = title;
  $("#confirm-text").textContent = text;
  $("#confirm-yes").textContent = yes;
  $("#confirm-no").textContent = no;
  $("#confirm-yes").classList.toggle("danger-fill", danger !== undefined);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// Buttons that act without leaving the page

const read = (text) => new DOMParser().parseFromString(text, "text/html");

/** Says why a part of the page did not come, where the answer says so. */
function sayWhy({ detail: { xhr } }) {
  const why = $("#why", read(xhr.responseText));
  if (why) toast(why.textContent, "error");
}

/** Sends the form and takes what the answering page says, as long as it is still the same page. */
async function send(form) {
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
  const page = read(await answer.text());
  if (!answer.ok && $("#why", page)) return toast($("#why", page).textContent, "error");
  if (!answer.ok || new URL(answer.url).pathname !== location.pathname) {
    location.assign(answer.ok ? answer.url : location.href);
    return;
  }
  const refused = $("#toasts > .toast.error", page) !== null;
  takeToasts(page);
  form.dispatchEvent(new CustomEvent("acted", { detail: { page, refused }, bubbles: true }));
}

async function act(form, button) {
  if (button?.getAttribute("aria-busy") === "true") return;
  if (button?.dataset.title && !(await ask(button.dataset))) return;
  button?.setAttribute("aria-busy", "true");
  try {
    await send(form);
  } catch {
    toast("The server cannot be reached. Nothing was changed; try again in a moment.", "error");
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

// Times

/** Writes times in the reader's own zone; the exact one is shown on hover. */
export function localTimes(root = document) {
  for (const element of $$("time[datetime]", root)) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.valueOf())) continue;
    element.title = exact(date);
    setText(element, "moment" in element.dataset ? moment(date) : ago(date));
  }
}

function showZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  setText($("#zone"), `Times in your time zone (${zone})`);
}

function start() {
  showTheme();
  showZone();
  localTimes();
  setInterval(localTimes, 30_000);
  dark.addEventListener("change", showTheme);
  $("#theme").addEventListener("click", switchTheme);
  $$("#toasts > .toast").forEach(leaveLater);
  if ($("#errors")) $("#errors").focus();
  document.addEventListener("click", (event) => {
    event.target.closest("[data-dismiss]")?.closest(".toast").remove();
    const menu = $(".menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = $(".menu[open]");
    if (event.key !== "Escape" || !menu) return;
    menu.open = false;
    $("summary", menu).focus();
  });
  document.addEventListener("htmx:responseError", sayWhy);
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-sign-out]")) sessionStorage.clear();
    if (!event.target.matches("form[data-act]")) return;
    event.preventDefault();
    act(event.target, event.submitter);
  });
}

start();
