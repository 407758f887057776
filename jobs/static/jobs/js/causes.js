// Why items failed. Texts change in place and controls are never replaced, so that nobody loses the button under a finger;
// while somebody is at the list its order stays, too.

import { BAR, acceptedPart, number, where } from "./format.js";
import { $, $$, localTimes, setText } from "./shell.js";

const settled = ({ accepted, count }) => accepted >= count;

export function paintCauses(frame) {
  paintList($("#causes"), frame.causes.filter((cause) => !settled(cause)), frame);
  const done = frame.causes.filter(settled);
  paintList($("#causes-accepted"), done, frame);
  $("#accepted").hidden = !done.length;
  setText($("#accepted-number"), String(done.length));
  setText($("#more-causes"), number(frame.more_causes));
}

function paintList(list, causes, frame) {
  const held = list.matches(":hover, :focus-within");
  const known = new Map([...list.children].map((item) => [item.dataset.cause, item]));
  causes.forEach((cause, i) => {
    const item = known.get(String(cause.id)) ?? newCause(cause);
    known.delete(String(cause.id));
    paintCause(item, cause, frame);
    if (!item.parentNode) list.append(item);
    if (!held && list.children[i] !== item) list.insertBefore(item, list.children[i]);
  });
  for (const item of known.values()) {
    if (item.contains(document.activeElement)) $("#causes-title").focus();
    item.remove();
  }
}

function paintCause(item, cause, frame) {
  setText($(".cause-title", item), cause.title);
  setText($(".cause-sample", item), cause.sample);
  setText($(".cause-kind", item), cause.kind);
  setText($(".cause-frame", item), cause.top_frame);
  setText($(".cause-accepted", item), acceptedPart(cause));
  setText($(".cause-rows", item), where(cause));
  for (const part of $$(".cause-count, .cause-number", item)) setText(part, number(cause.count));
  $(".cause-sample", item).hidden = !cause.sample;
  $(".cause-input", item).hidden = !cause.input;
  const width = Math.min(BAR, Math.max(3, Math.round((cause.count * BAR) / frame.counts.failed)));
  if ($("rect", item).getAttribute("width") !== String(width)) $("rect", item).setAttribute("width", width);
  paintSamples(item, cause.samples);
  paintSince($("time", item), cause.since);
  paintForms(item, cause, frame);
}

function paintSamples(item, samples) {
  $$(".cause-samples a", item).forEach((link, i) => {
    const row = samples[i];
    link.hidden = !row;
    if (!row || link.dataset.item === String(row)) return;
    link.dataset.item = row;
    link.href = `${$("#job").dataset.items}${row}/`;
    setText(link, number(row));
  });
}

function paintSince(time, since) {
  const told = new Date(since * 1000);
  if (Math.abs(new Date(time.dateTime) - told) < 1000) return;
  time.dateTime = told.toISOString();
  localTimes(time.parentNode);
}

function paintForms(item, cause, frame) {
  const [accept, back] = [$(".cause-accept", item), $(".cause-back", item)];
  if (!accept) return;
  const able = frame.actions.includes("accept");
  accept.hidden = !able || settled(cause);
  back.hidden = !able || !cause.accepted;
}

function newCause(cause) {
  const item = $("#cause-template").content.firstElementChild.cloneNode(true);
  item.dataset.cause = cause.id;
  for (const field of $$('[name="cause"]', item)) field.value = cause.id;
  for (const link of $$('.actions a', item)) {
    for (const name of ["href", "hx-get", "hx-push-url"]) {
      if (link.hasAttribute(name)) link.setAttribute(name, link.getAttribute(name).replace("cause=", `cause=${cause.id}`));
    }
  }
  window.htmx?.process(item);
  return item;
}
