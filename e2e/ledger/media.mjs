// SPDX-License-Identifier: MIT
// Images, sound, moderations and reranking: each kind in each of its forms, and how it can end; every record
// is held against the provider's bill to the nano-dollar, or is nothing where nothing is to be paid.
//   media.mjs      BASE url, KEY   SIM url   SOCKET of the admin API
import { createHash } from "node:crypto";
import http from "node:http";
import { admin, billed, chargeOf, nano, records } from "./books.mjs";
import { wave } from "./wave.mjs";

const { BASE, KEY } = process.env;
const json = (path, body) => ({ path, type: "application/json", body: JSON.stringify(body) });
function form(path, fields) {
  const body = new FormData();
  for (const [name, value] of fields)
    if (value instanceof Uint8Array) body.append(name, new Blob([value]), "a.wav");
    else body.append(name, value);
  return { path, form: body };
}

// what begins like a PNG, of so many bytes, with line ends and half delimiters in it
function picture(bytes) {
  const out = Buffer.alloc(bytes, "\r\n------Xx01234567");
  Buffer.from("89504e470d0a1a0a", "hex").copy(out);
  return out;
}
// first: the model stands before the picture
function edit(model, bytes, { more = [], wish = "words=1", first = true, path = "/v1/images/edits" } = {}) {
  const fields = [["prompt", `a boat [[sim: ${wish}]]`], ...more];
  const parts = first ? [["model", model], ...fields, ["image", picture(bytes)]] : [["image", picture(bytes)], ...fields, ["model", model]];
  return { ...form(path, parts), says: createHash("sha256").update(picture(bytes)).digest("hex") };
}
const image = (model, more, wish = "") => json("/v1/images/generations", { model, prompt: `a boat [[sim: ${wish || "words=1"}]]`, ...more });
const speech = (model, more, wish = "words=1") => json("/v1/audio/speech", { model, voice: "alloy", input: `Hello, h\u00e9llo. [[sim: ${wish}]]`, ...more });
const transcript = (model, fields, seconds = 3) => form("/v1/audio/transcriptions", [["file", wave(seconds)], ["model", model], ...fields]);
const rank = (path, model, count, wish = "words=1") => json(path, { model, query: `q [[sim: ${wish}]]`, documents: Array.from({ length: count }, (_, i) => `document ${i}`) });

