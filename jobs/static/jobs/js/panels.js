// The small panels of a job's page that change whose it is and what it is called, and the menu of a phone.

import { $, $$, setText } from "./shell.js";

function close(panel) {
  panel.open = false;
  $("summary", panel).focus();
}

/** The list of people is the server's; the panel stays open, and who works with the keyboard stays in it. */
function takeSharing(page) {
  const [now, fresh] = [$("#sharing-in"), $("#sharing-in", page)];
  if (!now || !fresh) return;
  now.replaceWith(document.adoptNode(fresh));
  setText($("#owner"), $("#owner", page).textContent);
  setText($("#sharing > summary span"), $("#sharing > summary span", page).textContent);
  $("#share-person")?.focus();
}

function acted({ target, detail: { page, refused } }) {
  if (refused) return; // what was typed stays
  if (target.closest("#sharing")) takeSharing(page);
  if (target.closest("#rename")) close($("#rename"));
}

/** Where there is little room, what is pressed rarely is a menu. */
function fold(phone) {
  $("#more").classList.toggle("menu", phone.matches);
  $("#more").open = !phone.matches;
}

export function startPanels() {
  const phone = matchMedia("(width < 720px)");
  phone.addEventListener("change", () => fold(phone));
  fold(phone);
  document.addEventListener("acted", (event) => event.target instanceof Element && acted(event));
  for (const panel of $$("#sharing, #rename")) {
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !panel.open) return;
      event.stopPropagation();
      close(panel);
    });
    panel.addEventListener("toggle", () => panel.open && $("input:not([type=hidden])", panel)?.select());
  }
}
