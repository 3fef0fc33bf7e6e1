// SPDX-License-Identifier: MIT
// The frameworks above the SDKs, unmodified, one adapter each (walk.mjs): Vercel's ai, LangChain, LlamaIndex.
// The environment says where and with what, where the client reads it.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { tool as langchainTool } from "@langchain/core/tools";
import { OpenAIEmbeddings } from "@langchain/openai";
import { OpenAI as LlamaOpenAI, OpenAIEmbedding } from "@llamaindex/openai";
import { APICallError, embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { AgentExecutor, createToolCallingAgent } from "langchain/agents";
import { initChatModel } from "langchain/chat_models/universal";
import { tool as llamaTool } from "llamaindex";
import { z } from "zod";
import { ask, run } from "./harness.mjs";
import { walk, CLAUDE, COMMAND, GEMINI, GPT } from "./walk.mjs";

const stranger = "container-somebody-else";
const place = z.object({ city: z.string(), days: z.number().int() });
const weather = { name: "weather", description: "The weather" };

// ---- ai ---------------------------------------------------------------------------------------------------

globalThis.AI_SDK_LOG_WARNINGS = false; // it does not know our models' limits
const base = `${process.env.GOOGLE_GEMINI_BASE_URL}/v1beta`; // this one reads no variable for it
const google = (apiKey) => createGoogleGenerativeAI({ apiKey, baseURL: base });
const aiEmbed = async (values) => (await embedMany({ model: createOpenAI().textEmbeddingModel("text-embedding-3-small"), values,
  maxRetries: 0, providerOptions: { openai: { dimensions: 64 } } })).embeddings;

// Responses are not stored, so the client has to send its items whole: store: false.
for (const [client, own, others, make, more] of [
  ["ai + @ai-sdk/openai (responses)", GPT, [CLAUDE, GEMINI, COMMAND], (apiKey) => createOpenAI({ apiKey }),
    { providerOptions: { openai: { store: false } } }],
  ["ai + @ai-sdk/openai (chat)", GPT, [CLAUDE, GEMINI, COMMAND], (apiKey) => createOpenAI({ apiKey }).chat, {}],
  ["ai + @ai-sdk/anthropic", CLAUDE, [GPT, GEMINI, COMMAND], (apiKey) => createAnthropic({ apiKey }), {}],
  ["ai + @ai-sdk/google", GEMINI, [GPT, CLAUDE, COMMAND], (apiKey) => google(apiKey ?? process.env.GEMINI_API_KEY), {}],
]) {
  const about = (model, prompt) => ({ model: make()(model), prompt, maxRetries: 0, ...more });
  walk(client, {
    own, others,
    status: (error) => (APICallError.isInstance(error) ? error.statusCode : `not the ai SDK's: ${error}`),
    async chat(model, prompt, maxOutputTokens) {
      const { text, usage } = await generateText({ ...about(model, prompt), maxOutputTokens });
      return { text, input: usage.inputTokens, output: usage.outputTokens };
    },
    async stream(model, prompt) {
      const answer = streamText({ ...about(model, prompt), onError() {} });
      let text = "", pieces = 0;
      for await (const piece of answer.textStream) {
        text += piece;
        pieces++;
      }
      return { text, pieces, output: (await answer.usage).outputTokens };
    },
    async tool(model) {
      const seen = [];
      const execute = async (input) => (seen.push(input), "rain");
      const { text } = await generateText({ ...about(model, "weather?"), stopWhen: stepCountIs(3),
        tools: { weather: tool({ description: weather.description, inputSchema: place, execute }) } });
      return { text, seen };
    },
    object: async (model) => (await generateObject({ ...about(model, "weather?"), schema: place })).object,
    embed: client.includes("openai") ? aiEmbed : undefined,
    stranger: () => generateText({ ...about(own, "hi"), model: make(stranger)(own) }),
  });
}

// ---- LangChain --------------------------------------------------------------------------------------------

const langchainEmbed = (texts) =>
  new OpenAIEmbeddings({ model: "text-embedding-3-small", dimensions: 64, maxRetries: 0 }).embedDocuments(texts);
for (const [client, modelProvider, own, others, embed] of [
  ["langchain + @langchain/openai", "openai", GPT, [CLAUDE, GEMINI, COMMAND], langchainEmbed],
  ["langchain + @langchain/anthropic", "anthropic", CLAUDE, [GPT, GEMINI, COMMAND], undefined],
]) {
  const make = (model, more) => initChatModel(model, { modelProvider, maxRetries: 0, ...more });
  walk(client, {
    own, others, embed,
    status: (error) => error.status ?? `no status: ${error}`, // the vendor's error, with lc_error_code
    async chat(model, text, maxTokens) {
      const answer = await (await make(model, { maxTokens, streaming: maxTokens !== undefined })).invoke(text);
      return { text: answer.text, input: answer.usage_metadata.input_tokens, output: answer.usage_metadata.output_tokens };
    },
    async stream(model, text) {
      let whole;
      let pieces = 0;
      for await (const piece of await (await make(model)).stream(text)) {
        whole = whole ? whole.concat(piece) : piece;
        pieces++;
      }
      // Anthropic's provisional count is added to the last one by this client, whoever answers.
      return { text: whole.text, pieces, output: modelProvider === "openai" ? whole.usage_metadata.output_tokens : undefined };
    },
    async tool(model) {
      const seen = [];
      const tools = [langchainTool(async (input) => (seen.push(input), "rain"), { ...weather, schema: place })];
      const prompt = ChatPromptTemplate.fromMessages([["system", "Be short."], ["human", "{input}"], ["placeholder", "{agent_scratchpad}"]]);
      const agent = createToolCallingAgent({ llm: await make(model), tools, prompt });
      const { output } = await new AgentExecutor({ agent, tools }).invoke({ input: "weather?" });
      return { text: typeof output === "string" ? output : output.map((part) => part.text).join(""), seen };
    },
    object: async (model) => (await make(model)).withStructuredOutput(place).invoke("weather?"),
    stranger: async () => (await make(own, { apiKey: stranger })).invoke("hi"),
  });
}

// ---- LlamaIndex -------------------------------------------------------------------------------------------

const llama = (model, more) => new LlamaOpenAI({ model, maxRetries: 0, ...more });
walk("llamaindex + @llamaindex/openai", {
  own: GPT, others: [CLAUDE, GEMINI, COMMAND],
  status: (error) => error.status ?? `no status: ${error}`,
  async chat(model, text, maxTokens) {
    const { message, raw } = await llama(model, { maxTokens }).chat({ messages: ask(text) });
    return { text: message.content, input: raw.usage.prompt_tokens, output: raw.usage.completion_tokens };
  },
  async stream(model, content) {
    let text = "", pieces = 0;
    for await (const { delta } of await llama(model).chat({ messages: ask(content), stream: true })) {
      text += delta;
      pieces++;
    }
    return { text, pieces };
  },
  async tool(model) {
    const seen = [];
    const tools = [llamaTool({ ...weather, parameters: place, execute: (input) => (seen.push(input), "rain") })];
    const { newMessages } = await llama(model).exec({ messages: ask("weather?"), tools });
    const { message } = await llama(model).chat({ messages: [...ask("weather?"), ...newMessages] });
    return { text: message.content, seen };
  },
  object: async (model) => (await llama(model).exec({ messages: ask("weather?"), responseFormat: place })).object,
  embed: (texts) => new OpenAIEmbedding({ model: "text-embedding-3-small", dimensions: 64, maxRetries: 0 }).getTextEmbeddingsBatch(texts),
  stranger: () => llama(GPT, { apiKey: stranger }).chat({ messages: ask("hi") }),
});

await run("sdk");
