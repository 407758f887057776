// How numbers, times and states are written. `jobs/templatetags/display.py` writes the same on the server;
// tests/js/cases.json holds the two together.

export const NONE = "–";
export const SEGMENTS = ["succeeded", "failed", "rejected", "running", "retrying"];
export const BAR = 1000;
const OTHERS_WAIT = "The other rows wait until you have seen what comes of it.";
const THINNEST = 3;
const READABLE = 30; // attempts a second that can all be shown
const TRIED = 10; // rows that a trial takes unless the person says otherwise
const COUNTED = ["succeeded", "failed", "rejected", "running", "waiting", "retrying", "not_attempted", "fallback"];

const halfUp = (value) => Math.floor(value + 0.5);

/** 1234567 → 1,234,567. Without Intl, which is slow and would group by the reader's locale, not by the page's. */
const grouped = (whole) => String(whole).replace(/\B(?=(\d{3})+$)/g, ",");

export function number(value) {
  if (value == null) return NONE;
  if (value < 10 && !Number.isInteger(value)) return String(halfUp(value * 10) / 10);
  return grouped(halfUp(value));
}

/** 76467 → 76.5k, so that a figure keeps its width. */
export function compact(value) {
  if (value == null || value < 10_000) return number(value);
  const [size, letter] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([least]) => value >= least);
  return Math.floor((value * 10) / size) / 10 + letter;
}

/** An honest percentage without its sign: never 100 before the end, never 0 once something is done. */
export function percent(part, total) {
  if (!total) return NONE;
  if (part >= total) return "100";
  const tenths = Math.floor((part * 1000) / total);
  if (part && !tenths) return "<0.1";
  return tenths ? (tenths / 10).toFixed(1) : "0";
}

/** A part of the whole, rounded, but never to nothing or to all of it. */
export function share(part, total) {
  if (!part || !total) return "";
  if (part >= total) return "100 %";
  const tenths = Math.min(999, halfUp((part * 1000) / total));
  return tenths ? `${(tenths / 10).toFixed(1)} %` : "<0.1 %";
}

const UNITS = [[86_400, "d", 3_600, "h"], [3_600, "h", 60, "min"], [60, "min", 1, "s"]];

/** The largest unit and the next smaller one, where that is not zero. */
function units(seconds) {
  const found = UNITS.find(([size]) => seconds >= size);
  if (!found) return `${seconds} s`;
  const [size, name, smaller, smallName] = found;
  const rest = Math.floor((seconds % size) / smaller);
  return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${smallName}` : ""}`;
}

/** Seconds as 11 ms, 4.2 s, 1 min 44 s, 2 h 5 min, 3 d 4 h. */
export function duration(seconds) {
  if (seconds == null) return NONE;
  if (seconds >= 9.95) return units(halfUp(seconds));
  if (seconds >= 1) return `${(halfUp(seconds * 10) / 10).toFixed(1)} s`;
  const milliseconds = halfUp(seconds * 1000);
  if (milliseconds) return `${milliseconds} ms`;
  return seconds ? "<1 ms" : "0 s";
}

const STEPS = [[20, 5], [120, 10], [900, 60], [3_600, 300], [86_400, 600], [Infinity, 3_600]];

/** Time left in steps so coarse that it does not flicker. */
export function left(eta) {
  if (eta == null) return "";
  if (eta < 5) return "a few seconds left";
  const [, step] = STEPS.find(([below]) => eta < below);
  return `about ${units(Math.max(step, halfUp(eta / step) * step))} left`;
}

/** What the newest attempts are: all of them, or some where more finish than anybody reads. */
export function sample(rate) {
  if (rate == null || rate <= READABLE) return "The newest attempts, as they finish";
  return `A fresh sample each second – ${number(rate)} finish per second`;
}

/** The coloured parts of a bar that is 1000 units wide. The widest one gives what keeps the others visible. */
export function parts(counts, total) {
  const shown = [...SEGMENTS.map((state) => counts[state]), counts.waiting - counts.retrying + counts.not_attempted];
  const widths = shown.map((n) => (n && total ? Math.max(THINNEST, halfUp((n * BAR) / total)) : 0));
  const widest = widths.indexOf(Math.max(...widths));
  if (widths[widest]) widths[widest] += BAR - widths.reduce((sum, width) => sum + width);
  let x = 0;
  return SEGMENTS.map((state, i) => ({ state, width: widths[i], x: (x += widths[i]) - widths[i] }));
}

