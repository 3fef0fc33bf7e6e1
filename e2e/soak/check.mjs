// SPDX-License-Identifier: MIT
// What callers saw, what the simulator billed and what the ledger has, when a round of the soak is over.
//   check.mjs DIR       DIR: *.seen of load.mjs, events and samples of soak.sh, *.log      NAME of the round
//   SIM url   SOCKET of the admin API   METRICS url of the first data plane   SANITIZED, if not 0: memory is not judged
import fs from "node:fs";
import { admin, billed, chargeOf, get, nano, records } from "../ledger/books.mjs";

const { NAME, METRICS, SANITIZED } = process.env;
const [dir] = process.argv.slice(2);
const lines = (file) => fs.existsSync(`${dir}/${file}`) ? fs.readFileSync(`${dir}/${file}`, "utf8").trim().split("\n").filter(Boolean) : [];
const parsed = (file) => lines(file).map((line) => JSON.parse(line));
const seen = ["host.seen", "box.seen"].flatMap(parsed);
const CAP = 300000000n; // nano-dollars an hour of the key "capped"

let bad = 0;
function verdict(name, faults) {
  if (faults.length === 0) return console.log(`ok ${NAME}: ${name}`);
  bad++;
  console.log(`not ok ${NAME}: ${name}: ${faults.length}, as ${JSON.stringify(faults.slice(0, 3), (_, value) =>
    typeof value === "bigint" ? String(value) : value).slice(0, 3000)}`);
}
const count = (rows, by) => rows.reduce((sums, row) => ({ ...sums, [by(row)]: (sums[by(row)] ?? 0) + 1 }), {});
const show = (sums) => Object.entries(sums).sort().map(([name, n]) => `${name} ${n}`).join(", ");

// ---- callers: whoever has money and a healthy provider is answered, rightly -----------------------------

const downs = [];
for (const { at, what } of parsed("events")) {
  const [target, way, how] = what.split(" ");
  if (way === "down") downs.push({ target, from: at, to: Infinity, kill: how === "kill" });
  else downs.at(-1).to = at;
}
const DRAIN_MS = 9500;
// A stream that met a GOAWAY on its way was not begun: RFC 9113 6.8 lets the client send it again.
const crossed = (one, from) => one.http === 2 && one.status === 0 && one.error === "ERR_HTTP2_STREAM_ERROR" && from - one.from < 500;
// A node that is killed cuts; one that stops refuses who comes late, and cuts who needs longer than it waits; a
// container's connections wait for the next one meanwhile.
function away(one) {
  return downs.some(({ target, from, to, kill }) => target === one.target && one.from <= to + 50 && one.to >= from &&
    (kill || (one.from >= from && one.status === 0) || one.error === "ECONNREFUSED" || one.to >= from + DRAIN_MS || crossed(one, from)));
}
const good = (one) => one.status === 200 && one.complete;
const FAULT_STATUS = { "status=500": [502], "status=503": [502, 503, 529], "status=429": [429], "status=400": [400], "cut_after_bytes=60": [502] };
const want = {
  ok: good,
  money: (one) => good(one) || one.status === 402,
  gone: (one) => good(one) || [401, 403, 404].includes(one.status),
  left: (one) => one.left || good(one) || (one.scene === "cut_form" && [0, 400, 408].includes(one.status)),
  refused: (one) => [400, 404].includes(one.status),
  fault: (one) => FAULT_STATUS[one.fault_asked] ? FAULT_STATUS[one.fault_asked].includes(one.status) : (one.status === 200 && !one.complete) || (one.status === 502 && one.fault_asked === "cut_after_bytes=700"), // before its first token
};
verdict(`callers got what they should (${seen.length}: ${show(count(seen, (one) => one.status || (one.left ? "left" : "cut")))})`,
  seen.filter((one) => one.hung || one.fault || (!want[one.want](one) && !away(one))));

// ---- the books -----------------------------------------------------------------------------------------

