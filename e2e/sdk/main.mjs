// SPDX-License-Identifier: MIT
// The vendors' unmodified SDKs from inside a container. The environment says where (OPENAI_BASE_URL,
// ANTHROPIC_BASE_URL) and with what (OPENAI_API_KEY, ANTHROPIC_API_KEY: the container's own token);
// nothing else is configured. Prints "ok NAME" or "not ok NAME: REASON"; exit 1 when any is not ok.
import assert from "node:assert/strict";
import http2 from "node:http2";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { ask, parameters, run, test, throws as thrown, words } from "./harness.mjs";

const openai = new OpenAI({ maxRetries: 0 });
const anthropic = new Anthropic({ maxRetries: 0 });
const GPT = "openai/gpt-4o-mini";
const CLAUDE = "anthropic/claude-haiku-4.5";
const functionTool = { type: "function", function: { name: "weather", description: "The weather", parameters } };
const messagesTool = { name: "weather", description: "The weather", input_schema: parameters };

// thrown by call(), an instance of `type` with this status
const throws = (type, status, call) => thrown(status, call, type);

// ---- what both kinds of model must do behind the OpenAI SDK ------------------------------------------

for (const [kind, model] of [["own dialect", GPT], ["translated", CLAUDE]]) {
  test(`openai, ${kind}: chat`, async () => {
    const answer = await openai.chat.completions.create({ model, messages: ask("hi [[sim: words=7]]") });
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices.length, 1);
    assert.equal(words(answer.choices[0].message.content), 7);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.completion_tokens, 7);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + 7);
  });
  test(`openai, ${kind}: chat, developer and system messages, history`, async () => {
    const answer = await openai.chat.completions.create({
      model,
      temperature: 0.5,
      stop: ["END"],
      max_completion_tokens: 50,
      messages: [
        { role: "developer", content: "Be short." },
        { role: "user", content: [{ type: "text", text: "What is this?" }] },
        { role: "assistant", content: "A test." },
        { role: "user", content: "go on [[sim: words=3]]" },
      ],
    });
    assert.equal(words(answer.choices[0].message.content), 3);
  });
  test(`openai, ${kind}: length is said`, async () => {
    const answer = await openai.chat.completions.create({ model, max_tokens: 5, messages: ask("hi [[sim: words=50]]") });
    assert.equal(answer.choices[0].finish_reason, "length");
    assert.equal(words(answer.choices[0].message.content), 5);
  });
  test(`openai, ${kind}: stream`, async () => {
    let text = "", finish = null, usage = null, chunks = 0;
    const stream = await openai.chat.completions.create({
      model, stream: true, stream_options: { include_usage: true }, messages: ask("hi [[sim: words=40]]"),
    });
    for await (const chunk of stream) {
      assert.equal(chunk.object, "chat.completion.chunk");
      chunks++;
      if (chunk.usage) usage = chunk.usage;
      if (chunk.choices.length === 0) continue;
      text += chunk.choices[0].delta.content ?? "";
      finish = chunk.choices[0].finish_reason ?? finish;
    }
    assert.equal(words(text), 40);
    assert.equal(finish, "stop");
    assert.equal(usage.completion_tokens, 40);
    assert.ok(chunks > 20, `${chunks} chunks`);
  });
  test(`openai, ${kind}: stream without usage has none`, async () => {
    const stream = await openai.chat.completions.create({ model, stream: true, messages: ask("hi [[sim: words=4]]") });
    for await (const chunk of stream) {
      assert.ok(!chunk.usage, "nobody asked for usage");
      assert.equal(chunk.choices.length, 1);
    }
  });
  test(`openai, ${kind}: stream helper`, async () => {
    const stream = openai.chat.completions.stream({ model, messages: ask("hi [[sim: words=9]]") });
    const answer = await stream.finalChatCompletion();
    assert.equal(words(answer.choices[0].message.content), 9);
    assert.equal(answer.choices[0].finish_reason, "stop");
  });
  test(`openai, ${kind}: tool call`, async () => {
    const messages = ask("weather in Kiel?");
    const answer = await openai.chat.completions.create({ model, messages, tools: [functionTool] });
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.type, "function");
    assert.equal(call.function.name, "weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "value", days: 1 });
    messages.push(answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" });
    const second = await openai.chat.completions.create({ model, messages, tools: [functionTool] });
    assert.ok(words(second.choices[0].message.content) > 0);
    assert.equal(second.choices[0].finish_reason, "stop");
  });
  test(`openai, ${kind}: tool call, streamed`, async () => {
    const stream = openai.chat.completions.stream({ model, messages: ask("weather?"), tools: [functionTool] });
    const pieces = [];
    stream.on("tool_calls.function.arguments.delta", (event) => pieces.push(event.arguments_delta));
    const answer = await stream.finalChatCompletion();
    const [call] = answer.choices[0].message.tool_calls;
    assert.ok(call.id.length > 0);
    assert.equal(call.function.name, "weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "value", days: 1 });
    assert.equal(pieces.join(""), call.function.arguments);
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
  });
  test(`openai, ${kind}: tool runner`, async () => {
    let seen = null;
    const runner = openai.chat.completions.runTools({
      model, messages: ask("weather?"),
      tools: [{ type: "function", function: { function: (input) => ((seen = input), "rain"), parse: JSON.parse,
        name: "weather", description: "The weather", parameters } }],
    });
    const text = await runner.finalContent();
    assert.deepEqual(seen, { city: "value", days: 1 });
    assert.ok(words(text) > 0);
  });
}

// ---- and behind the Anthropic SDK --------------------------------------------------------------------

for (const [kind, model] of [["own dialect", CLAUDE], ["translated", GPT]]) {
  test(`anthropic, ${kind}: message`, async () => {
    const answer = await anthropic.messages.create({ model, max_tokens: 100, messages: ask("hi [[sim: words=7]]") });
    assert.equal(answer.type, "message");
    assert.equal(answer.role, "assistant");
    assert.equal(answer.content[0].type, "text");
    assert.equal(words(answer.content[0].text), 7);
    assert.equal(answer.stop_reason, "end_turn");
    assert.equal(answer.usage.output_tokens, 7);
    assert.ok(answer.usage.input_tokens > 0);
  });
  test(`anthropic, ${kind}: system, blocks, history`, async () => {
    const answer = await anthropic.messages.create({
      model, max_tokens: 100, temperature: 0.5, stop_sequences: ["END"],
      system: [{ type: "text", text: "Be short.", cache_control: { type: "ephemeral" } }],
      messages: [
        { role: "user", content: "What is this?" },
        { role: "assistant", content: [{ type: "text", text: "A test." }] },
        { role: "user", content: [{ type: "text", text: "go on [[sim: words=3]]" }] },
      ],
    });
    assert.equal(words(answer.content[0].text), 3);
  });
  test(`anthropic, ${kind}: length is said`, async () => {
    const answer = await anthropic.messages.create({ model, max_tokens: 5, messages: ask("hi [[sim: words=50]]") });
    assert.equal(answer.stop_reason, "max_tokens");
    assert.equal(answer.usage.output_tokens, 5);
  });
  test(`anthropic, ${kind}: stream`, async () => {
    const events = [];
    let text = "";
    const stream = await anthropic.messages.create({
      model, max_tokens: 100, stream: true, messages: ask("hi [[sim: words=40]]"),
    });
    for await (const event of stream) {
      if (events.at(-1) !== event.type) events.push(event.type);
      if (event.type === "content_block_delta") text += event.delta.text;
    }
    assert.equal(words(text), 40);
    assert.deepEqual(events.filter((type) => type !== "ping"), ["message_start", "content_block_start",
      "content_block_delta", "content_block_stop", "message_delta", "message_stop"]);
  });
  test(`anthropic, ${kind}: stream helper`, async () => {
    const answer = await anthropic.messages.stream({ model, max_tokens: 100, messages: ask("hi [[sim: words=9]]") })
      .finalMessage();
    assert.equal(words(answer.content[0].text), 9);
    assert.equal(answer.usage.output_tokens, 9);
    assert.equal(answer.stop_reason, "end_turn");
  });
  test(`anthropic, ${kind}: tool use`, async () => {
    const messages = ask("weather in Kiel?");
    const answer = await anthropic.messages.create({ model, max_tokens: 100, messages, tools: [messagesTool] });
    assert.equal(answer.stop_reason, "tool_use");
    const use = answer.content.find((block) => block.type === "tool_use");
    assert.equal(use.name, "weather");
    assert.deepEqual(use.input, { city: "value", days: 1 });
    messages.push({ role: "assistant", content: answer.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "rain" }] });
    const second = await anthropic.messages.create({ model, max_tokens: 100, messages, tools: [messagesTool] });
    assert.equal(second.stop_reason, "end_turn");
    assert.ok(words(second.content[0].text) > 0);
  });
  test(`anthropic, ${kind}: tool use, streamed`, async () => {
    let json = "";
    const stream = anthropic.messages.stream({ model, max_tokens: 100, messages: ask("weather?"), tools: [messagesTool] });
    stream.on("inputJson", (delta) => (json += delta));
    const answer = await stream.finalMessage();
    const use = answer.content.find((block) => block.type === "tool_use");
    assert.ok(use.id.length > 0);
    assert.deepEqual(use.input, { city: "value", days: 1 });
    assert.deepEqual(JSON.parse(json), use.input);
    assert.equal(answer.stop_reason, "tool_use");
  });
}

