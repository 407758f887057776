// Where cells are: all items always fit, the worst of a dot shows, and rare ones are seen without looking like many.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as map from "../../jobs/static/jobs/js/maplayout.js";
import { FAILED, NOT_ATTEMPTED, REJECTED, RETRYING, RUNNING, SUCCEEDED, WAITING } from "../../jobs/static/jobs/js/mapcells.js";

const BOXES = [[885, 400], [331, 260], [1210, 400]];
const SIZES = [1, 5, 17, 60, 300, 301, 1_000, 5_000, 22_000, 22_125, 100_000, 353_999, 354_001, 1_000_000, 5_000_000];
const [WIDTH, HEIGHT] = BOXES[0];

for (const [width, height] of BOXES) {
  test(`it fits any number of items in ${width} × ${height}`, () => {
    for (const items of SIZES) {
      const found = map.fit(items, width, height);
      const last = map.gap(found.cell);
      assert.ok(found.columns * found.width - last <= width + 1e-6, `${items} too wide`);
      assert.ok(found.rows * found.height - last <= height + 1e-6, `${items} too tall`);
      assert.ok(found.columns * found.rows >= found.dots && found.columns * (found.rows - 1) < found.dots, `${items} rows`);
      assert.equal(found.dots, Math.ceil(items / found.per));
    }
  });

  test(`it fills the box where cells are small: ${width} × ${height}`, () => {
    for (const items of SIZES.filter((n) => n >= 30_000)) {
      const { columns, rows, width: across, height: down } = map.fit(items, width, height);
      assert.ok(Math.abs(columns * across - width) < 1e-6 && Math.abs(rows * down - height) < 1e-6, String(items));
    }
  });

  test(`it draws no cell smaller than a pixel: ${width} × ${height}`, () => {
    for (const items of SIZES) {
      const found = map.fit(items, width, height);
      assert.ok(found.width >= 1 && found.height >= 1, `${items}: ${found.width} × ${found.height}`);
    }
  });
}

test("it draws few items as large squares", () => {
  assert.equal(Math.floor(map.fit(5, WIDTH, HEIGHT).cell), map.LARGEST);
  assert.ok(map.fit(300, WIDTH, HEIGHT).cell >= 20);
});

test("it draws smaller cells the more items there are", () => {
  const sides = SIZES.map((items) => map.fit(items, WIDTH, HEIGHT).width / map.fit(items, WIDTH, HEIGHT).per);
  assert.deepEqual(sides, [...sides].sort((a, b) => b - a));
});

test("it puts three of a million items in a dot, and one where there is room", () => {
  assert.deepEqual([map.fit(1_000_000, WIDTH, HEIGHT).per, map.fit(354_000, WIDTH, HEIGHT).per], [3, 1]);
});

test("it finds each dot at its middle", () => {
  for (const items of [60, 5_000, 100_000, 1_000_000]) {
    const layout = map.fit(items, WIDTH, HEIGHT);
    for (let dot = 0; dot < layout.dots; dot += Math.ceil(layout.dots / 997)) {
      const x = ((dot % layout.columns) + 0.5) * layout.width;
      const y = (Math.floor(dot / layout.columns) + 0.5) * layout.height;
      assert.equal(map.dotAt(layout, x, y), dot);
    }
  }
});

test("it finds nothing beside the cells", () => {
  const layout = map.fit(60, WIDTH, HEIGHT);
  assert.equal(map.dotAt(layout, -1, 5), -1);
  assert.equal(map.dotAt(layout, 5, layout.rows * layout.height + 1), -1);
  assert.equal(map.dotAt(layout, layout.columns * layout.width - 5, layout.rows * layout.height - 5), -1);
});

test("it shows the worst of the items that share a dot", () => {
  const order = [FAILED, REJECTED, RETRYING, RUNNING, NOT_ATTEMPTED, WAITING, SUCCEEDED];
  order.forEach((bad, i) => {
    for (const better of order.slice(i + 1)) {
      const states = Uint8Array.from([better, bad, better, better]);
      assert.deepEqual([...map.worst(states, { per: 3, dots: 2 })], [bad, better]);
      assert.equal(map.shownBy(states, { per: 3 }, 0), 1);
    }
  });
});

