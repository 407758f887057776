// The end of a job that somebody watches: whether it is one, which one, and what there is to say of it.

import { number } from "./format.js";
import { active } from "./hero.js";

const KEPT = 50; // ends that this browser remembers as told
const SHORT = 80; // characters of a cause

/** What the notification says: how it ended, the counts, and what most of the failures have in common. */
export function said({ label, name, counts, causes, reason, state }) {
  const parts = [`${number(counts.succeeded)} succeeded`];
  for (const name of ["failed", "rejected"]) if (counts[name]) parts.push(`${number(counts[name])} ${name}`);
  if (counts.not_attempted) parts.push(`${number(counts.not_attempted)} not attempted`);
  const lines = state === "invalid" ? [reason.text] : [`${parts.join(", ")}.`];
  const [most] = causes;
  if (most) lines.push(`Most: ${short(most)}, ${number(most.count)} item${most.count === 1 ? "" : "s"}.`);
  return { title: `${label}: ${name}`, body: lines.join(" ") };
}

function short({ kind, title }) {
  const text = title ? `${kind}: ${title}` : kind;
  return text.length > SHORT ? `${text.slice(0, SHORT - 1)}…` : text;
}

/** Which end this is: a retry has another one. */
export const endOf = (frame) => `${frame.job} ${frame.run} ${frame.ended}`;

/** Whether nothing more comes of the job: what is in flight when it is cancelled is still recorded. */
const over = (frame) => !active(frame) && !frame.counts?.running;

/** Whether the job has ended between the two frames. */
export const ends = (before, frame) => !over(before) && over(frame);

/** Whether this tab is the one that tells; the others find it noted. Requires the lock. */
export function first(end, storage) {
  const told = JSON.parse(storage.getItem("told") ?? "[]");
  if (told.includes(end)) return false;
  storage.setItem("told", JSON.stringify([end, ...told].slice(0, KEPT)));
  return true;
}
