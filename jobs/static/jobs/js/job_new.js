// A new job. Without this script the form works as a plain one; with it the file is looked at and sent while the rest of
// the form is filled in, and the form itself names only the stored file.

import { useRows } from "./file_drop.js";
import { hint } from "./hints.js";
import { HEAD, clear, looked, option, processed, showUse } from "./file_preview.js";
import { discard, send } from "./upload.js";
import { $, $$, announce, localTimes, toast } from "./shell.js";

const SHOWN = 80; // characters of a file's name

const form = () => $("#new-form");
const token = () => $('[name="csrfmiddlewaretoken"]', form()).value;
const shortened = (name) => (name.length > SHOWN ? `${name.slice(0, SHOWN - 1)}…` : name);
const chosen = () => $("#id_file").files[0];
const stored = () => $("#id_upload").value;

/** As the server writes it: 12 bytes, 258.5 KB, 1.2 GB. */
function sizeOf(bytes) {
  if (bytes < 1024) return `${bytes} byte${bytes === 1 ? "" : "s"}`;
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${["KB", "MB", "GB"][power - 1]}`;
}

let sending = null; // what is on its way, with stop()
let waiting = ""; // which button was pressed meanwhile
let posting = false;
let ours = ""; // the stored file that no job was made of yet
let before = null; // the file that the form came with

// The file: shown at once and sent behind the form

function forget() {
  sending?.stop();
  if (ours) discard(form().dataset.uploads, ours, token());
  [sending, ours, $("#id_upload").value] = [null, "", ""];
  for (const id of ["sending", "not-sent", "same"]) $(`#${id}`).hidden = true;
  wait("");
}

function take() {
  const file = chosen();
  if (!file) return;
  forget();
  $("#chosen").hidden = false;
  $("#chosen-name").textContent = shortened(file.name);
  $("#chosen-name").title = file.name;
  $("#chosen-size").textContent = sizeOf(file.size);
  if (!fits(file)) return clear();
  for (const field of $$('#options [name^="file_"]')) field.value = "";
  look(true);
  begin();
}

function fits(file) {
  const limit = Number(form().dataset.limit);
  if (file.size <= limit) return true;
  notSent(`This file has ${sizeOf(file.size)}; up to ${sizeOf(limit)} can be sent here.`, false);
  return false;
}

async function look(fresh = false) {
  const { preview, fields } = form().dataset;
  await looked({ url: preview, fields, token: token(), file: chosen(), upload: stored(), fresh });
  summarise();
}

function begin() {
  $("#not-sent").hidden = true;
  $("#sending").hidden = false;
  progress(0, chosen().size || 1);
  const told = { progress, done: arrived, failed: (text) => notSent(text, true) };
  sending = send({ url: form().dataset.uploads, token: token(), file: chosen(), ...told });
}

function progress(sent, total) {
  $("#sending progress").value = (sent / total) * 100;
  $("#sent").textContent = sent < total ? `Sent ${sizeOf(sent)} of ${sizeOf(total)}` : "Storing the file…";
}

function arrived({ upload, same }) {
  [sending, ours, $("#id_upload").value] = [null, String(upload), upload];
  $("#sending").hidden = true;
  showSame(same);
  if (waiting) post(waiting);
  else if (chosen().size > HEAD) look();
}

function notSent(text, again) {
  sending = null;
  wait("");
  if (before) [text, again] = [`${text} The file from before stays.`, restore()];
  $("#sending").hidden = true;
  $("#not-sent").hidden = false;
  $("#not-sent p").textContent = text;
  $("#send-again").hidden = !again;
  announce(text);
}

/** The file that the form came with is its file again. */
function restore() {
  $("#id_file").value = "";
  $("#id_upload").value = before.upload;
  for (const part of ["name", "size"]) $(`#chosen-${part}`).textContent = before[part];
  look(true);
  return false;
}

function stopSending() {
  const [name, focused] = [shortened(chosen().name), document.activeElement === $("#stop-sending")];
  forget();
  notSent(`Stopped sending ${name}. Nothing of it was stored.`, true);
  if (focused) (before ? $("#id_file") : $("#send-again")).focus();
}

