// The list of jobs: rows change in place, about once a second. Nothing moves under the pointer: a job that is new is
// announced above the list, and comes in when somebody asks for it.

import { compact, number, parts, percent, rowNote, today, tone } from "./format.js";
import { Live } from "./live.js";
import { paced } from "./throttled_paint.js";
import { pill } from "./connection_status.js";
import { $, $$, setText } from "./shell.js";

const CATCH_UP = 5000; // milliseconds between two questions for the counts of a list that is filtered

const page = $("#jobs");
const filtered = page.dataset.filtered === "yes";

function paintFailed(row, job) {
  const cell = $(".failures", row);
  const link = $("a", cell);
  if (!link && job.failed) cell.replaceChildren(failedLink(row));
  setText($('[data-v="failed"]', cell), number(job.failed));
}

function span(name, text = "") {
  const element = document.createElement("span");
  if (name) element.className = name;
  element.textContent = text;
  return element;
}

function failedLink(row) {
  const name = $(".name", row);
  const link = document.createElement("a");
  link.className = "failed-link";
  link.href = `${name.getAttribute("href")}?state=failed#items`;
  const [count, word] = [span(), span("phone", " failed")];
  count.dataset.v = "failed";
  word.ariaHidden = "true";
  link.append(count, word, span("visually-hidden", ` failed items of ${name.textContent}`));
  return link;
}

function paintSpark(row, path) {
  const [area, line] = $$(".spark path", row);
  if (!path || line.getAttribute("d") === path) return;
  line.setAttribute("d", path);
  area.setAttribute("d", `${path}V20H0Z`);
}

function paintRow(row, job) {
  const badge = $(".badge", row);
  badge.dataset.state = tone(job);
  setText(badge, job.label);
  setText($('[data-v="percent"]', row), percent(job.done, job.total));
  setText($('[data-v="left"]', row), rowNote(job));
  setText($('[data-v="total"]', row), number(job.total));
  setText($('[data-v="rate"]', row), job.rate ? `${number(job.rate)}/s` : "–");
  paintSpark(row, job.spark);
  paintFailed(row, job);
  const rects = $$(".bar rect", row);
  parts(job.counts, job.total).forEach(({ x, width }, i) => {
    rects[i].setAttribute("x", x);
    rects[i].setAttribute("width", width);
  });
}

const STRIP = { running: number, others: String, rate: number, failed: number, failed_in: String };

function paintStrip(strip) {
  setText($('[data-strip="today"]'), compact(today(strip.lately)));
  $("#today")?.setAttribute("title", "Since midnight in your time zone");
  for (const [name, write] of Object.entries(STRIP)) setText($(`[data-strip="${name}"]`), write(strip[name]));
}

function paintTabs(tabs) {
  for (const [name, count] of Object.entries(tabs)) setText($(`[data-tab="${name}"] span`), number(count));
}

// The server counts what a search leaves only for those who ask.
const catchUp = paced(CATCH_UP, () => live.refresh());

function take(frame) {
  line.news();
  for (const job of frame.rows) {
    const row = $(`tr[data-code="${CSS.escape(job.code)}"]`);
    if (row) paintRow(row, job);
    else if (page.dataset.fresh && job.state !== "finished" && $("#more")) $("#more").hidden = false;
  }
  if (frame.strip) paintStrip(frame.strip);
  if (frame.tabs && (frame.page || !filtered)) paintTabs(frame.tabs);
  else if (frame.tabs) catchUp();
}

const live = new Live({
  socket: page.dataset.socket,
  snapshot: page.dataset.snapshot,
  about: { codes: $$("tr[data-code]").map((row) => row.dataset.code) },
  on: { frame: take, status: (name, info) => line.status(name, info) },
});
const line = pill(page, () => live.connect());
live.start();

// With scripts a choice needs no button.
for (const select of $$(".jobs-tools select")) select.addEventListener("change", () => select.form.requestSubmit());
