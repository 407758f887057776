// The panel that changes how a job runs. What the person types stays; what somebody else changes meanwhile is shown.

import { $, $$, announce, takeToasts, toast } from "./shell.js";

const panel = () => $("#run-settings");
const written = (value) => String(value ?? "");

/** Fields that the person has not touched follow the job; what they compare with does in any case. */
export function paintSettings(frame) {
  for (const [name, value] of Object.entries(frame.settings)) {
    const field = $(`[name="${name}"]`, panel());
    const seen = $(`[name="initial-${name}"]`, panel());
    if (!field || seen.value === written(value)) continue;
    if (field.value === seen.value) field.value = written(value);
    field.defaultValue = seen.value = seen.defaultValue = written(value);
  }
}

function close() {
  panel().open = false;
  $("summary", panel()).focus();
}

/** The answer is the panel where something in it is wrong, else the job's page with a message. */
async function send(form) {
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "HX-Request": "true" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (answer.status === 403 && $("#why", page)) return toast($("#why", page).textContent, "error");
  if (answer.ok && !answer.redirected) return complain(page);
  if (!answer.ok || new URL(answer.url).pathname !== location.pathname) return location.assign(answer.ok ? answer.url : location.href);
  takeToasts(page);
  close();
  document.dispatchEvent(new CustomEvent("acted"));
}

function complain(page) {
  $("form", panel()).replaceWith(document.adoptNode($("#run-settings form", page)));
  $('[aria-invalid="true"]:not([type="hidden"])', panel())?.focus();
  announce($$(".error", panel()).map((error) => error.textContent).join(" "));
}

async function submit(event) {
  event.preventDefault();
  const button = event.submitter ?? $(".primary", panel());
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await send(event.target);
  } catch {
    toast("The server cannot be reached. Nothing was changed; try again in a moment.", "error");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

export function startSettings() {
  panel().addEventListener("submit", submit);
  panel().addEventListener("reset", close);
  panel().addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !panel().open) return;
    event.stopPropagation();
    close();
  });
}
