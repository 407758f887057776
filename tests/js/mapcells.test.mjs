// What the map knows of each item, whatever is lost, repeated or late, and whichever of cells and numbers is ahead.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../../jobs/static/jobs/js/cells.js";
import { Cells, FAILED, Feed, NOT_ATTEMPTED, positions, RETRYING, RUNNING, SUCCEEDED, WAITING } from "../../jobs/static/jobs/js/mapcells.js";

const ITEMS = 50;
const settle = () => new Promise((resolve) => setImmediate(resolve));
const nothing = { waiting: 0, running: 0, succeeded: 0, failed: 0, rejected: 0, retrying: 0, not_attempted: 0 };

function loaded(states, seq = 1) {
  const cells = new Cells();
  cells.load(Uint8Array.from(states), seq);
  return cells;
}

/** Counts item by item, as somebody would who looks at the map. */
function recounted(cells) {
  const found = { ...nothing };
  for (const state of cells.shown) found[Object.keys(nothing)[[0, 1, 2, 3, 4, 5, 6].indexOf(state)]] += 1;
  return { ...found, waiting: found.waiting + found.retrying };
}

test("it reads positions as their distances", () => {
  assert.deepEqual(positions([5, 1, 10]), [5, 6, 16]);
  assert.deepEqual(positions([0, 3]), [0, 3]);
  assert.deepEqual(positions([]), []);
});

test("it counts as the counters do: what is retried waits", () => {
  const cells = loaded([WAITING, RETRYING, SUCCEEDED, FAILED]);
  assert.deepEqual(cells.counts(), { ...nothing, waiting: 2, retrying: 1, succeeded: 1, failed: 1 });
});

test("it lays what runs over what waits", () => {
  const cells = loaded([WAITING, RETRYING, SUCCEEDED]);
  cells.overlay([0, 1], false);
  assert.deepEqual([...cells.shown], [RUNNING, RUNNING, SUCCEEDED]);
  cells.overlay([1], false);
  assert.deepEqual([...cells.shown], [WAITING, RUNNING, SUCCEEDED]);
});

test("it does not show as running what has ended", () => {
  const cells = loaded([WAITING, SUCCEEDED]);
  cells.overlay([0, 1], false);
  assert.deepEqual(cells.counts(), { ...nothing, running: 1, succeeded: 1 });
});

test("it shows what an ended job left as not attempted, and as waiting again once it goes on", () => {
  const cells = loaded([WAITING, RETRYING, SUCCEEDED]);
  cells.overlay([], true);
  assert.deepEqual([...cells.shown], [NOT_ATTEMPTED, NOT_ATTEMPTED, SUCCEEDED]);
  cells.overlay([], false);
  assert.deepEqual([...cells.shown], [WAITING, RETRYING, SUCCEEDED]);
});

test("it goes on with what is in flight in a job that is cancelled", () => {
  const cells = loaded([WAITING, WAITING, SUCCEEDED]);
  cells.overlay([1], true);
  assert.deepEqual([...cells.shown], [NOT_ATTEMPTED, RUNNING, SUCCEEDED]);
});

test("it takes a step twice without harm, and refuses one after a gap", () => {
  const cells = loaded([WAITING, WAITING], 5);
  assert.ok(cells.step(5, 7, [[0, SUCCEEDED]]));
  assert.ok(cells.step(4, 7, [[0, SUCCEEDED]]));
  assert.ok(!cells.step(8, 9, [[1, SUCCEEDED]]));
  assert.deepEqual([...cells.shown], [SUCCEEDED, WAITING]);
  assert.equal(cells.seq, 7);
});

test("it passes over what is older than the cells", () => {
  const cells = loaded([SUCCEEDED], 5);
  assert.ok(cells.step(2, 4, [[0, RETRYING]]));
  assert.deepEqual([...cells.shown], [SUCCEEDED]);
});

test("it refuses items that it does not have", () => {
  assert.ok(!loaded([WAITING], 1).step(1, 2, [[1, SUCCEEDED]]));
});

// A server with the truth, a page that is told some of it

class Server {
  constructor(seed) {
    let x = seed;
    this.next = (below) => (x = (x * 48_271) % 2_147_483_647) % below;
    this.states = new Uint8Array(ITEMS);
    this.seq = 5;
    this.running = [];
    this.state = "running";
    this.deltas = new Map();
  }

  change() {
    const changes = new Map();
    for (let i = this.next(7); i >= 0; i -= 1) changes.set(this.next(ITEMS), [WAITING, SUCCEEDED, FAILED, RETRYING][this.next(4)]);
    for (const [at, state] of changes) this.states[at] = state;
    this.seq += 1;
    this.deltas.set(this.seq, changes);
    const open = [...this.states.keys()].filter((at) => [WAITING, RETRYING].includes(this.states[at]));
    this.running = open.filter(() => this.next(3) === 0);
    this.state = this.next(5) ? "running" : "cancelled";
  }

  snapshot() {
    const { seq, state, running } = this;
    const gaps = running.map((at, i) => at - (running[i - 1] ?? 0));
    return { from: seq, seq, state, running: gaps, total: ITEMS, readings: 0, truth: this.shown() };
  }

