// SPDX-License-Identifier: MIT
// race.mjs URL,URL,... KEY COUNT MODEL: COUNT requests at once, in turn on the URLs; prints what became of
// them: {ok, refused, other, nameless, cost}. cost: the sum of x-berth-cost, in dollars as the ledger writes.
// RACE_REFUSAL: what every refusal must match, else the words of a wallet without money.
import http from "node:http";

const [urls, key, count, model] = process.argv.slice(2);
const targets = urls.split(",");
const refusal = new RegExp(process.env.RACE_REFUSAL ?? "Wallet 'default' .* up to \\$\\d+\\.\\d+ and \\$\\d+\\.\\d+ is available \\(AI balance \\$\\d+\\.\\d+\\)");
const seen = { ok: 0, refused: 0, other: {}, nameless: "", cost: 0n };
const agent = new http.Agent({ keepAlive: false, maxSockets: Infinity });
const body = JSON.stringify({
  model, max_tokens: 100,
  messages: [{ role: "user", content: "[[sim: words=16,delay_ms=20]] race" }],
});

const nano = (text) => {
  const [whole, part = ""] = text.split(".");
  return BigInt(whole) * 1000000000n + BigInt(part.padEnd(9, "0"));
};
const dollars = (n) => {
  const part = String(n % 1000000000n).padStart(9, "0").replace(/0{1,7}$/, "");
  return `${n / 1000000000n}.${part}`;
};
const note = (why) => { seen.other[why] = (seen.other[why] ?? 0) + 1; };

// A connection that the kernel's queue had no room for was never a request.
const one = (i, tries = 0) => new Promise((done) => {
  const request = http.request(`${targets[i % targets.length]}/v1/chat/completions`, {
    method: "POST", agent,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "content-length": Buffer.byteLength(body) },
  }, (answer) => {
    let text = "";
    answer.on("data", (bytes) => { text += bytes; });
    answer.on("end", () => {
      if (answer.statusCode === 200) {
        seen.ok++;
        seen.cost += nano(answer.headers["x-berth-cost"] ?? "0");
      } else if (answer.statusCode === 402) {
        seen.refused++;
        if (!refusal.test(text)) seen.nameless = text;
      } else {
        note(`${answer.statusCode} ${text.slice(0, 200)}`);
      }
      done();
    });
  });
  request.on("error", (error) => {
    if (["ECONNRESET", "ECONNREFUSED", "EADDRNOTAVAIL"].includes(error.code) && tries < 20 && !request.res) {
      setTimeout(() => one(i, tries + 1).then(done), 50);
      return;
    }
    note(error.code);
    done();
  });
  request.end(body);
});

await Promise.all(Array.from({ length: Number(count) }, (_, i) => one(i)));
console.log(JSON.stringify({ ...seen, cost: dollars(seen.cost) }));
