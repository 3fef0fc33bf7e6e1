// SPDX-License-Identifier: MIT
// Node's side of differ.py. Usage: differ.mjs DOCUMENTS SAID; prints one character a document.
import fs from 'node:fs';

const [documents, said] = process.argv.slice(2).map((path) => fs.readFileSync(path));
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// The value, or undefined when Node refuses the bytes.
function read(bytes) {
  try {
    return { value: JSON.parse(utf8.decode(bytes)) };
  } catch {
    return undefined;
  }
}

function same(a, b) {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  const others = Object.keys(b);
  return keys.length === others.length && keys.every((key, at) => key === others[at] && same(a[key], b[key]));
}

let verdicts = '';
let line = 0;
for (let at = 0; at < documents.length;) {
  const size = documents.readUInt32BE(at);
  const theirs = read(documents.subarray(at + 4, at + 4 + size));
  const end = said.indexOf(10, line);
  const ours = said.subarray(line, line + 3).toString() === 'ok ' ? read(said.subarray(line + 3, end)) : undefined;
  if (theirs === undefined) verdicts += 'r';
  else if (ours === undefined) verdicts += said[line] === 111 ? '!' : 'a';
  else verdicts += same(theirs.value, ours.value) ? '=' : '!';
  at += 4 + size;
  line = end + 1;
}
process.stdout.write(verdicts);