// who: "bill", the provider's; "nobody"; "estimate": no less than the bill; "counted": `cost`. evidence: of what was counted here, not reported.
const cells = [
  { name: "dall-e-3", send: image("dall-e-3", {}), who: "bill", evidence: "counted_stream" },
  { name: "dall-e-3, hd", send: image("dall-e-3", { quality: "hd" }), who: "bill", evidence: "counted_stream" },
  { name: "dall-e-3, hd, wide", send: image("dall-e-3", { quality: "hd", size: "1792x1024" }), who: "bill", evidence: "counted_stream" },
  { name: "dall-e-2, three", send: image("dall-e-2", { n: 3, size: "1024x1024" }), who: "bill", evidence: "counted_stream" },
  { name: "gpt-image-1", send: image("gpt-image-1", { quality: "low", n: 2 }), who: "bill" },
  { name: "gpt-image-1, streamed", send: image("gpt-image-1", { quality: "medium", stream: true, partial_images: 1 }), who: "bill" },
  { name: "gpt-image-1, cut behind its first sketch", send: image("gpt-image-1", { quality: "low", size: "1024x1024", stream: true, partial_images: 1 }, "cut_after_bytes=260"), who: "counted", evidence: "counted_stream", cost: 11000000n },
  { name: "gpt-image-1, an edit of two", send: form("/v1/images/edits", [["image[]", wave(0)], ["image[]", wave(0)], ["prompt", "a boat"], ["quality", "low"], ["model", "gpt-image-1"]]), who: "bill" },
  { name: "a variation", send: form("/v1/images/variations", [["image", wave(0)], ["model", "dall-e-2"]]), who: "bill", evidence: "counted_stream" },
  { name: "Imagen, two", send: image("house-gemini/imagen", { n: 2 }), who: "bill", evidence: "counted_stream" },
  { name: "Stability", send: image("house-stability/core", { size: "1536x1024" }), who: "bill", evidence: "counted_stream" },
  { name: "Replicate", send: image("house-replicate/flux", {}), who: "bill", evidence: "counted_stream" },
  { name: "Replicate, made later", send: image("house-replicate/slow", {}), who: "bill", evidence: "counted_stream" },
  { name: "Black Forest Labs", send: image("house-bfl/flux", { size: "1024x1024" }), who: "bill", evidence: "counted_stream" },
  // drawn after a picture: the vendor has it byte for byte, whatever shape his request has
  { name: "Gemini, an edit", send: edit("house-gemini/draw", 5000), who: "bill", evidence: "counted_stream" },
  { name: "Gemini, an edit of 3 MB", send: edit("house-gemini/draw", 3000001), who: "bill", evidence: "counted_stream" },
  { name: "Stability Ultra, an edit, its model behind the picture", send: edit("house-stability/ultra", 700000, { first: false }), who: "bill", evidence: "counted_stream" },
  { name: "Stable Diffusion, an edit", send: edit("house-stability/sd3", 4999, { more: [["strength", "0.4"]] }), who: "bill", evidence: "counted_stream" },
  { name: "Replicate, an edit", send: edit("house-replicate/kontext", 300002, { more: [["size", "1024x1024"]] }), who: "bill", evidence: "counted_stream" },
  { name: "Black Forest Labs, an edit", send: { ...edit("house-bfl/kontext", 300000), says: "later.png" }, who: "bill", evidence: "counted_stream" },
  { name: "Bedrock, three after one", send: edit("house-aws/canvas", 300001, { more: [["n", "3"]] }), who: "bill", evidence: "counted_stream" },
  { name: "two who take a form each in their own way: the second one has it whole", send: edit("redraw", 900000), who: "bill", evidence: "counted_stream" },
  { name: "an edit: the provider fails", send: edit("house-gemini/draw", 5000, { wish: "status=500" }), who: "nobody" },
  { name: "an edit: with a mask, which is another thing there", send: edit("house-stability/ultra", 5000, { more: [["mask", picture(100)]] }), who: "nobody", status: 400, text: "field `mask`" },
  { name: "an edit: two at once, where one is made", send: edit("house-gemini/draw", 5000, { more: [["n", "2"]] }), who: "nobody", status: 400, text: "field `n`" },
  { name: "Replicate: the caller leaves while it is made", send: image("house-replicate/slow", {}), leave: "early", who: "nobody" },
  { name: "images: the provider fails", send: image("dall-e-3", {}, "status=500"), who: "nobody" },
  { name: "images: the caller's mistake", send: image("dall-e-3", {}, "status=400"), who: "nobody" },
  { name: "images: the answer is cut", send: image("dall-e-3", {}, "cut_after_bytes=20"), who: "nobody" },
  { name: "images: the caller leaves", send: image("dall-e-3", {}, "delay_ms=400"), leave: "early", who: "nobody" },
  { name: "tts-1", send: speech("tts-1", {}), who: "bill", evidence: "counted_stream" },
  { name: "tts-1, cut in its middle", send: speech("tts-1", {}, "cut_after_bytes=5000"), who: "bill", evidence: "counted_stream", cut: true },
  { name: "tts-1, left in its middle", send: speech("tts-1", {}, "split=2000, chunk_ms=40"), leave: "mid", who: "bill", evidence: "counted_stream", cut: true },
  { name: "gpt-4o-mini-tts, by seconds", send: speech("gpt-4o-mini-tts", {}), who: "bill", evidence: "counted_stream" },
  { name: "gpt-4o-mini-tts, as events", send: speech("gpt-4o-mini-tts", { stream_format: "sse" }), who: "bill" },
  { name: "speech: the provider is busy", send: speech("tts-1", {}, "status=429"), who: "nobody" },
  { name: "whisper-1", send: transcript("whisper-1", []), who: "bill" },
  { name: "whisper-1, with segments", send: transcript("whisper-1", [["response_format", "verbose_json"]]), who: "bill" },
  { name: "whisper-1, subtitles: by the file's own header", send: transcript("whisper-1", [["response_format", "srt"]], 7), who: "bill", evidence: "counted_stream" },
  { name: "whisper-1, translated", send: form("/v1/audio/translations", [["model", "whisper-1"], ["file", wave(2)]]), who: "bill" },
  { name: "gpt-4o-transcribe", send: transcript("gpt-4o-transcribe", [["prompt", "the sea"]]), who: "bill" },
  { name: "gpt-4o-transcribe, streamed", send: transcript("gpt-4o-transcribe", [["stream", "true"]]), who: "bill" },
  { name: "moderation", send: json("/v1/moderations", { input: ["a", "b"] }), who: "nobody" },
  { name: "embeddings at Cohere", send: json("/v1/embeddings", { model: "house-cohere/embed", input: ["a boat", "the tide was out"] }), who: "bill" },
  { name: "embeddings at Ollama", send: json("/v1/embeddings", { model: "house-ollama/embed", input: "the tide was out", encoding_format: "base64" }), who: "bill" },
  { name: "embeddings at Gemini, which reports nothing", send: json("/v1/embeddings", { model: "house-gemini/embed", input: ["a boat"] }), who: "estimate" },
  { name: "embeddings at Vertex", send: json("/v1/embeddings", { model: "house-vertex/embed", input: ["a boat", "the tide was out"] }), who: "bill" },
  { name: "embeddings at Bedrock", send: json("/v1/embeddings", { model: "house-aws/embed", input: "the tide was out" }), who: "bill" },
  { name: "embeddings as Cohere's clients ask, at Cohere", send: json("/v2/embed", { model: "house-cohere/embed", texts: ["a boat"], input_type: "search_query" }), who: "bill" },
  { name: "embeddings as Cohere's clients ask, at Ollama", send: json("/v2/embed", { model: "house-ollama/embed", texts: ["a boat"], input_type: "search_query" }), who: "bill" },
  { name: "embeddings as Ollama's clients ask, at Vertex", send: json("/api/embed", { model: "house-vertex/embed", input: ["a boat"] }), who: "bill" },
  { name: "embeddings as Gemini's clients ask, at Bedrock", send: json("/v1beta/models/house-aws%2Fembed:embedContent", { content: { parts: [{ text: "a boat" }] } }), who: "bill" },
  { name: "embeddings as Gemini's clients ask, at OpenAI's kind", send: json("/v1beta/models/text-embedding-3-small:batchEmbedContents", { requests: [{ content: { parts: [{ text: "a boat" }] } }] }), who: "bill" },
  { name: "rerank by units", send: rank("/v2/rerank", "house-cohere/rank", 101), who: "bill" },
  { name: "rerank by tokens", send: rank("/v1/rerank", "house-jina/rank", 3), who: "bill" },
  { name: "rerank by a liar", send: rank("/v2/rerank", "house-cohere/rank", 3, "status=503"), who: "nobody" },
];

