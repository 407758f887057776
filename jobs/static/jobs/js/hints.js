// One line under each setting that says what it means for the file at hand.

import { $, $$, setText } from "./shell.js";

const PAUSE = 250; // milliseconds without a change before the server is asked

let timer = 0;
let asked = "";

function question() {
  const data = new URLSearchParams();
  for (const { dataset } of $$("[data-hint]")) data.set(dataset.hint, $(`#id_${dataset.hint}`).value);
  data.set("processor", $('[name="processor"]:checked').value);
  data.set("rows", Number($("#preview [data-rows]")?.dataset.rows) || "");
  return data.toString();
}

async function ask(url, token) {
  const said = question();
  if (said === asked) return;
  asked = said;
  const headers = { "X-CSRFToken": token, "Content-Type": "application/x-www-form-urlencoded", Accept: "application/json" };
  const answer = await fetch(url, { method: "POST", body: said, headers }).catch(() => null);
  if (!answer?.ok || said !== asked) return;
  const sentences = await answer.json();
  for (const place of $$("[data-hint]")) setText(place, sentences[place.dataset.hint] ?? "");
}

/** Writes the lines anew once nothing has changed for a moment. Without an answer the old ones go stale, and no harm. */
export function hint(url, token) {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE, url, token);
}
