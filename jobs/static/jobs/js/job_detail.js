// The page of a job. The server has written every number already; from here on frames overwrite them in place.

import { paintActivity } from "./activity.js";
import { startAsking } from "./confirm_retry.js";
import { paintCauses } from "./causes.js";
import { Charts } from "./charts.js";
import { paintSettings, startSettings } from "./run_settings.js";
import { Drawer } from "./drawer.js";
import { facts, finished, parts, view } from "./format.js";
import { active, aged, notes } from "./hero.js";
import { Items } from "./items.js";
import { Live } from "./live.js";
import { itemMap } from "./map.js";
import { Teller } from "./notify.js";
import { startPanels } from "./panels.js";
import { pill } from "./connection_status.js";
import { Selection } from "./selection.js";
import { $, $$, announce, localTimes, setText } from "./shell.js";

const ICONS = { waiting: 0, running: 1, throttled: 1, paused: 2, finished: 3, failed: 4, mixed: 4, cancelled: 5, invalid: 4 };

const page = $("#job");
const icons = page.dataset.icons.split(" ");
let current = JSON.parse($("#frame").textContent);
let spoken = { tenth: Math.floor((finished(current.counts) / (current.total || 1)) * 10), state: current.state };
let drawn = 0;

// Painting: at most once for each frame of the screen, never in a hidden tab, except for its title

function paint(frame) {
  current = frame;
  paintTitle(frame);
  if (drawn || document.hidden) return;
  drawn = requestAnimationFrame(() => {
    drawn = 0;
    paintAll(current);
  });
}

function paintAll(latest) {
  const heard = line.heard();
  const frame = aged(latest, heard);
  const said = view(frame);
  const words = { ...facts(frame), ...said, ...notes(frame, said, { heard, stale: page.hasAttribute("data-stale") }) };
  paintState(frame, words);
  for (const element of $$("[data-v]", page)) setText(element, String(words[element.dataset.v] ?? ""));
  const shown = shows(frame, words);
  for (const element of $$("[data-show]", page)) element.hidden = !shown[element.dataset.show];
  paintBar(frame);
  paintCauses(frame);
  paintActions(frame, words);
  map.paint();
  paintActivity(frame);
  paintSettings(frame);
  speak(frame, words);
}

function shows(frame, words) {
  return {
    active: active(frame),
    ended: !active(frame),
    alone: words.alone,
    by_limit: words.by_limit,
    limited: Boolean(frame.limit),
    any: frame.total > 0,
    any_retry: words.any_retry,
    any_failed: frame.counts.failed > 0,
    any_fallback: frame.counts.fallback > 0,
    any_retrying: frame.counts.retrying > 0,
    any_causes: frame.causes.length > 0,
    more_causes: frame.more_causes > 0,
  };
}

function paintTitle(frame) {
  const words = view(frame);
  const shown = frame.state === "finished" ? frame.label : frame.state === "running" ? `${words.percent}%` : frame.label;
  document.title = `${shown} · ${frame.name}`;
  const icon = icons[ICONS[words.tone] ?? 0];
  if ($("#icon").getAttribute("href") !== icon) $("#icon").setAttribute("href", icon);
}

/** The sentence of the state is a template that the server wrote for each state. */
function paintState(frame, words) {
  const box = $("#state");
  if (box.dataset.stateNow !== frame.state) {
    box.replaceChildren($(`template[data-for-state="${frame.state}"]`).content.cloneNode(true));
    box.dataset.stateNow = page.dataset.jobState = frame.state;
    page.toggleAttribute("data-trying", frame.trial > 0);
  }
  const badge = $("#badge");
  badge.dataset.state = words.tone;
  setText(badge, frame.label);
}

function paintBar(frame) {
  const rects = $$("#bar rect");
  parts(frame.counts, frame.total).forEach(({ x, width }, i) => {
    rects[i].setAttribute("x", x);
    rects[i].setAttribute("width", width);
  });
  const now = frame.total ? Math.floor((finished(frame.counts) * 100) / frame.total) : 0;
  $("#bar .bar").setAttribute("aria-valuenow", now);
}

/** Buttons are never rebuilt under somebody's finger: they are shown and hidden. */
function paintActions(frame, words) {
  const able = "mayAct" in page.dataset ? frame.actions : [];
  for (const button of $$("[data-verb]", page)) button.hidden = !able.includes(button.dataset.verb);
  $("#download summary").classList.toggle("primary", frame.state === "finished");
  if (frame.started && $("#began").dateTime !== frame.started) {
    $("#began").dateTime = frame.started;
    localTimes($("#job .meta"));
  }
  $('[data-verb="cancel"] button').dataset.text =
    `${words.open} items that are not done will not be attempted. The results of the ${words.done} that are done are kept, and the rest can be resumed later.`;
}

// One polite voice: each tenth and each change of state, never ticks

function speak(frame, words) {
  const tenth = Math.floor((finished(frame.counts) / (frame.total || 1)) * 10);
  if (frame.state !== spoken.state) announce(`${frame.label}. ${words.done} of ${words.total} items done.`);
  else if (tenth > spoken.tenth && frame.state === "running") announce(`${tenth * 10} percent done.`);
  spoken = { tenth, state: frame.state };
}

// News

const selection = new Selection(page.dataset.code);
const items = new Items(page.dataset.items, current, () => selection.paint());
const drawer = new Drawer(page.dataset.items);
const map = itemMap(() => live.refresh());
const charts = new Charts($("#charts"));
const teller = new Teller($("#tell"));

/** Whether what the server wrote is old. A trial, or a reading of the file, may be over before anybody sees it. */
const moved = (frame, before) => ["state", "run", "readings"].some((name) => frame[name] !== before[name]);

function take(frame, changes) {
  items.take(frame);
  if (moved(frame, current) || frame.total !== current.total) items.look();
  // The report and the trial are parts of the page that the server writes.
  if (moved(frame, current)) setTimeout(() => window.htmx?.trigger("#setup", "look"), Math.random() * 300);
  teller.take(current, frame);
  line.news();
  map.take(frame, changes);
  charts.take(frame);
  paint(frame);
}

const live = new Live({
  socket: page.dataset.socket,
  snapshot: page.dataset.snapshot,
  seq: current.seq,
  on: {
    frame: take,
    cells: (changes) => {
      items.touched(changes);
      drawer.touched(changes);
    },
    gap: () => items.look(),
    status: (name, info) => {
      line.status(name, info);
      paint(current);
    },
  },
});
const line = pill(page, () => live.connect());

// A button was pressed: what came of it is in the next numbers.
document.addEventListener("acted", () => {
  live.refresh();
  items.look();
  drawer.look();
});
document.addEventListener("visibilitychange", () => paint(current));
// What the service asks to wait is counted down.
setInterval(() => current.throttled && paint(current), 1000);

startSettings();
startAsking({ stays: true });
startPanels();
map.take(current, null);
paint(current);
live.start();
