// How numbers, times and states are written. `jobs/templatetags/{display,page}.py` write the same on the server;
// tests/js/cases.json holds the two together.

export const NONE = "–";
export const SEGMENTS = ["succeeded", "failed", "rejected", "running", "retrying"];
export const BAR = 1000;
const OTHERS_WAIT = "The other rows wait until you have seen what comes of it.";
const WITHOUT = ["no_worker", "worker_silent"]; // codes of reasons
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

/** Which rows failed for a cause. */
export function where({ first, last }) {
  return first === last ? `row ${number(first)}` : `rows ${number(first)} to ${number(last)}`;
}

/** How many items of a cause are accepted, where some are and others are not. */
export const acceptedPart = ({ accepted, count }) => (accepted && accepted < count ? `${grouped(accepted)} accepted` : "");

export const finished = (counts) => counts.succeeded + counts.failed + counts.rejected;

/** The colour of the badge of a job (a frame, or a row of the list): its state, or what went wrong in the end. */
export function tone({ state, reason, counts }) {
  if (state !== "finished" || !(counts.failed || counts.rejected)) return reason.code === "throttled" ? "throttled" : state;
  return counts.succeeded ? "mixed" : "failed";
}

/** What stands beside the percentage of a job in the list: how long it takes, took, or why it does not go on. */
export function rowNote({ state, counts, elapsed, eta, why }) {
  if (state === "finished") return elapsed == null ? "" : `took ${duration(elapsed)}`;
  if (state === "cancelled") return counts.not_attempted ? `${grouped(counts.not_attempted)} not attempted` : "";
  if (state === "paused") return `${grouped(counts.waiting + counts.running)} left`;
  return left(eta) || why;
}

/** How many failures a retry of all takes: not those that somebody accepted. */
const again = ({ counts, accepted = 0 }) => Math.max(0, counts.failed - accepted);

function retryLabel(frame) {
  const [failed, rest] = [again(frame), frame.counts.not_attempted];
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

/** What is said first of a job that runs: how long it still takes, or what it waits for. */
function headline({ trial, throttled, eta, why, reason, counts }) {
  if (trial) return `Trying ${rows(trial)}`;
  if (throttled) return "Waiting for the service";
  if (eta != null) return left(eta);
  if (WITHOUT.includes(reason.code)) return "Waiting for a worker";
  if (why && !counts.running) return "Waiting";
  return counts.waiting || !counts.running ? "Working" : "Finishing";
}

/** What stands under it. */
function note({ state, throttled, why, trial }) {
  if (throttled && state === "running") return `The service asks to wait ${units(Math.ceil(throttled))}.`;
  return why || (trial ? OTHERS_WAIT : "");
}

/** What a paused or cancelled job says: what it still does, or who or what stopped it, and what to do then. */
function stopped({ counts: { running }, reason: { code, text } }) {
  const still = `${number(running)} ${running === 1 ? "item" : "items"} still running`;
  const [byLimit, byPerson] = [code === "failure_limit", code === "person"];
  const paused = byLimit ? "Paused by the failure limit" : byPerson ? text.replace(/\.$/, "") : "Paused";
  const advice = text && !byLimit && !byPerson ? "Fix the cause, then resume." : "";
  return {
    paused: running ? `Pausing – ${still}` : paused,
    cancelled: running ? `Stopping – ${still}` : "Cancelled",
    reason: byPerson ? "" : text.replace(/^Paused: /, ""),
    advice: byLimit ? "Look at what failed, then resume, or adjust the limit." : advice,
  };
}

/** What a finished job says. */
function ended({ counts, total, elapsed }) {
  const { succeeded, failed, rejected, fallback } = counts;
  const parts = [`${number(succeeded)} succeeded`];
  if (failed) parts.push(`${number(failed)} failed${fallback ? `, ${number(fallback)} of them with a fallback` : ""}`);
  if (rejected) parts.push(`${number(rejected)} rejected`);
  const everything = total === 1 ? "The item succeeded." : `All ${number(total)} items succeeded.`;
  return {
    finished: `${succeeded ? "Finished" : "Nothing succeeded"} in ${duration(elapsed)}`,
    outcome: succeeded === total ? everything : `${parts.join(", ")}.`,
  };
}

const perSecond = (rate) => `${rate.toLocaleString("en-US", { maximumFractionDigits: 3 })}/s`;

/** How a job runs: 10 at a time, 3 attempts, 30 s timeout, 20/s at most. */
function how({ workers, attempts, timeout, rate }) {
  const parts = [`${number(workers)} at a time`];
  if (attempts > 1) parts.push(`${attempts} attempts`);
  if (timeout != null) parts.push(`${duration(timeout)} timeout`);
  if (rate != null) parts.push(`${perSecond(rate)} at most`);
  return parts.join(", ");
}

/** What the page writes about the job itself, by the names that its elements carry as `data-v`. */
export function facts({ name, file, processor, limit, settings }) {
  return { name, file, processor, how: how(settings), limit: limit && `pauses when ${limit}` };
}

/** Everything else that the page of a job writes, as text, by the same names. */
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
    left: headline(frame),
    note: note(frame),
    label: frame.label,
    tone: tone(frame),
    retry: retryLabel(frame),
    any_retry: Boolean(again(frame) || counts.not_attempted),
    alone: frame.reason.code === "no_worker",
    queued: frame.trial ? `Trying ${rows(frame.trial)}` : "Waiting for a worker",
    ...stopped(frame),
    ...ended(frame),
    by_limit: frame.state === "paused" && frame.reason.code === "failure_limit",
    ...beforeStart(counts),
  };
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const exactFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

const QUARTER = 900_000; // milliseconds

/** What finished since midnight where the reader is, of what finished in each quarter of an hour since the epoch. */
export function today(lately, now = new Date()) {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  return lately.reduce((sum, [quarter, count]) => (quarter * QUARTER >= midnight ? sum + count : sum), 0);
}

/** 17:48:05 in the reader's time zone. */
export const clock = (date) => clockFormat.format(date);

/** 17:48:05 today, else with the day. */
export function moment(date, now = new Date()) {
  const today = date.toDateString() === now.toDateString();
  return today ? clock(date) : `${dateFormat.format(date)}, ${clock(date).slice(0, 5)}`;
}

/** When something will be done that still takes `seconds` from `heard` on: as coarse as the time left is. */
export function doneAt(heard, seconds) {
  const step = (seconds < 120 ? 5 : 60) * 1000;
  const date = new Date(Math.round((heard.valueOf() + seconds * 1000) / step) * step);
  if (seconds >= 20 * 3_600) return dayFormat.format(date);
  return seconds < 120 ? clock(date) : clock(date).slice(0, 5);
}

export const exact = (date) => exactFormat.format(date);

/** “just now”, “6 min ago”, “09:14” today, “Mon 11:31” this week, else the day. */
export function ago(date, now = new Date()) {
  const seconds = (now - date) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3_600) return `${Math.max(1, halfUp(seconds / 60))} min ago`;
  if (date.toDateString() === now.toDateString()) return clock(date).slice(0, 5);
  return seconds < 6 * 86_400 ? dayFormat.format(date) : dateFormat.format(date);
}
