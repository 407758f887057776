// The list of jobs: rows change in place, about once a second. Nothing moves under the pointer: a job that is new is
// announced above the list, and comes in when somebody asks for it.

import { left, number, parts, percent, tone } from "./format.js";
import { Live } from "./live.js";
import { pill } from "./pill.js";
import { $, $$, setText } from "./shell.js";

const page = $("#jobs");

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

function paintRow(row, job) {
  const badge = $(".badge", row);
  badge.dataset.state = tone(job.state, job.counts);
  setText(badge, job.label);
  setText($('[data-v="percent"]', row), percent(job.done, job.total));
  if (job.state !== "finished" || !$('[data-v="left"]', row).textContent.startsWith("took")) {
    setText($('[data-v="left"]', row), left(job.eta) || job.why);
  }
  setText($('[data-v="total"]', row), number(job.total));
  setText($('[data-v="rate"]', row), job.rate ? `${number(job.rate)}/s` : "–");
  paintFailed(row, job);
  const rects = $$("rect", row);
  parts(job.counts, job.total).forEach(({ x, width }, i) => {
    rects[i].setAttribute("x", x);
    rects[i].setAttribute("width", width);
  });
}

function take(frame) {
  line.news();
  for (const job of frame.rows) {
    const row = $(`tr[data-code="${CSS.escape(job.code)}"]`);
    if (row) paintRow(row, job);
    else if (page.dataset.fresh && job.state !== "finished" && $("#more")) $("#more").hidden = false;
  }
}

const live = new Live({
  socket: page.dataset.socket,
  snapshot: page.dataset.snapshot,
  on: { frame: take, status: (name, info) => line.status(name, info) },
});
const line = pill(page, () => live.connect());
live.start();
