// SPDX-License-Identifier: MIT
// The ledger against the simulator's bill and against what clients saw.
//   check.mjs MODE FILE...     MODE: exact (every request completed) or crash; FILE: output of load.mjs
//   SIM url   SOCKET of the admin API   PRICES: {upstream model: {class: pico-dollars}}   NAME of the round
// Money is BigInt: pico-dollars where prices are, nano-dollars where money is.
import fs from "node:fs";
import { admin, get, halfUp, inNano, nano } from "./books.mjs";

const { SIM, NAME } = process.env;
const [MODE, ...files] = process.argv.slice(2);
const prices = JSON.parse(fs.readFileSync(process.env.PRICES));
const exact = MODE === "exact";
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const bill = async () => (await get(`${SIM}/sim/bill`)).entries;
async function pages(path, member) {
  const rows = [];
  for (let after = ""; ;) {
    const page = await admin(`${path}${path.includes("?") ? "&" : "?"}limit=100${after}`);
    rows.push(...page[member]);
    if (!page.continue && !page.next) return rows;
    after = page.continue ? `&after=${encodeURIComponent(page.continue)}` : `&before=${page.next}`;
  }
}
const records = async () => (await pages("/api/v1/usage/records", "records")).map(inNano);

// What Berth must say about an entry of the bill: one sum in pico-dollars, each result rounded once.
function want(entry) {
  const price = prices[entry.model];
  if (!price) throw new Error(`no price of ${entry.model}`);
  const [prompt, cached, completion, reasoning] =
    ["prompt", "cached", "completion", "reasoning"].map((name) => BigInt(entry[`${name}_tokens`]));
  const count = { input: prompt - cached, cached, output: completion, reasoning: 0n };
  if (entry.dialect === "openai") Object.assign(count, { output: completion - reasoning, reasoning });
  let pico = 0n;
  for (const [name, tokens] of Object.entries(count))
    pico += tokens * BigInt(price[name] ?? price[{ cached: "input", reasoning: "output" }[name]] ?? 0);
  return { count, cost: halfUp(pico, 1000n), charge: halfUp(pico * 10500n, 10000n * 1000n) };
}

let bad = 0;
function verdict(name, faults) {
  if (faults.length === 0) return console.log(`ok ${NAME}: ${name}`);
  bad++;
  console.log(`not ok ${NAME}: ${name}: ${faults.length}, as ${JSON.stringify(faults.slice(0, 2), (_, value) =>
    typeof value === "bigint" ? String(value) : value).slice(0, 900)}`);
}
const group = (rows, by) => rows.reduce((map, row) => map.set(by(row), [...(map.get(by(row)) ?? []), row]), new Map());

// ---- collect: until what was billed or seen is posted, and nothing more comes ------------------------

const seen = files.flatMap((file) => fs.readFileSync(file, "utf8").trim().split("\n").filter(Boolean).map((line) => ({ ...JSON.parse(line), from: file.replace(/.*\/|\.seen$/g, "") })));
const complete = seen.filter((one) => one.complete);
let entries, posted, byId;
for (let until = Date.now() + 30000, before = -1; Date.now() < until; await sleep(200)) {
  entries = await bill();
  posted = await records();
  byId = group(posted, (record) => record.id);
  const missing = complete.some((one) => !byId.has(one.id)) ||
    entries.some((entry) => entry.request_id && entry.status === 200 && !byId.has(entry.request_id));
  if (!missing && before === posted.length) break;
  before = posted.length;
}
const billed = group(entries, (entry) => entry.request_id);
const costly = (id) => (billed.get(id) ?? []).filter((entry) => entry.delivered !== "none");

// ---- the rules ---------------------------------------------------------------------------------------

verdict("no client saw nonsense", seen.filter((one) => one.fault));
verdict(exact ? `all ${seen.length} requests complete` : `requests complete (${complete.length} of ${seen.length})`,
  exact ? seen.filter((one) => !one.complete) : complete.length > seen.length / 10 ? [] : [seen.find((one) => one.error)]);
verdict("no request is recorded twice", [...byId.values()].filter((rows) => rows.length !== 1));
verdict("what was billed or seen is recorded", [
  ...complete.filter((one) => !byId.has(one.id)),
  ...entries.filter((entry) => entry.delivered !== "none" && !byId.has(entry.request_id))]);

