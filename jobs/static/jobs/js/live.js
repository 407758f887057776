// The page's line to the server: one socket, a snapshot where it missed something, polling while the socket is down.
//
// A frame goes from one number of the job to a later one. It is applied when it starts at or before what the page has
// and ends after it; anything else means that something was missed, and the snapshot is fetched. Numbers in frames are
// absolute and cells carry the last state of an item, so that a frame which overlaps does no harm. The cells of a frame
// come as a message of their own right after its numbers, which wait for them: what shows both shows one moment.

import { decode } from "./cells.js";

const BACKOFF = [1, 2, 4, 8, 15]; // seconds, each ± 30 %
const WATCHED = 3.5; // seconds at most while somebody looks at the page, so that it is right 5 s after the server is back
const SILENCE = 2; // seconds of silence before the page says that the line is down
const QUIET = 8; // seconds without any frame after which a line counts as dead; the server speaks every 5
const QUIET_HIDDEN = 40; // a page that nobody looks at is told less
const TRIES = 3; // failed tries after which the page begins to poll
const POLL = 10;
const NOT_FOUND = 4404;

export class Live {
  /**
   * `socket`: path of the websocket. `snapshot`: address of the same numbers by HTTP. `seq`: number that the page has,
   * or null for a line without numbers. `about`: what else the page says of itself when it says hello.
   * `on`: cells(changes), then frame(frame, changes), which are null where it is not known what changed; gap(),
   * status(name, info). `world` stands for the browser in tests.
   */
  constructor({ socket, snapshot, seq = null, about = {}, on, world = browser() }) {
    Object.assign(this, { socket, snapshot, seq, about, on, world });
    this.held = null; // numbers whose cells are still to come
    this.tries = 0;
    this.status = "connecting";
    this.line = null;
    this.timers = {};
    this.fetching = false;
    this.opened = false;
  }

  start() {
    this.connect();
    this.world.onVisible((visible) => this.#seen(visible));
  }

  /** Tries at once, whatever the back-off says. */
  connect() {
    this.#clear("retry");
    this.line?.close();
    this.held = null;
    const line = (this.line = this.world.open(this.socket));
    line.onopen = () => this.#opened(line);
    line.onmessage = (event) => this.#heard(line, event.data);
    line.onclose = (event) => this.#closed(line, event.code);
    // A try that neither opens nor fails is given up.
    this.#after("quiet", QUIET, () => this.#drop(line));
  }

  #opened(line) {
    line.send(JSON.stringify({ t: "hello", after: this.seq ?? 0, ...this.about }));
    if (!this.world.visible()) this.#tellHidden(true);
    // Without numbers of its own a line cannot tell what it missed while it was down.
    if (this.seq === null && this.opened) this.refresh();
    this.opened = true;
  }

  /** Only a frame shows that the line works: a socket that is refused opens, too. */
  #alive(line) {
    this.tries = 0;
    this.#clear("silence");
    this.#clear("poll");
    this.#listen(line);
    this.#say("live");
  }

  #listen(line) {
    this.#after("quiet", this.world.visible() ? QUIET : QUIET_HIDDEN, () => this.#drop(line));
  }

  /** Treats the line as closed without waiting for the browser to notice. */
  #drop(line) {
    line.onclose = null;
    line.close();
    this.#closed(line, 0);
  }

  #closed(line, code) {
    if (line !== this.line) return;
    this.line = null;
    this.#clear("quiet");
    if (code === NOT_FOUND) {
      this.#say("gone");
      this.#after("retry", 60, () => this.connect());
      return;
    }
    this.tries += 1;
    const base = BACKOFF[Math.min(this.tries, BACKOFF.length) - 1];
    const wait = (this.world.visible() ? Math.min(base, WATCHED) : base) * (0.7 + 0.6 * this.world.random());
    this.next = this.world.now() + wait * 1000;
    this.#after("retry", wait, () => this.connect());
    if (this.tries > TRIES) this.#offline();
    else if (!this.timers.silence) this.#after("silence", SILENCE, () => this.#say("reconnecting"));
    if (this.status === "reconnecting") this.#say("reconnecting");
  }

  #offline() {
    this.#clear("silence");
    this.#say("offline");
    if (!this.timers.poll) this.#poll();
  }

  #poll() {
    this.#after("poll", POLL, () => this.#poll());
    if (this.world.visible()) this.refresh();
  }

  #heard(line, data) {
    if (line !== this.line) return;
    this.#alive(line);
    if (typeof data === "string") this.#text(JSON.parse(data));
    else this.#cells(decode(data));
  }

  #text(frame) {
    if (frame.t === "resync") this.refresh();
    else if (frame.t === "stats") this.#stats(frame);
    else if (frame.t === "jobs") this.on.frame(frame);
  }

  #stats(frame) {
    this.held = frame.cells ? frame : null;
    if (!frame.cells) this.#step(frame, []);
  }

  #cells(cells) {
    const frame = this.held;
    if (!cells || cells.seq !== frame?.seq || cells.from !== frame.from) return;
    this.held = null;
    this.#step(frame, cells.changes);
  }

  #step(frame, changes) {
    if (frame.from > this.seq) this.refresh();
    else if (frame.seq >= this.seq) this.#apply(frame, changes);
  }

  #apply(frame, changes) {
    this.seq = frame.seq;
    if (changes.length) this.on.cells?.(changes);
    this.on.frame(frame, changes);
  }

  /** Fetches the snapshot. What changed in between is not known, so whoever shows items looks again. */
  async refresh() {
    if (this.fetching) return;
    this.fetching = true;
    try {
      const frame = await this.world.fetch(this.snapshot);
      if (this.seq === null || frame.seq >= this.seq) this.#caughtUp(frame);
    } catch {
      // The socket or the next poll brings the numbers.
    } finally {
      this.fetching = false;
    }
  }

  #caughtUp(frame) {
    if (this.seq !== null) this.seq = frame.seq;
    this.on.frame(frame, null);
    this.on.gap?.();
  }

  #seen(visible) {
    this.#tellHidden(!visible);
    if (this.line) this.#listen(this.line);
    if (!visible) return;
    if (this.line) this.refresh();
    else this.connect();
  }

  #tellHidden(hidden) {
    if (this.line?.readyState === 1) this.line.send(JSON.stringify({ t: "hidden", hidden }));
  }

  #say(status) {
    if (status === this.status && status !== "reconnecting") return;
    this.status = status;
    this.on.status?.(status, { next: this.next });
  }

  #after(name, seconds, action) {
    this.#clear(name);
    this.timers[name] = this.world.later(() => {
      delete this.timers[name];
      action();
    }, seconds * 1000);
  }

  #clear(name) {
    if (!this.timers[name]) return;
    this.world.cancel(this.timers[name]);
    delete this.timers[name];
  }
}

function open(path) {
  const socket = new WebSocket(new URL(path, location.href.replace(/^http/, "ws")));
  socket.binaryType = "arraybuffer";
  return socket;
}

async function fetchJson(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  return answer.json();
}

function browser() {
  return {
    open,
    fetch: fetchJson,
    now: () => Date.now(),
    random: () => Math.random(),
    later: (action, ms) => setTimeout(action, ms),
    cancel: (timer) => clearTimeout(timer),
    visible: () => !document.hidden,
    onVisible: (action) => document.addEventListener("visibilitychange", () => action(!document.hidden)),
  };
}
