// The question before items are tried again, in a dialog over the page. Without this script it is a page of its own.

import { $, $$, announce, takeToasts, toast } from "./shell.js";

const AWAY = "The server cannot be reached. Nothing was changed; try again in a moment.";
const own = (event) => event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
const dialog = () => $("#asking");

const parsed = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");

/**
 * Sends a form, or fields, and takes what the answering page says as long as it is still the same page. Resolves to the
 * page; to null where something else was said, or another page is on its way.
 */
export async function post(address, data) {
  const answer = await fetch(address, { method: "POST", body: data, headers: { "HX-Request": "true" } });
  const page = await parsed(answer);
  if (answer.status === 403 && $("#why", page)) {
    toast($("#why", page).textContent, "error");
    return null;
  }
  if (answer.status !== 422 && (!answer.ok || new URL(answer.url).pathname !== location.pathname)) {
    location.assign(answer.ok ? answer.url : location.href);
    return null;
  }
  const refused = answer.status === 422 || $("#toasts > .toast.error", page) !== null;
  takeToasts(page);
  if (answer.status !== 422) document.dispatchEvent(new CustomEvent("acted", { detail: { page, refused } }));
  return { page, wrong: answer.status === 422, refused };
}

/** Runs what a button does, once at a time, and says so where the server is away. */
export async function busy(button, does) {
  if (button?.getAttribute("aria-busy") === "true") return;
  button?.setAttribute("aria-busy", "true");
  try {
    await does();
  } catch {
    toast(AWAY, "error");
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

/** Asks about what `query` names, as `cause=3` or `rows=17,20-25`; all that failed where it is empty. */
export async function askRetry(query) {
  const address = `${dialog().dataset.src}?${query}`;
  const answer = await fetch(address, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer) return toast(AWAY, "error");
  if (!answer.ok) return location.assign(address);
  const page = await parsed(answer);
  takeToasts(page);
  if ($("#retry-form", page)) show($("#retry-form", page));
}

function show(form) {
  dialog().replaceChildren(document.adoptNode(form));
  if (!dialog().open) dialog().showModal();
  $("[data-keep]", dialog()).focus();
}

/** The same question with what is wrong in it. What was typed into a field for secrets never comes back from the server. */
function complain(form) {
  const typed = $$("input[type=password]", dialog()).map(({ name, value }) => [name, value]);
  dialog().replaceChildren(document.adoptNode(form));
  for (const [name, value] of typed) {
    const field = $(`[name="${CSS.escape(name)}"]`, dialog());
    if (field) field.value = value;
  }
  ($('[aria-invalid="true"]:not([type="hidden"])', dialog()) ?? $("#errors", dialog()))?.focus();
  announce($$(".error", dialog()).map((error) => error.textContent.trim()).join(" "));
}

async function send(form) {
  const done = await post(form.action, new FormData(form));
  if (done?.wrong) return complain($("#retry-form", done.page));
  dialog().close();
}

/** What had the focus may be gone by now. */
function closed() {
  dialog().replaceChildren();
  if ([document.body, null].includes(document.activeElement) && !$("dialog[open]")) $("#items-title, main")?.focus();
}

function clicked(event) {
  if (!own(event)) return;
  if (event.target.closest("#asking [data-keep]")) {
    event.preventDefault();
    dialog().close();
    return;
  }
  const link = event.target.closest("a[data-retry]");
  if (!link) return;
  event.preventDefault();
  askRetry(link.dataset.retry);
}

/** The form of a cause leads to that page. */
function submitted(event) {
  const form = event.target;
  if (!form.matches('form[data-verb="retry"]')) return;
  event.preventDefault();
  event.stopPropagation();
  askRetry(new URLSearchParams(new FormData(form)));
}

/** With `stays` the answer is taken over by the page that is open; else it is the next page. */
export function startAsking({ stays }) {
  document.addEventListener("click", clicked);
  document.addEventListener("submit", submitted, { capture: true });
  dialog().addEventListener("close", closed);
  if (!stays) return;
  dialog().addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.submitter ?? $(".primary", dialog()), () => send(event.target));
  });
}
