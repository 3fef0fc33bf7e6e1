// SPDX-License-Identifier: MIT
// The Responses API, Cohere's and Ollama's clients, unmodified, before every kind of model; and the other
// way round. The environment says where (OPENAI_BASE_URL, ANTHROPIC_BASE_URL, HOST_URL) and with what.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { CohereClientV2 } from "cohere-ai";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { ask, made, parameters, run, test, throws, words } from "./harness.mjs";

const key = process.env.OPENAI_API_KEY;
const host = new URL(process.env.OPENAI_BASE_URL).origin;
const openai = new OpenAI({ maxRetries: 0 });
const anthropic = new Anthropic({ maxRetries: 0 });
const cohere = new CohereClientV2({ token: key, environment: host, maxRetries: 0 });
const ollama = new Ollama({ host, headers: { authorization: `Bearer ${key}` } });
const GPT = "openai/gpt-4o-mini";
const CLAUDE = "anthropic/claude-haiku-4.5";
const GEMINI = "google/gemini-2.5-flash";
const GEMINI3 = "google/gemini-3-pro-preview";
const COMMAND = "cohere/command-a-03-2025";
const LLAMA = "ollama/llama3.1";
const RESPONSES = process.env.RESPONSES_MODEL; // a provider that speaks Responses, where there is one
const AZURE = process.env.AZURE_MODEL;
const BEDROCK = process.env.BEDROCK_MODEL;
const flat = { type: "function", name: "weather", description: "The weather", parameters, strict: false };
const nested = { type: "function", function: { name: "weather", description: "The weather", parameters } };
const messagesTool = { name: "weather", description: "The weather", input_schema: parameters };

// ---- the Responses API before everybody's models -------------------------------------------------------

for (const model of [GPT, CLAUDE, GEMINI, GEMINI3, COMMAND, LLAMA, RESPONSES, BEDROCK].filter(Boolean)) {
  test(`responses before ${model}: whole`, async () => {
    const answer = await openai.responses.create({ model, input: "hi [[sim: words=7]]", instructions: "Be short.", store: false });
    assert.equal(answer.status, "completed");
    assert.equal(words(answer.output_text), 7);
    assert.equal(answer.usage.output_tokens, 7);
    assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + 7);
  });
  test(`responses before ${model}: streamed, as Codex sends it`, async () => {
    const seen = [];
    let text = "", last = null, sequence = -1;
    const stream = await openai.responses.create({
      model, stream: true, store: false, instructions: "You are a coding agent.", tools: [flat, { type: "web_search" }],
      tool_choice: "auto", parallel_tool_calls: false, include: ["reasoning.encrypted_content"], prompt_cache_key: "k",
      input: [{ type: "message", role: "developer", content: [{ type: "input_text", text: "Be careful." }] },
        { type: "message", role: "user", content: [{ type: "input_text", text: "hi [[sim: words=30]]" }] }],
    });
    for await (const event of stream) {
      assert.equal(event.sequence_number, ++sequence);
      if (seen.at(-1) !== event.type) seen.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.equal(words(text), 30);
    assert.equal(last.type, "response.completed");
    assert.equal(words(last.response.output[0].content[0].text), 30);
    assert.ok(last.response.id.startsWith("resp_"));
    assert.ok(last.response.usage.total_tokens > 30);
    for (const type of ["response.created", "response.output_item.added", "response.output_item.done"])
      assert.ok(seen.includes(type), `${type} in ${seen}`);
  });
  test(`responses before ${model}: a tool loop, streamed`, async () => {
    const input = [{ role: "user", content: "weather in Kiel?" }];
    const calls = [];
    const stream = await openai.responses.create({ model, stream: true, store: false, input, tools: [flat] });
    for await (const event of stream)
      if (event.type === "response.output_item.done") {
        input.push(event.item);
        if (event.item.type === "function_call") calls.push(event.item);
      }
    assert.equal(calls.length, 1);
    assert.equal(calls[0].name, "weather");
    assert.deepEqual(JSON.parse(calls[0].arguments), made);
    input.push({ type: "function_call_output", call_id: calls[0].call_id, output: "rain" });
    const second = await openai.responses.create({ model, store: false, input, tools: [flat] });
    assert.ok(words(second.output_text) > 0);
  });
  test(`responses before ${model}: length is said`, async () => {
    const answer = await openai.responses.create({ model, input: "hi [[sim: words=50]]", max_output_tokens: 5 });
    assert.equal(answer.status, "incomplete");
    assert.equal(answer.incomplete_details.reason, "max_output_tokens");
  });
  test(`responses before ${model}: a stream that is cut is an error`, async () => {
    let text = "";
    await assert.rejects(async () => {
      const stream = await openai.responses.create({ model, stream: true, input: "hi [[sim: words=60, cut_after_bytes=4500]]" });
      for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
    });
  });
}
test("responses: previous_response_id is refused, and named", async () => {
  const error = await throws(400, () => openai.responses.create({ model: GPT, input: "x", previous_response_id: "resp_1" }));
  assert.match(error.message, /previous_response_id/);
});
test("responses: an unknown tool is refused, and named", async () => {
  const error = await throws(400, () => openai.responses.create({ model: GPT, input: "x", tools: [{ type: "computer_use_preview" }] }));
  assert.match(error.message, /computer_use_preview/);
});

// ---- chat completions and messages before the rest ------------------------------------------------------

