// SPDX-License-Identifier: MIT
// What both sides wrote down: the ledger's records through the admin socket, the simulator's bill, and money
// as nano-dollars. SOCKET of the admin API, SIM url of the simulator, from the environment.
import http from "node:http";

const { SIM, SOCKET } = process.env;
export const MARKUP = 500n;
export const halfUp = (value, divisor) => (value + divisor / 2n) / divisor;
export const chargeOf = (cost) => halfUp(cost * (10000n + MARKUP), 10000n);

export function get(options) {
  return new Promise((resolve, reject) => {
    http.get(options, (reply) => {
      let text = "";
      reply.setEncoding("utf8");
      reply.on("data", (piece) => (text += piece));
      reply.on("end", () => {
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(new Error(`${error.message}: ${text.slice(0, 200)}`));
        }
      });
    }).on("error", reject);
  });
}
export const admin = (path) => get({ socketPath: SOCKET, path, host: "admin" });
// a record of usage, its money in nano-dollars; what it says in dollars is the same
export function inNano(record) {
  for (const name of ["charge", "cost"])
    if (nano(record[name]) !== BigInt(record[`${name}_nano`])) throw new Error(`${name} of ${record.id} is two amounts`);
  return { ...record, charge: record.charge_nano, cost: record.cost_nano };
}
export async function records() {
  const rows = [];
  for (let after = ""; ;) {
    const page = await admin(`/api/v1/usage/records?limit=500${after}`);
    rows.push(...page.records.map(inNano));
    if (!page.continue) return rows;
    after = `&after=${encodeURIComponent(page.continue)}`;
  }
}
// what was delivered at all: request id to entries
export async function billed() {
  const found = new Map();
  for (const entry of (await get(`${SIM}/sim/bill`)).entries)
    if (entry.delivered !== "none") found.set(entry.request_id, [...(found.get(entry.request_id) ?? []), entry]);
  return found;
}
export function nano(text) {
  const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(String(text));
  return BigInt(sign + whole + part.padEnd(9, "0"));
}