// ---- the rest of the OpenAI surface ------------------------------------------------------------------

test("openai: embeddings as the SDK asks (base64 inside)", async () => {
  const answer = await openai.embeddings.create({ model: "text-embedding-3-small", input: "hello", dimensions: 64 });
  assert.equal(answer.data[0].embedding.length, 64);
  assert.ok(answer.data[0].embedding.every((x) => Number.isFinite(x) && Math.abs(x) <= 1));
  assert.ok(answer.usage.prompt_tokens > 0);
});
test("openai: embeddings, floats, several", async () => {
  const answer = await openai.embeddings.create({
    model: "openai/text-embedding-3-small", input: ["a", "b", "c"], encoding_format: "float",
  });
  assert.equal(answer.data.length, 3);
  assert.deepEqual(answer.data.map((row) => row.index), [0, 1, 2]);
  const same = await openai.embeddings.create({ model: "openai/text-embedding-3-small", input: ["a"] });
  assert.ok(Math.abs(same.data[0].embedding[0] - answer.data[0].embedding[0]) < 1e-6, "both encodings agree");
});
test("openai: models.list", async () => {
  const ids = [];
  for await (const model of openai.models.list()) ids.push(model.id);
  for (const id of [GPT, CLAUDE]) assert.ok(ids.includes(id), `${id} in ${ids.length} models`);
});
test("openai: a bare model name", async () => {
  const answer = await openai.chat.completions.create({ model: "gpt-4o-mini", messages: ask("hi [[sim: words=2]]") });
  assert.equal(words(answer.choices[0].message.content), 2);
});
test("openai: headers say what it was", async () => {
  const { response, request_id } = await openai.chat.completions
    .create({ model: GPT, messages: ask("hi [[sim: words=2]]") }).withResponse();
  assert.match(request_id, /^req_/);
  assert.equal(response.headers.get("x-provider"), "openai");
  assert.match(response.headers.get("x-berth-cost"), /^[0-9]+[.][0-9]{2,9}$/);
});
test("openai: a stream that is left early", async () => {
  const stream = await openai.chat.completions.create({
    model: GPT, stream: true, messages: ask("hi [[sim: words=10000, chunk_ms=5]]"),
  });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  const answer = await openai.chat.completions.create({ model: GPT, messages: ask("hi [[sim: words=2]]") });
  assert.equal(words(answer.choices[0].message.content), 2);
});

