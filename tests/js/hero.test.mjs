// What the hero says beyond the numbers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { active, aged, notes } from "../../jobs/static/jobs/js/hero.js";

const heard = new Date(2026, 10, 23, 12, 0, 0);
const later = (seconds) => new Date(heard.valueOf() + seconds * 1000);
const frame = (more) => ({ state: "running", started: "2026-11-23T11:59:00", ended: null, throttled: null, eta: null, ...more });
const said = (more, words = { note: "" }, state = {}) => notes(frame(more), words, { heard, stale: false, now: heard, ...state });

test("it counts down what the service asks to wait", () => {
  assert.equal(aged(frame({ throttled: 12 }), heard, later(5)).throttled, 7);
  assert.equal(aged(frame({ throttled: 12 }), heard, later(13)).throttled, null);
  assert.equal(aged(frame(), heard, later(5)).throttled, null);
});

test("it tells a job that may go on from one that has ended", () => {
  const states = ["loading", "ready", "invalid", "queued", "running", "paused", "finished", "cancelled"];
  assert.deepEqual(states.filter((state) => active({ state })), ["loading", "ready", "queued", "running", "paused"]);
});

test("it says by the clock when the job will be done, and why not sooner", () => {
  assert.equal(said({ eta: 30 }).note, "done at about 12:00:30");
  assert.equal(said({ eta: 30 }, { note: "Limited by the rate of 20/s." }).note, "Limited by the rate of 20/s · done at about 12:00:30");
});

test("it names no time while nobody knows one", () => {
  assert.equal(said({}).note, undefined);
  assert.equal(said({ eta: 30, throttled: 5 }).note, undefined);
});

test("it does not move the clock while nothing is heard", () => {
  assert.equal(said({ eta: 30 }, { note: "" }, { now: later(4) }).note, "done at about 12:00:30");
});

test("it says that numbers are old", () => {
  const old = said({ eta: 30 }, { note: "" }, { stale: true });
  assert.deepEqual([old.left, old.note], ["Last known numbers", "from 12:00:00"]);
  assert.equal(said({ state: "finished" }, { note: "" }, { stale: true }).left, undefined);
});

test("it says when a job ended, and nothing of a time before it went on", () => {
  assert.equal(said({ state: "finished", ended: "2026-11-23T11:58:30" }).ended, "Ended at 11:58:30.");
  assert.equal(said({ state: "queued", ended: "2026-11-23T11:58:30" }).ended, "");
});