  /** What a viewer at `from` is sent; the changes pass through their bytes. */
  step(from) {
    const changes = new Map();
    for (let seq = from + 1; seq <= this.seq; seq += 1) for (const [at, state] of this.deltas.get(seq)) changes.set(at, state);
    const sorted = [...changes].sort(([a], [b]) => a - b);
    return [{ ...this.snapshot(), from }, decode(encode(from, this.seq, sorted)).changes];
  }

  cells() {
    return { seq: this.seq, bytes: this.states.slice() };
  }

  shown() {
    const left = this.state === "cancelled" ? () => NOT_ATTEMPTED : (state) => state;
    return [...this.states].map((state, at) => (this.running.includes(at) ? RUNNING : [WAITING, RETRYING].includes(state) ? left(state) : state));
  }
}

/** A page as live.js keeps it: at the newest number that it was told of without a gap, or at a snapshot. */
function page(server, { slow = false } = {}) {
  const timers = [];
  const asked = [];
  const fetch = async () => {
    const cells = server.cells();
    if (slow) await new Promise((resolve) => asked.push(resolve));
    return cells;
  };
  const found = { seq: 0, timers, asked, fetches: 0 };
  const take = (frame, changes) => {
    found.seq = frame.seq;
    found.frame = frame;
    found.feed.take(frame, changes);
  };
  found.refresh = () => take(server.snapshot(), null);
  found.hear = ([frame, changes]) => {
    if (frame.from > found.seq) found.refresh();
    else if (frame.seq >= found.seq) take(frame, changes);
  };
  found.feed = new Feed({
    fetch: () => (found.fetches += 1) && fetch(), refresh: found.refresh, world: { later: (action, ms) => timers.push({ action, ms }) },
  });
  found.refresh();
  return found;
}

const right = ({ feed, frame }) => assert.deepEqual([...feed.cells.shown], frame.truth);

test("it is never current and wrong, and in the end as the database, whatever is lost, repeated or late", async () => {
  let current = 0;
  for (let seed = 1; seed <= 150; seed += 1) {
    const server = new Server(seed);
    const viewer = page(server, { slow: seed % 2 === 0 });
    const old = [];
    let told = viewer.seq;
    for (let i = 0; i < 60; i += 1) {
      server.change();
      old.push(server.step(Math.max(5, server.seq - 1 - server.next(3))));
      if (server.next(4)) viewer.hear(server.step(told));
      told = server.next(8) ? server.seq : viewer.seq;
      if (server.next(5) === 0) viewer.hear(old[server.next(old.length)]);
      if (server.next(3) === 0) viewer.asked.splice(0).forEach((answer) => answer());
      if (server.next(6) === 0) viewer.timers.splice(0).forEach(({ action }) => action());
      await settle();
      if (!viewer.feed.current) continue;
      current += 1;
      right(viewer);
      assert.deepEqual(viewer.feed.cells.counts(), recounted(viewer.feed.cells));
    }
    viewer.refresh();
    for (let i = 0; i < 9; i += 1) {
      viewer.asked.splice(0).forEach((answer) => answer());
      viewer.timers.splice(0).forEach(({ action }) => action());
      await settle();
    }
    assert.ok(viewer.feed.current, `seed ${seed}`);
    right(viewer);
  }
  assert.ok(current > 3_000, String(current));
});

test("it keeps what changes while the cells are on their way", async () => {
  const server = new Server(7);
  const viewer = page(server, { slow: true });
  for (let i = 0; i < 4; i += 1) {
    const from = server.seq;
    server.change();
    viewer.hear(server.step(from));
  }
  assert.ok(!viewer.feed.current);
  viewer.asked.splice(0).forEach((answer) => answer());
  await settle();
  assert.ok(viewer.feed.current);
  right(viewer);
  assert.equal(viewer.fetches, 1);
});

test("it waits for the numbers of cells that are ahead of them", async () => {
  const server = new Server(8);
  const viewer = page(server);
  await settle();
  const before = server.seq;
  server.change();
  viewer.feed.cells.load(server.cells().bytes, server.seq);
  viewer.hear([{ ...viewer.frame }, []]);
  assert.ok(!viewer.feed.current);
  viewer.hear(server.step(before));
  assert.ok(viewer.feed.current);
  right(viewer);
});

test("it asks for newer numbers where none come", async () => {
  const server = new Server(9);
  const viewer = page(server);
  const stale = viewer.frame;
  await settle();
  server.change();
  viewer.feed.cells.load(server.cells().bytes, server.seq);
  viewer.feed.take(stale, null);
  viewer.timers.splice(0).forEach(({ action }) => action());
  await settle();
  assert.ok(viewer.feed.current);
});

test("it asks less and less often for cells that cannot be had", async () => {
  const timers = [];
  let asked = 0;
  const fetch = async () => {
    asked += 1;
    throw new Error("down");
  };
  const feed = new Feed({ fetch, refresh: () => {}, world: { later: (action, ms) => timers.push({ action, ms }) } });
  feed.take(new Server(1).snapshot(), null);
  await settle();
  const waits = [];
  for (let i = 0; i < 7; i += 1) {
    const { action, ms } = timers.pop();
    waits.push(ms);
    action();
    await settle();
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  assert.equal(asked, 8);
});

test("it fetches the cells anew when the file was read anew", async () => {
  const server = new Server(3);
  const viewer = page(server);
  await settle();
  viewer.feed.take({ ...server.snapshot(), readings: 1 }, []);
  assert.ok(!viewer.feed.current);
  await settle();
  assert.ok(viewer.feed.current);
});
