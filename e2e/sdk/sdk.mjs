// SPDX-License-Identifier: MIT
// Runs inside a container with nothing but base URLs and the container's token in its environment:
// the vendors' unmodified packages and a bare HTTP/2 client. Prints "ok NAME" / "not ok NAME: REASON".
import Anthropic from "@anthropic-ai/sdk";
import { connect } from "node:http2";
import OpenAI from "openai";

let bad = 0;
async function test(name, body) {
  try {
    await body();
    console.log(`ok ${name}`);
  } catch (error) {
    bad++;
    console.log(`not ok ${name}: ${String(error.stack ?? error).replaceAll("\n", " ").slice(0, 400)}`);
  }
}
function must(condition, message) {
  if (!condition) throw new Error(message);
}

const openai = new OpenAI({ maxRetries: 0 }); // OPENAI_BASE_URL, OPENAI_API_KEY = container-NAME
const anthropic = new Anthropic({ maxRetries: 0 }); // ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY
const gpt = "openai/gpt-4o-mini";
const claude = "anthropic/claude-haiku-4.5";
const messages = [{ role: "user", content: "hello [[sim: words=12]]" }];
const question = [{ role: "user", content: "what is the weather?" }];
const weather = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const openaiTools = [{ type: "function", function: { name: "get_weather", description: "weather", parameters: weather } }];
const anthropicTools = [{ name: "get_weather", description: "weather", input_schema: weather }];

await test("environment holds no key", async () => {
  const names = Object.keys(process.env).filter((name) => /KEY|TOKEN|SECRET/.test(name));
  must(names.every((name) => process.env[name].startsWith("container-")), names.join());
});

for (const model of [gpt, claude]) {
  await test(`openai chat, ${model}`, async () => {
    const { data, response } = await openai.chat.completions.create({ model, messages }).withResponse();
    must(data.choices[0].message.content.split(" ").length === 12, data.choices[0].message.content);
    must(data.usage.completion_tokens === 12, JSON.stringify(data.usage));
    must(/^0\.\d+$/.test(response.headers.get("x-berth-cost")), "x-berth-cost");
  });
  await test(`openai stream, ${model}`, async () => {
    let text = "";
    let usage = null;
    const stream = await openai.chat.completions.create({
      model, messages, stream: true, stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    must(text.trim().split(/\s+/).length === 12, text);
    must(usage?.completion_tokens === 12, JSON.stringify(usage));
  });
  await test(`openai tool call and its answer, ${model}`, async () => {
    const first = await openai.chat.completions.create({ model, messages: question, tools: openaiTools });
    const call = first.choices[0].message.tool_calls[0];
    must(first.choices[0].finish_reason === "tool_calls", first.choices[0].finish_reason);
    must(typeof JSON.parse(call.function.arguments).city === "string", call.function.arguments);
    const second = await openai.chat.completions.create({
      model, tools: openaiTools,
      messages: [...question, first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }],
    });
    must(second.choices[0].message.content.length > 0, "no text");
  });
  await test(`openai streamed tool call, ${model}`, async () => {
    const stream = openai.chat.completions.stream({ model, messages: question, tools: openaiTools });
    const final = await stream.finalChatCompletion();
    must(typeof JSON.parse(final.choices[0].message.tool_calls[0].function.arguments).city === "string", "city");
  });
  await test(`anthropic messages, ${model}`, async () => {
    const message = await anthropic.messages.create({ model, messages, max_tokens: 100 });
    must(message.content[0].text.split(" ").length === 12, JSON.stringify(message.content));
    must(message.usage.output_tokens === 12, JSON.stringify(message.usage));
  });
  await test(`anthropic messages streamed, ${model}`, async () => {
    const stream = anthropic.messages.stream({ model, messages, max_tokens: 100 });
    const message = await stream.finalMessage();
    must(message.content[0].text.trim().split(/\s+/).length === 12, JSON.stringify(message.content));
    must(message.stop_reason === "end_turn", message.stop_reason);
    must(message.usage.output_tokens === 12, JSON.stringify(message.usage));
  });
  await test(`anthropic tool use, streamed, ${model}`, async () => {
    const stream = anthropic.messages.stream({ model, messages: question, max_tokens: 100, tools: anthropicTools });
    const message = await stream.finalMessage();
    const use = message.content.find((block) => block.type === "tool_use");
    must(typeof use.input.city === "string", JSON.stringify(message.content));
    must(message.stop_reason === "tool_use", message.stop_reason);
  });
}

await test("openai embeddings", async () => {
  const reply = await openai.embeddings.create({ model: "openai/text-embedding-3-small", input: ["one", "two"] });
  must(reply.data.length === 2 && reply.data[1].embedding.length > 8, JSON.stringify(reply).slice(0, 200));
});
await test("openai models", async () => {
  const ids = [];
  for await (const model of openai.models.list()) ids.push(model.id);
  must(ids.includes(gpt) && ids.includes(claude), ids.slice(0, 5).join());
});
await test("an unknown model is the SDK's NotFoundError", async () => {
  const error = await openai.chat.completions.create({ model: "openai/gpt-4o-minx", messages }).catch((e) => e);
  must(error instanceof OpenAI.NotFoundError, String(error));
  must(/gpt-4o-mini/.test(error.message), error.message);
});
await test("a foreign token is the SDK's AuthenticationError", async () => {
  const error = await new OpenAI({ maxRetries: 0, apiKey: "container-somebody" }).models.list().catch((e) => e);
  must(error instanceof OpenAI.AuthenticationError, String(error));
  const other = await new Anthropic({ maxRetries: 0, apiKey: "container-somebody" }).messages
    .create({ model: claude, messages, max_tokens: 10 }).catch((e) => e);
  must(other instanceof Anthropic.AuthenticationError, String(other));
});

await test("100 parallel streams on one HTTP/2 connection", async () => {
  const url = new URL(process.env.OPENAI_BASE_URL);
  const session = connect(url.origin); // clear text, prior knowledge
  const failed = new Promise((_, reject) => session.on("error", reject));
  const one = (i) => new Promise((resolve, reject) => {
    const words = 5 + (i % 20);
    const request = session.request({
      ":method": "POST", ":path": `${url.pathname}/chat/completions`, "content-type": "application/json",
      authorization: `Bearer ${process.env.OPENAI_API_KEY}`,
    });
    let text = "";
    let status = 0;
    request.on("response", (headers) => (status = headers[":status"]));
    request.on("data", (bytes) => (text += bytes));
    request.on("error", reject);
    request.on("end", () => {
      const parts = text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
      const answer = parts.map((part) => part.choices[0]?.delta?.content ?? "").join("");
      if (status !== 200 || !text.includes("data: [DONE]") || answer.trim().split(/\s+/).length !== words)
        reject(new Error(`stream ${i}: ${status} ${text.slice(0, 200)}`));
      else resolve();
    });
    request.end(JSON.stringify({
      model: i % 2 ? gpt : claude, stream: true, max_tokens: 100,
      messages: [{ role: "user", content: `stream ${i} [[sim: words=${words}, chunk_ms=10]]` }],
    }));
  });
  await Promise.race([failed, Promise.all(Array.from({ length: 100 }, (_, i) => one(i)))]);
  session.close();
});
process.exit(bad === 0 ? 0 : 1);
