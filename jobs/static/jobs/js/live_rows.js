// The newest attempts, from the frames: a sample when many finish, written once a second.

import { duration, exact, moment, number, sample } from "./format.js";
import { merged, sameRow } from "./rows.js";
import { $, setText } from "./shell.js";

export const PAUSE = 1000; // milliseconds between two samples
const SHOWN = 20;
const FLASHED = 5; // more new rows than this do not flash
const WORDS = { succeeded: "Succeeded", failed: "Failed", rejected: "Rejected", retrying: "Retrying" };

const clip = (kind, text) => {
  const span = document.createElement("span");
  span.className = `clip ${kind}`;
  span.dir = "auto";
  span.textContent = text;
  return span;
};

function outcome(row) {
  if (!row.error) return [clip("result", row.result)];
  const error = clip("error", row.error);
  error.title = row.error;
  return row.result ? [error, clip("result dim", `fallback ${row.result}`)] : [error];
}

function finished(cell, at) {
  if (at == null) return;
  const date = new Date(at * 1000);
  const time = document.createElement("time");
  Object.assign(time, { dateTime: date.toISOString(), title: exact(date), textContent: moment(date) });
  time.dataset.moment = "";
  cell.replaceChildren(time);
}

function drawn(row, items) {
  const made = $("#item-template").content.querySelector("tr").cloneNode(true);
  made.dataset.position = row.row - 1;
  const link = $("a", made);
  link.textContent = `#${number(row.row)}`;
  link.href = `${items}${row.row}/`;
  link.dataset.item = row.row;
  const box = $(".pick input", made);
  box.value = row.row;
  box.setAttribute("aria-label", `Choose row ${row.row}`);
  if (!["failed", "rejected"].includes(row.state)) box.parentNode.remove();
  $(".badge", made).dataset.state = row.state;
  $(".badge", made).textContent = WORDS[row.state];
  $(".input .clip", made).textContent = row.label;
  $(".outcome", made).replaceChildren(...outcome(row));
  const [attempts, seconds] = made.querySelectorAll(".numbers");
  attempts.textContent = number(row.attempts);
  seconds.textContent = duration(row.seconds);
  attempts.classList.remove("dim");
  seconds.classList.remove("dim");
  finished($(".finished", made), row.at);
  return made;
}

export class Newest {
  /** `items` is the address below which the items have their pages, `rows` what the page shows already. */
  constructor(items, rows) {
    this.items = items;
    this.rows = this.shown = rows.slice(0, SHOWN);
    this.painted = 0;
    this.rate = null;
  }

  take(frame) {
    const snapshot = frame.from === frame.seq && frame.rows.length;
    this.rows = snapshot ? frame.rows.slice(0, SHOWN) : merged(this.rows, frame.rows, SHOWN);
    this.rate = frame.rate;
  }

  /** Whether there are others than the page shows. */
  get news() {
    return this.rows.length !== this.shown.length || this.rows.some((row, i) => !sameRow(row, this.shown[i]));
  }

  /** Milliseconds until the next sample may be shown. */
  get wait() {
    return Math.max(0, this.painted + PAUSE - performance.now());
  }

  paint(body) {
    const before = this.shown;
    this.shown = this.rows;
    this.painted = performance.now();
    const fresh = this.rows.filter((row) => !before.some((other) => sameRow(row, other)));
    const known = new Map(before.map((row, i) => [row, body.rows[i]]));
    const kept = (row) => known.get(before.find((other) => sameRow(row, other)));
    body.replaceChildren(...this.rows.map((row) => kept(row) ?? drawn(row, this.items)));
    for (const row of body.rows) row.classList.remove("fresh");
    if (fresh.length <= FLASHED) fresh.forEach((row) => body.rows[this.rows.indexOf(row)].classList.add("fresh"));
    setText($("#sample"), sample(this.rate));
  }
}
