// SPDX-License-Identifier: MIT
// What the SDK tests share: test(name, body), run(prefix), and small words. Prints "ok NAME" or
// "not ok NAME: REASON"; run() ends the process with 1 when any is not ok.
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
export const test = (name, body) => tests.push([name, body]);

export async function run(prefix) {
  let bad = 0;
  for (const [name, body] of tests) {
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("no answer in 20 s")), 20000)));
    try {
      await Promise.race([body(), late]);
      console.log(`ok ${prefix}: ${name}`);
    } catch (error) {
      bad++;
      console.log(`not ok ${prefix}: ${name}: ${String(error.message ?? error).replace(/\s+/g, " ").slice(0, 400)}`);
    } finally {
      clearTimeout(timer);
    }
  }
  process.exit(bad === 0 ? 0 : 1);
}

// what call() throws, which has this status
export async function throws(status, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.status, status, `${error.constructor.name} ${error.message}`);
    return error;
  }
  assert.fail("nothing was thrown");
}
