// The colours of the states can be told apart and read, in light and dark, by people of every colour vision.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { VISIONS, contrast, difference, parse, seen } from "./colour.mjs";

const css = readFileSync(new URL("../../jobs/static/jobs/css/tokens.css", import.meta.url), "utf8");
const STATES = ["waiting", "running", "succeeded", "retrying", "failed", "rejected", "not-attempted"];
const THEMES = { light: 0, dark: 1 };

/** The colours of a token, light and dark. */
function token(name) {
  const found = css.match(new RegExp(`--${name}: (?:light-dark\\((#\\w{6}), (#\\w{6})\\)|(#\\w{6}))`));
  assert.ok(found, `--${name} is missing`);
  return found[3] ? [parse(found[3]), parse(found[3])] : [parse(found[1]), parse(found[2])];
}

for (const [theme, at] of Object.entries(THEMES)) {
  const colour = (name) => token(name)[at];
  const reads = (ink, ground, least) => {
    const ratio = contrast(colour(ink), colour(ground));
    assert.ok(ratio >= least, `${ink} on ${ground} has ${ratio.toFixed(2)}, wants ${least}`);
  };

  for (const vision of VISIONS) {
    test(`it tells states apart: ${theme}, ${vision}`, () => {
      for (const [i, one] of STATES.entries()) {
        for (const other of STATES.slice(0, i)) {
          const apart = difference(seen(colour(`fill-${one}`), vision), seen(colour(`fill-${other}`), vision));
          assert.ok(apart >= 19, `${one} and ${other} are ${apart.toFixed(1)} apart`);
        }
      }
    });
  }

  test(`it keeps what failed far from what succeeded: ${theme}`, () => {
    for (const vision of VISIONS) {
      const apart = difference(...["failed", "succeeded"].map((state) => seen(colour(`fill-${state}`), vision)));
      assert.ok(apart >= 21.5, `${apart.toFixed(1)} as seen with ${vision}`);
    }
  });

  test(`it writes states readably on their tints and on cards: ${theme}`, () => {
    for (const state of [...STATES, "paused"]) {
      reads(`text-${state}`, `tint-${state}`, 4.5);
      reads(`text-${state}`, "card", 4.5);
    }
  });

  test(`it writes text readably: ${theme}`, () => {
    for (const ground of ["bg", "card", "sunk", "hover", "accent-tint"]) {
      for (const ink of ["ink", "ink-2", "ink-3", "accent-ink"]) reads(ink, ground, 4.5);
    }
    reads("on-accent", "accent", 4.5);
  });

  test(`it draws fields and focus visibly: ${theme}`, () => {
    reads("field-line", "card", 3);
    for (const ground of ["bg", "card"]) reads("focus", ground, 5.7);
  });
}
