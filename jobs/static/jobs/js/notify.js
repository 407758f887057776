// Tells the person when a job that they watch has ended: once, however many tabs show it.

import { endOf, ends, first, said } from "./job_end.js";
import { $, setText } from "./shell.js";

const ASK = "Tell me when it is done";
const TOLD = "You are told when it is done";

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
    setText($("span", this.button), this.state === "on" ? TOLD : ASK);
    if (this.state !== "denied") $("p", this.box).hidden = true;
  }

  async #press() {
    if (this.state === "default") await Notification.requestPermission();
    if (this.state === "denied") $("p", this.box).hidden = false;
    else if (this.state !== "default") localStorage.setItem("tell", this.state === "on" ? "off" : "on");
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
