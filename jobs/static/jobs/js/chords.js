// Which keys were pressed, told apart from typing. Pure, so that it can be tested without a page.

const WITHIN = 1500; // milliseconds in which the second key of two must follow the first

/** Puts single keys and two keys one after the other (“g j”) together. */
export class Chords {
  constructor(names) {
    this.names = new Set(names);
    this.firsts = new Set(names.filter((name) => name.includes(" ")).map((name) => name.split(" ")[0]));
    this.begun = "";
    this.at = 0;
  }

  /** The name of what `key`, pressed at that moment (milliseconds), completes; null while there is none. */
  press(key, at) {
    const both = this.begun && at - this.at < WITHIN ? `${this.begun} ${key}` : "";
    this.begun = "";
    if (this.names.has(both)) return both;
    if (this.firsts.has(key)) {
      this.begun = key;
      this.at = at;
      return null;
    }
    return this.names.has(key) ? key : null;
  }
}

/** Whether the key is somebody's who types, who uses the browser's own keys, or who has been answered already. */
export function taken(event, inField, inDialog) {
  return event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || inField || inDialog;
}
