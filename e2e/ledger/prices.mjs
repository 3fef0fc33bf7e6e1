// SPDX-License-Identifier: MIT
// prices.mjs CATALOGUE SIM_FILE PRICES_FILE: prices of the two simulated providers out of the control
// plane's own catalogue: for the simulator (whole nano-dollars a token) and for check.mjs
// (pico-dollars). "odd" is a model of ours whose prices are no whole nano-dollars.
import fs from "node:fs";

const [catalogue, simFile, pricesFile] = process.argv.slice(2);
const today = new Date().toISOString().slice(0, 10);
const sim = {}, prices = {};
for (const model of JSON.parse(fs.readFileSync(catalogue)).models) {
  if (!["openai", "anthropic"].includes(model.provider) || !model.pricing) continue;
  let pricing = model.pricing;
  for (const change of pricing.changes ?? []) if (change.from <= today) pricing = { ...pricing, ...change };
  const pico = (name) => pricing[name] !== undefined ? pricing[name] * 1000 : pricing[`${name}_pico`];
  const input = pico("input"), output = pico("output") ?? 0, cached = pico("cache_read") ?? input;
  if (input === undefined) continue;
  prices[model.upstream_id] = { input, output, cached, reasoning: pico("reasoning") ?? output };
  if (input % 1000 || output % 1000 || cached % 1000) continue;
  sim[model.upstream_id] = { input_nano: input / 1000, output_nano: output / 1000, cached_nano: cached / 1000 };
}
prices.odd = { input: 123457, cached: 12343, output: 3333333, reasoning: 1234567 };
fs.writeFileSync(simFile, JSON.stringify(sim));
fs.writeFileSync(pricesFile, JSON.stringify(prices));
