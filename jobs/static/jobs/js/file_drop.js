// Dropped files and pasted rows go into the page's file input, as if they had been chosen there.

import { $, toast } from "./shell.js";

/** Rows as a file; what was copied from a spreadsheet has tabs. */
export function fileOf(text) {
  const kind = text.includes("\t") ? "tsv" : "txt";
  return new File([text], `pasted rows.${kind}`, { type: "text/plain" });
}

export function give(file) {
  const transfer = new DataTransfer();
  transfer.items.add(file);
  $("#id_file").files = transfer.files;
  $("#id_file").dispatchEvent(new Event("change", { bubbles: true }));
}

/** Makes the rows in the box the file; whether there were any. */
export function useRows() {
  const box = $("#id_pasted");
  if (!box.value.trim()) return false;
  give(fileOf(box.value));
  box.value = "";
  $("#paste").open = false;
  return true;
}

function pasted(event) {
  if (event.target.closest("input, textarea, select")) return;
  const file = event.clipboardData.files[0];
  const text = event.clipboardData.getData("text/plain");
  if (file) give(file);
  else if (text.trim()) give(fileOf(text));
}

function dragged(event) {
  const over = event.type === "dragenter" || event.type === "dragover";
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  $("#drop").classList.toggle("over", over);
  if (event.type !== "drop" || !event.dataTransfer.files[0]) return;
  const count = event.dataTransfer.files.length;
  if (count > 1) toast(`A job is made of one file: of the ${count} files the first one is taken.`);
  give(event.dataTransfer.files[0]);
}

for (const type of ["dragenter", "dragover", "dragleave", "drop"]) document.addEventListener(type, dragged);
document.addEventListener("paste", pasted);
