// What the hero says beyond the numbers: what only the browser knows, its reader's clock and how old the numbers are.

import { clock, doneAt, moment } from "./format.js";

const ACTIVE = ["loading", "queued", "running", "paused", "ready"];

/** Whether more may come of the job by itself or by a person who goes on with it. */
export const active = (frame) => ACTIVE.includes(frame.state);

/** The frame as it is by now: what the service asks to wait grows less while nothing is heard. */
export function aged(frame, heard, now = new Date()) {
  if (!frame.throttled) return frame;
  return { ...frame, throttled: Math.max(0, frame.throttled - (now - heard) / 1000) || null };
}

/** Texts that replace or complete those of `view`. */
export function notes(frame, words, { heard, stale, now = new Date() }) {
  const said = { began: frame.started ? "started" : "created" };
  said.ended = frame.ended && !active(frame) ? `Ended at ${moment(new Date(frame.ended), now)}.` : "";
  if (stale && active(frame)) return { ...said, left: "Last known numbers", note: `from ${clock(heard)}` };
  if (frame.eta == null || frame.throttled) return said;
  const reason = words.note.replace(/\.$/, "");
  return { ...said, note: [reason, `done at about ${doneAt(heard, frame.eta)}`].filter(Boolean).join(" · ") };
}
