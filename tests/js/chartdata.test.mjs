import assert from "node:assert/strict";
import { test } from "node:test";

import { columns, joined, nearest, parted, room, stepped, top, unit } from "../../jobs/static/jobs/js/chartdata.js";

const point = (time, done = 10, failed = 0, p50 = 0.01, p95 = 0.02) => [time, done, failed, p50, p95];
const run = (from, to, ...more) => Array.from({ length: to - from + 1 }, (_, i) => point(from + i, ...more));

test("it goes on where the points end", () => {
  const { points, missed } = joined(run(1, 5), run(3, 8));
  assert.deepEqual(points, run(1, 8));
  assert.equal(missed, false);
});

test("it takes the newer value of the last point", () => {
  const { points } = joined(run(1, 5), [point(4), point(5, 99)]);
  assert.deepEqual(points, [...run(1, 4), point(5, 99)]);
});

test("it does no harm to repeat a frame, or to hear an old one", () => {
  const kept = run(1, 9);
  assert.deepEqual(joined(kept, run(2, 9)), { points: kept, missed: false });
  assert.deepEqual(joined(kept, run(1, 6)), { points: kept, missed: false });
});

test("it notices what it missed", () => {
  assert.deepEqual(joined(run(1, 5), run(10, 17)), { points: run(1, 5), missed: true });
});

test("it fetches the beginning that a full frame does not hold", () => {
  assert.equal(joined([], run(10, 17)).missed, true);
  assert.deepEqual(joined([], run(1, 3)), { points: run(1, 3), missed: false });
});

test("it asks anew once the server has thinned", () => {
  assert.equal(joined(run(1, 300), run(294, 301)).missed, true);
});

test("it has nothing once there is nothing", () => {
  assert.deepEqual(joined(run(1, 5), []), { points: [], missed: false });
});

test("it ends with the server's points whatever is lost", () => {
  let kept = [];
  for (let at = 1; at <= 200; at += 1 + ((at * 7) % 13)) {
    const all = run(1, at);
    const { points, missed } = joined(kept, all.slice(-8));
    kept = missed ? all : points;
    assert.deepEqual(kept, all);
  }
});

test("it draws a column for each value", () => {
  const { data, over } = columns(run(100, 110, 50, 2, 0.1, 0.4));
  assert.deepEqual(data.map((column) => column.length), [11, 11, 11, 11, 11]);
  assert.deepEqual(data.map((column) => column.at(-1)), [110, 50, 2, 0.1, 0.4]);
  assert.equal(over, 1);
});

test("it draws a single point as a short line", () => {
  const { data } = columns([point(100, 7)]);
  assert.deepEqual(data.slice(0, 2), [[99, 100], [7, 7]]);
});

test("it breaks the curves at a pause, which takes no room", () => {
  const { data, real } = columns([...run(1, 5), ...run(10_001, 10_005)]);
  assert.equal(data[0].length, 11);
  assert.deepEqual(data.slice(1).map((column) => column[5]), [null, null, null, null]);
  assert.ok(data[0].at(-1) - data[0][0] < 15);
  assert.equal(real(data[0][0]), 1);
  assert.equal(real(data[0].at(-1)), 10_005);
  assert.deepEqual(data[0], [...data[0]].sort((a, b) => a - b));
});

test("it takes a moment without points for no pause", () => {
  assert.equal(columns([...run(1, 9), ...run(15, 20)]).data[1].includes(null), false);
});

test("it keeps the last known time where nothing was tried", () => {
  const { data } = columns([point(1, 10, 0, null, null), point(2), point(3, 10, 0, null, null)]);
  assert.deepEqual(data[3], [null, 0.01, 0.01]);
});

test("it takes means where few items finish", () => {
  const { data, over } = columns(Array.from({ length: 60 }, (_, i) => point(i, i % 5 ? 0 : 1)));
  assert.equal(over, 20);
  assert.ok(Math.max(...data[1].slice(20)) < 0.25);
  assert.ok(Math.min(...data[1].slice(20)) > 0.15);
});

test("it takes the middle and the slowest time of the same stretch", () => {
  const { data } = columns(Array.from({ length: 60 }, (_, i) => point(i, 1, 0, i % 5 ? 4 : 0.3, i % 5 ? 4.5 : 0.3)));
  assert.deepEqual(new Set(data[3].slice(20)), new Set([4]));
  assert.deepEqual(new Set(data[4].slice(20)), new Set([4.5]));
});

test("it takes no mean where many finish", () => {
  const { data } = columns(Array.from({ length: 20 }, (_, i) => point(i, i % 2 ? 100 : 0)));
  assert.deepEqual(data[1].slice(-2), [0, 100]);
});

test("it writes times in a unit that suits them", () => {
  assert.deepEqual([0, 0.03, 1.9].map((longest) => unit(longest).name), Array(3).fill("milliseconds"));
  assert.deepEqual([2, 60, 300, 90_000].map((longest) => unit(longest).name), ["seconds", "seconds", "minutes", "hours"]);
  assert.equal(unit(0.5).per, 1000);
});

test("it ends an axis with a round number", () => {
  assert.deepEqual([0, 0.3, 1, 4.2, 7, 20, 233, 4757, 12_000].map(top), [1, 0.3, 1, 5, 8, 20, 300, 5000, 20_000]);
  assert.deepEqual([null, undefined, NaN].map(top), [1, 1, 1]);
});

test("it writes times at round distances that leave room for them", () => {
  assert.deepEqual([0.2, 1, 7, 61, 90_000, 700_000].map(stepped), [1, 1, 10, 120, 172_800, 1_209_600]);
});

test("it parts a curve where it breaks", () => {
  assert.deepEqual(parted([1, 2, 3, 4, 5], [7, null, null, 8, 9]), [[[1, 7]], [[4, 8], [5, 9]]]);
  assert.deepEqual(parted([1, 2], [null, null]), []);
});

test("it gives a bar the room to its nearest neighbour", () => {
  assert.equal(room([1, 3, 4, 9]), 1);
  assert.equal(room([1]), Infinity);
});

test("it finds the point under the cursor, and none in a break", () => {
  assert.equal(nearest([1, 2, 3], [5, null, 6], 2.4), 2);
  assert.equal(nearest([1, 2, 3], [5, null, 6], -9), 0);
  assert.equal(nearest([1], [null], 1), null);
});
