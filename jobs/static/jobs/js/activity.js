// Who did what: what is new is put on top, and nothing that is there is drawn again.

import { $, $$, localTimes, setText } from "./shell.js";

const KEPT = 20;

/** A page that missed more than a frame tells begins its list anew, so that nothing seems to lie between. */
export function paintActivity({ activity }) {
  const list = $("#activity ul");
  const known = new Set($$("[data-activity]", list).map((item) => item.dataset.activity));
  const fresh = activity.filter(({ id }) => !known.has(String(id)));
  if (!fresh.length) return;
  if (fresh.length === activity.length) list.replaceChildren();
  const items = fresh.map(drawn);
  list.prepend(...items);
  localTimes(list);
  if (known.size) items.forEach((item) => item.classList.add("fresh"));
  for (const item of [...list.children].slice(KEPT)) item.remove();
}

function drawn({ id, at, text, by, file }) {
  const item = $("#activity-template").content.firstElementChild.cloneNode(true);
  item.dataset.activity = id;
  $("time", item).dateTime = at;
  setText($(".activity-text", item), text);
  setText($(".quiet", item), by ? `by ${by}` : "");
  const link = $("a", item);
  if (file) link.setAttribute("href", link.getAttribute("href").replace(/0\/$/, `${file}/`));
  else link.remove();
  return item;
}
