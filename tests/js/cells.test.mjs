import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../../jobs/static/jobs/js/cells.js";

/** Numbers that look random and are the same in every run. */
function* noise(seed) {
  for (let x = seed; ; x = (x * 1_103_515_245 + 12_345) % 2 ** 31) yield x;
}

function someChanges(seed) {
  const numbers = noise(seed);
  const next = (below) => numbers.next().value % below;
  const positions = new Set(Array.from({ length: next(400) }, () => next(5_000_000)));
  return [...positions].sort((a, b) => a - b).map((position) => [position, next(7)]);
}

test("it reads back what it wrote, whatever changed", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const changes = someChanges(seed);
    assert.deepEqual(decode(encode(3, 9, changes)).changes, changes);
  }
});

test("it reads the bytes that the server writes", () => {
  // jobs.events.cells_frame(1, 258, {0: 2, 1: 3, 300: 1, 70000: 5})
  const frame = Uint8Array.from([1, 0, 0, 0, 0, 1, 0, 0, 1, 2, 2, 11, 0xd9, 0x12, 0xa5, 0x84, 0x22]);
  assert.deepEqual(decode(frame), { from: 1, seq: 258, changes: [[0, 2], [1, 3], [300, 1], [70_000, 5]] });
});

test("it carries positions beyond 32 bits of varint", () => {
  const changes = [[0, 6], [4_294_967_295, 6]];
  assert.deepEqual(decode(encode(0, 1, changes)).changes, changes);
});

test("it takes about one byte for a change among neighbours", () => {
  const changes = Array.from({ length: 1000 }, (_, i) => [i, 2]);
  assert.ok(encode(0, 1, changes).length < 1020);
});

test("it ignores frames of a type it does not know", () => {
  assert.equal(decode(Uint8Array.from([2, 0, 0, 0, 0, 0, 0, 0, 0, 0])), null);
  assert.equal(decode(new Uint8Array(0)), null);
});
