import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

const vendor = new URL("../../jobs/static/vendor/", import.meta.url);
const SHA256 = {
  "inter/inter-latin-wght-normal.woff2": "3100e775e8616cd2611beecfa23a4263d7037586789b43f035236a2e6fbd4c62",
};

for (const [path, expected] of Object.entries(SHA256)) {
  test(`it serves ${path} as it was published`, () => {
    const hash = createHash("sha256").update(readFileSync(new URL(path, vendor))).digest("hex");
    assert.equal(hash, expected);
  });
}

test("it keeps the licences of what it serves", () => {
  for (const name of ["inter", "lucide"]) assert.ok(existsSync(new URL(`${name}/LICENSE`, vendor)));
});
