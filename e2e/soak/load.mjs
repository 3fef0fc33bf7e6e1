// SPDX-License-Identifier: MIT
// Callers of every kind at once, until the file UNTIL exists; what each saw is a JSON line of OUT.
//   load.mjs OUT      TARGETS name=url,...   KEYS name=FILE|=token,...   PARALLEL   SEED   UNTIL
// A key is read from its file at each call: keys that come and go are such. A line: {n, scene, want, caller,
// stream, http, target, key, from, to, status, id, complete, left, fault, error}. want: what has to become of it:
//   ok     200 and complete: there is money and a healthy provider
//   fault  the provider was told to fail: never complete, but for what `may` says
//   left   the caller goes away, or is too slow to be waited for
//   money  ok or 402       gone   ok, or what it named is not there (401, 403, 404)
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import { wave } from "../ledger/wave.mjs";
import { callers, text_of } from "./callers.mjs";

const { TARGETS, KEYS, UNTIL, SEED = "1", PARALLEL = "24", PAUSE_MS = "150" } = process.env;
const pairs = (text) => text.split(",").map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]);
const targets = pairs(TARGETS), keys = new Map(pairs(KEYS));
const out = fs.openSync(process.argv[2], "a");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let state = BigInt(SEED) | 1n;
function random(below) {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(below));
}
const pick = (list) => list[random(list.length)];
const PROVIDERS = ["openai", "anthropic", "gemini", "responses", "ollama", "cohere", "azure", "bedrock"];
const SCHEMA = { type: "object", properties: { note: { type: "string" } }, required: ["note"] };

// ---- scenes: share, what is asked --------------------------------------------------------------------

