import assert from "node:assert/strict";
import { test } from "node:test";
import { concerns, merged } from "../../jobs/static/jobs/js/rows.js";

const page = { first: 50, last: 99, open: false, filtered: false };
const row = (number, attempts = 1) => ({ row: number, attempts, state: "succeeded" });

test("it looks again when a row on the page has changed", () => {
  assert.ok(concerns([[3, 2], [50, 2]], page));
  assert.ok(!concerns([[3, 2], [100, 2]], page));
});

test("it looks again when rows are added at an open end", () => {
  assert.ok(concerns([[100, 0]], { ...page, open: true }));
  assert.ok(!concerns([[3, 2]], { ...page, open: true }));
});

test("it looks again under a filter when any row before the page's end has changed", () => {
  assert.ok(concerns([[3, 3]], { ...page, filtered: true }));
  assert.ok(!concerns([[100, 3]], { ...page, filtered: true }));
  assert.ok(concerns([[100, 3]], { ...page, filtered: true, open: true }));
});

test("it puts fresh attempts before known ones and lists none twice", () => {
  assert.deepEqual(merged([row(1), row(2)], [row(3), row(2)], 10), [row(3), row(2), row(1)]);
  assert.deepEqual(merged([row(1)], [row(1, 2)], 10), [row(1, 2), row(1)]);
});

test("it keeps no more attempts than asked for", () => {
  assert.equal(merged([row(1), row(2)], [row(3)], 2).length, 2);
});
