import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as format from "../../jobs/static/jobs/js/format.js";

const cases = JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf8"));

for (const name of ["number", "compact", "duration", "left", "sample"]) {
  for (const [given, expected] of cases[name]) {
    test(`it writes ${given} as ${name} “${expected}”`, () => assert.equal(format[name](given), expected));
  }
}

test("it says of a cause what the server does", () => {
  for (const [cause, expected] of cases.where) assert.equal(format.where(cause), expected);
  for (const [cause, expected] of cases.accepted_part) assert.equal(format.acceptedPart(cause), expected);
});

for (const [row, expected] of cases.row_note) {
  test(`it writes “${expected}” beside a job`, () => assert.equal(format.rowNote(row), expected));
}

for (const name of ["percent", "share"]) {
  for (const [given, expected] of cases[name]) {
    test(`it writes ${given} as ${name} “${expected}”`, () => assert.equal(format[name](...given), expected));
  }
}

test("it draws a bar's parts as the server does", () => {
  for (const [[counts, total], expected] of cases.parts) {
    assert.deepEqual(format.parts(counts, total).map((part) => [part.x, part.width]), expected);
  }
});

test("it never draws beyond the end of a bar", () => {
  const counts = { succeeded: 1e6 - 5, failed: 1, rejected: 1, running: 1, waiting: 2, retrying: 1, not_attempted: 0 };
  for (const part of format.parts(counts, 1e6)) assert.ok(part.x + part.width <= format.BAR);
});

test("it writes a frame as the server does", () => {
  for (const [frame, expected] of cases.view) {
    const written = format.view(frame);
    for (const [name, text] of Object.entries(expected)) assert.equal(written[name], text, name);
  }
});

test("it decides nothing by a sentence", () => {
  for (const [frame] of cases.view) {
    const reason = { ...frame.reason, text: frame.reason.text && "Words." };
    const [one, other] = [frame, { ...frame, reason, why: frame.why && "Words." }].map(format.view);
    const differ = Object.keys(one).filter((name) => one[name] !== other[name]);
    assert.ok(differ.every((name) => ["note", "reason", "paused"].includes(name)), String(differ));
  }
});

test("it adds up what finished since midnight where the reader is", () => {
  const midnight = new Date(2026, 10, 23) / 900_000;
  const lately = [[midnight - 1, 8], [midnight, 4], [midnight + 40, 2]];
  assert.equal(format.today(lately, new Date(2026, 10, 23, 12)), 6);
  assert.equal(format.today(lately, new Date(2026, 10, 24)), 0);
  assert.equal(format.today([]), 0);
});

test("it says how long ago something was", () => {
  const now = new Date(2026, 10, 23, 12, 0, 0);
  assert.equal(format.ago(new Date(now - 10_000), now), "just now");
  assert.equal(format.ago(new Date(now - 360_000), now), "6 min ago");
  assert.equal(format.ago(new Date(2026, 10, 23, 9, 14), now), "09:14");
});

test("it writes how a job runs as the server does", () => {
  for (const [frame, expected] of cases.facts) assert.deepEqual(format.facts(frame), expected);
});

test("it says when something will be done, as coarsely as how long it takes", () => {
  const heard = new Date(2026, 10, 23, 12, 0, 2);
  assert.equal(format.doneAt(heard, 10), "12:00:10");
  assert.equal(format.doneAt(heard, 10.4), "12:00:10");
  assert.equal(format.doneAt(heard, 600), "12:10");
  assert.match(format.doneAt(heard, 86_400), /12:00$/);
});

test("it says when something was, with the day unless it was today", () => {
  const now = new Date(2026, 10, 23, 12, 0, 0);
  assert.equal(format.moment(new Date(2026, 10, 23, 9, 14, 5), now), "09:14:05");
  assert.match(format.moment(new Date(2026, 10, 21, 9, 14, 5), now), /21.*, 09:14$/);
});
