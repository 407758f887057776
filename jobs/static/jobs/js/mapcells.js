// What the item map knows of each item: the stored states, with what runs and what was not attempted laid over them. Pure,
// so that it can be tested without a page.

import { STATES } from "./cells.js";

export const [WAITING, RUNNING, SUCCEEDED, FAILED, REJECTED, RETRYING, NOT_ATTEMPTED] = STATES.keys();
const ENDED = ["finished", "cancelled", "invalid"];
const AGAIN = 500; // milliseconds before what could not be had is asked for again, doubled each time
const LONGEST = 15_000;
const LOGGED = 400; // steps kept while the cells are on their way

const open = (state) => state === WAITING || state === RETRYING;

/** Distances of ascending positions from each other → the positions. */
export function positions(gaps) {
  let at = 0;
  return gaps.map((gap) => (at += gap));
}

/** The states of a job's items at one number of it. */
export class Cells {
  constructor() {
    this.stored = new Uint8Array(0);
    this.shown = new Uint8Array(0);
    this.tally = new Uint32Array(STATES.length);
    this.running = [];
    this.ended = false;
    this.seq = -1;
  }

  /** Takes the cells of a snapshot. */
  load(bytes, seq) {
    this.stored = bytes;
    this.seq = seq;
    this.#show();
  }

  /** Takes the changes from one number to a later one; false where some before them were missed. */
  step(from, seq, changes) {
    if (from > this.seq) return false;
    if (seq < this.seq) return true;
    for (const [at, state] of changes) {
      if (at >= this.stored.length) return false;
      this.stored[at] = state;
      this.#put(at, this.#seen(state));
    }
    this.seq = seq;
    return true;
  }

  /** Lays what a frame knows over the cells. */
  overlay(running, ended) {
    if (ended !== this.ended) {
      this.ended = ended;
      this.#show();
    }
    for (const at of this.running) this.#put(at, this.#seen(this.stored[at]));
    this.running = running.filter((at) => at < this.stored.length && open(this.stored[at]));
    for (const at of this.running) this.#put(at, RUNNING);
  }

  /** How many items are in each state, by the names of the counters; those that are retried are waiting, too. */
  counts() {
    const found = Object.fromEntries(STATES.map((name, state) => [name, this.tally[state]]));
    return { ...found, waiting: found.waiting + found.retrying };
  }

  #seen(state) {
    return this.ended && open(state) ? NOT_ATTEMPTED : state;
  }

  #put(at, state) {
    this.tally[this.shown[at]] -= 1;
    this.tally[state] += 1;
    this.shown[at] = state;
  }

  #show() {
    const { stored, tally } = this;
    if (this.shown.length !== stored.length) this.shown = new Uint8Array(stored.length);
    const seen = STATES.map((_, state) => this.#seen(state));
    tally.fill(0);
    for (let at = 0; at < stored.length; at += 1) {
      const state = seen[stored[at]];
      this.shown[at] = state;
      tally[state] += 1;
    }
    this.running = [];
  }
}

/**
 * Keeps the cells at the number that the page shows. They come by HTTP and may be ahead of the page or behind it: what
 * changes meanwhile is kept and applied to them. Until both are at one number the map is not `current`.
 *
 * `fetch()` resolves to {seq, bytes}, `refresh()` asks for newer numbers of the page. `world` stands for the browser.
 */
export class Feed {
  constructor({ fetch, refresh, changed = () => {}, world }) {
    Object.assign(this, { fetch, refresh, changed, world });
    this.cells = new Cells();
    this.frame = null;
    this.log = null; // steps since the cells were asked for
    this.tries = 0;
    this.timer = null;
  }

  /** Whether the cells are those of the frame that the page shows. */
  get current() {
    const { cells, frame } = this;
    return Boolean(frame) && cells.seq === frame.seq && cells.stored.length === frame.total && this.readings === frame.readings;
  }

  /** How many items the page says there are. */
  get total() {
    return this.frame?.total ?? 0;
  }

  /** Takes a frame of the page and what changed up to it, or null where that is not known. */
  take(frame, changes) {
    this.frame = frame;
    if (changes) this.log?.push([frame.from, frame.seq, changes]);
    if (this.log?.length > LOGGED) this.log.shift();
    const { cells } = this;
    const whole = changes ? cells.step(frame.from, frame.seq, changes) : cells.seq === frame.seq;
    // The page is about to get there.
    if (cells.seq > frame.seq) this.#later();
    else if (!whole || !this.#lay()) this.#ask();
  }

  #lay() {
    if (!this.current) return false;
    this.cells.overlay(positions(this.frame.running ?? []), ENDED.includes(this.frame.state));
    this.tries = 0;
    return true;
  }

  async #ask() {
    if (this.log || this.timer !== null) return;
    this.log = [];
    const { readings } = this.frame;
    let found = null;
    try {
      found = await this.fetch();
    } catch {
      // It is asked for again below.
    }
    const log = this.log;
    this.log = null;
    if (found) this.#load(found, readings, log);
    if (!this.current) this.#later();
    this.changed();
  }

  #load({ seq, bytes }, readings, log) {
    this.readings = readings;
    this.cells.load(bytes, seq);
    for (const step of log) {
      // What is older than the cells is in them already.
      if (step[1] > seq && !this.cells.step(...step)) return;
    }
    this.#lay();
  }

  /** The page may come to the cells by itself; where it does not, both are asked for again. */
  #later() {
    if (this.timer !== null) return;
    const wait = Math.min(LONGEST, AGAIN * 2 ** this.tries);
    this.tries += 1;
    this.timer = this.world.later(() => {
      this.timer = null;
      if (this.current) return;
      if (this.cells.seq > this.frame.seq) this.refresh();
      else this.#ask();
    }, wait);
  }
}