// A conversation; a third of them with a tool whose argument has to come back, the others with words to be counted.
function chat(n, { wish = [], model, may, want = "ok", stream = random(2) === 0, words = 1 + random(50), echo = random(3) === 0, ...rest } = {}) {
  const caller = pick(Object.keys(callers));
  const name = model ?? `${pick(PROVIDERS)}-sim/m`;
  const note = echo && wish.length === 0 ? `n${n}-${random(1 << 30)}` : "";
  const tool = note && { name: "write", schema: SCHEMA };
  const wishes = [...(note ? [] : [`words=${words}`]), ...wish, ...(wish.length === 0 && random(4) === 0 ? [`split=${20 + random(300)}`] : []),
    ...(random(4) === 0 ? [stream ? `chunk_ms=${random(12)}` : `delay_ms=${random(250)}`] : []), ...(random(4) === 0 && !name.startsWith("ollama") ? [`cached=${random(9)}`] : [])];
  const asked = note ? `[[call: write {"note":"${note}"}]]` : "";
  const text = `prompt-canary ${n} ${"word ".repeat(random(300))}${asked}${wishes.length ? `[[sim: ${wishes.join(", ")}]]` : ""}`;
  const dialect = callers[caller];
  return { caller, stream, model: name, want, may, note, words: note || want !== "ok" ? 0 : words, path: dialect.path(name, stream),
    type: "application/json", body: Buffer.from(JSON.stringify(dialect.body(name, text, stream, tool))), ...rest };
}
// model_first false: the form has to wait in the spool until its model is known
function form(seconds, model_first, more = {}) {
  const file = Buffer.concat([Buffer.from('--XxX\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'),
    wave(seconds), Buffer.from("\r\n")]);
  const model = Buffer.from('--XxX\r\nContent-Disposition: form-data; name="model"\r\n\r\nopenai-sim/hear\r\n');
  return { want: "ok", path: "/v1/audio/transcriptions", type: "multipart/form-data; boundary=XxX",
    body: Buffer.concat([...(model_first ? [model, file] : [file, model]), Buffer.from("--XxX--\r\n")]), ...more };
}
const json = (path, body) => ({ want: "ok", path, type: "application/json", body: Buffer.from(JSON.stringify(body)) });
const FAULTS = [ // wish, on streams only, what a client may see complete
  [["status=500"]], [["status=429", "retry_after=1"]], [["status=400"]], [["status=503"]], [["cut_after_bytes=60"]],
  [["cut_after_bytes=700"], true], [["error_event_after=5"], true], [["close_without_done"], true],
];
const scenes = {
  plain: [40, (n) => chat(n)],
  failover: [6, (n) => chat(n, { model: pick(["over-status", "over-slow", "over-cut"]) })],
  fault: [8, (n) => {
    const [wish, stream = random(2) === 0] = pick(FAULTS);
    return chat(n, { wish, stream, want: "fault", echo: false, words: 60, fault: wish[0] });
  }],
  stall: [2, (n) => chat(n, { wish: ["stall_after=5"], stream: true, want: "fault", echo: false, words: 60, model: pick(["quick-openai", "quick-anthropic"]), fault: "stall" })],
  lie: [3, (n) => chat(n, { wish: [`lie_usage=${pick(["negative", "huge", "zero", "missing", "cached_gt_prompt"])}`], echo: false, model: `${pick(PROVIDERS)}-sim/liar` })],
  leave: [6, (n) => chat(n, { wish: ["chunk_ms=10"], stream: true, echo: false, want: "left", words: 100, leave: random(3000), model: pick(["quick-openai", "drain-openai", "estimate-anthropic", undefined]) })],
  leave_early: [3, (n) => chat(n, { wish: ["delay_ms=600"], want: "left", echo: false, leave_ms: 20 + random(300) })],
  slow_reader: [3, (n) => chat(n, { words: 390, stream: true, echo: false, slow_ms: 3 + random(12) })],
  poor: [6, (n) => chat(n, { key: "poor", want: "money" })],
  capped: [4, (n) => chat(n, { key: "capped", want: "money" })],
  team: [8, (n) => chat(n, { key: "team" })],
  churn_key: [4, (n) => chat(n, { key: "churn", want: "gone" })],
  churn_model: [4, (n) => chat(n, { model: pick(["openai-sim/come-and-go", "come-and-go"]), want: "gone" })],
  embed: [6, (n) => json("/v1/embeddings", { model: "openai-sim/embed", input: [`prompt-canary ${n}`, "b"] })],
  speech: [2, (n) => json("/v1/audio/speech", { model: "openai-sim/say", voice: "alloy", input: `prompt-canary ${n} [[sim: words=2]]` })],
  image: [2, (n) => json("/v1/images/generations", { model: "openai-sim/draw", prompt: `prompt-canary ${n} [[sim: words=1]]` })],
  small_form: [3, () => form(1 + random(3), random(2) === 0)],
  large_form: [1, () => form(60 + random(60), random(2) === 0)],
  cut_form: [1, () => form(40, random(2) === 0, { want: "left", cut_at: random(900000) })],
  nonsense: [2, () => ({ want: "refused", path: pick(["/v1/chat/completions", "/v1/messages", "/v1/nowhere"]), type: "application/json",
    body: Buffer.from(pick(["{", '{"model":"openai-sim/m","messages":[]', "[]", '{"model":"nobody/nothing","messages":[{"role":"user","content":"prompt-canary"}]}'])) })],
};
const wheel = Object.entries(scenes).flatMap(([name, [share]]) => Array(share).fill(name));

// ---- one call, over HTTP/1.1 or HTTP/2 -----------------------------------------------------------------

