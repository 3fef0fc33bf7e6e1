// SPDX-License-Identifier: MIT
// @google/genai, unmodified, before every kind of model; and the other vendors' SDKs before Gemini's.
// The environment says where (GOOGLE_GEMINI_BASE_URL, OPENAI_BASE_URL, ANTHROPIC_BASE_URL) and with what.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI, Type } from "@google/genai";
import OpenAI from "openai";
import { ask, made, parameters, run, test, throws, words } from "./harness.mjs";

const genai = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY });
const openai = new OpenAI({ maxRetries: 0 });
const anthropic = new Anthropic({ maxRetries: 0 });
const GEMINI = "google/gemini-2.5-flash";
const GEMINI3 = "google/gemini-3-pro-preview"; // wants its signatures back
const GPT = "openai/gpt-4o-mini";
const CLAUDE = "anthropic/claude-haiku-4.5";
const declaration = {
  name: "weather", description: "The weather",
  parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING }, days: { type: Type.INTEGER } }, required: ["city"] },
};

for (const [kind, model] of [["own dialect", GEMINI], ["by OpenAI", GPT], ["by Anthropic", CLAUDE]]) {
  test(`genai, ${kind}: text`, async () => {
    const answer = await genai.models.generateContent({ model, contents: "hi [[sim: words=7]]" });
    assert.equal(words(answer.text), 7);
    assert.equal(answer.candidates[0].finishReason, "STOP");
    assert.equal(answer.usageMetadata.candidatesTokenCount, 7);
    assert.equal(answer.usageMetadata.totalTokenCount, answer.usageMetadata.promptTokenCount + 7);
  });
  test(`genai, ${kind}: system, history, settings`, async () => {
    const answer = await genai.models.generateContent({
      model,
      contents: [
        { role: "user", parts: [{ text: "What is this?" }] },
        { role: "model", parts: [{ text: "A test." }] },
        { role: "user", parts: [{ text: "go on [[sim: words=3]]" }] },
      ],
      config: { systemInstruction: "Be short.", temperature: 0.5, maxOutputTokens: 50, stopSequences: ["END"],
        safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_NONE" }] },
    });
    assert.equal(words(answer.text), 3);
  });
  test(`genai, ${kind}: length is said`, async () => {
    const answer = await genai.models.generateContent({
      model, contents: "hi [[sim: words=50]]", config: { maxOutputTokens: 5 },
    });
    assert.equal(answer.candidates[0].finishReason, "MAX_TOKENS");
    assert.equal(words(answer.text), 5);
  });
  test(`genai, ${kind}: stream`, async () => {
    let text = "", last = null, chunks = 0;
    for await (const chunk of await genai.models.generateContentStream({ model, contents: "hi [[sim: words=40]]" })) {
      text += chunk.text ?? "";
      chunks++;
      last = chunk;
    }
    assert.equal(words(text), 40);
    assert.ok(chunks > 20, `${chunks} chunks`);
    assert.equal(last.candidates[0].finishReason, "STOP");
    assert.equal(last.usageMetadata.candidatesTokenCount, 40);
  });
  test(`genai, ${kind}: stream as one JSON array`, async () => {
    const answer = await fetch(`${process.env.GOOGLE_GEMINI_BASE_URL}/v1beta/models/${model}:streamGenerateContent`, {
      method: "POST",
      headers: { "x-goog-api-key": process.env.GEMINI_API_KEY, "content-type": "application/json" },
      body: JSON.stringify({ contents: [{ parts: [{ text: "hi [[sim: words=9]]" }] }] }),
    });
    assert.match(answer.headers.get("content-type"), /^application\/json/);
    const list = await answer.json();
    assert.ok(list.length > 5, `${list.length} elements`);
    assert.equal(words(list.map((one) => one.candidates[0].content.parts[0].text).join("")), 9);
    assert.equal(list.at(-1).candidates[0].finishReason, "STOP");
  });
  test(`genai, ${kind}: a stream that is cut is an error`, async () => {
    let text = "";
    await assert.rejects(async () => {
      const stream = await genai.models.generateContentStream({ model, contents: "hi [[sim: words=50, cut_after_bytes=3000]]" });
      for await (const chunk of stream) text += chunk.text ?? "";
    });
    assert.ok(words(text) > 0, text);
  });
  test(`genai, ${kind}: function call and result`, async () => {
    const contents = [{ role: "user", parts: [{ text: "weather in Kiel?" }] }];
    const config = { tools: [{ functionDeclarations: [declaration] }] };
    const answer = await genai.models.generateContent({ model, contents, config });
    const [call] = answer.functionCalls;
    assert.equal(call.name, "weather");
    assert.deepEqual(call.args, made);
    contents.push(answer.candidates[0].content,
      { role: "user", parts: [{ functionResponse: { id: call.id, name: call.name, response: { result: "rain" } } }] });
    const second = await genai.models.generateContent({ model, contents, config });
    assert.ok(words(second.text) > 0);
    assert.equal(second.candidates[0].finishReason, "STOP");
  });
  test(`genai, ${kind}: function call, streamed`, async () => {
    const calls = [];
    const stream = await genai.models.generateContentStream({
      model, contents: "weather?", config: { tools: [{ functionDeclarations: [declaration] }] },
    });
    for await (const chunk of stream) calls.push(...(chunk.functionCalls ?? []));
    assert.equal(calls.length, 1);
    assert.deepEqual(calls[0].args, made);
  });
  test(`genai, ${kind}: chat with memory, streamed`, async () => {
    const chat = genai.chats.create({ model });
    for (const count of [4, 6]) {
      let text = "";
      for await (const chunk of await chat.sendMessageStream({ message: `hi [[sim: words=${count}]]` })) text += chunk.text ?? "";
      assert.equal(words(text), count);
    }
  });
  test(`genai, ${kind}: countTokens`, async () => {
    const { totalTokens } = await genai.models.countTokens({ model, contents: "how many tokens are these?" });
    assert.ok(totalTokens > 5 && totalTokens < 200, `${totalTokens}`);
  });
}

test("genai: models.list", async () => {
  const names = [];
  for await (const model of await genai.models.list()) names.push(model.name);
  for (const id of [GEMINI, GPT, CLAUDE]) assert.ok(names.includes(`models/${id}`), `${id} in ${names.length}`);
});
test("genai: an unknown model is 404 in its own shape", async () => {
  const error = await throws(404, () => genai.models.generateContent({ model: "google/gemini-0", contents: "x" }));
  assert.match(error.message, /NOT_FOUND/);
});
test("genai: a wrong key is 401", async () => {
  const stranger = new GoogleGenAI({ apiKey: "nobody" });
  await throws(401, () => stranger.models.generateContent({ model: GEMINI, contents: "x" }));
});
test("genai: a field that cannot be carried is named", async () => {
  const error = await throws(400, () => genai.models.generateContent({ model: GPT, contents: "x", config: { tools: [{ codeExecution: {} }] } }));
  assert.match(error.message, /codeExecution/);
});

// ---- other vendors' clients before Gemini --------------------------------------------------------------

for (const model of [GEMINI, GEMINI3]) {
  test(`openai before ${model}: chat and stream`, async () => {
    const answer = await openai.chat.completions.create({ model, messages: ask("hi [[sim: words=7]]"), seed: 7, presence_penalty: 0.5 });
    assert.equal(words(answer.choices[0].message.content), 7);
    assert.equal(answer.usage.completion_tokens, 7);
    let text = "", finish = null;
    for await (const chunk of await openai.chat.completions.create({ model, stream: true, messages: ask("hi [[sim: words=30]]") })) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    assert.equal(words(text), 30);
    assert.equal(finish, "stop");
  });
  test(`openai before ${model}: a tool loop, its signature carried`, async () => {
    const tools = [{ type: "function", function: { name: "weather", description: "The weather", parameters } }];
    const messages = ask("weather in Kiel?");
    const answer = await openai.chat.completions.create({ model, messages, tools });
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    const [call] = answer.choices[0].message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), made);
    assert.match(call.id, /__ts_/);
    messages.push(answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" });
    const second = await openai.chat.completions.create({ model, messages, tools });
    assert.ok(words(second.choices[0].message.content) > 0);
    // another vendor's model goes on with the same history
    const other = await openai.chat.completions.create({ model: CLAUDE, messages, tools });
    assert.ok(words(other.choices[0].message.content) > 0);
  });
  test(`anthropic before ${model}: a tool loop, streamed`, async () => {
    const tools = [{ name: "weather", description: "The weather", input_schema: parameters }];
    const messages = ask("weather in Kiel?");
    const answer = await anthropic.messages.stream({ model, max_tokens: 100, messages, tools }).finalMessage();
    assert.equal(answer.stop_reason, "tool_use");
    const use = answer.content.find((block) => block.type === "tool_use");
    assert.deepEqual(use.input, made);
    messages.push({ role: "assistant", content: answer.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "rain" }] });
    const second = await anthropic.messages.create({ model, max_tokens: 100, messages, tools });
    assert.ok(words(second.content[0].text) > 0);
    assert.equal(second.stop_reason, "end_turn");
  });
}
for (const model of [CLAUDE, GPT, GEMINI])
  test(`anthropic: count_tokens before ${model}`, async () => {
    const { input_tokens } = await anthropic.messages.countTokens({ model, messages: ask("how many tokens are these?") });
    assert.ok(input_tokens > 5 && input_tokens < 200, `${input_tokens}`);
  });

await run("sdk");
