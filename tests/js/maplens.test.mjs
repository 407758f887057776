// Looking at the map: what is in sight, what is at a point, where a key leads, and what is said of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FAILED, SUCCEEDED, WAITING } from "../../jobs/static/jobs/js/mapcells.js";
import { Lens } from "../../jobs/static/jobs/js/maplens.js";

const WIDTH = 885;
const TALL = 400;

function lens(items, { zoom = 0, failed = [], width = WIDTH } = {}) {
  const found = new Lens();
  found.states = new Uint8Array(items).fill(SUCCEEDED);
  for (const at of failed) found.states[at] = FAILED;
  found.zoom = zoom;
  found.fit(items, width, TALL);
  found.lay(width);
  return found;
}

test("it is as tall as few items need, and never taller than it may be", () => {
  assert.ok(lens(5).tall < 30);
  assert.ok(lens(60).tall < 60);
  for (const items of [1_000, 5_000, 100_000, 1_000_000]) assert.ok(lens(items).tall <= TALL);
});

test("it stays as tall while one looks closer", () => {
  assert.equal(lens(2_000, { zoom: 28 }).tall, lens(2_000).tall);
});

test("it says what a dot stands for", () => {
  assert.equal(lens(1_000_000).caption(), "1 dot = 3 items, worst state shown – click to zoom in");
  assert.equal(lens(60).caption(), "1 cell = 1 item");
});

test("it says which items are in sight", () => {
  const close = lens(100_000, { zoom: 28 });
  assert.match(close.caption(), /^Items 1 to [\d,]+$/);
  close.top = close.space - close.tall;
  assert.match(close.caption(), /to 100,000$/);
});

test("it goes closer and farther in steps, from all items to the largest cells", () => {
  const seen = [];
  const far = lens(1_000_000);
  for (let cell = 0; cell !== null; cell = far.next(1)) seen.push((far.zoom = cell));
  assert.deepEqual(seen, [0, 4, 8, 14, 20, 28]);
  for (let cell = far.zoom; cell !== null; cell = far.next(-1)) seen.push((far.zoom = cell));
  assert.deepEqual(seen.slice(6), [28, 20, 14, 8, 4, 0]);
});

test("it goes back to all items where cells can no longer be that large", () => {
  const close = lens(100_000, { zoom: 14 });
  close.fit(60, WIDTH, TALL);
  assert.equal(close.zoom, 0);
});

test("it keeps an item where it is while one looks closer, and shows all of it", () => {
  for (const y of [0, 3, 200, 399]) {
    const close = lens(100_000, { zoom: 20 });
    close.top = close.topFor(50_000, y);
    const place = close.place(50_000);
    assert.ok(Math.abs(place.y - y) <= close.layout.height);
    assert.ok(place.y >= close.layout.height / 2 - 2 && place.y <= TALL - close.layout.height / 2 + 1);
  }
});

test("it scrolls no more than it takes to show an item", () => {
  const close = lens(100_000, { zoom: 20 });
  close.top = 1_000;
  const shown = close.dotAt(100, 200);
  assert.equal(close.topToShow(shown), 1_000);
  assert.ok(close.topToShow(0) < 20);
});

test("it finds an item at the place that it gives", () => {
  for (const options of [{}, { zoom: 8 }, { zoom: 28 }]) {
    const looking = lens(2_000, options);
    const { x, y } = looking.place(700);
    assert.equal(looking.dotAt(x, y), 700);
  }
});

test("it takes a failed item beside the pointer for the one that is meant, where cells are tiny", () => {
  const looking = lens(100_000, { failed: [50_000] });
  const { x, y } = looking.place(50_000);
  for (const [dx, dy] of [[0, 0], [2, 0], [-2, 0], [0, 2]]) assert.equal(looking.itemOf(looking.dotAt(x + dx, y + dy)), 50_000);
  assert.notEqual(looking.itemOf(looking.dotAt(x + 8, y)), 50_000);
});

test("it says what is in a cell or a dot", () => {
  assert.equal(lens(60, { failed: [7] }).saidOf(7), "Item 8 · Failed");
  const far = lens(1_000_000, { failed: [48_212] });
  assert.equal(far.saidOf(far.dotOf(48_212)), "Items 48,211 to 48,213 · worst: Failed");
  assert.equal(far.saidOf(0), "Items 1 to 3 · Succeeded");
  assert.equal(far.said(48_212, ", "), "Item 48,213, Failed");
});

test("it leads to the item that a dot shows", () => {
  const far = lens(1_000_000, { failed: [5] });
  assert.equal(far.moved("ArrowRight", 0), 5);
  assert.equal(far.moved("Home", 9_999), 0);
  assert.equal(far.moved("End", 0), 999_999);
  assert.equal(far.moved("x", 0), null);
});

test("it shows what is looked for before what is worse", () => {
  const far = lens(1_000_000, { failed: [0] });
  far.states[1] = WAITING;
  far.wanted = [WAITING];
  assert.equal(far.itemOf(0), 1);
});