for (const model of [COMMAND, LLAMA, RESPONSES, AZURE, BEDROCK].filter(Boolean)) {
  test(`openai before ${model}: chat and stream`, async () => {
    const answer = await openai.chat.completions.create({ model, messages: ask("hi [[sim: words=7]]"), temperature: 0.5 });
    assert.equal(words(answer.choices[0].message.content), 7);
    assert.equal(answer.usage.completion_tokens, 7);
    let text = "", finish = null, usage = null;
    for await (const chunk of await openai.chat.completions.create({ model, stream: true, stream_options: { include_usage: true }, messages: ask("hi [[sim: words=30]]") })) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.equal(words(text), 30);
    assert.equal(finish, "stop");
    assert.equal(usage.completion_tokens, 30);
  });
  test(`openai before ${model}: a tool loop`, async () => {
    const messages = ask("weather in Kiel?");
    const answer = await openai.chat.completions.stream({ model, messages, tools: [nested] }).finalChatCompletion();
    const [call] = answer.choices[0].message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), made);
    messages.push(answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" });
    const second = await openai.chat.completions.create({ model, messages, tools: [nested] });
    assert.ok(words(second.choices[0].message.content) > 0);
    assert.equal(second.choices[0].finish_reason, "stop");
  });
  test(`anthropic before ${model}: a tool loop`, async () => {
    const messages = ask("weather in Kiel?");
    const answer = await anthropic.messages.stream({ model, max_tokens: 100, messages, tools: [messagesTool] }).finalMessage();
    const use = answer.content.find((block) => block.type === "tool_use");
    assert.deepEqual(use.input, made);
    messages.push({ role: "assistant", content: answer.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "rain" }] });
    const second = await anthropic.messages.create({ model, max_tokens: 100, messages, tools: [messagesTool] });
    assert.ok(words(second.content[0].text) > 0);
  });
  test(`openai before ${model}: a stream that is cut is an error`, async () => {
    await assert.rejects(async () => {
      const stream = await openai.chat.completions.create({ model, stream: true, messages: ask("hi [[sim: words=60, cut_after_bytes=3500]]") });
      for await (const chunk of stream) void chunk;
    });
  });
  test(`openai before ${model}: errors of the provider`, async () => {
    await throws(400, () => openai.chat.completions.create({ model, messages: ask("x [[sim: status=400]]") }));
    await throws(429, () => openai.chat.completions.create({ model, messages: ask("x [[sim: status=429]]") }));
  });
}

test("openai: completions, whole and streamed; nobody else's", async () => {
  const answer = await openai.completions.create({ model: GPT, prompt: "hi [[sim: words=7]]", max_tokens: 50 });
  assert.equal(words(answer.choices[0].text), 7);
  assert.equal(answer.usage.completion_tokens, 7);
  let text = "";
  for await (const chunk of await openai.completions.create({ model: GPT, prompt: "hi [[sim: words=20]]", stream: true }))
    text += chunk.choices[0]?.text ?? "";
  assert.equal(words(text), 20);
  await throws(400, () => openai.completions.create({ model: CLAUDE, prompt: "hi" }));
});

// ---- models that take tools at the other endpoint only ---------------------------------------------------

for (const attempts of [2, 1, 1]) // learned by the first call, on each worker
  test(`openai before gpt-5.4: tools go to /responses (${attempts})`, async () => {
    const { data, response } = await openai.chat.completions
      .create({ model: "openai/gpt-5.4", messages: ask("weather?"), tools: [nested] }).withResponse();
    assert.deepEqual(JSON.parse(data.choices[0].message.tool_calls[0].function.arguments), made);
    assert.ok(Number(response.headers.get("x-berth-attempts")) <= 2);
  });
test("what a translation leaves out is named", async () => {
  const { response } = await openai.chat.completions
    .create({ model: CLAUDE, messages: ask("hi [[sim: words=2]]"), store: true }).withResponse();
  assert.equal(response.headers.get("x-berth-dropped"), "store");
});

// ---- Cohere's and Ollama's clients -----------------------------------------------------------------------

for (const model of [COMMAND, GPT, CLAUDE]) {
  test(`cohere-ai before ${model}: chat, stream, tools`, async () => {
    const answer = await cohere.chat({ model, messages: ask("hi [[sim: words=7]]") });
    assert.equal(words(answer.message.content[0].text), 7);
    assert.equal(answer.finishReason, "COMPLETE");
    assert.equal(answer.usage.tokens.outputTokens, 7);
    let text = "", end = null;
    for await (const event of await cohere.chatStream({ model, messages: ask("hi [[sim: words=20]]") })) {
      if (event.type === "content-delta") text += event.delta.message.content.text;
      if (event.type === "message-end") end = event;
    }
    assert.equal(words(text), 20);
    assert.equal(end.delta.finishReason, "COMPLETE");
    const called = await cohere.chat({ model, messages: ask("weather?"), tools: [nested] });
    assert.equal(called.finishReason, "TOOL_CALL");
    assert.deepEqual(JSON.parse(called.message.toolCalls[0].function.arguments), made);
  });
}
for (const model of [LLAMA, GPT, CLAUDE]) {
  test(`ollama before ${model}: chat, stream, tools`, async () => {
    const answer = await ollama.chat({ model, messages: ask("hi [[sim: words=7]]") });
    assert.equal(words(answer.message.content), 7);
    assert.equal(answer.done_reason, "stop");
    assert.equal(answer.eval_count, 7);
    let text = "", done = false;
    for await (const line of await ollama.chat({ model, stream: true, messages: ask("hi [[sim: words=20]]") })) {
      text += line.message.content;
      done = line.done;
    }
    assert.equal(words(text), 20);
    assert.ok(done);
    const called = await ollama.chat({ model, messages: ask("weather?"), tools: [nested] });
    assert.deepEqual(called.message.tool_calls[0].function.arguments, made);
  });
}

await run("sdk");