function showSame(same) {
  const note = $("#same");
  note.hidden = !same;
  if (!same) return;
  $("[data-same=name]", note).textContent = shortened(same.name);
  $("[data-same=url]", note).href = same.url;
  $("[data-same=again]", note).href = same.again;
  $("time", note).dateTime = same.created;
  localTimes(note);
  announce(note.innerText);
}

// The summary

const typed = new Set();
const USUAL = ["workers", "attempts"];

/** How hard the processor likes to be tried, unless the person has said otherwise. */
function followProcessor() {
  for (const name of USUAL) {
    if (!typed.has(`id_${name}`)) $(`#id_${name}`).value = $("#processor").dataset[name];
  }
}

function summarise() {
  followProcessor();
  const uses = $$('select[name^="map_"]').map(option).filter(Boolean);
  const [workers, attempts] = [$("#id_workers").value, Number($("#id_attempts").value)];
  const facts = {
    file: $("#chosen-name").textContent,
    rows: $("#preview [data-said]")?.dataset.said,
    processor: $("#processor").dataset.label,
    uses: [...new Set(uses)].join(", "),
    runs: `${workers || "?"} at a time, ${attempts || "?"} attempt${attempts === 1 ? "" : "s"}`,
  };
  for (const [name, text] of Object.entries(facts)) $(`[data-fact="${name}"]`).textContent = text || "–";
  showUse();
  hint(form().dataset.hints, token());
}

async function switched() {
  await processed(form().dataset.fields);
  summarise();
}

// The form

function busy(on) {
  for (const button of $$(".submits button")) button.setAttribute("aria-busy", on);
}

/** Says that the pressed button does its work once the file is here; with nothing, that no button was pressed. */
function wait(then) {
  waiting = then;
  $("#waits").hidden = !then;
  busy(Boolean(then));
  if (then) announce($("#waits").innerText);
}

function submitted(event) {
  event.preventDefault();
  if (posting) return;
  const then = event.submitter?.value || "check";
  if (!stored() && !sending && chosen() && fits(chosen())) begin();
  else if (!stored() && !sending && !chosen()) useRows();
  if (sending) wait(then);
  else if (!chosen() || stored()) post(then);
}

async function post(then) {
  const data = new FormData(form());
  for (const name of ["file", "pasted"]) data.delete(name);
  data.set("then", then);
  posting = true;
  busy(true);
  try {
    await answered(await fetch(form().action, { method: "POST", body: data, headers: { Accept: "application/json" } }));
  } catch {
    failed("The server cannot be reached. Try again in a moment; a job is made once however often you press.");
  }
}

function failed(text) {
  posting = false;
  wait("");
  toast(text, "error");
}

async function answered(answer) {
  const json = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (answer.ok && json) location.assign((await answer.json()).url);
  else if (answer.status === 422) show(await answer.text());
  else if (answer.status === 401) failed("You are signed out. Sign in in another tab, then reload this page.");
  else failed((json && (await answer.json()).detail) || "The job could not be made. Reload the page and try it again.");
}

/** The form came back: what is wrong stands in it. */
function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  $("#new-job").replaceWith(document.adoptNode($("#new-job", page)));
  posting = false;
  localTimes($("#new-job"));
  open();
  $("#errors")?.focus();
}

function changed({ target }) {
  if (target.id === "id_file") take();
  else if (target.name === "processor") switched();
  else if (target.closest("#options")) look();
}

function input({ target }) {
  typed.add(target.id);
  if (target.id === "id_file_delimiter_other") look();
  summarise();
}

/** Everything that hangs on elements of the form, which is replaced when it comes back with errors. */
function open() {
  before = stored() && stored() !== ours && { upload: stored(), name: $("#chosen-name").textContent, size: $("#chosen-size").textContent };
  for (const name of USUAL) {
    if ($(`#id_${name}`).value !== $("#processor").dataset[name]) typed.add(`id_${name}`);
  }
  form().addEventListener("submit", submitted);
  form().addEventListener("input", input);
  form().addEventListener("change", changed);
  $("#stop-sending").addEventListener("click", stopSending);
  $("#send-again").addEventListener("click", begin);
  $("#use-rows").addEventListener("click", () => useRows() || $("#id_pasted").focus());
  summarise();
}

// Whoever comes back to the page finds its buttons at rest.
window.addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  posting = false;
  wait("");
});
open();
if (chosen()) take();
