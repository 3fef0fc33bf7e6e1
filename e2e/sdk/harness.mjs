// SPDX-License-Identifier: MIT
// What the SDK tests share: test(name, body), run(prefix), and small words. Prints "ok NAME" or
// "not ok NAME: REASON"; run() ends the process with 1 when any is not ok. A test may say whose capability
// it shows: [client, capability]; run() prints these as "# claim", a row of docs/clients.md, with "yes"
// when all of its tests hold.
import assert from "node:assert/strict";

export const ask = (text) => [{ role: "user", content: text }];
export const words = (text) => (text ?? "").split(" ").filter((word) => word !== "").length;
export const parameters = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city"],
};
export const made = { city: "value", days: 1 }; // what the simulator makes of these

const tests = [];
export const test = (name, body, claim) => tests.push({ name, body, claim });
// Either answer is fine here; docs/clients.md says which one it is.
export const probe = (body, claim) => tests.push({ body, claim });

async function bounded(body) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("no answer in 20 s")), 20000)));
  try {
    await Promise.race([body(), late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function run(prefix) {
  let bad = 0;
  const claims = new Map();
  for (const { name, body, claim } of tests) {
    let reason = null;
    await bounded(body).catch((error) => (reason = String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 400)));
    if (claim) claims.set(claim.join("\t"), reason === null && claims.get(claim.join("\t")) !== "no" ? "yes" : "no");
    if (name === undefined) {
      if (reason !== null) console.log(`# ${claim.join(": ")}: ${reason}`);
      continue;
    }
    if (reason !== null) bad++;
    console.log(reason === null ? `ok ${prefix}: ${name}` : `not ok ${prefix}: ${name}: ${reason}`);
  }
  for (const [claim, holds] of claims) console.log(`# claim\t${claim}\t${holds}`);
  process.exit(bad === 0 ? 0 : 1);
}

// what call() throws, which has this status
export async function throws(status, call, type = Error) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.status, status, `${error.constructor.name} ${error.message}`);
    assert.ok(error instanceof type, `a ${error.constructor.name}, not a ${type.name}: ${error.message}`);
    return error;
  }
  assert.fail("nothing was thrown");
}
