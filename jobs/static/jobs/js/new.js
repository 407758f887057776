// A new job. Without this script the form works as a plain one; with it the file is previewed at once and sent with a
// progress bar.

import { number } from "./format.js";
import { $, $$, announce } from "./shell.js";

const HEAD = 256 * 1024; // bytes of the file that are enough for the preview

const form = () => $("#new-form");
const megabytes = (bytes) => (bytes < 1e6 ? `${number(Math.ceil(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const chosen = () => $("#id_file").files[0];

/** Takes HTML that our own server rendered, and starts what is in it. */
function put(target, html) {
  target.innerHTML = html;
  window.htmx?.process(target);
}

// The preview

async function preview() {
  const file = chosen();
  $("#chosen").hidden = !file;
  if (!file) return;
  $("#id_upload").value = "";
  $("#chosen-name").textContent = file.name;
  $("#chosen-size").textContent = megabytes(file.size);
  if (file.size > Number(form().dataset.limit)) {
    complain(`This file has ${megabytes(file.size)}; up to ${megabytes(Number(form().dataset.limit))} can be sent here.`);
    return;
  }
  await ask(file);
  // The columns to choose from follow from the file.
  $('[name="processor"]:checked').dispatchEvent(new Event("change", { bubbles: true }));
}

async function ask(file) {
  const data = new FormData();
  data.set("head", file.slice(0, HEAD), "head");
  data.set("name", file.name);
  data.set("size", file.size);
  data.set("processor", $('[name="processor"]:checked').value);
  data.set("csrfmiddlewaretoken", $('[name="csrfmiddlewaretoken"]', form()).value);
  try {
    const answer = await fetch(form().dataset.preview, { method: "POST", body: data });
    if (!answer.ok) throw new Error(String(answer.status));
    if (chosen() !== file) return;
    put($("#preview"), await answer.text());
    announce($("#preview .note, #preview .chips")?.innerText ?? "");
  } catch {
    complain("The preview could not be made. You can start the job all the same.");
  }
}

function complain(text) {
  const note = document.createElement("p");
  note.className = "note error";
  note.textContent = text;
  $("#preview").replaceChildren(note);
}

// Dropping and pasting give the file to the input, as if it had been chosen

function give(file) {
  const transfer = new DataTransfer();
  transfer.items.add(file);
  $("#id_file").files = transfer.files;
  preview();
}

function pasted(event) {
  if (event.target.closest("input, textarea, select")) return;
  const file = event.clipboardData.files[0];
  const text = event.clipboardData.getData("text/plain");
  if (file) give(file);
  else if (text.trim()) give(new File([text], "pasted rows.txt", { type: "text/plain" }));
}

function dragged(event) {
  const over = event.type === "dragenter" || event.type === "dragover";
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  $("#drop").classList.toggle("over", over);
  if (event.type === "drop" && event.dataTransfer.files[0]) give(event.dataTransfer.files[0]);
}

// What the columns and the summary show

const option = (select) => select.selectedOptions[0]?.value ?? "";

function label(control) {
  return $(`label[for="${CSS.escape(control.id)}"]`)?.textContent.trim() ?? "";
}

function showUse() {
  const selects = $$('select[name^="map_"]');
  for (const head of $$("th[data-column]")) {
    const users = selects.filter((select) => option(select) === head.dataset.column).map(label);
    head.toggleAttribute("data-used", users.length > 0);
    $("small", head).textContent = users.join(", ");
  }
}

function summarise() {
  const uses = $$('select[name^="map_"]').map(option).filter(Boolean);
  const [workers, attempts] = [$("#id_workers").value, Number($("#id_attempts").value)];
  const facts = {
    file: chosen()?.name ?? $("#chosen-name").textContent,
    processor: $("#processor").dataset.label,
    uses: uses.join(", "),
    runs: `${workers || "?"} at a time, ${attempts || "?"} attempt${attempts === 1 ? "" : "s"}`,
  };
  for (const [name, text] of Object.entries(facts)) $(`[data-fact="${name}"]`).textContent = text || "–";
  showUse();
}

// Another processor: its fields, and how hard it likes to be tried, unless the person has said otherwise

const typed = new Set();
let kept = {};

function keep() {
  kept = Object.fromEntries($$('#processor [name^="param_"]').map((field) => [field.name, field.value]));
  kept.label = $("#processor").dataset.label;
}

function restore() {
  const { dataset } = $("#processor");
  if (dataset.label === kept.label) {
    for (const field of $$('#processor [name^="param_"]:not([type="checkbox"])')) field.value = kept[field.name] ?? field.value;
  }
  for (const name of ["workers", "attempts"]) {
    if (!typed.has(`id_${name}`)) $(`#id_${name}`).value = dataset[name];
  }
  summarise();
}

// Sending

function sending(on) {
  $("#sending").hidden = !on;
  $("#start").disabled = on;
}

function progress({ loaded, total }) {
  $("#sending progress").value = (loaded / total) * 100;
  $("#sent").textContent = loaded < total ? `Sent ${megabytes(loaded)} of ${megabytes(total)}` : "Storing the file…";
}

/** The form came back: what is wrong stands in it. */
function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  $("#new-job").replaceWith(document.adoptNode($("#new-job", page)));
  window.htmx?.process($("#new-job"));
  open();
  $("#errors")?.focus();
}

function answered(request) {
  sending(false);
  if (request.status === 200 && request.getResponseHeader("Content-Type").startsWith("application/json")) {
    location.assign(JSON.parse(request.responseText).url);
  } else if (request.status === 422) {
    show(request.responseText);
  } else if (request.status === 413) {
    complain("The file is larger than this server accepts.");
  } else if (request.status === 507) {
    complain("The server has no room left for this file. Nothing was stored.");
  } else {
    complain("The job could not be made. Reload the page and try it again.");
  }
}

function send(event) {
  event.preventDefault();
  const request = new XMLHttpRequest();
  request.open("POST", form().action);
  request.setRequestHeader("Accept", "application/json");
  request.upload.onprogress = progress;
  request.onload = () => answered(request);
  request.onerror = () => {
    sending(false);
    complain("The connection was lost while the file was sent. Nothing was made; try it again.");
  };
  request.onabort = () => sending(false);
  $("#stop-sending").onclick = () => request.abort();
  request.send(new FormData(form()));
  sending(true);
  announce("Sending the file.");
}

/** Everything that hangs on elements of the form, which is replaced when it comes back with errors. */
function open() {
  form().addEventListener("submit", send);
  form().addEventListener("input", (event) => {
    typed.add(event.target.id);
    summarise();
  });
  $("#id_file").addEventListener("change", preview);
  summarise();
}

for (const type of ["dragenter", "dragover", "dragleave", "drop"]) document.addEventListener(type, dragged);
document.addEventListener("paste", pasted);
document.addEventListener("htmx:beforeSwap", keep);
document.addEventListener("htmx:afterSettle", restore);
open();
if (chosen()) preview();
