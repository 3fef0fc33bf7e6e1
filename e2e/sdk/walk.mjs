// SPDX-License-Identifier: MIT
// What every client must do, whoever wrote it: walk(client, adapter) makes the checks of one client out of
// the few calls that its adapter knows; a capability that the adapter lacks is not checked. An adapter:
//   own, others            a model of the client's own vendor; models of other vendors
//   costly                 a model that costs something, when `own` does not
//   chat(model, text, limit)   { text, input, output }          tokens; limit: of the output
//   stream(model, text)        { text, pieces, output }         output undefined: it does not say
//   tool(model)                { seen, text }                   a call of `weather`, its result sent back
//   object(model)              a structured answer              as `parameters` wants it
//   embed(texts)               vectors of 64 numbers
//   stranger()                 a call with another container's token
//   status(error)              the HTTP status, when it is the client's own type of error
import assert from "node:assert/strict";
import { made, probe, test, words } from "./harness.mjs";

export const GPT = "openai/gpt-4o-mini";
export const CLAUDE = "anthropic/claude-haiku-4.5";
export const GEMINI = "google/gemini-2.5-flash";
export const COMMAND = "cohere/command-a-03-2025";

// The capabilities with models, as (adapter, model) => nothing or an assertion's error
const each = {
  async chat(adapter, model) {
    const { text } = await adapter.chat(model, "hi [[sim: words=7]]");
    assert.equal(words(text), 7);
  },
  async streams(adapter, model) {
    const { text, pieces } = await adapter.stream(model, "hi [[sim: words=40]]");
    assert.equal(words(text), 40);
    assert.ok(pieces > 20, `${pieces} pieces`);
  },
  async tools(adapter, model) {
    const { seen, text } = await adapter.tool(model);
    assert.deepEqual(seen, [made]);
    assert.ok(words(text) > 0, "an answer after the result");
  },
  async "structured output"(adapter, model) {
    assert.deepEqual(await adapter.object(model), made);
  },
};
const needs = { chat: "chat", streams: "stream", tools: "tool", "structured output": "object" };

async function refused(adapter, status, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(adapter.status(error), status, `${error?.constructor?.name} ${error?.message}`);
    return;
  }
  assert.fail("nothing was thrown");
}

export function walk(client, adapter) {
  for (const [capability, check] of Object.entries(each)) {
    if (!adapter[needs[capability]]) continue;
    test(`${client}: ${capability}`, () => check(adapter, adapter.own), [client, capability]);
    for (const model of adapter.others)
      test(`${client} before ${model}: ${capability}`, () => check(adapter, model), [client, "other vendors"]);
  }
  test(`${client}: usage`, async () => {
    const { input, output } = await adapter.chat(adapter.own, "hi [[sim: words=7]]");
    assert.equal(output, 7);
    assert.ok(input > 0 && input < 20, `${input} tokens in`);
    const streamed = await adapter.stream(adapter.own, "hi [[sim: words=40]]");
    assert.equal(streamed.output ?? 40, 40);
  }, [client, "usage"]);
  test(`${client}: errors have its own types`, async () => {
    await refused(adapter, 401, adapter.stranger);
    await refused(adapter, 402, () => adapter.chat(adapter.costly ?? adapter.own, "hi", 99999999));
    await refused(adapter, 404, () => adapter.chat("gpt-4o-mimi", "hi"));
    await refused(adapter, 429, () => adapter.chat(adapter.own, "hi [[sim: status=429]]"));
  }, [client, "errors"]);
  if (adapter.embed)
    probe(async () => {
      const vectors = await adapter.embed(["anchor", "berth", "anchor"]);
      assert.deepEqual(vectors.map((vector) => vector.length), [64, 64, 64]);
      assert.deepEqual(vectors[0], vectors[2]);
      assert.notDeepEqual(vectors[0], vectors[1]);
    }, [client, "embeddings"]);
}