const sums_of = (text) => {
  const found = { requests: {}, open: 0, charge: 0n };
  for (const line of text.split("\n")) {
    const [, name, labels, value] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name === "berth_requests_open") found.open += Number(value);
    if (name === "berth_charge_nanodollars_total") found.charge += BigInt(value);
    const outcome = name === "berth_requests_total" && /outcome="(\w+)"/.exec(labels)[1];
    if (outcome && value !== "0") found.requests[outcome] = (found.requests[outcome] ?? 0) + Number(value);
  }
  delete found.requests.refused; // has no record
  return found;
};
let posted, byId, metrics, bill;
const complete = seen.filter(good);
for (let until = Date.now() + 60000, before = -1; Date.now() < until; await new Promise((go) => setTimeout(go, 700))) {
  posted = await records();
  byId = new Map(posted.map((record) => [record.id, record]));
  bill = await billed();
  metrics = sums_of(await (await fetch(`${METRICS}/metrics`)).text());
  if (posted.length === before && metrics.open === 0 && [...bill.keys()].every((id) => byId.has(id)) && complete.every((one) => !one.id || byId.has(one.id))) break;
  before = posted.length;
}
const lies = (record) => (bill.get(record.id) ?? []).some((entry) => entry.model === "liar");
verdict("no request is recorded twice", byId.size === posted.length ? [] : [posted.length - byId.size]);
verdict("what was billed or seen is recorded", [...complete.filter((one) => !byId.has(one.id)), ...[...bill].filter(([id]) => !byId.has(id))]);
verdict("what was seen complete is completed", complete.filter((one) => byId.has(one.id) && byId.get(one.id).outcome !== "completed").map((one) => [one, byId.get(one.id)]));
const exact = posted.filter((record) => (record.outcome === "completed" || record.evidence === "provider_usage") && record.cost !== "0" && !lies(record));
const faults = exact.filter((record) => {
  const entries = bill.get(record.id) ?? [], whole = entries.filter(({ delivered }) => delivered === "complete");
  const [entry, ...more] = whole.length > 0 ? whole : entries; // a stream without its end is not whole
  return !entry || more.length > 0 || BigInt(entry.cost_nano) !== BigInt(record.cost) || chargeOf(BigInt(record.cost)) !== BigInt(record.charge);
});
verdict(`the ledger is the provider's bill, to the nano-dollar (${exact.length})`, faults.map((record) => [record, bill.get(record.id)]));
const FREE = ["interrupted", "refused", "upstream_error", "client_gone_early"];
verdict("free is what has to be free", posted.filter((record) => FREE.includes(record.outcome) && (record.charge !== "0" || record.cost !== "0")));
verdict("nothing is charged that was not billed", posted.filter((record) => record.charge !== "0" && !bill.has(record.id)));
const tags = new Set(seen.filter((one) => one.id && one.target === "dp2").map((one) => one.id.slice(-8)));
verdict("only who was killed left requests behind", posted.filter((record) => record.outcome === "interrupted" && !(tags.has(record.id.slice(-8)) && downs.some(({ kill }) => kill))));
const since = Math.max(0, ...downs.filter(({ target }) => target === "dp1").map(({ to }) => to));
const its = new Set(seen.filter((one) => one.id && one.target !== "dp2" && one.from > since).map((one) => one.id.slice(-8)));
const first = posted.filter((record) => its.has(record.id.slice(-8)));
const sum = (rows) => rows.reduce((total, row) => total + BigInt(row.charge), 0n);
verdict("metrics of the first node are its records", show(count(first, ({ outcome }) => outcome)) === show(metrics.requests) && metrics.open === 0 &&
  sum(first) === metrics.charge ? [] : [{ records: count(first, ({ outcome }) => outcome), charge: sum(first), metrics }]);
for (const wallet of ["default", "team", "poor"]) {
  const balance = await admin(`/api/v1/wallet/balances?wallet=${wallet}`);
  const spent = sum(posted.filter((record) => record.wallet === wallet));
  verdict(`wallet ${wallet} paid its records`, nano(balance.ai_usage) === spent && nano(balance.ai_remaining) >= 0n &&
    nano(balance.ai_limit) - nano(balance.ai_remaining) === spent ? [] : [{ balance, spent }]);
}
const hours = posted.filter((record) => record.subject === "key/capped").reduce((map, record) => {
  const hour = Math.floor((record.at_ms) / 3600000);
  return map.set(hour, (map.get(hour) ?? 0n) + BigInt(record.charge));
}, new Map());
verdict("the cap held", [...hours].filter(([, spent]) => spent > CAP));
const audit = await admin("/api/v1/wallet/audit");
verdict(`the audit is clean (${audit.transactions} transactions)`, audit.ok ? [] : [audit]);

// ---- the processes -------------------------------------------------------------------------------------

// Behind the first third, which warms up: what is usual in the second half against the first.
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const samples = parsed("samples");
const grown = [];
for (const pid of new Set(samples.map((sample) => sample.pid))) {
  const mine = samples.filter((sample) => sample.pid === pid);
  if (mine.length < 18) continue;
  const rest = mine.slice(mine.length / 3 | 0), half = rest.length >> 1;
  const change = (what) => [median(rest.slice(0, half).map((s) => s[what])), median(rest.slice(half).map((s) => s[what]))];
  const [rss, fds, threads] = ["rss", "fds", "threads"].map(change);
  console.log(`# ${NAME}: ${mine[0].name} ${pid}: rss ${rss.join(" > ")} KiB, fds ${fds.join(" > ")}, threads ${threads.join(" > ")} (${mine.length} samples)`);
  if ((SANITIZED === "0" && rss[1] > rss[0] * 1.15 + 4096) || fds[1] > fds[0] + 40 || threads[1] > threads[0] + 2) grown.push({ name: mine[0].name, rss, fds, threads });
}
verdict("no process grows", grown);
const said = fs.readdirSync(dir).filter((file) => file.endsWith(".log")).flatMap((file) => lines(file).map((line) => {
  try {
    return { file, ...JSON.parse(line) };
  } catch {
    return { file, level: "error", message: line };
  }
}));
verdict("no log has an error", said.filter(({ level }) => !["info", "warn", "debug"].includes(level)));
console.log(`# ${NAME}: warnings: ${show(count(said.filter(({ level }) => level === "warn"), ({ file, message }) => `${file}: ${message}`))}`);
console.log(`# ${NAME}: ${posted.length} records: ${show(count(posted, ({ outcome }) => outcome))}; store ${fs.statSync(`${dir}/data/controlplane/berth.db`).size >> 10} KiB`);
process.exit(bad === 0 ? 0 : 1);
