// What a notification says of the end of a job, and that it is said once.

import assert from "node:assert/strict";
import { test } from "node:test";

import { endOf, ends, first, said } from "../../jobs/static/jobs/js/job_end.js";

const counts = { succeeded: 9700, failed: 300, rejected: 0, not_attempted: 0 };
const frame = {
  job: "abc", name: "Addresses", state: "finished", label: "Finished with failures", reason: { code: "", text: "" }, counts, run: 1,
  ended: "2026-11-29T10:00:00+00:00",
  causes: [{ kind: "TimeoutError", title: "timed out after N s", count: 212 }, { kind: "ValueError", title: "", count: 88 }],
};

const storage = () => {
  const kept = new Map();
  return { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
};

test("it says the counts and the largest cause", () => {
  assert.deepEqual(said(frame), {
    title: "Finished with failures: Addresses",
    body: "9,700 succeeded, 300 failed. Most: TimeoutError: timed out after N s, 212 items.",
  });
});

test("it says nothing of failures where there are none", () => {
  const fine = { ...frame, label: "Finished", causes: [], counts: { ...counts, failed: 0 } };
  assert.deepEqual(said(fine), { title: "Finished: Addresses", body: "9,700 succeeded." });
});

test("it says what was rejected and what was not attempted", () => {
  const cancelled = { ...frame, causes: [], counts: { succeeded: 1, failed: 0, rejected: 2, not_attempted: 1234 } };
  assert.equal(said(cancelled).body, "1 succeeded, 2 rejected, 1,234 not attempted.");
});

test("it says why a file cannot be a job", () => {
  assert.equal(said({ ...frame, state: "invalid", reason: { code: "unreadable", text: "The file is empty." }, causes: [] }).body, "The file is empty.");
});

test("it cuts a long cause", () => {
  const [long] = said({ ...frame, causes: [{ kind: "E", title: "x".repeat(500), count: 1 }] }).body.split("Most: ").slice(1);
  assert.equal(long, `E: ${"x".repeat(76)}…, 1 item.`);
});

test("it knows an end from what was over before", () => {
  for (const state of ["loading", "queued", "running", "paused"]) assert.ok(ends({ state }, frame));
  assert.ok(!ends(frame, frame));
  assert.ok(!ends({ state: "running" }, { state: "paused" }));
  assert.ok(!ends({ state: "running" }, { state: "ready" }));
});

test("it waits for what is in flight when a job is cancelled", () => {
  const cancelling = { state: "cancelled", counts: { ...counts, running: 2 } };
  assert.ok(!ends({ state: "running" }, cancelling));
  assert.ok(ends(cancelling, { state: "cancelled", counts: { ...counts, running: 0 } }));
});

test("it tells each end once, and a retry has another one", () => {
  const kept = storage();
  const again = { ...frame, run: 2, ended: "2026-11-29T11:00:00+00:00" };
  assert.deepEqual([frame, frame, again, again].map((one) => first(endOf(one), kept)), [true, false, true, false]);
});

test("it forgets the oldest ends", () => {
  const kept = storage();
  for (let n = 0; n < 60; n += 1) first(`end ${n}`, kept);
  assert.equal(JSON.parse(kept.getItem("told")).length, 50);
  assert.ok(!first("end 59", kept));
});
