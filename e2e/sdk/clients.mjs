// SPDX-License-Identifier: MIT
// The vendors' own SDKs, unmodified, one adapter each (walk.mjs): chat completions, Responses, Messages,
// Gemini, Cohere, Mistral, Ollama. The environment says where and with what, where the client reads it.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI, ApiError } from "@google/genai";
import { MistralError } from "@mistralai/mistralai/models/errors/mistralerror.js";
import { Mistral } from "@mistralai/mistralai";
import { CohereClientV2, CohereError } from "cohere-ai";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { ask, parameters, run, test } from "./harness.mjs";
import { walk, CLAUDE, COMMAND, GEMINI, GPT } from "./walk.mjs";

const key = process.env.OPENAI_API_KEY;
const stranger = "container-somebody-else";
const host = new URL(process.env.OPENAI_BASE_URL).origin;
const nested = { type: "function", function: { name: "weather", description: "The weather", parameters } };
const strict = { ...parameters, required: ["city", "days"], additionalProperties: false };
// Joins the texts that take(event) finds.
async function gather(stream, take) {
  let text = "", pieces = 0, output;
  for await (const event of stream) {
    const found = take(event);
    text += found.text ?? "";
    pieces += found.text ? 1 : 0;
    output = found.output ?? output;
  }
  return { text, pieces, output };
}

// ---- OpenAI: chat completions ---------------------------------------------------------------------------

const openai = new OpenAI({ maxRetries: 0 });
const chatFormat = { type: "json_schema", json_schema: { name: "place", strict: true, schema: strict } };
const openaiStatus = (error) => (error instanceof OpenAI.APIError ? error.status : `not OpenAI's: ${error}`);
walk("openai (chat completions)", {
  own: GPT, others: [CLAUDE, GEMINI, COMMAND], status: openaiStatus,
  async chat(model, text, limit) {
    const answer = await openai.chat.completions.create({ model, messages: ask(text), max_completion_tokens: limit });
    return { text: answer.choices[0].message.content, input: answer.usage.prompt_tokens, output: answer.usage.completion_tokens };
  },
  stream: async (model, text) =>
    gather(await openai.chat.completions.create({ model, messages: ask(text), stream: true, stream_options: { include_usage: true } }),
      (chunk) => ({ text: chunk.choices[0]?.delta.content, output: chunk.usage?.completion_tokens })),
  async tool(model) {
    const seen = [];
    const runner = openai.chat.completions.runTools({ model, messages: ask("weather?"), tools: [{ type: "function",
      function: { ...nested.function, parse: JSON.parse, function: (input) => (seen.push(input), "rain") } }] });
    return { text: await runner.finalContent(), seen };
  },
  async object(model) {
    const answer = await openai.chat.completions.parse({ model, messages: ask("weather?"), response_format: chatFormat });
    return JSON.parse(answer.choices[0].message.content);
  },
  embed: async (input) =>
    (await openai.embeddings.create({ model: "text-embedding-3-small", input, dimensions: 64 })).data.map((row) => row.embedding),
  stranger: () => new OpenAI({ apiKey: stranger, maxRetries: 0 }).chat.completions.create({ model: GPT, messages: ask("hi") }),
});

// ---- OpenAI: Responses ----------------------------------------------------------------------------------

walk("openai (responses)", {
  own: GPT, others: [CLAUDE, GEMINI, COMMAND], status: openaiStatus,
  async chat(model, input, limit) {
    const answer = await openai.responses.create({ model, input, max_output_tokens: limit });
    return { text: answer.output_text, input: answer.usage.input_tokens, output: answer.usage.output_tokens };
  },
  stream: async (model, input) => gather(await openai.responses.create({ model, input, stream: true }), (event) => ({
    text: event.type === "response.output_text.delta" ? event.delta : "",
    output: event.type === "response.completed" ? event.response.usage.output_tokens : undefined })),
  async tool(model) {
    const tools = [{ type: "function", name: "weather", description: "The weather", parameters, strict: false }];
    const first = await openai.responses.create({ model, input: ask("weather?"), tools });
    const calls = first.output.filter((item) => item.type === "function_call");
    const results = calls.map((call) => ({ type: "function_call_output", call_id: call.call_id, output: "rain" }));
    const second = await openai.responses.create({ model, tools, input: [...ask("weather?"), ...first.output, ...results] });
    return { text: second.output_text, seen: calls.map((call) => JSON.parse(call.arguments)) };
  },
  async object(model) {
    const answer = await openai.responses.parse({ model, input: "weather?",
      text: { format: { type: "json_schema", name: "place", strict: true, schema: strict } } });
    return JSON.parse(answer.output_text);
  },
  stranger: () => new OpenAI({ apiKey: stranger, maxRetries: 0 }).responses.create({ model: GPT, input: "hi" }),
});

// ---- Anthropic ------------------------------------------------------------------------------------------