// ---- errors have the vendors' types ------------------------------------------------------------------

test("openai: unknown model", async () => {
  const error = await throws(OpenAI.NotFoundError, 404, () =>
    openai.chat.completions.create({ model: "gpt-4o-mimi", messages: ask("hi") }));
  assert.match(error.message, /gpt-4o-mini/, "names a near match");
  assert.equal(error.code, "model_not_found");
  assert.match(error.requestID ?? "", /^req_/);
});
test("anthropic: unknown model", async () => {
  const error = await throws(Anthropic.NotFoundError, 404, () =>
    anthropic.messages.create({ model: "claude-haiku-4.6", max_tokens: 5, messages: ask("hi") }));
  assert.equal(error.error.error.type, "not_found_error");
  assert.match(error.requestID ?? "", /^req_/);
});
test("openai: another container's token", () =>
  throws(OpenAI.AuthenticationError, 401, () =>
    new OpenAI({ apiKey: "container-somebody-else", maxRetries: 0 }).models.list()));
test("anthropic: another container's token", async () => {
  const error = await throws(Anthropic.AuthenticationError, 401, () =>
    new Anthropic({ apiKey: "container-somebody-else", maxRetries: 0 })
      .messages.create({ model: CLAUDE, max_tokens: 5, messages: ask("hi") }));
  assert.equal(error.error.error.type, "authentication_error");
});
test("openai: bad request", () =>
  throws(OpenAI.BadRequestError, 400, () => openai.chat.completions.create({ model: GPT, messages: "hi" })));
