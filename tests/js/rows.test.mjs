import assert from "node:assert/strict";
import { test } from "node:test";
import { concerns, merged, outrun, running } from "../../jobs/static/jobs/js/rows.js";

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

test("it reads what runs from the distances in a frame", () => {
  assert.deepEqual([...running([3, 1, 10])], [3, 4, 14]);
  assert.deepEqual([...running([])], []);
});

test("it looks again when a row that it shows begins or ceases to run", () => {
  const now = new Set([1, 2]);
  assert.ok(outrun([[0, "running"], [1, "running"]], now, false));
  assert.ok(outrun([[1, "running"], [2, "waiting"]], now, false));
  assert.ok(!outrun([[0, "waiting"], [1, "running"], [2, "running"]], now, false));
});

test("it looks again when more run than a page of what runs shows", () => {
  assert.ok(outrun([[1, "running"]], new Set([1, 2]), true));
  assert.ok(!outrun([[1, "running"]], new Set([1, 2]), false));
  assert.ok(!outrun([[1, "running"], [2, "running"]], new Set([1, 2]), true));
});
