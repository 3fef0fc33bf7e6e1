// SPDX-License-Identifier: MIT
// Base URLs and credentials as clients have them who come from Azure, Vertex, Gemini's endpoint for OpenAI's clients or
// another gateway: only the host is Berth's. The environment says where (OPENAI_BASE_URL) and with what.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI, { AzureOpenAI } from "openai";
import { ask, run, test, throws, words } from "./harness.mjs";

const apiKey = process.env.OPENAI_API_KEY;
const host = new URL(process.env.OPENAI_BASE_URL).origin;
const GPT = "openai/gpt-4o-mini";
const CLAUDE = "anthropic/claude-haiku-4.5";
const GEMINI = "google/gemini-2.5-flash";
const seven = ask("hi [[sim: words=7]]");
const chat = async (client, model) => words((await client.chat.completions.create({ model, messages: seven })).choices[0].message.content);

const azure = new AzureOpenAI({ baseURL: null, endpoint: host, apiKey, apiVersion: "2024-10-21", maxRetries: 0 });
for (const model of [GPT, "gpt-4o-mini", CLAUDE, GEMINI])
  test(`AzureOpenAI: ${model}`, async () => assert.equal(await chat(azure, model), 7));
test("AzureOpenAI: the deployment counts, not the body's model", async () => {
  const deployed = new AzureOpenAI({ baseURL: null, endpoint: host, apiKey, apiVersion: "2024-10-21", deployment: "gpt-4o-mini", maxRetries: 0 });
  assert.equal(await chat(deployed, "nobody-has-this"), 7);
});
test("AzureOpenAI: stream, Responses, embeddings, models", async () => {
  let pieces = 0;
  for await (const chunk of await azure.chat.completions.create({ model: GPT, messages: seven, stream: true })) pieces += chunk.choices[0]?.delta.content ? 1 : 0;
  assert.ok(pieces > 1);
  assert.equal(words((await azure.responses.create({ model: GPT, input: seven[0].content })).output_text), 7);
  assert.ok((await azure.embeddings.create({ model: "text-embedding-3-small", input: "x" })).data[0].embedding.length > 0);
  assert.ok((await azure.models.list()).data.length > 0);
});
test("AzureOpenAI: a deployment that does not exist", () => throws(404, () => chat(azure, "nobody-has-this"), OpenAI.NotFoundError));

for (const path of ["/v1/", "/v1/v1", "/openai/v1", "/v1beta/openai/", "/api/v1", ""])
  test(`OpenAI: base URL ends in "${path}"`, async () => {
    const client = new OpenAI({ baseURL: host + path, apiKey, maxRetries: 0 });
    assert.equal(await chat(client, GPT), 7);
    assert.equal((await client.models.list()).object, "list");
  });
for (const path of ["", "/", "/anthropic"])
  test(`Anthropic: base URL ends in "${path}", one key in two fields`, async () => {
    const client = new Anthropic({ baseURL: host + path, apiKey, maxRetries: 0, defaultHeaders: { authorization: `Bearer ${apiKey}` } });
    const answer = await client.messages.create({ model: CLAUDE, max_tokens: 50, messages: seven });
    assert.equal(words(answer.content[0].text), 7);
    assert.ok((await client.messages.countTokens({ model: CLAUDE, messages: seven })).input_tokens > 0);
  });
test("Anthropic: two keys are nobody's", () => throws(401, () =>
  new Anthropic({ baseURL: host, apiKey, maxRetries: 0, defaultHeaders: { authorization: "Bearer another" } })
    .messages.create({ model: CLAUDE, max_tokens: 50, messages: seven })));

for (const path of ["", "/vertex_ai"])
  test(`genai, Vertex: base URL ends in "${path}"`, async () => {
    const vertex = new GoogleGenAI({ vertexai: true, apiKey, httpOptions: { baseUrl: host + path } });
    assert.equal(words((await vertex.models.generateContent({ model: "gemini-2.5-flash", contents: seven[0].content })).text), 7);
    let text = "";
    for await (const chunk of await vertex.models.generateContentStream({ model: "gemini-2.5-flash", contents: seven[0].content })) text += chunk.text ?? "";
    assert.equal(words(text), 7);
  });
test("Gemini by hand: the key in the query", async () => {
  const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ contents: [{ parts: [{ text: seven[0].content }] }] }) };
  const url = `${host}/v1beta/models/gemini-2.5-flash:generateContent?key=`;
  assert.equal(words((await (await fetch(url + apiKey, request)).json()).candidates[0].content.parts[0].text), 7);
  assert.equal((await fetch(`${url}container-somebody-else`, request)).status, 401);
});
test("HEAD, OPTIONS and Allow", async () => {
  const headers = { authorization: `Bearer ${apiKey}` };
  const head = await fetch(`${host}/v1/models`, { method: "HEAD", headers });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  const options = await fetch(`${host}/v1/chat/completions`, { method: "OPTIONS" });
  assert.deepEqual([options.status, options.headers.get("allow")], [204, "POST, OPTIONS"]);
  const wrong = await fetch(`${host}/v1/chat/completions`, { headers });
  assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "POST, OPTIONS"]);
});

await run("bases");