function call(cell) {
  const { send } = cell;
  return new Promise(async (resolve) => {
    let body = Buffer.from(send.body ?? "");
    let type = send.type;
    if (send.form) {
      const made = new Response(send.form);
      type = made.headers.get("content-type");
      body = Buffer.from(await made.arrayBuffer());
    }
    const one = { cell, bytes: 0, text: "" };
    const end = () => resolve(one);
    const req = http.request(`${BASE}${send.path}`, { method: "POST",
      headers: { authorization: `Bearer ${KEY}`, "content-type": type, "content-length": body.length } });
    req.on("error", end);
    req.on("response", (reply) => {
      one.status = reply.statusCode;
      one.id = reply.headers["x-request-id"];
      one.header = reply.headers["x-berth-cost"];
      reply.on("data", (piece) => {
        one.bytes += piece.length;
        if (send.says || cell.text) one.text += piece;
        if (cell.leave === "mid") req.destroy(), end();
      });
      reply.on("error", end).on("end", () => ((one.complete = reply.complete), end()));
    });
    req.end(body);
    if (cell.leave === "early") setTimeout(() => req.destroy(), 100);
  });
}

const early = cells.filter((cell) => cell.leave === "early").length;
const done = [];
for (const cell of cells) done.push(await call(cell));
let posted, byId;
const wanted = done.filter((one) => one.id);
for (let until = Date.now() + 30000, before = -1; Date.now() < until; await new Promise((r) => setTimeout(r, 300))) {
  posted = await records();
  byId = new Map(posted.map((record) => [record.id, record]));
  if (posted.length === before && posted.length >= done.length && wanted.every((one) => byId.has(one.id))) break;
  before = posted.length;
}
const bill = await billed();
let bad = 0;
function verdict(name, fault) {
  if (!fault) return console.log(`ok media: ${name}`);
  bad++;
  console.log(`not ok media: ${name}: ${fault}`);
}
let paid = 0n, owed = 0n;
function judge(one) {
  const { cell } = one;
  const record = byId.get(one.id);
  const want = cell.text ?? cell.send.says ?? "";
  if ((cell.status ?? one.status) !== one.status || (!(cell.who === "nobody" && !cell.text) && !one.text.includes(want)))
    return `status ${one.status}, '${want}' is not in ${one.text.slice(0, 300)}`;
  const entries = bill.get(one.id) ?? [];
  if (cell.leave === "early") return posted.filter((row) => row.outcome === "client_gone_early" && row.charge === "0").length !== early && "no such record";
  if (!record) return `no record; status ${one.status}`;
  if (cell.who === "nobody") return record.charge !== "0" && `charge ${record.charge} ${JSON.stringify(record.usage)}`;
  if (cell.who === "counted") return (record.evidence !== cell.evidence || BigInt(record.cost) !== cell.cost) && `cost ${record.cost}, ${record.evidence}`;
  if (cell.who === "estimate") return (record.evidence !== "estimate" || BigInt(record.cost) < BigInt(entries[0].cost_nano)) && `cost ${record.cost}, ${record.evidence}`;
  if (entries.length !== 1) return `${entries.length} entries on the bill; status ${one.status}`;
  paid += BigInt(record.cost), owed += BigInt(entries[0].cost_nano);
  if (BigInt(record.cost) !== BigInt(entries[0].cost_nano))
    return `cost ${record.cost}, the bill says ${entries[0].cost_nano}: ${JSON.stringify(record.usage)} ${JSON.stringify(entries[0])}`;
  if (record.cost === "0") return "it cost nothing";
  if (record.evidence !== (cell.evidence ?? "provider_usage")) return `evidence ${record.evidence}`;
  if (BigInt(record.charge) !== chargeOf(BigInt(record.cost))) return `charge ${record.charge} for cost ${record.cost}`;
  if (one.header !== undefined && nano(one.header) !== BigInt(record.charge)) return `x-berth-cost ${one.header}`;
  return cell.cut ? one.complete === true && "a cut sound looked whole" : one.complete !== true && "the answer is not whole";
}
for (const one of done) verdict(one.cell.name, judge(one));
verdict(`ledger ${paid} = the provider's bill ${owed} nano-dollars over ${done.length} calls`, paid !== owed && `${paid - owed}`);
const charged = posted.reduce((sum, record) => sum + BigInt(record.charge), 0n);
const wallet = await admin("/api/v1/wallet/balances");
verdict("the wallet paid the sum of the records", nano(wallet.ai_usage) !== charged && JSON.stringify(wallet));
const audit = await admin("/api/v1/wallet/audit");
verdict("the audit is clean", !audit.ok && JSON.stringify(audit));
process.exit(bad === 0 ? 0 : 1);