// completed: one answer billed, counts, cost and charge to the last nano-dollar
const faults = { counts: [], money: [], header: [], client: [], outcome: [] };
for (const one of complete) {
  const [record] = byId.get(one.id) ?? [];
  const answers = costly(one.id);
  if (!record) continue;
  if (record.outcome !== "completed" || answers.length !== 1) {
    faults.outcome.push({ one, record, answers });
    continue;
  }
  const [entry] = answers;
  const must = want(entry);
  const said = one.usage;
  if (["input", "cached", "output", "reasoning"].some((name) => BigInt(record.usage[name] ?? 0) !== must.count[name]))
    faults.counts.push({ record, entry });
  if (BigInt(record.cost) !== must.cost || BigInt(record.charge) !== must.charge ||
    (entry.cost_nano !== 0 && BigInt(entry.cost_nano) !== must.cost))
    faults.money.push({ record, entry, must });
  if (one.cost !== undefined && nano(one.cost) !== BigInt(record.charge)) faults.header.push({ one, record });
  // a stream of messages starts with an estimate of its input when another dialect answers
  if (said && one.kind.startsWith("chat") &&
    (said.prompt_tokens !== entry.prompt_tokens || said.completion_tokens !== entry.completion_tokens))
    faults.client.push({ one, entry });
  if (said && one.kind.startsWith("messages") && (said.output_tokens !== entry.completion_tokens ||
    said.input_tokens + (said.cache_read_input_tokens ?? 0) !== entry.prompt_tokens))
    faults.client.push({ one, entry });
}
verdict(`completed requests are billed once and recorded as completed (${complete.length})`, faults.outcome);
verdict("recorded counts are the provider's", faults.counts);
verdict("cost = bill and charge = bill x 1.05, rounded half up once, to the nano-dollar", faults.money);
verdict("x-berth-cost is the charge", faults.header);
verdict("the client was told the provider's counts", faults.client);

// not completed at the client: never more than the provider billed for it where it said so
const wasComplete = new Set(complete.map((one) => one.id));
const free = new Set(["interrupted", "refused", "upstream_error", "client_gone_early"]);
const others = posted.filter((record) => !wasComplete.has(record.id));
verdict(`what nobody saw complete: true outcome, free where it must be (${others.length})`, others.filter((record) => {
  if (free.has(record.outcome)) return record.charge !== "0" || record.cost !== "0";
  if (record.outcome !== "completed") return false;
  const answers = costly(record.id);
  return answers.length !== 1 || want(answers[0]).charge !== BigInt(record.charge);
}).map((record) => ({ record, bill: billed.get(record.id) })));
// a request that only the data plane's intent knows was never billed; all else has an entry
verdict("nothing is charged that the provider did not bill", posted.filter((record) =>
  record.charge !== "0" && costly(record.id).length === 0).map((record) => ({ record, bill: billed.get(record.id) })));

// ---- balances ----------------------------------------------------------------------------------------

const sum = posted.reduce((total, record) => total + BigInt(record.charge), 0n);
const wallet = await admin("/api/v1/wallet/balances");
verdict(`the wallet paid the sum of the records (${sum} nano)`, nano(wallet.ai_usage) === sum &&
  nano(wallet.ai_limit) - nano(wallet.ai_remaining) === sum ? [] : [wallet]);
const audit = await admin("/api/v1/wallet/audit");
verdict(`the audit is clean (${audit.transactions} transactions)`, audit.ok ? [] : [audit]);

// leases: what each epoch still holds, from the transactions' own entries
const epochs = new Map();
for (const transaction of await pages("/api/v1/wallet/transactions?wallet=default", "transactions")) {
  for (const entry of transaction.entries ?? []) {
    if (!entry.account.includes("hold")) continue;
    const epoch = String(transaction.reference).split("/").slice(0, 2).join("/");
    epochs.set(epoch, (epochs.get(epoch) ?? 0n) + BigInt(entry.nano ?? entry.amount));
  }
}
const [node] = (await admin("/api/v1/nodes")).nodes.filter((one) => one.role === "dataplane");
const now = `${node.name}/${node.epoch}`;
verdict(`leases of dead epochs are released (${epochs.size} epochs)`,
  [...epochs].filter(([epoch, rest]) => epoch !== now && rest !== 0n));
verdict(`held ${wallet.held} is the lease of the running epoch`, nano(wallet.held) === (epochs.get(now) ?? 0n) ? [] :
  [{ held: wallet.held, lease: epochs.get(now) }]);

const errors = {};
for (const one of seen.filter((one) => !one.complete)) {
  const what = `${one.from} ${one.status || "no answer"} ${one.left ? "left" : /"code":"(\w+)"|"type":"(\w+_error)"/.exec(one.error)?.slice(1).find(Boolean) ?? one.error ?? "cut"}`;
  errors[what] = (errors[what] ?? 0) + 1;
}
console.log(`# ${NAME}: clients saw ${JSON.stringify(errors)}`);
const outcomes = {};
for (const record of posted) outcomes[record.outcome] = (outcomes[record.outcome] ?? 0) + 1;
console.log(`# ${NAME}: ${posted.length} records ${JSON.stringify(outcomes)}, ${entries.length} bill entries`);
process.exitCode = bad === 0 ? 0 : 1;