const agents = new Map(targets.map(([name]) => [name, new http.Agent({ keepAlive: true, maxSockets: 64 })]));
const sessions = new Map();
function session(name, url) {
  let one = sessions.get(name);
  if (one && !one.closed && !one.destroyed) return one;
  one = http2.connect(url);
  one.on("error", () => {}).on("goaway", () => one.close());
  sessions.set(name, one);
  return one;
}
function open(one, ask, headers, url) { // -> the request's stream; heard(status, headers, readable)
  if (one.http === 2) {
    const stream = session(one.target, url).request({ ":method": "POST", ":path": ask.path, ...headers });
    stream.on("response", (head) => one.heard(head[":status"], head, stream));
    return stream;
  }
  const { hostname, port } = new URL(url);
  const req = http.request({ agent: agents.get(one.target), host: hostname, port, path: ask.path, method: "POST", headers });
  req.on("response", (reply) => one.heard(reply.statusCode, reply.headers, reply));
  return req;
}
async function write(req, ask, closed) {
  if (ask.body.length < 100000 || ask.cut_at !== undefined) {
    if (ask.cut_at === undefined) return req.end(ask.body);
    return req.write(ask.body.subarray(0, ask.cut_at), () => setTimeout(() => req.destroy(), 30));
  }
  for (let at = 0; at < ask.body.length && !closed(); at += 65536)
    if (!req.write(ask.body.subarray(at, at + 65536))) await Promise.race([new Promise((go) => req.once("drain", go)), sleep(1000)]);
  if (!closed()) req.end();
}
// all that a body says in pieces, one behind the other
const said = (body) => [...body.matchAll(/"(?:arguments|partial_json|delta|input|note)":\s*"((?:[^"\\]|\\.)*)"/g)].map((found) => found[1]).join("");
function read(one, ask, body) {
  if (one.status !== 200) return void (one.error = body.slice(0, 300));
  if (!ask.caller) return void (one.complete = body.length > 0);
  if (!ask.stream) one.complete = true;
  else one.complete = callers[ask.caller].end.test(body) && !/^(event: error|data: \{"(type":"error"|error")|\{"error"|data: \{"type":"message-end","delta":\{"finish_reason":"ERROR")/m.test(body);
  const text = one.complete ? text_of(ask.caller, body, ask.stream) : "";
  if (one.complete && ask.note && !said(body).includes(ask.note)) one.fault = `not what was asked (${ask.note}): ${body.slice(0, 500)}`;
  if (one.complete && ask.want === "fault") one.error = body.slice(-1500);
  if (one.complete && ask.words > 0 && text.split(/\s+/).filter(Boolean).length !== ask.words)
    one.fault = `${text.split(/\s+/).filter(Boolean).length} words of ${ask.words}: ${body.slice(-500)}`;
}
function call(n) {
  const scene = pick(wheel);
  const ask = scenes[scene][1](n);
  const [target, url] = pick(targets);
  const key = ask.key && keys.has(ask.key) ? ask.key : keys.keys().next().value;
  const where = keys.get(key);
  const bearer = where.startsWith("=") ? where.slice(1) : fs.readFileSync(where, "utf8").trim();
  const one = { n, scene, want: ask.want, caller: ask.caller, model: ask.model, stream: ask.stream, http: 1 + random(2), target, key, fault_asked: ask.fault,
    from: Date.now(), to: 0, status: 0, id: null, complete: false };
  return new Promise((resolve) => {
    let body = "", closed = false;
    const done = (error) => {
      if (closed) return;
      closed = true;
      if (error) one.error ??= String(error.code ?? error.message ?? error);
      one.to = Date.now();
      clearTimeout(timer);
      const { heard, ...line } = one;
      resolve(line);
    };
    one.heard = (status, headers, reply) => {
      one.status = status;
      one.id = headers["x-request-id"] ?? null;
      one.cost = headers["x-berth-cost"];
      reply.setEncoding("utf8");
      reply.on("data", (piece) => {
        body += piece;
        if (ask.leave !== undefined && body.length > ask.leave) (one.left = true), req.destroy(), done("left");
        else if (ask.slow_ms && !closed) reply.pause(), setTimeout(() => reply.resume(), ask.slow_ms);
      });
      reply.on("error", done).on("aborted", () => done("cut"));
      reply.on("end", () => {
        if (one.http === 1 ? !reply.complete : reply.rstCode) return done(`cut ${reply.rstCode ?? ""}`);
        try {
          read(one, ask, body);
        } catch (error) {
          one.fault = `${error.message}: ${body.slice(0, 300)}`;
        }
        done();
      });
      reply.on("close", () => done("cut"));
    };
    const headers = { "content-type": ask.type, "content-length": ask.body.length, authorization: `Bearer ${bearer}` };
    const req = open(one, ask, headers, url);
    const timer = setTimeout(() => ((one.hung = true), req.destroy(), done("no end in 40 s")), 40000);
    req.on("error", done).on("close", () => one.http === 2 && done("closed"));
    if (ask.leave_ms) setTimeout(() => !closed && ((one.left = true), req.destroy(), done("left")), ask.leave_ms);
    write(req, ask, () => closed).catch(done);
  });
}

let next = 0;
await Promise.all(Array.from({ length: Number(PARALLEL) }, async () => {
  while (!fs.existsSync(UNTIL)) {
    const line = await call(next++);
    fs.writeSync(out, JSON.stringify(line) + "\n");
    await sleep(random(2 * Number(PAUSE_MS)));
  }
}));
for (const one of sessions.values()) one.destroy();
for (const one of agents.values()) one.destroy();