const anthropic = new Anthropic({ maxRetries: 0 });
const textOf = (message) => message.content.find((block) => block.type === "text")?.text;
walk("@anthropic-ai/sdk", {
  own: CLAUDE, others: [GPT, GEMINI, COMMAND],
  status: (error) => (error instanceof Anthropic.APIError ? error.status : `not Anthropic's: ${error}`),
  async chat(model, text, limit) { // streamed when it may be long, as the client wants it
    const request = { model, messages: ask(text), max_tokens: limit ?? 100 };
    const answer = await (limit ? anthropic.messages.stream(request).finalMessage() : anthropic.messages.create(request));
    return { text: textOf(answer), input: answer.usage.input_tokens, output: answer.usage.output_tokens };
  },
  stream: async (model, text) => gather(await anthropic.messages.create({ model, messages: ask(text), max_tokens: 100, stream: true }),
    (event) => ({ text: event.delta?.text, output: event.type === "message_delta" ? event.usage.output_tokens : undefined })),
  async tool(model) {
    const request = { model, max_tokens: 100, tools: [{ name: "weather", description: "The weather", input_schema: parameters }] };
    const first = await anthropic.messages.create({ ...request, messages: ask("weather?") });
    const calls = first.content.filter((block) => block.type === "tool_use");
    const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "rain" }));
    const second = await anthropic.messages.create({ ...request,
      messages: [...ask("weather?"), { role: "assistant", content: first.content }, { role: "user", content: results }] });
    return { text: textOf(second), seen: calls.map((call) => call.input) };
  },
  async object(model) {
    const answer = await anthropic.messages.create({ model, max_tokens: 100, messages: ask("weather?"),
      output_config: { format: { type: "json_schema", schema: strict } } });
    return JSON.parse(textOf(answer));
  },
  stranger: () => new Anthropic({ apiKey: stranger, maxRetries: 0 }).messages.create({ model: CLAUDE, max_tokens: 5, messages: ask("hi") }),
});

// ---- Google ---------------------------------------------------------------------------------------------

const genai = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY });
walk("@google/genai", {
  own: GEMINI, others: [GPT, CLAUDE, COMMAND],
  status: (error) => (error instanceof ApiError ? error.status : `not Google's: ${error}`),
  async chat(model, contents, limit) {
    const answer = await genai.models.generateContent({ model, contents, config: { maxOutputTokens: limit } });
    return { text: answer.text, input: answer.usageMetadata.promptTokenCount, output: answer.usageMetadata.candidatesTokenCount };
  },
  stream: async (model, contents) => gather(await genai.models.generateContentStream({ model, contents }),
    (chunk) => ({ text: chunk.text, output: chunk.usageMetadata?.candidatesTokenCount })),
  async tool(model) {
    const config = { tools: [{ functionDeclarations: [{ name: "weather", description: "The weather", parametersJsonSchema: parameters }] }] };
    const contents = [{ role: "user", parts: [{ text: "weather?" }] }];
    const first = await genai.models.generateContent({ model, contents, config });
    const calls = first.functionCalls;
    contents.push(first.candidates[0].content, { role: "user", parts: calls.map((call) => ({
      functionResponse: { id: call.id, name: call.name, response: { result: "rain" } } })) });
    const second = await genai.models.generateContent({ model, contents, config });
    return { text: second.text, seen: calls.map((call) => call.args) };
  },
  async object(model) {
    const answer = await genai.models.generateContent({ model, contents: "weather?",
      config: { responseMimeType: "application/json", responseJsonSchema: parameters } });
    return JSON.parse(answer.text);
  },
  embed: async (contents) => (await genai.models.embedContent({ model: "google/gemini-embedding-001", contents,
    config: { outputDimensionality: 64 } })).embeddings.map((row) => row.values),
  stranger: () => new GoogleGenAI({ apiKey: stranger }).models.generateContent({ model: GEMINI, contents: "hi" }),
});

// ---- Cohere ---------------------------------------------------------------------------------------------

const cohereWith = (token) => new CohereClientV2({ token, environment: host, maxRetries: 0 });
const cohere = cohereWith(key);
walk("cohere-ai", {
  own: COMMAND, others: [GPT, CLAUDE, GEMINI],
  status: (error) => (error instanceof CohereError ? error.statusCode : `not Cohere's: ${error}`),
  async chat(model, text, maxTokens) {
    const answer = await cohere.chat({ model, messages: ask(text), maxTokens });
    return { text: answer.message.content[0].text, input: answer.usage.tokens.inputTokens, output: answer.usage.tokens.outputTokens };
  },
  stream: async (model, text) => gather(await cohere.chatStream({ model, messages: ask(text) }), (event) => ({
    text: event.type === "content-delta" ? event.delta.message.content.text : "",
    output: event.type === "message-end" ? event.delta.usage.tokens.outputTokens : undefined })),
  async tool(model) {
    const first = await cohere.chat({ model, messages: ask("weather?"), tools: [nested] });
    const calls = first.message.toolCalls;
    const results = calls.map((call) => ({ role: "tool", toolCallId: call.id, content: "rain" }));
    const second = await cohere.chat({ model, tools: [nested],
      messages: [...ask("weather?"), { role: "assistant", toolCalls: calls }, ...results] });
    return { text: second.message.content[0].text, seen: calls.map((call) => JSON.parse(call.function.arguments)) };
  },
  async object(model) {
    const answer = await cohere.chat({ model, messages: ask("weather?"), responseFormat: { type: "json_object", jsonSchema: parameters } });
    return JSON.parse(answer.message.content[0].text);
  },
  embed: async (texts) => (await cohere.embed({ model: "cohere/embed-v4.0", texts, inputType: "search_query", embeddingTypes: ["float"],
    outputDimension: 64 })).embeddings.float,
  stranger: () => cohereWith(stranger).chat({ model: COMMAND, messages: ask("hi") }),
});

