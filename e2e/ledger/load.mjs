// SPDX-License-Identifier: MIT
// Mixed requests against a gateway; what the client saw goes to a file, one JSON line a request.
//   load.mjs OUT        settings in the environment:
//   BASE  http://host:port        KEY     bearer, or "" for none
//   COUNT requests, or 0: until the file UNTIL exists        PARALLEL  at once        SEED
//   SLOW=1: streams take up to a second, so that kills land in the middle;
//   RUDE=1: some clients hang up in the middle, some providers fail
// A line: {n, kind, model, id, status, complete, cost, usage, error}; `complete` means what a program
// would call complete: a whole body, or a stream with its dialect's clean end.
import fs from "node:fs";
import http from "node:http";

const env = process.env;
const [OUT] = process.argv.slice(2);
const COUNT = Number(env.COUNT ?? 1000), PARALLEL = Number(env.PARALLEL ?? 32);
const base = new URL(env.BASE);
const agent = new http.Agent({ keepAlive: true, maxSockets: PARALLEL });
const out = fs.openSync(OUT, "a");

let state = BigInt(env.SEED ?? 1) | 1n;
function random(below) {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(below));
}
const pick = (list) => list[random(list.length)];
const GPT = ["openai/gpt-4o-mini", "openai/gpt-4o", "openai/gpt-4.1-nano", "openai/gpt-5-mini", "openai/odd", "gpt-4o-mini"];
const CLAUDE = ["anthropic/claude-haiku-4.5", "anthropic/claude-sonnet-4.5", "anthropic/claude-opus-4.1", "anthropic/odd"];
const schema = { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } };

function make(n) {
  const chat = random(2) === 0, stream = random(2) === 0, tools = random(6) === 0;
  if (random(12) === 0) {
    return { path: "/v1/embeddings", kind: "embeddings", body: {
      model: pick(["openai/text-embedding-3-small", "text-embedding-3-large"]),
      input: random(2) ? `text ${n}` : Array.from({ length: 1 + random(5) }, (_, i) => `text ${n} ${i}`),
      encoding_format: pick(["float", "base64"]) } };
  }
  const model = pick(random(2) === 0 ? GPT : CLAUDE);
  const wishes = [`split=${random(4) === 0 ? 100 : 1000000}`];
  if (!tools) wishes.push(`words=${1 + random(60)}`);
  if (random(3) === 0) wishes.push(`cached=${random(40)}`);
  if (model.includes("gpt") && random(3) === 0) wishes.push(`reasoning=${random(50)}`);
  if (stream && (env.SLOW || random(10) === 0)) wishes.push(`chunk_ms=${1 + random(env.SLOW ? 15 : 5)}`);
  if (!stream && env.SLOW) wishes.push(`delay_ms=${random(300)}`);
  if (env.RUDE && random(15) === 0) wishes.push(pick(["status=429", "status=500", "error_event_after=5",
    "cut_after_bytes=900", "close_without_done", "lie_usage=4"]));
  const leave = env.RUDE && random(10) === 0 ? random(4000) : -1;
  if (leave >= 0 && stream) wishes.push("chunk_ms=10"); // there has to be something left to leave
  const text = `request ${n} ${"word ".repeat(random(200))}[[sim: ${wishes.join(", ")}]]`;
  const body = { model, stream, messages: [{ role: "user", content: text }] };
  if (chat) {
    if (random(2)) body.max_tokens = 100 + random(400);
    if (stream && random(2)) body.stream_options = { include_usage: true };
    if (tools) body.tools = [{ type: "function", function: { name: "weather", parameters: schema } }];
  } else {
    body.max_tokens = 100 + random(400);
    if (random(3) === 0) body.system = "Be short.";
    if (tools) body.tools = [{ name: "weather", input_schema: schema }];
  }
  return { path: chat ? "/v1/chat/completions" : "/v1/messages", body, leave,
    kind: `${chat ? "chat" : "messages"}${stream ? " stream" : ""}${tools ? " tools" : ""}` };
}

function read(request, seen, body) {
  if (seen.status !== 200) return;
  if (!request.body.stream) {
    const answer = JSON.parse(body);
    seen.complete = true;
    seen.usage = answer.usage;
    return;
  }
  const chat = request.path.endsWith("completions");
  seen.complete = chat ? body.endsWith("data: [DONE]\n\n") : /event: message_stop\ndata: .*\n\n$/.test(body);
  if (/^(event: error|data: \{"(type":"error"|error"))/m.test(body)) {
    if (seen.complete) seen.fault = "an error event and a clean end";
    seen.complete = false;
  }
  for (const line of seen.complete ? body.split("\n") : []) {
    if (!line.startsWith("data: {")) continue;
    const data = JSON.parse(line.slice(6));
    if (data.usage) seen.usage = { ...seen.usage, ...data.usage };
    if (data.message?.usage) seen.usage = { ...data.message.usage, ...seen.usage };
  }
}

function call(n) {
  const request = make(n);
  const seen = { n, kind: request.kind, model: request.body.model, id: null, status: 0, complete: false };
  const text = JSON.stringify(request.body);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  if (env.KEY) headers.authorization = `Bearer ${env.KEY}`;
  const leave = request.leave ?? -1;
  return new Promise((resolve) => {
    const done = (error) => {
      if (error) seen.error = String(error.code ?? error.message ?? error);
      resolve(seen);
    };
    const req = http.request({ agent, host: base.hostname, port: base.port, path: request.path, method: "POST", headers,
      timeout: 20000 });
    req.on("timeout", () => req.destroy(new Error("no byte for 20 s")));
    req.on("error", done);
    req.on("response", (reply) => {
      let body = "";
      seen.status = reply.statusCode;
      seen.id = reply.headers["x-request-id"] ?? null;
      seen.cost = reply.headers["x-berth-cost"];
      reply.setEncoding("utf8");
      reply.on("error", done);
      reply.on("data", (piece) => {
        body += piece;
        if (leave >= 0 && body.length > leave) {
          seen.left = true;
          req.destroy();
        }
      });
      reply.on("close", () => {
        if (!reply.complete || seen.left) return done("cut");
        try {
          read(request, seen, body);
          if (!seen.complete && seen.status !== 200) seen.error = body.slice(0, 400);
        } catch (error) {
          seen.fault = `${error.message}: ${body.slice(0, 200)}`;
        }
        done();
      });
    });
    req.end(text);
  });
}

let next = 0;
const more = () => (COUNT > 0 ? next < COUNT : !fs.existsSync(env.UNTIL));
async function client() {
  while (more()) {
    const seen = await call(next++);
    fs.writeSync(out, JSON.stringify(seen) + "\n");
    // a daemon is away: do not turn the wait for it into a busy loop
    if (!seen.complete) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
await Promise.all(Array.from({ length: PARALLEL }, client));
agent.destroy();
