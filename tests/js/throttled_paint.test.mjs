import assert from "node:assert/strict";
import { test } from "node:test";

import { paced } from "../../jobs/static/jobs/js/throttled_paint.js";

/** A browser whose time passes when a test says so. */
class World {
  constructor() {
    Object.assign(this, { time: 0, seen: true, waiting: [], painted: [] });
  }

  now = () => this.time;
  visible = () => this.seen;
  onVisible = (action) => (this.changed = action);
  later = (action, ms) => this.waiting.push([this.time + ms, action]);
  frame = (action) => this.later(action, 0);

  pass(ms) {
    for (const end = this.time + ms; this.time < end; ) {
      this.time += 1;
      for (let due; (due = this.waiting.findIndex(([at]) => at <= this.time)) >= 0; ) this.waiting.splice(due, 1)[0][1]();
    }
  }

  see(seen) {
    this.seen = seen;
    this.changed();
  }
}

function started() {
  const world = new World();
  return { world, ask: paced(500, () => world.painted.push(world.time), world) };
}

test("it paints at once what was asked for", () => {
  const { world, ask } = started();
  ask();
  world.pass(2);
  assert.equal(world.painted.length, 1);
});

test("it paints at most once in its time, however often it is asked", () => {
  const { world, ask } = started();
  for (let i = 0; i < 200; i += 1) {
    ask();
    world.pass(10);
  }
  assert.ok(world.painted.length <= 5, String(world.painted));
  assert.ok(world.painted.length >= 4, String(world.painted));
});

test("it paints the last thing that was asked for", () => {
  const { world, ask } = started();
  ask();
  world.pass(10);
  ask();
  world.pass(600);
  assert.equal(world.painted.length, 2);
});

test("it paints nothing that nobody asked for", () => {
  const { world, ask } = started();
  ask();
  world.pass(5000);
  assert.equal(world.painted.length, 1);
});

test("it paints nothing in a hidden tab, and once on return", () => {
  const { world, ask } = started();
  world.see(false);
  for (let i = 0; i < 20; i += 1) ask();
  world.pass(3000);
  assert.deepEqual(world.painted, []);
  world.see(true);
  world.pass(3000);
  assert.equal(world.painted.length, 1);
});

test("it paints nothing on return where nothing was asked for", () => {
  const { world } = started();
  world.see(false);
  world.see(true);
  world.pass(1000);
  assert.deepEqual(world.painted, []);
});