export const finished = (counts) => counts.succeeded + counts.failed + counts.rejected;

/** The colour of a job's badge: its state, or what went wrong in one that is finished. */
export function tone(state, counts) {
  if (state !== "finished" || !(counts.failed || counts.rejected)) return state;
  return counts.succeeded ? "mixed" : "failed";
}

function retryLabel({ failed, not_attempted: rest }) {
  if (failed && rest) return `Retry ${grouped(failed + rest)} items`;
  return failed || !rest ? `Retry ${grouped(failed)} failed` : `Run ${grouped(rest)} not attempted`;
}

function errorShare({ succeeded, failed }) {
  if (!(succeeded + failed)) return NONE;
  return share(failed, succeeded + failed) || "0 %";
}

const rows = (count) => `${grouped(count)} row${count === 1 ? "" : "s"}`;

/** What a job that is ready says and what its buttons say: before a trial, after one, and where no row can run. */
function beforeStart({ succeeded, failed, waiting, rejected: bad }) {
  const tried = succeeded + failed;
  const some = Math.min(TRIED, waiting);
  if (tried) {
    const start = waiting ? "Run the rest" : "Finish";
    return {
      ready: `${rows(tried)} tried`,
      ready_note: waiting ? `${rows(waiting)} left. Press ${start} to go on.` : "All rows are done. Press Finish to end the job.",
      start,
      start_short: waiting ? "Run rest" : start,
      try: `Try ${some} more`,
      try_short: `Try ${some}`,
    };
  }
  const wait = bad
    ? `${rows(waiting)} can run. ${number(bad)} cannot and ${bad === 1 ? "is" : "are"} left out.`
    : `${rows(waiting)} ${waiting === 1 ? "waits" : "wait"} for you to press Start.`;
  const start = bad ? `Leave ${rows(bad)} out and start` : "Start";
  return {
    ready: waiting ? "Ready to start" : "No row can run",
    ready_note: waiting ? wait : "Every row of this file is bad. The report says why.",
    start,
    start_short: waiting ? "Start" : start,
    try: `Try ${rows(some)}`,
    try_short: `Try ${some}`,
  };
}

/** Everything that the page of a job writes, as text, by the names that its elements carry as `data-v`. */
export function view(frame) {
  const { counts, total } = frame;
  const done = finished(counts);
  const active = frame.state === "running";
  const average = frame.elapsed && (counts.succeeded + counts.failed) / frame.elapsed;
  return {
    ...Object.fromEntries(COUNTED.map((name) => [name, number(counts[name])])),
    ...Object.fromEntries(COUNTED.map((name) => [`${name}_share`, share(counts[name], total)])),
    percent: percent(done, total),
    done: number(done),
    total: number(total),
    open: number(total - done),
    rate: number(active ? frame.rate : average || null),
    rate_label: active ? "Rate" : "Average rate",
    p50: duration(frame.p50),
    p95: duration(frame.p95),
    errors: errorShare(counts),
    elapsed: duration(frame.elapsed),
    attempts: compact(frame.attempts),
    left: frame.trial ? `Trying ${rows(frame.trial)}` : left(frame.eta) || "Working",
    note: frame.why || (frame.trial ? OTHERS_WAIT : ""),
    reason: frame.reason,
    label: frame.label,
    tone: tone(frame.state, counts),
    retry: retryLabel(counts),
    alone: frame.why.startsWith("No worker"),
    queued: frame.trial ? `Trying ${rows(frame.trial)}` : "In the queue",
    ...beforeStart(counts),
    untouched: frame.state === "ready" && !(counts.succeeded + counts.failed),
  };
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const exactFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** 17:48:05 in the reader's time zone. */
export const clock = (date) => clockFormat.format(date);

export const exact = (date) => exactFormat.format(date);

/** 17:48:05 today, else “09:14”, “Mon 11:31” or the day as `ago` has them. */
export const moment = (date, now = new Date()) => (date.toDateString() === now.toDateString() ? clock(date) : ago(date, now));

/** “just now”, “6 min ago”, “09:14” today, “Mon 11:31” this week, else the day. */
export function ago(date, now = new Date()) {
  const seconds = (now - date) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3_600) return `${Math.max(1, halfUp(seconds / 60))} min ago`;
  if (date.toDateString() === now.toDateString()) return clock(date).slice(0, 5);
  return seconds < 6 * 86_400 ? dayFormat.format(date) : dateFormat.format(date);
}
