// SPDX-License-Identifier: MIT
// The load and the comparison of ledger.sh. Money is BigInt nano-dollars throughout.
//   run N            N mixed requests; one JSON line each on stdout: {id, complete, status}
//   compare NAME F   records of `berth usage` against the simulator's bill and the lines of F
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { inNano } from "./ledger/books.mjs";

const { host_url: host, sim_url: sim, host_key: key } = process.env;
const PARALLEL = 32;

function makeRequest(i) {
  const directive = `[[sim: words=${5 + (i % 37)}, chunk_ms=${i % 5 === 0 ? 4 : 0}` +
    `${i % 7 === 0 ? ", cached=3" : ""}${i % 11 === 0 ? ", reasoning=13" : ""}]]`;
  const stream = (i & 1) === 1;
  const messages = [{ role: "user", content: `request ${i} ${"word ".repeat(i % 23)}${directive}` }];
  if (i % 25 === 24)
    return { path: "/v1/embeddings", body: { model: "openai/test-embedding", input: `text ${i}` } };
  // both dialects towards both providers: same and translated
  const model = (i & 2) === 0 ? "openai/test-mini" : "anthropic/test-haiku";
  if ((i & 4) === 0)
    return { path: "/v1/chat/completions", end: "data: [DONE]", body: { model, stream, messages } };
  return { path: "/v1/messages", end: "event: message_stop", body: { model, stream, messages, max_tokens: 500 } };
}

async function call(i) {
  const { path, end, body } = makeRequest(i);
  const seen = { i, id: "", status: 0, complete: false };
  try {
    const reply = await fetch(host + path, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30000),
    });
    seen.status = reply.status;
    seen.id = reply.headers.get("x-request-id") ?? "";
    const text = await reply.text();
    seen.complete = reply.status === 200 && (body.stream ? text.includes(end) : !!JSON.parse(text));
  } catch (error) {
    seen.error = String(error.cause ?? error);
  }
  return seen;
}

async function run(count) {
  let next = 0;
  await Promise.all(Array.from({ length: PARALLEL }, async () => {
    while (next < count) {
      const seen = await call(next++);
      process.stdout.write(JSON.stringify(seen) + "\n");
      process.stderr.write(".\n");
      // while a daemon is away, do not use up the requests in a blink
      if (seen.status !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }));
}

const halfUp5 = (cost) => (cost * 10500n + 5000n) / 10000n;
const berth = (...args) => JSON.parse(execFileSync("berth", [...args, "-o", "json"], { maxBuffer: 1 << 28 }));
const nano = (text) => {
  const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  return BigInt(sign + whole + part.padEnd(9, "0"));
};

let bad = 0;
function check(name, faults) {
  if (faults.length === 0) console.log(`ok ${name}`);
  else {
    console.log(`not ok ${name}: ${faults.length}, first ${JSON.stringify(faults.slice(0, 3))}`);
    bad++;
  }
}

async function compare(name, file) {
  const seen = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const completed = seen.filter((one) => one.complete);
  const bill = (await (await fetch(sim + "/sim/bill")).json()).entries;
  const billed = new Map();
  for (const entry of bill) {
    const list = billed.get(entry.request_id) ?? [];
    list.push(entry);
    billed.set(entry.request_id, list);
  }
  // until the ledger has what clients saw and what was billed, or it is clear that it will not
  let records = [];
  let byId = new Map();
  const missing = () => [...new Set([...completed.map((one) => one.id),
    ...bill.filter((entry) => entry.cost_nano > 0).map((entry) => entry.request_id)])].filter((id) => !byId.has(id));
  for (const until = Date.now() + 30000; ;) {
    records = berth("usage", "--records").map(inNano);
    byId = new Map(records.map((record) => [record.id, record]));
    if (missing().length === 0 || Date.now() > until) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const costOf = (id) => (billed.get(id) ?? []).reduce((sum, entry) => sum + BigInt(entry.cost_nano), 0n);
  check(`${name}: all ${seen.length} requests ran, ${completed.length} complete`,
    name === "quiet" ? seen.filter((one) => !one.complete) : completed.length * 2 < seen.length ? [completed.length] : []);
  check(`${name}: what was billed or seen is in the ledger`, missing());
  check(`${name}: no request is there twice`, records.length === byId.size ? [] : [records.length - byId.size]);
  check(`${name}: what a client saw complete is charged the bill plus 5 %, once`,
    completed.filter((one) => {
      const record = byId.get(one.id);
      return record && (record.outcome !== "completed" || BigInt(record.cost) !== costOf(one.id) ||
        BigInt(record.charge) !== halfUp5(costOf(one.id)));
    }).map((one) => ({ id: one.id, record: byId.get(one.id), bill: billed.get(one.id) })));
  const wasSeen = new Set(completed.map((one) => one.id));
  const known = new Set(seen.map((one) => one.id));
  const unseen = bill.filter((entry) => entry.cost_nano > 0 && !wasSeen.has(entry.request_id));
  // of this round, or without an id at the client: its head never arrived
  check(`${name}: what was billed and nobody saw complete is listed, uncharged or as billed (${unseen.length})`,
    unseen.filter((entry) => {
      const record = byId.get(entry.request_id);
      if (!record) return true;
      if (record.outcome === "completed")
        return BigInt(record.charge) !== halfUp5(costOf(entry.request_id)) && known.has(entry.request_id);
      return record.outcome === "interrupted" && BigInt(record.charge) !== 0n;
    }).map((entry) => ({ entry, record: byId.get(entry.request_id) })));
  if (name === "quiet") {
    const want = bill.reduce((sum, entry) => sum + halfUp5(BigInt(entry.cost_nano)), 0n);
    const have = records.reduce((sum, record) => sum + BigInt(record.charge), 0n);
    check(`quiet: ledger ${have} = bill x 1.05 ${want} nano-dollars`, want === have ? [] : [String(have - want)]);
  }
  const charged = records.reduce((sum, record) => sum + BigInt(record.charge), 0n);
  const wallet = berth("wallet", "show");
  check(`${name}: the wallet paid what the records say`,
    nano(wallet.ai_usage) === charged ? [] : [{ ai_usage: wallet.ai_usage, charged: String(charged) }]);
  const audit = berth("wallet", "audit");
  check(`${name}: the audit is clean`, audit.ok ? [] : [audit]);
  const outcomes = {};
  for (const record of records) outcomes[record.outcome] = (outcomes[record.outcome] ?? 0) + 1;
  console.log(`# ${name}: outcomes so far ${JSON.stringify(outcomes)}`);
  process.exit(bad === 0 ? 0 : 1);
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === "run") await run(Number(rest[0]));
else await compare(...rest);
