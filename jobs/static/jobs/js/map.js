// The card of the item map on a job's page: keeps the map at the numbers that the page shows, and its buttons in step.

import "./itemmap.js";
import { Feed } from "./mapcells.js";
import { $, setText } from "./shell.js";

const WITHOUT = ["loading", "ready", "invalid"]; // states in which there is nothing to see yet

async function fetchCells(address) {
  const answer = await fetch(address);
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  return { seq: Number(answer.headers.get("X-Seq")), bytes: new Uint8Array(await answer.arrayBuffer()) };
}

/** The map's part in the page: take(frame, changes) and paint(). `refresh` fetches newer numbers. */
export function itemMap(refresh) {
  const card = $("#map");
  const map = $("item-map", card);
  const later = (action, ms) => setTimeout(action, ms);
  map.source = new Feed({ fetch: () => fetchCells(map.getAttribute("src")), refresh, changed: () => map.request(), world: { later } });
  control(card, map);

  function take(frame, changes) {
    const wanted = frame.total > 0 && !frame.trial && !WITHOUT.includes(frame.state);
    if (wanted) map.source.take(frame, changes);
    card.toggleAttribute("data-idle", !wanted);
  }

  function paint() {
    card.hidden = card.hasAttribute("data-idle");
    if (!card.hidden) map.draw();
  }

  return { take, paint };
}

function control(card, map) {
  const [failed, farther, closer] = ["failed", "farther", "closer"].map((name) => $(`[data-map="${name}"]`, card));
  const asked = () => $("#items")?.dataset.stateFilter ?? "";
  const filter = (name) => map.setAttribute("filter", name);
  const onlyFailed = () => map.getAttribute("filter") === "failed";
  failed.addEventListener("click", () => filter(onlyFailed() ? asked().replace(/^failed$/, "") : "failed"));
  closer.addEventListener("click", () => map.zoomBy(1));
  farther.addEventListener("click", () => map.zoomBy(-1));
  map.addEventListener("map-drawn", ({ detail }) => {
    setText($("#map-caption"), detail.caption);
    failed.setAttribute("aria-pressed", onlyFailed());
    // Not `disabled`, which would take the focus away from the button that was pressed.
    closer.setAttribute("aria-disabled", !detail.closer);
    farther.setAttribute("aria-disabled", !detail.farther);
  });
  // What the table shows is what the map shows.
  document.addEventListener("htmx:afterSwap", ({ target }) => target.id === "items" && filter(asked()));
  filter(asked());
}
