// The page's line to the server, with a world in which time passes only when the test says so.

import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "../../jobs/static/jobs/js/cells.js";
import { Live } from "../../jobs/static/jobs/js/live.js";

class World {
  constructor({ snapshots = [] } = {}) {
    Object.assign(this, { time: 0, jobs: [], sockets: [], snapshots, asked: 0, shown: true, chance: 0.5 });
  }

  open = () => {
    const socket = { sent: [], readyState: 0, send: (text) => socket.sent.push(JSON.parse(text)), close: () => (socket.closed = true) };
    this.sockets.push(socket);
    return socket;
  };
  fetch = async () => {
    this.asked += 1;
    if (!this.snapshots.length) throw new Error("down");
    return this.snapshots.shift();
  };
  now = () => this.time;
  random = () => this.chance;
  visible = () => this.shown;
  onVisible = (action) => (this.turn = action);
  later = (action, ms) => this.jobs.push({ at: this.time + ms, action }) && this.jobs.at(-1);
  cancel = (job) => (this.jobs = this.jobs.filter((other) => other !== job));

  async pass(seconds) {
    const until = this.time + seconds * 1000;
    for (;;) {
      const due = this.jobs.filter((job) => job.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.time = due.at;
      this.cancel(due);
      due.action();
      await settle();
    }
    this.time = until;
    await settle();
  }

  get socket() {
    return this.sockets.at(-1);
  }

  accept() {
    this.socket.readyState = 1;
    this.socket.onopen();
  }

  say(message) {
    this.socket.onmessage({ data: message instanceof Uint8Array ? message : JSON.stringify(message) });
  }

  lose(code = 1006) {
    this.socket.onclose({ code });
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const stats = (from, seq, cells = false) => ({ t: "stats", from, seq, cells });

function watch(world, seq = 5) {
  const seen = { frames: [], changes: [], cells: [], gaps: 0, statuses: [] };
  const on = {
    frame: (frame, changes) => seen.frames.push(frame.seq) && seen.changes.push(changes),
    cells: (changes) => seen.cells.push(changes),
    gap: () => (seen.gaps += 1),
    status: (name) => seen.statuses.push(name),
  };
  const live = new Live({ socket: "/ws/", snapshot: "/snapshot.json", seq, on, world });
  live.start();
  return { seen, live };
}

test("it says hello with the number it has", () => {
  const world = new World();
  watch(world, 5);
  world.accept();
  assert.deepEqual(world.socket.sent, [{ t: "hello", after: 5 }]);
});

test("it is live once a frame came, not when the socket opened", () => {
  const world = new World();
  const { seen } = watch(world);
  world.accept();
  assert.deepEqual(seen.statuses, []);
  world.say({ t: "hb", now: 0 });
  assert.deepEqual(seen.statuses, ["live"]);
});

test("it applies a frame that starts where it is", () => {
  const world = new World();
  const { seen, live } = watch(world);
  world.accept();
  world.say(stats(5, 8));
  assert.deepEqual(seen.frames, [8]);
  assert.equal(live.seq, 8);
});

test("it fetches the snapshot when it missed something", async () => {
  const world = new World({ snapshots: [stats(12, 12)] });
  const { seen, live } = watch(world);
  world.accept();
  world.say(stats(9, 11));
  await settle();
  assert.deepEqual(seen.frames, [12]);
  assert.equal(seen.gaps, 1);
  assert.equal(live.seq, 12);
});

test("it ignores what is older than what it has", () => {
  const world = new World();
  const { seen } = watch(world);
  world.accept();
  world.say(stats(5, 8));
  world.say(stats(3, 6));
  assert.deepEqual(seen.frames, [8]);
});

test("it shows numbers and items of one step together", () => {
  const world = new World();
  const { seen } = watch(world);
  world.accept();
  world.say(stats(5, 8, true));
  assert.deepEqual(seen.frames, []);
  world.say(encode(5, 8, [[3, 2]]));
  assert.deepEqual([seen.frames, seen.cells, seen.changes], [[8], [[[3, 2]]], [[[3, 2]]]]);
});

test("it does not wait for items that have not changed", () => {
  const world = new World();
  const { seen } = watch(world);
  world.accept();
  world.say(stats(5, 8));
  world.say(stats(8, 9, true));
  world.say(encode(8, 9, [[3, 2]]));
  assert.deepEqual([seen.frames, seen.changes, world.asked], [[8, 9], [[], [[3, 2]]], 0]);
});

test("it asks again for numbers whose items were lost with the line", async () => {
  const world = new World();
  const { seen } = watch(world);
  world.accept();
  world.say(stats(5, 8, true));
  world.lose();
  await world.pass(1.1);
  world.accept();
  assert.deepEqual(world.socket.sent, [{ t: "hello", after: 5 }]);
  world.say(encode(5, 8, [[3, 2]]));
  assert.deepEqual(seen.frames, []);
});

test("it fetches the snapshot when items were missed", async () => {
  const world = new World({ snapshots: [stats(12, 12)] });
  const { seen } = watch(world);
  world.accept();
  world.say(stats(7, 9, true));
  world.say(encode(7, 9, [[3, 2]]));
  await settle();
  assert.deepEqual(seen.cells, []);
  assert.deepEqual(seen.changes, [null]);
  assert.equal(seen.gaps, 1);
});

test("it fetches the snapshot when the server says so", async () => {
  const world = new World({ snapshots: [stats(30, 30)] });
  const { seen } = watch(world);
  world.accept();
  world.say({ t: "resync", seq: 30 });
  await settle();
  assert.deepEqual(seen.frames, [30]);
});

test("it ends at the newest numbers whatever is lost, repeated or late", async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    let x = seed;
    const next = (below) => (x = (x * 48_271) % 2_147_483_647) % below;
    const world = new World();
    let server = 5;
    world.fetch = async () => stats(server, server);
    const { live } = watch(world, 5);
    world.accept();
    const old = [];
    for (let step = 0; step < 40; step += 1) {
      const from = server;
      server += 1 + next(3);
      old.push([from, server]);
      if (next(4) === 0) continue;
      world.say(stats(from, server, true));
      if (next(6)) world.say(encode(from, server, [[step, 2]]));
      if (next(5) === 0) world.say(stats(...old[next(old.length)]));
      await settle();
    }
    world.say(stats(server - 1, server));
    await settle();
    assert.equal(live.seq, server);
  }
});

test("it keeps calm about a short loss", async () => {
  const world = new World();
  const { seen } = watch(world);
  world.accept();
  world.say(stats(5, 6));
  world.lose();
  await world.pass(1.2);
  world.accept();
  world.say(stats(6, 7));
  await world.pass(1.5);
  assert.deepEqual(seen.statuses, ["live"]);
});

test("it says after two seconds that the line is down", async () => {
  const world = new World();
  const { seen } = watch(world);
  world.accept();
  world.say(stats(5, 6));
  world.lose();
  await world.pass(2.1);
  assert.deepEqual(seen.statuses, ["live", "reconnecting"]);
});

async function waits(world, number) {
  const found = [];
  while (found.length < number) {
    const before = world.sockets.length;
    const lost = world.time;
    world.lose();
    while (world.sockets.length === before) await world.pass(0.5);
    found.push((world.time - lost) / 1000);
  }
  return found;
}

test("it tries again within five seconds, however long the server was away, while somebody looks", async () => {
  const world = new World();
  watch(world);
  assert.deepEqual(await waits(world, 6), [1, 2, 3.5, 3.5, 3.5, 3.5]);
});

test("it waits 1, 2, 4, 8, 15 seconds between tries where nobody looks, and goes on at 15", async () => {
  const world = new World();
  watch(world);
  world.shown = false;
  assert.deepEqual(await waits(world, 7), [1, 2, 4, 8, 15, 15, 15]);
});

test("it spreads the tries of many pages by 30 percent", async () => {
  for (const [chance, wait] of [[0, 700], [1, 1300]]) {
    const world = new World();
    world.chance = chance;
    const { live } = watch(world);
    world.lose();
    assert.equal(Math.round(live.next), wait);
  }
});

test("it polls every ten seconds after three failed tries, until the line is back", async () => {
  const world = new World({ snapshots: Array.from({ length: 9 }, (_, i) => stats(10 + i, 10 + i)) });
  const { seen } = watch(world);
  world.accept();
  world.say(stats(5, 6));
  for (const wait of [1, 2, 4]) {
    world.lose();
    await world.pass(wait);
  }
  world.lose();
  assert.equal(seen.statuses.at(-1), "offline");
  await world.pass(7.9);
  assert.equal(world.asked, 1);
  await world.pass(2.2);
  assert.equal(world.asked, 2);
  world.accept();
  world.say(stats(11, 20));
  assert.equal(seen.statuses.at(-1), "live");
  await world.pass(7);
  world.say({ t: "hb" });
  await world.pass(7);
  assert.equal(world.asked, 2);
});

test("it gives up a line that has gone quiet", async () => {
  const world = new World();
  watch(world);
  world.accept();
  world.say(stats(5, 6));
  await world.pass(7);
  assert.equal(world.sockets.length, 1);
  await world.pass(3);
  assert.equal(world.sockets.length, 2);
  assert.ok(world.sockets[0].closed);
});

test("it lets a page that nobody looks at be told less", async () => {
  const world = new World();
  watch(world);
  world.accept();
  world.say(stats(5, 6));
  world.shown = false;
  world.turn(false);
  await world.pass(35);
  assert.equal(world.sockets.length, 1);
});

test("it says when there is nothing to watch any more", () => {
  const world = new World();
  const { seen } = watch(world);
  world.accept();
  world.lose(4404);
  assert.deepEqual(seen.statuses, ["gone"]);
});

test("it tells the server when nobody looks, and catches up when somebody does", async () => {
  const world = new World({ snapshots: [stats(9, 9)] });
  const { seen } = watch(world);
  world.accept();
  world.turn(false);
  world.turn(true);
  await settle();
  assert.deepEqual(world.socket.sent.slice(1), [{ t: "hidden", hidden: true }, { t: "hidden", hidden: false }]);
  assert.deepEqual(seen.frames, [9]);
});

test("it looks again at a list after a loss, since lists have no numbers", async () => {
  const world = new World({ snapshots: [{ t: "jobs", rows: [] }] });
  const { seen } = watch(world, null);
  world.accept();
  world.say({ t: "hb" });
  assert.equal(world.asked, 0);
  world.lose();
  await world.pass(1);
  world.accept();
  await settle();
  assert.equal(world.asked, 1);
  assert.equal(seen.frames.length, 1);
});
