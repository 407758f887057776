import assert from "node:assert/strict";
import { test } from "node:test";
import { Chords, taken } from "../../jobs/static/jobs/js/chords.js";

const chords = () => new Chords(["p", "j", "1", "?", "g j", "g n"]);

test("it knows single keys", () => {
  const keys = chords();
  assert.deepEqual(["p", "1", "?"].map((key) => keys.press(key, 0)), ["p", "1", "?"]);
});

test("it knows nothing of other keys", () => {
  const keys = chords();
  assert.deepEqual(["x", "Enter", "P", " "].map((key) => keys.press(key, 0)), [null, null, null, null]);
});

test("it puts two keys together", () => {
  const keys = chords();
  assert.equal(keys.press("g", 0), null);
  assert.equal(keys.press("j", 1000), "g j");
  assert.equal(keys.press("j", 1001), "j");
});

test("it forgets a first key that nothing follows", () => {
  const keys = chords();
  keys.press("g", 0);
  assert.equal(keys.press("j", 2000), "j");
});

test("it takes the second of two that do not belong together for itself", () => {
  const keys = chords();
  keys.press("g", 0);
  assert.equal(keys.press("p", 10), "p");
  keys.press("g", 20);
  keys.press("g", 30);
  assert.equal(keys.press("n", 40), "g n");
});

test("it leaves alone who types and who was answered", () => {
  const key = { defaultPrevented: false, isComposing: false, ctrlKey: false, metaKey: false, altKey: false };
  assert.ok(!taken(key, null, null));
  for (const name of Object.keys(key)) assert.ok(taken({ ...key, [name]: true }, null, null), name);
  assert.ok(taken(key, {}, null));
  assert.ok(taken(key, null, {}));
});