test("it shows what is looked for before what is worse", () => {
  const states = Uint8Array.from([FAILED, WAITING, SUCCEEDED]);
  assert.deepEqual([...map.worst(states, { per: 3, dots: 1 }, map.severity([WAITING]))], [WAITING]);
});

test("it looks for what the filter of the items names", () => {
  const found = (name) => map.lookedFor(name).sort();
  assert.deepEqual(found("failed"), [FAILED]);
  assert.deepEqual(found("waiting"), [WAITING, RETRYING].sort());
  assert.deepEqual(found("not_succeeded"), [WAITING, RUNNING, FAILED, REJECTED, RETRYING, NOT_ATTEMPTED].sort());
  for (const name of ["", "all", "nonsense"]) assert.deepEqual(found(name), []);
});

test("it shows each item by itself where each has a dot", () => {
  const states = Uint8Array.from([FAILED, WAITING, SUCCEEDED]);
  assert.deepEqual([...map.worst(states, { per: 1, dots: 3 })], [...states]);
});

test("it draws one failure in a million three pixels large", () => {
  const layout = map.fit(1_000_000, WIDTH, HEIGHT);
  assert.equal(map.markSize(1, layout, WIDTH * HEIGHT), 3);
});

test("it lets marks take no more than their share of the box", () => {
  for (const items of [100_000, 1_000_000]) {
    const layout = map.fit(items, WIDTH, HEIGHT);
    for (const filtered of [false, true]) {
      for (let count = 1; count < items; count = Math.ceil(count * 1.7)) {
        const taken = count * map.markSize(count, layout, WIDTH * HEIGHT, filtered) ** 2;
        assert.ok(taken <= (filtered ? 0.08 : 0.012) * WIDTH * HEIGHT, `${count} of ${items} take ${taken}`);
      }
    }
  }
});

test("it draws many failures, and cells that are large, as they are", () => {
  assert.equal(map.markSize(5_000, map.fit(100_000, WIDTH, HEIGHT), WIDTH * HEIGHT), 0);
  assert.equal(map.markSize(1, map.fit(1_000, WIDTH, HEIGHT), WIDTH * HEIGHT), 0);
});

test("it zooms only closer, and never beyond what a browser can scroll", () => {
  for (const items of SIZES) {
    const fitted = map.fit(items, 331, 260);
    for (const cell of map.zooms(items, 331, fitted)) {
      assert.ok(fitted.per > 1 || cell > fitted.width);
      assert.ok(map.squares(items, 331, cell).rows * cell <= 8_000_000);
    }
  }
  assert.deepEqual(map.zooms(1_000_000, WIDTH, map.fit(1_000_000, WIDTH, HEIGHT)), [4, 8, 14, 20, 28]);
  assert.deepEqual(map.zooms(60, WIDTH, map.fit(60, WIDTH, HEIGHT)), []);
});

test("it finds the next failed item and the one before, and goes round", () => {
  const states = Uint8Array.from([SUCCEEDED, FAILED, SUCCEEDED, FAILED, WAITING]);
  assert.equal(map.nextIn(states, 0, [FAILED]), 1);
  assert.equal(map.nextIn(states, 1, [FAILED]), 3);
  assert.equal(map.nextIn(states, 3, [FAILED]), 1);
  assert.equal(map.nextIn(states, 1, [FAILED], true), 3);
  assert.equal(map.nextIn(states, 1, [REJECTED]), -1);
});

test("it finds the only failed item from itself", () => {
  assert.equal(map.nextIn(Uint8Array.from([WAITING, FAILED]), 1, [FAILED]), 1);
});

test("it moves by keys and never leaves the map", () => {
  const layout = { columns: 10, dots: 35 };
  const moves = [
    ["ArrowRight", 3, 4], ["ArrowRight", 34, 34], ["ArrowLeft", 0, 0], ["ArrowDown", 3, 13], ["ArrowDown", 28, 28],
    ["ArrowUp", 13, 3], ["ArrowUp", 3, 3], ["Home", 20, 0], ["End", 3, 34], ["PageDown", 3, 23], ["PageDown", 13, 33],
    ["PageDown", 18, 28], ["PageUp", 23, 3], ["PageUp", 13, 3], ["a", 3, null], ["constructor", 3, null],
  ];
  for (const [key, from, to] of moves) assert.equal(map.moved(key, from, layout, 2), to, `${key} from ${from}`);
});
