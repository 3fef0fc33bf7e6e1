// SPDX-License-Identifier: MIT
// The tables of docs/clients.md come from the runs of sdk.sh and agents.sh: their lines
// "# claim CLIENT CAPABILITY yes|no" (tabs between) become the table between "<!-- table NAME -->" and
// "<!-- end -->". Writes the document as this run would have it and says whether the checked-in one agrees.
// A client that this run did not try (its program is too old, or is not here) keeps its row.
// Usage: node clients.mjs NAME CLAIMS DOCUMENT OUT
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const [name, claimsFile, documentFile, outFile] = process.argv.slice(2);
const document = readFileSync(documentFile, "utf8");
const table = /<!-- table (\S+) -->\n([^]*?)<!-- end -->/g;
const cells = (line) => line.split("|").slice(1, -1).map((cell) => cell.trim());

function rows(text) { // client => capability => "yes", "no", "–"
  const [head, , ...lines] = text.trim().split("\n").map(cells);
  return { capabilities: head.slice(1), clients: new Map(lines.map(([client, ...line]) => [client, line])) };
}
function render({ capabilities, clients }) {
  const lines = [["client", ...capabilities], ["---", ...capabilities.map(() => "---")], ...[...clients].map(([client, line]) => [client, ...line])];
  return lines.map((line) => `| ${line.join(" | ")} |\n`).join("");
}

const claims = existsSync(claimsFile) ? readFileSync(claimsFile, "utf8").trim().split("\n").map((line) => line.split("\t").slice(1)) : [];
const before = new Map([...document.matchAll(table)].map(([, which, text]) => [which, rows(text)]));
const known = before.get(name) ?? { capabilities: [], clients: new Map() };
const after = { capabilities: [...known.capabilities], clients: new Map(known.clients) };
for (const [, capability] of claims) if (!after.capabilities.includes(capability)) after.capabilities.push(capability);
for (const client of new Set(claims.map(([client]) => client))) {
  const has = new Map(claims.filter((claim) => claim[0] === client).map(([, capability, holds]) => [capability, holds]));
  after.clients.set(client, after.capabilities.map((capability) => has.get(capability) ?? "–"));
}

// The other suite's table of the same run stays as that one wrote it.
const written = existsSync(outFile) ? new Map([...readFileSync(outFile, "utf8").matchAll(table)].map(([, which, text]) => [which, text])) : new Map();
mkdirSync(dirname(outFile), { recursive: true });
writeFileSync(outFile, document.replace(table, (_, which, text) =>
  `<!-- table ${which} -->\n${which === name ? render(after) : written.get(which) ?? text}<!-- end -->`));

const differ = [];
for (const [client, line] of after.clients)
  after.capabilities.forEach((capability, i) => {
    const said = known.clients.get(client)?.[known.capabilities.indexOf(capability)] ?? "nothing";
    if (said !== line[i]) differ.push(`${client}, ${capability}: ${line[i]}, the document says ${said}`);
  });
if (claims.length === 0) differ.push("this run claimed nothing");
if (differ.length > 0) {
  console.log(`not ok docs/clients.md, table ${name}: ${differ.slice(0, 5).join("; ")}; what it should be is in build/test/clients.md`);
  process.exit(1);
}
console.log(`ok docs/clients.md, table ${name}: says what this run found (${claims.length} cells)`);
