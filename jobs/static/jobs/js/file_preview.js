// What the page shows of a file: its first rows, how it was read, and which column is used for what.

import { $, $$, announce, setText, toast } from "./shell.js";

export const HEAD = 256 * 1024; // bytes of the file that are enough for the preview

// Answers that a later question has overtaken are dropped.
let newest = 0;
let newestFields = 0;

const processor = () => $('[name="processor"]:checked').value;

/**
 * Asks the server what it understands: of the stored `upload`, or of the first part of `file` while it is on its way.
 * What was chosen from the old columns stays chosen where there are such columns, unless the file is `fresh`.
 */
export async function looked({ url, fields, token, file, upload, fresh }) {
  const [question, asked] = [++newest, processor()];
  try {
    const html = await textOf(fetch(url, { method: "POST", body: questionOf(file, upload, token) }));
    if (question !== newest) return;
    const part = put(html);
    if (asked === processor()) putProcessor(part, fresh);
    else await processed(fields, fresh);
  } catch {
    if (question === newest) complain("The preview could not be made. The job can be made all the same.");
  }
}

/** Asks for the fields of the chosen processor, with the columns that there are now. */
export async function processed(url, fresh = false) {
  const question = ++newestFields;
  const query = new URLSearchParams({ processor: processor() });
  for (const { value } of $$("#preview [name=column]")) query.append("column", value);
  try {
    const html = await textOf(fetch(`${url}?${query}`));
    if (question === newestFields) putProcessor($("#processor", partsOf(html)), fresh);
  } catch {
    if (question === newestFields) toast("The settings of this processor could not be fetched. Choose it again.", "error");
  }
}

async function textOf(answering) {
  const answer = await answering;
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  return answer.text();
}

function partsOf(html) {
  const parts = document.createElement("template");
  parts.innerHTML = html;
  return parts.content;
}

function questionOf(file, upload, token) {
  const data = new FormData();
  if (upload) data.set("upload", upload);
  else {
    data.set("head", file.slice(0, HEAD), "head");
    data.set("name", file.name);
    data.set("size", file.size);
  }
  for (const field of $$('#options [name^="file_"]')) data.set(field.name, field.value);
  data.set("processor", processor());
  data.set("csrfmiddlewaretoken", token);
  return data;
}

/** Shows the file, and gives back the processor's part of the answer. */
function put(html) {
  const parts = partsOf(html);
  const part = $("#processor", parts);
  const opened = $("#options").open;
  part.remove();
  carry($("#options"), $("#options", parts), () => true);
  $("#options", parts).open ||= opened;
  keepingFocus(() => $("#preview").replaceChildren(parts));
  delete $("#preview").dataset.empty;
  announce($("#preview > .note, #preview > .chips")?.innerText ?? "");
  return part;
}

function putProcessor(part, fresh) {
  newestFields++;
  const before = $("#processor");
  const same = before.dataset.label === part.dataset.label;
  carry(before, part, ({ name, value }) => (name.startsWith("param_") ? same : !fresh && value));
  keepingFocus(() => before.replaceWith(part));
  setText($("#id_workers_helptext > span"), part.dataset.help);
}

function keepingFocus(change) {
  const { id } = document.activeElement;
  change();
  if (id && document.activeElement.id !== id) document.getElementById(id)?.focus();
}

/** Gives the new fields what stands in the old ones of the same name, which may have been typed meanwhile. */
function carry(before, after, wanted) {
  for (const field of $$("[name]", before)) {
    const next = $(`[name="${CSS.escape(field.name)}"]`, after);
    if (!next || field.type === "hidden" || !wanted(field)) continue;
    if (field.type === "checkbox") next.checked = field.checked;
    else if (field.tagName !== "SELECT" || [...next.options].some(({ value }) => value === field.value)) next.value = field.value;
  }
}

/** Takes away what was shown of another file. */
export function clear() {
  newest++;
  for (const old of $$("#preview > :not(#options)")) old.remove();
  $("#preview").dataset.empty = "";
}

function complain(text) {
  const note = document.createElement("p");
  note.className = "note error";
  note.textContent = text;
  clear();
  delete $("#preview").dataset.empty;
  $("#preview").prepend(note);
  announce(text);
}

// Which column is used for what

export const option = (select) => select.selectedOptions[0]?.value ?? "";

function label(control) {
  return $(`label[for="${CSS.escape(control.id)}"]`)?.textContent.trim() ?? "";
}

export function showUse() {
  const selects = $$('select[name^="map_"]');
  for (const head of $$("th[data-column]")) {
    const users = selects.filter((select) => option(select) === head.dataset.column).map(label);
    head.toggleAttribute("data-used", users.length > 0);
    $("small", head).textContent = users.join(", ");
  }
  showName(selects);
  showTravellers(selects.map(option));
}

/** The label that comes of itself: the first column that is needed, else the first there is. */
function showName(selects) {
  const automatic = $('#id_label_column option[value=""]');
  const columns = $$("#id_label_column option").slice(1);
  if (!automatic || !columns.length) return;
  const needed = selects.filter((select) => "needed" in select.dataset).map(option).find(Boolean);
  automatic.textContent = `Automatic: ${needed ?? columns[0].value}`;
}

function showTravellers(used) {
  const place = $("#travellers");
  if (!place) return;
  const rest = $$("#preview [name=column]").map(({ value }) => value).filter((column) => !used.includes(column));
  const named = rest.length > 4 ? [...rest.slice(0, 3), `${rest.length - 3} more`] : rest;
  const list = named.length > 1 ? `${named.slice(0, -1).join(", ")} and ${named.at(-1)}` : named[0];
  place.hidden = !rest.length;
  place.textContent = `Not used, but kept in the result: ${list}.`;
}
