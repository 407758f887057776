import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

const vendor = new URL("../../jobs/static/vendor/", import.meta.url);
const SHA256 = {
  "inter/inter-latin-wght-normal.woff2": "3100e775e8616cd2611beecfa23a4263d7037586789b43f035236a2e6fbd4c62",
  "uplot/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
  "uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
};

for (const [path, expected] of Object.entries(SHA256)) {
  test(`it serves ${path} as it was published`, () => {
    const hash = createHash("sha256").update(readFileSync(new URL(path, vendor))).digest("hex");
    assert.equal(hash, expected);
  });
}

test("it keeps the licences of what it serves", () => {
  for (const name of ["inter", "lucide", "uplot"]) assert.ok(existsSync(new URL(`${name}/LICENSE`, vendor)));
});