// ---- Mistral --------------------------------------------------------------------------------------------

const mistralWith = (apiKey) => new Mistral({ apiKey, serverURL: host });
const mistral = mistralWith(key);
test("@mistralai/mistralai: models.list", async () => {
  const list = await mistral.models.list();
  const chat = list.data.find((model) => model.id === (process.env.MISTRAL_MODEL ?? GPT));
  assert.ok(chat.capabilities.completionChat && list.data.some((model) => !model.capabilities.completionChat));
  assert.equal(chat.type, "base");
});
walk("@mistralai/mistralai", {
  own: process.env.MISTRAL_MODEL ?? GPT, costly: GPT, others: [GPT, CLAUDE, GEMINI, COMMAND],
  status: (error) => (error instanceof MistralError ? error.statusCode : `not Mistral's: ${error}`),
  async chat(model, text, maxTokens) {
    const answer = await mistral.chat.complete({ model, messages: ask(text), maxTokens });
    return { text: answer.choices[0].message.content, input: answer.usage.promptTokens, output: answer.usage.completionTokens };
  },
  stream: async (model, text) => gather(await mistral.chat.stream({ model, messages: ask(text) }),
    ({ data }) => ({ text: data.choices[0]?.delta.content, output: data.usage?.completionTokens })),
  async tool(model) {
    const first = await mistral.chat.complete({ model, messages: ask("weather?"), tools: [nested], toolChoice: "any" });
    const { message } = first.choices[0];
    const results = message.toolCalls.map((call) => ({ role: "tool", toolCallId: call.id, name: "weather", content: "rain" }));
    const second = await mistral.chat.complete({ model, messages: [...ask("weather?"), message, ...results], tools: [nested] });
    return { text: second.choices[0].message.content, seen: message.toolCalls.map((call) => JSON.parse(call.function.arguments)) };
  },
  async object(model) {
    const answer = await mistral.chat.complete({ model, messages: ask("weather?"),
      responseFormat: { type: "json_schema", jsonSchema: { name: "place", strict: true, schemaDefinition: strict } } });
    return JSON.parse(answer.choices[0].message.content);
  },
  embed: async (inputs) => (await mistral.embeddings.create({ model: process.env.MISTRAL_EMBED_MODEL ?? "text-embedding-3-small", inputs,
    outputDimension: 64 })).data.map((row) => row.embedding),
  stranger: () => mistralWith(stranger).chat.complete({ model: GPT, messages: ask("hi") }),
});

// ---- Ollama ---------------------------------------------------------------------------------------------

const ollamaWith = (token) => new Ollama({ host, headers: { authorization: `Bearer ${token}` } });
const ollama = ollamaWith(key);
walk("ollama", {
  own: "ollama/llama3.1", costly: GPT, others: [GPT, CLAUDE, GEMINI, COMMAND],
  status: (error) => (error.name === "ResponseError" ? error.status_code : `not Ollama's: ${error}`),
  async chat(model, text, limit) {
    const answer = await ollama.chat({ model, messages: ask(text), options: limit ? { num_predict: limit } : {} });
    return { text: answer.message.content, input: answer.prompt_eval_count, output: answer.eval_count };
  },
  stream: async (model, text) => gather(await ollama.chat({ model, messages: ask(text), stream: true }),
    (line) => ({ text: line.message.content, output: line.done ? line.eval_count : undefined })),
  async tool(model) {
    const first = await ollama.chat({ model, messages: ask("weather?"), tools: [nested] });
    const calls = first.message.tool_calls;
    const results = calls.map((call) => ({ role: "tool", tool_name: call.function.name, content: "rain" }));
    const second = await ollama.chat({ model, messages: [...ask("weather?"), first.message, ...results], tools: [nested] });
    return { text: second.message.content, seen: calls.map((call) => call.function.arguments) };
  },
  object: async (model) => JSON.parse((await ollama.chat({ model, messages: ask("weather?"), format: parameters })).message.content),
  embed: async (input) => (await ollama.embed({ model: process.env.OLLAMA_EMBED_MODEL ?? "ollama/nomic-embed-text", input, dimensions: 64 })).embeddings,
  stranger: () => ollamaWith(stranger).chat({ model: GPT, messages: ask("hi") }),
});

await run("sdk");
