// Tells the person when a job that they watch has ended: once, however many tabs show it.

import { number } from "./format.js";
import { active } from "./hero.js";
import { $, setText } from "./shell.js";

const KEPT = 50; // ends that this browser remembers as told
const SHORT = 80; // characters of a cause

/** What the notification says: how it ended, the counts, and what most of the failures have in common. */
export function said({ label, name, counts, causes, reason, state }) {
  const parts = [`${number(counts.succeeded)} succeeded`];
  for (const name of ["failed", "rejected"]) if (counts[name]) parts.push(`${number(counts[name])} ${name}`);
  if (counts.not_attempted) parts.push(`${number(counts.not_attempted)} not attempted`);
  const lines = state === "invalid" ? [reason] : [`${parts.join(", ")}.`];
  const [most] = causes;
  if (most) lines.push(`Most: ${short(most)}, ${number(most.count)} item${most.count === 1 ? "" : "s"}.`);
  return { title: `${label}: ${name}`, body: lines.join(" ") };
}

function short({ kind, title }) {
  const text = title ? `${kind}: ${title}` : kind;
  return text.length > SHORT ? `${text.slice(0, SHORT - 1)}…` : text;
}

/** Which end this is: a retry has another one. */
const endOf = (frame) => `${frame.job} ${frame.run} ${frame.ended}`;

/** Whether the job has ended between the two frames. */
export const ends = (before, frame) => active(before) && !active(frame);

/** Whether this tab is the one that tells; the others find it noted. Wants the lock. */
export function first(end, storage) {
  const told = JSON.parse(storage.getItem("told") ?? "[]");
  if (told.includes(end)) return false;
  storage.setItem("told", JSON.stringify([end, ...told].slice(0, KEPT)));
  return true;
}

const WORDS = {
  default: "Tell me when it is done",
  off: "Tell me when it is done",
  on: "You are told when it is done",
  denied: "Tell me when it is done",
};

export class Teller {
  /** `box` holds the button; a browser that knows no notifications, or a page without TLS, has neither. */
  constructor(box) {
    this.box = box;
    if (!("Notification" in window) || !navigator.locks) return box.remove();
    this.button = $("button", box);
    this.button.addEventListener("click", () => this.#press());
    // Another tab may have switched it, and the person may have changed the browser's settings.
    addEventListener("storage", () => this.paint());
    document.addEventListener("visibilitychange", () => this.paint());
    this.paint();
  }

  get state() {
    if (Notification.permission !== "granted") return Notification.permission;
    return localStorage.getItem("tell") === "on" ? "on" : "off";
  }

  paint() {
    this.button.ariaPressed = String(this.state === "on");
    setText($("span", this.button), WORDS[this.state]);
    $("p", this.box).hidden = this.state !== "denied";
  }

  async #press() {
    if (this.state === "default") await Notification.requestPermission();
    const wanted = this.state === "off" ? "on" : "off";
    if (Notification.permission === "granted") localStorage.setItem("tell", wanted);
    this.paint();
  }

  take(before, frame) {
    if (!this.button || this.state !== "on" || !ends(before, frame)) return;
    navigator.locks.request("told", () => first(endOf(frame), localStorage) && this.#tell(frame));
  }

  #tell(frame) {
    const { title, body } = said(frame);
    try {
      const shown = new Notification(title, { body, tag: `batchweb ${frame.job}`, icon: $("#icon").href });
      shown.addEventListener("click", () => {
        window.focus();
        shown.close();
      });
    } catch {
      // Phones show notifications of service workers only.
    }
  }
}
