// SPDX-License-Identifier: MIT
// Every way in which a request can end, times streaming, dialects of caller and provider, and kinds of
// usage; each record is held against the provider's bill and against what the client was given.
//   whopays.mjs COUNT          the whole matrix, again and again until COUNT requests
//   whopays.mjs revoked COUNT  COUNT records of removed containers (cut-...) are right
//   BASE url, KEY   SIM url   SOCKET of the admin API   SEED
// A new dialect is a row of `callers` and of `providers`, and a provider of whopays.sh.
import http from "node:http";
import { admin, billed as readBill, chargeOf, nano, records } from "./books.mjs";

const { BASE, KEY } = process.env;
const PARALLEL = 24;
const PRICE = { input: 1000n, cached: 100n, output: 5000n, reasoning: 5000n }; // nano-dollars a token
let state = BigInt(process.env.SEED ?? 1) | 1n;
function random(below) {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(below));
}

// ---- the matrix --------------------------------------------------------------------------------------
// who: "bill" the provider's bill to the nano-dollar; "delivered" what was forwarded; "nobody"; "no record";
// "lie": nothing but bounds. seen: the client got all that was forwarded, so that it can be counted.
const BOTH = [false, true], STREAM = [true], WHOLE = [false];
const states = [
  { name: "completed", on: BOTH, who: "bill", outcome: "completed" },
  { name: "completed, asked for the cost", on: BOTH, ask: true, who: "bill", outcome: "completed" },
  { name: "failed over", on: BOTH, target: "over-", who: "bill", outcome: "completed" },
  { name: "free model", on: BOTH, target: "/free", who: "nobody", outcome: "completed" },
  { name: "refused", on: BOTH, target: "/unpriced", who: "no record", status: 422 },
  { name: "provider fails", on: BOTH, wish: "status=500", who: "nobody", outcome: "upstream_error" },
  { name: "provider is busy", on: BOTH, wish: "status=429", who: "nobody", outcome: "upstream_error" },
  { name: "the caller's mistake", on: BOTH, wish: "status=400", who: "nobody", outcome: "upstream_error" },
  { name: "no first token in time", on: STREAM, target: "cancel-", wish: "ttft_ms=3000", who: "nobody", outcome: "upstream_error" },
  { name: "whole answer cut", on: WHOLE, wish: "cut_after_bytes=100", who: "nobody", outcome: "upstream_error" },
  { name: "left before the first byte", on: BOTH, wish: "delay_ms=500", leave: "early", who: "nobody", outcome: "client_gone_early" },
  { name: "left, cancel", on: STREAM, target: "cancel-", wish: "chunk_ms=8", leave: "mid", who: "delivered", outcome: "client_gone", evidence: "counted_stream" },
  { name: "left, drain", on: STREAM, target: "drain-", wish: "chunk_ms=8", leave: "mid", who: "bill", outcome: "client_gone" },
  { name: "left, estimate", on: STREAM, target: "estimate-", wish: "chunk_ms=8", leave: "mid", who: "delivered", outcome: "client_gone", evidence: "estimate" },
  { name: "provider cut", on: STREAM, wish: "cut_after_bytes=1500", who: "delivered", seen: true, outcome: "upstream_cut", evidence: "counted_stream" },
  { name: "no clean end", on: STREAM, wish: "close_without_done", outcome: "upstream_cut", evidence: "counted_stream", seen: true,
    who: (provider) => providers[provider].ends ? "bill" : "delivered" }, // all but the end came, or was it the end?
  { name: "error event", on: STREAM, wish: "error_event_after=5", who: "delivered", seen: true, outcome: "upstream_error_event", evidence: "counted_stream" },
  { name: "stalled", on: STREAM, target: "cancel-", wish: "stall_after=5", who: "delivered", seen: true, outcome: "timed_out", evidence: "counted_stream" },
  ...["negative", "huge", "zero", "missing", "cached_gt_prompt"].map((lie) => ({
    name: `usage lies: ${lie}`, on: BOTH, wish: `lie_usage=${lie}`, who: "lie", lie, outcome: "completed" })),
];
const kinds = { plain: "", cached: "cached=7", reasoning: "reasoning=9", both: "cached=5, reasoning=4" };
const messages = (text) => [{ role: "user", content: text }];
const callers = {
  openai: { path: () => "/v1/chat/completions", end: /data: \[DONE\]\n\n$/,
    body: (model, stream, text) => ({ model, stream, messages: messages(text),
      ...(stream && random(2) ? { stream_options: { include_usage: true } } : {}) }),
    text: (data) => data.choices?.[0]?.delta?.content ?? "", cost: (body) => body.usage?.cost },
  anthropic: { path: () => "/v1/messages", end: /event: message_stop\ndata: .*\n\n$/,
    body: (model, stream, text) => ({ model, stream, max_tokens: 400, messages: messages(text) }),
    text: (data) => data.delta?.text ?? "", cost: (body) => body.usage?.cost },
  gemini: { path: (model, stream) => `/v1beta/models/${model}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
    end: /"finishReason":"\w+".*\s+$/,
    body: (model, stream, text) => ({ contents: [{ role: "user", parts: [{ text }] }], generationConfig: { maxOutputTokens: 400 } }),
    text: (data) => (data.candidates?.[0]?.content?.parts ?? []).map((part) => part.text ?? "").join(""),
    cost: (body) => body.usageMetadata?.cost },
};
// early: it tells of the prompt at the start of a stream. ends: a stream has an end of its own.
const providers = { openai: { ends: true }, anthropic: { early: true, ends: true }, gemini: {} };
const cells = [];
for (const state of states)
  for (const stream of state.on)
    for (const caller of Object.keys(callers))
      for (const provider of Object.keys(providers))
        for (const kind of Object.keys(kinds)) cells.push({ state, stream, caller, provider, kind });

// ---- one request -------------------------------------------------------------------------------------

function make(n) {
  const cell = cells[n % cells.length];
  const { state, stream, caller, provider, kind } = cell;
  const words = state.leave === "mid" ? 60 : 20 + random(40);
  const wishes = [`words=${words}`, state.wish, kinds[kind]].filter(Boolean).join(", ");
  const text = `request ${n} ${"word ".repeat(random(60))}[[sim: ${wishes}]]`;
  const target = state.target ?? "/pay";
  const model = target.startsWith("/") ? provider + target : target + provider;
  const body = callers[caller].body(model, stream, text);
  if (state.ask) body.usage = { include: true };
  return { n, cell, te: random(2) === 1, path: callers[caller].path(model, stream), body: JSON.stringify(body) };
}

function read(one, body) {
  const caller = callers[one.cell.caller];
  one.text = 0;
  if (!one.cell.stream) {
    if (one.status === 200) one.cost = caller.cost(JSON.parse(body));
    return;
  }
  one.complete = caller.end.test(body);
  for (const line of body.split(/\r?\n/)) {
    if (!line.startsWith("data: {") || !line.endsWith("}")) continue;
    const data = JSON.parse(line.slice(6));
    one.text += Buffer.byteLength(caller.text(data));
    one.cost = caller.cost(data) ?? one.cost;
  }
}

const agent = new http.Agent({ keepAlive: true, maxSockets: PARALLEL * 2 });
function call(one) {
  const { cell } = one;
  const base = new URL(BASE);
  return new Promise((resolve) => {
    const req = http.request({ agent, host: base.hostname, port: base.port, path: one.path, method: "POST",
      timeout: 20000, headers: { "content-type": "application/json", "content-length": Buffer.byteLength(one.body),
        authorization: `Bearer ${KEY}`, ...(one.te ? { te: "trailers" } : {}) } });
    const done = (error) => {
      if (error) one.error = String(error.code ?? error.message ?? error);
      resolve(one);
    };
    req.on("timeout", () => req.destroy(new Error("no byte for 20 s")));
    req.on("error", done);
    req.on("response", (reply) => {
      let body = "";
      one.status = reply.statusCode;
      one.id = reply.headers["x-request-id"];
      one.header = reply.headers["x-berth-cost"];
      reply.setEncoding("utf8");
      reply.on("error", done);
      reply.on("data", (piece) => {
        body += piece;
        if (cell.state.leave === "mid" && body.length > 1800) req.destroy();
      });
      reply.on("close", () => {
        one.trailers = reply.trailers;
        try {
          read(one, body);
        } catch (error) {
          one.fault = `${error.message}: ${body.slice(0, 300)}`;
        }
        done();
      });
    });
    req.end(one.body);
    if (cell.state.leave === "early") setTimeout(() => req.destroy(), 60 + random(60));
  });
}

// ---- the rules ---------------------------------------------------------------------------------------

const costOf = (usage) => Object.entries(usage).reduce((sum, [name, count]) => sum + (PRICE[name] ?? 0n) * BigInt(count), 0n);
const tokens = (bytes) => Math.ceil(bytes / 4);

function byBill(one, record, answers) {
  if (answers.length !== 1) return `${answers.length} entries on the bill`;
  const [entry] = answers;
  if (BigInt(record.cost) !== BigInt(entry.cost_nano)) return `cost ${record.cost}, the bill says ${entry.cost_nano}`;
  if (record.evidence !== "provider_usage") return `evidence ${record.evidence}`;
  if (BigInt(record.charge) !== chargeOf(BigInt(record.cost))) return `charge ${record.charge} for cost ${record.cost}`;
  if (one.header !== undefined && nano(one.header) !== BigInt(record.charge)) return `x-berth-cost ${one.header}`;
  const told = one.cost !== undefined;
  if (told !== (one.cell.state.ask === true)) return `usage.cost is ${one.cost}`;
  return told && Math.round(one.cost * 1e9) !== Number(record.charge) && `usage.cost ${one.cost}, charge ${record.charge}`;
}

function byDelivery(one, record, answers) {
  const { state, provider } = one.cell;
  const [entry] = answers;
  const { input = 0, cached = 0, output = 0, reasoning = 0 } = record.usage;
  if (record.evidence !== state.evidence) return `evidence ${record.evidence}`;
  if (providers[provider].early && state.evidence === "counted_stream") { // it has told of the prompt
    if (!entry || input + cached !== entry.prompt_tokens || cached !== entry.cached_tokens)
      return `prompt ${input} + ${cached} cached`;
  } else if (cached !== 0 || input !== tokens(Buffer.byteLength(one.body) + 1)) {
    return `prompt ${input} for a body of ${one.body.length} bytes`;
  }
  const seen = Math.max(tokens(one.text), providers[provider].early && state.evidence !== "estimate" ? 1 : 0);
  if (state.seen ? output + reasoning !== seen : output < seen || output > seen + 2000)
    return `answer ${output}, the client was given ${one.text} bytes`;
  if (BigInt(record.cost) !== costOf(record.usage)) return `cost ${record.cost}`;
  return BigInt(record.charge) !== chargeOf(BigInt(record.cost)) && `charge ${record.charge}`;
}

// Bounds of a lie: at most six tokens a byte of the prompt and 4096, and the model's longest answer.
function byBounds(one, record) {
  const { lie } = one.cell.state;
  const most = costOf({ input: one.body.length * 6 + 4096, output: 4096 });
  const impossible = ["negative", "huge"].includes(lie) || (lie === "cached_gt_prompt" && one.cell.provider !== "anthropic");
  if (BigInt(record.cost) < 0n || BigInt(record.cost) > most) return `cost ${record.cost}, at most ${most}`;
  if (BigInt(record.charge) < BigInt(record.cost)) return `charge ${record.charge}`;
  if (lie === "zero" && record.charge !== "0") return `charge ${record.charge} for nothing`;
  if (lie === "missing" && record.evidence === "provider_usage") return "a report that nobody made";
  return impossible && !record.clamped && "not flagged";
}

// Who says TE: trailers is told behind a stream what its record says, and nobody else is told anything.
function byTrailers(one, record) {
  const { "x-berth-cost": cost, "x-berth-usage": usage } = one.trailers ?? {};
  if (cost === undefined) return one.te && one.cell.stream && one.complete && "no trailers";
  if (!one.te || !one.cell.stream) return "trailers that nobody asked for";
  if (nano(cost) !== BigInt(record.charge)) return `trailer x-berth-cost ${cost}, charge ${record.charge}`;
  const said = Object.fromEntries(usage.split(", ").map((pair) => pair.split("=")));
  const same = Object.entries(record.usage).every(([name, count]) => said[name] === String(count)) &&
    Object.keys(said).length === Object.keys(record.usage).length + 1 && said.evidence === record.evidence;
  return !same && `trailer x-berth-usage ${usage}, usage ${JSON.stringify(record.usage)} ${record.evidence}`;
}

const whoPays = ({ state, provider }) => typeof state.who === "function" ? state.who(provider) : state.who;

function judge(one, record, answers) {
  const { state } = one.cell;
  const who = whoPays(one.cell);
  if (one.fault) return one.fault;
  if (one.complete && !["completed"].includes(state.outcome)) return "looked complete to the client";
  if (who === "no record") return record ? "there is a record" : one.status !== state.status && `status ${one.status}`;
  if (!record) return `no record; status ${one.status}, ${one.error}`;
  if (record.outcome !== state.outcome) return `outcome ${record.outcome}`;
  const told = byTrailers(one, record);
  if (told) return told;
  if (who === "nobody") return (record.charge !== "0" || record.cost !== "0") && `charge ${record.charge}`;
  if (who === "bill") return byBill(one, record, answers);
  return who === "delivered" ? byDelivery(one, record, answers) : byBounds(one, record);
}

async function revoked(count) {
  const all = (await records()).filter((record) => record.subject.startsWith("container/cut-"));
  // the kernel may close the caller's socket before anybody can revoke: the same money
  const bad = all.filter((record) => !["revoked", "client_gone"].includes(record.outcome) || record.evidence !== "counted_stream" || record.usage.output < 2 ||
    BigInt(record.cost) !== costOf(record.usage) || BigInt(record.charge) !== chargeOf(BigInt(record.cost)));
  console.log(JSON.stringify({ count: all.length, bad }));
  process.exit(all.length === count && bad.length === 0 ? 0 : 1);
}

if (process.argv[2] === "revoked") await revoked(Number(process.argv[3]));
const COUNT = Math.max(Number(process.argv[2]), cells.length);
const done = [];
let next = 0;
await Promise.all(Array.from({ length: PARALLEL }, async () => {
  while (next < COUNT) done.push(await call(make(next++)));
}));
agent.destroy();

// until the ledger has everything that a client knows an id of, and nothing more comes
const wanted = done.filter((one) => one.id && whoPays(one.cell) !== "no record");
const early = done.filter((one) => one.cell.state.leave === "early");
let posted, byId;
for (let until = Date.now() + 30000, before = -1; Date.now() < until; await new Promise((r) => setTimeout(r, 300))) {
  posted = await records();
  byId = new Map(posted.map((record) => [record.id, record]));
  if (posted.length === before && wanted.every((one) => byId.has(one.id))) break;
  before = posted.length;
}
const billed = await readBill();

let bad = 0;
function verdict(name, faults) {
  if (faults.length === 0) return console.log(`ok ${name}`);
  bad++;
  console.log(`not ok ${name}: ${faults.length}, as ${faults.slice(0, 3).join(" | ").slice(0, 900)}`);
}
for (const state of states) {
  const mine = done.filter((one) => one.cell.state === state);
  const faults = [];
  for (const one of state.leave === "early" ? [] : mine) {
    const why = judge(one, byId.get(one.id), billed.get(one.id) ?? []);
    const { stream, caller, provider, kind } = one.cell;
    if (why) faults.push(`${caller} > ${provider}${stream ? ", stream" : ""}, ${kind}: ${why} (${one.id})`);
  }
  if (state.leave === "early") { // no client has an id of those: they are counted
    const gone = posted.filter((record) => record.outcome === state.outcome);
    if (gone.length !== mine.length) faults.push(`${gone.length} records of ${mine.length} requests`);
    if (mine.some((one) => one.status)) faults.push("an answer came before they left");
    for (const record of gone) if (record.charge !== "0" || record.cost !== "0") faults.push(JSON.stringify(record));
  }
  verdict(`${state.name} (${mine.length})`, faults);
}
verdict("no request is recorded twice", byId.size === posted.length ? [] : [`${posted.length - byId.size}`]);
const exact = done.filter((one) => whoPays(one.cell) === "bill");
const sums = exact.reduce(([a, b], one) => [a + BigInt(byId.get(one.id)?.cost ?? 0),
  b + (billed.get(one.id) ?? []).reduce((sum, entry) => sum + BigInt(entry.cost_nano), 0n)], [0n, 0n]);
verdict(`ledger ${sums[0]} = the provider's bill ${sums[1]} nano-dollars over ${exact.length} requests`,
  sums[0] === sums[1] ? [] : [`${sums[0] - sums[1]}`]);
const charged = posted.reduce((sum, record) => sum + BigInt(record.charge), 0n);
const wallet = await admin("/api/v1/wallet/balances");
verdict(`the wallet paid the sum of the records (${charged} nano)`, nano(wallet.ai_usage) === charged ? [] : [JSON.stringify(wallet)]);
const audit = await admin("/api/v1/wallet/audit");
verdict("the audit is clean", audit.ok ? [] : [JSON.stringify(audit)]);
const cut = done.filter((one) => whoPays(one.cell) === "delivered" && billed.has(one.id));
const ratio = cut.reduce(([a, b], one) => [a + Number(byId.get(one.id)?.cost ?? 0), b + billed.get(one.id)[0].cost_nano], [0, 0]);
console.log(`# ${done.length} requests, ${cells.length} cells, ${early.length} left early; what was delivered costs ` +
  `${(ratio[0] / ratio[1]).toFixed(3)} of the provider's bill for it`);
process.exit(bad === 0 ? 0 : 1);