test("anthropic: bad request", () =>
  throws(Anthropic.BadRequestError, 400, () => anthropic.messages.create({ model: CLAUDE, messages: ask("hi") })));
test("openai: more than the wallet covers", async () => {
  const error = await throws(OpenAI.APIError, 402, () =>
    openai.chat.completions.create({ model: "openai/gpt-4o", max_tokens: 99999999, messages: ask("hi") }));
  assert.equal(error.headers.get("x-should-retry"), "false");
});
test("anthropic: more than the wallet covers", () =>
  throws(Anthropic.APIError, 402, () =>
    anthropic.messages.create({ model: "anthropic/claude-opus-4.1", max_tokens: 99999999, messages: ask("hi"), stream: true })));
test("openai: the provider's own 429", () =>
  throws(OpenAI.RateLimitError, 429, () =>
    openai.chat.completions.create({ model: GPT, messages: ask("hi [[sim: status=429, retry_after=1]]") })));
test("openai: the provider breaks off in the middle", async () => {
  let text = "";
  await throws(OpenAI.APIError, undefined, async () => {
    const stream = await openai.chat.completions.create({
      model: GPT, stream: true, messages: ask("hi [[sim: words=50, error_event_after=10]]"),
    });
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  });
  assert.ok(words(text) >= 9, text);
});
test("anthropic, translated: the provider breaks off in the middle", async () => {
  let text = "";
  await throws(Anthropic.APIError, undefined, async () => {
    const stream = await anthropic.messages.create({
      model: GPT, max_tokens: 100, stream: true, messages: ask("hi [[sim: words=50, cut_after_bytes=3000]]"),
    });
    for await (const event of stream) if (event.type === "content_block_delta") text += event.delta.text;
  });
  assert.ok(words(text) > 0, text);
});

// ---- HTTP/2 with prior knowledge ---------------------------------------------------------------------

function chatStream(session, number) {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST", ":path": `${new URL(process.env.OPENAI_BASE_URL).pathname}/chat/completions`,
      authorization: `Bearer ${process.env.OPENAI_API_KEY}`, "content-type": "application/json",
    });
    let status = 0, body = "";
    stream.setEncoding("utf8");
    stream.on("response", (head) => (status = head[":status"]));
    stream.on("data", (text) => (body += text));
    stream.on("error", reject);
    stream.on("end", () => resolve({ status, body }));
    stream.end(JSON.stringify({
      model: number % 2 ? GPT : CLAUDE, stream: true, messages: ask(`${number} [[sim: words=30, chunk_ms=10]]`),
    }));
  });
}
test("HTTP/2, prior knowledge: 100 parallel streams on one connection", async () => {
  const session = http2.connect(new URL(process.env.OPENAI_BASE_URL).origin);
  try {
    const start = Date.now();
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => chatStream(session, i)));
    const took = Date.now() - start;
    for (const { status, body } of answers) {
      assert.equal(status, 200, body);
      assert.ok(body.endsWith("data: [DONE]\n\n"), body.slice(-100));
      const text = body.split("\n").filter((line) => line.startsWith("data: {"))
        .map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? "").join("");
      assert.equal(words(text), 30);
    }
    assert.ok(took < 6000, `took ${took} ms: one after the other?`);
    console.log(`# 100 streams of 30 words, 10 ms apart: ${took} ms`);
  } finally {
    session.destroy();
  }
});

await run("sdk");
