// SPDX-License-Identifier: MIT
// Images, speech, transcriptions and moderations by the unmodified openai SDK, reranking by Cohere's, from
// inside a container: the environment says where and with what, as in main.mjs. RERANK_MODEL: a reranker,
// FOREIGN_EMBED_MODEL: embeddings of a vendor who does not speak OpenAI's.
import assert from "node:assert/strict";
import { File } from "node:buffer";
import { CohereClientV2 } from "cohere-ai";
import OpenAI, { toFile } from "openai";
import { run, test, throws } from "./harness.mjs";

globalThis.File ??= File; // what the SDK asks for below Node.js 20
const openai = new OpenAI({ maxRetries: 0 });
const cohere = new CohereClientV2({ token: process.env.OPENAI_API_KEY, environment: process.env.ANTHROPIC_BASE_URL });
const { RERANK_MODEL: RERANK, FOREIGN_EMBED_MODEL: FOREIGN } = process.env;

// 16 kHz, 16 bit, one channel: 32,000 bytes a second
function wave(seconds) {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0), head.write("WAVEfmt ", 8), head.writeUInt32LE(16, 16), head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22), head.writeUInt32LE(16000, 24), head.writeUInt32LE(32000, 28), head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34), head.write("data", 36), head.writeUInt32LE(seconds * 32000, 40);
  return toFile(Buffer.concat([head, Buffer.alloc(seconds * 32000)]), "sea.wav", { type: "audio/wav" });
}
const picture = (name) => toFile(Buffer.from("89504e470d0a1a0a", "hex"), name, { type: "image/png" });

test("openai images: generate, as addresses", async () => {
  const made = await openai.images.generate({ model: "dall-e-3", prompt: "a boat", size: "1792x1024", quality: "hd" });
  assert.match(made.data[0].url, /^https:/);
}, ["`openai`", "images"]);
test("openai images: generate, by tokens", async () => {
  const made = await openai.images.generate({ model: "openai/gpt-image-1", prompt: "a boat", quality: "low", n: 2 });
  assert.equal(made.data.length, 2);
  assert.equal(made.usage.output_tokens, 2 * 272);
}, ["`openai`", "images"]);
test("openai images: streamed", async () => {
  const types = [];
  for await (const event of await openai.images.generate({ model: "gpt-image-1", prompt: "a boat", stream: true, partial_images: 1 }))
    types.push(event.type);
  assert.deepEqual(types, ["image_generation.partial_image", "image_generation.completed"]);
}, ["`openai`", "images"]);
test("openai images: edit of two", async () => {
  const made = await openai.images.edit({ model: "gpt-image-1", image: [await picture("a.png"), await picture("b.png")], prompt: "both", quality: "low" });
  assert.equal(made.usage.input_tokens_details.image_tokens, 200);
}, ["`openai`", "image edits"]);
test("openai images: variation, the model left to the vendor", async () => {
  const made = await openai.images.createVariation({ image: await picture("a.png"), n: 2 });
  assert.equal(made.data.length, 2);
}, ["`openai`", "image edits"]);
test("openai speech: sound as it comes", async () => {
  const reply = await openai.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello there." });
  assert.equal(reply.headers.get("content-type"), "audio/mpeg");
  assert.equal((await reply.arrayBuffer()).byteLength, 16000);
}, ["`openai`", "speech"]);
test("openai speech: cut is an error", async () => {
  const reply = await openai.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello. [[sim: cut_after_bytes=5000]]" });
  await assert.rejects(reply.arrayBuffer());
}, ["`openai`", "speech"]);
test("openai transcriptions: JSON, the model behind the file", async () => {
  const heard = await openai.audio.transcriptions.create({ file: await wave(2), model: "whisper-1" });
  assert.equal(heard.text, "the tide was out");
  assert.equal(heard.usage.seconds, 2);
}, ["`openai`", "transcriptions"]);
test("openai transcriptions: with segments, and as text", async () => {
  const heard = await openai.audio.transcriptions.create({ model: "whisper-1", file: await wave(3), response_format: "verbose_json" });
  assert.equal(heard.duration, 3);
  assert.equal(await openai.audio.transcriptions.create({ model: "whisper-1", file: await wave(1), response_format: "text" }), "the tide was out\n");
}, ["`openai`", "transcriptions"]);
test("openai transcriptions: streamed", async () => {
  let text = "";
  for await (const event of await openai.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await wave(1), stream: true }))
    if (event.type === "transcript.text.delta") text += event.delta;
  assert.equal(text, "the tide was out");
}, ["`openai`", "transcriptions"]);
test("openai translations", async () => {
  assert.equal((await openai.audio.translations.create({ model: "whisper-1", file: await wave(1) })).text, "the tide was out");
}, ["`openai`", "translations"]);
test("openai moderations: no model said", async () => {
  const said = await openai.moderations.create({ input: ["a", "b"] });
  assert.deepEqual(said.results.map((one) => one.flagged), [false, false]);
}, ["`openai`", "moderations"]);
test("openai: a model for something else is a 404 that says so", async () => {
  const error = await throws(404, () => openai.images.generate({ model: "gpt-4o-mini", prompt: "x" }), OpenAI.NotFoundError);
  assert.match(error.message, /does not answer image requests/);
});
test("openai: a field that cannot be is named", async () => {
  const error = await throws(400, () => openai.images.generate({ model: "dall-e-2", prompt: "x", n: 99 }), OpenAI.BadRequestError);
  assert.match(error.message, /`n`/);
});
test("openai embeddings of another vendor's model, as the SDK likes them (base64) and as numbers", async () => {
  for (const format of [undefined, "float"]) {
    const made = await openai.embeddings.create({ model: FOREIGN, input: ["a", "b"], encoding_format: format });
    assert.deepEqual(made.data.map((one) => one.embedding), [[0.5, -0.25, 0], [0.5, -0.25, 1]]);
    assert.equal(made.usage.prompt_tokens, 1);
  }
});
test("cohere rerank", async () => {
  const ranked = await cohere.rerank({ model: RERANK, query: "tide", documents: ["a", "b", "c"] });
  assert.equal(ranked.results[0].index, 2);
  assert.equal(ranked.meta.billedUnits.searchUnits, 1);
}, ["`cohere-ai`", "rerank"]);
await run("media");
