// SPDX-License-Identifier: MIT
// Forms on their way, over HTTP/1.1 and HTTP/2 on both sides, with a provider of this file's own that
// notes what it gets and when: it has a file's first bytes while its caller still sends, it has the caller's bytes
// with the model's name in them, it never has a whole form that was cut or is none, and what the data plane needs
// of memory hangs on no file's size.
//   uploads.mjs serve    PORT, PORT + 1 with TLS (CERT, KEY_FILE): the provider, prints "ready"
//   uploads.mjs          BASE url, KEYS   PROVIDER url   SOCKET of the admin API   DATAPLANE its process id
//   COUNT uploads of MIB each at a time (5 of 8)
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import { get, records } from "./books.mjs";

const { BASE, KEYS = "", PROVIDER, DATAPLANE, PORT, CERT, KEY_FILE, COUNT = "5", MIB = "8" } = process.env;
const keys = KEYS.split(","); // several: one caller gets a share of the room for forms
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- the provider: /NAME/v1/..., where NAME says how it is: "plain", "slow" (64 KiB in 20 ms), "deaf" (nothing),
// "shy" (over HTTP/2: the first stream of each call is refused unread)
function serve() {
  const seen = [];
  const on = (req, res) => {
    if (req.url === "/seen") return res.end(JSON.stringify(seen));
    const [, how, ...path] = req.url.split("/");
    const again = seen.some((other) => other.id === req.headers["x-client-request-id"]);
    const one = { how, path: path.join("/"), version: req.httpVersion, id: req.headers["x-client-request-id"], length: req.headers["content-length"], bytes: 0, whole: false, over: false };
    seen.push(one);
    if (how === "shy" && !again) {
      one.over = true;
      return req.stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    }
    const hash = createHash("sha256");
    req.on("data", (piece) => {
      one.bytes += piece.length;
      hash.update(piece);
      if (how !== "slow") return;
      req.pause();
      setTimeout(() => req.resume(), 20);
    });
    req.on("end", () => {
      one.whole = true;
      one.sha256 = hash.digest("hex");
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify({ text: "hi", data: [{ b64_json: "AA==" }], candidates: [{ content: { parts: [{ inlineData: { mimeType: "image/png", data: "AA==" } }] } }] }));
    });
    req.on("error", () => {});
    req.on("close", () => (one.over = true));
    if (how === "deaf") req.pause();
  };
  http.createServer(on).listen(+PORT, "127.0.0.1", () =>
    http2.createSecureServer({ key: readFileSync(KEY_FILE), cert: readFileSync(CERT), allowHTTP1: false }, on).listen(+PORT + 1, "127.0.0.1", () => console.log("ready")));
}

// ---- forms
function form(parts) {
  const pieces = [];
  for (const [name, value] of parts) {
    const file = typeof value !== "string";
    pieces.push(Buffer.from(`--XxX\r\nContent-Disposition: form-data; name="${name}"${file ? '; filename="a.bin"\r\nContent-Type: audio/mpeg' : ""}\r\n\r\n`));
    pieces.push(Buffer.from(value), Buffer.from("\r\n"));
  }
  return Buffer.concat([...pieces, Buffer.from("--XxX--\r\n")]);
}
// line ends and half delimiters all over
function noise(bytes) {
  const out = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) out[i] = "\r\n--Xx0123456789"[(i * i + (i >> 3)) & 15].charCodeAt(0);
  return out;
}
const digest = (buffer) => createHash("sha256").update(buffer).digest("hex");

// One call; `write` resolves when the connection takes more.
function open(version, path, length, key = keys[0]) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "multipart/form-data; boundary=XxX", ...(length === undefined ? {} : { "content-length": length }) };
  const one = { body: "", closed: false };
  let stream, session;
  if (version === 2) {
    session = http2.connect(BASE);
    session.on("error", () => {});
    stream = session.request({ ":method": "POST", ":path": path, ...headers });
    stream.on("response", (head) => ((one.status = head[":status"]), (one.id = head["x-request-id"])));
    stream.on("data", (piece) => (one.body += piece));
  } else {
    stream = http.request(BASE + path, { method: "POST", headers, agent: false });
    stream.on("response", (reply) => {
      one.status = reply.statusCode;
      one.id = reply.headers["x-request-id"];
      reply.on("data", (piece) => (one.body += piece)).on("end", () => one.end()).on("error", () => one.end());
    });
  }
  one.done = new Promise((resolve) => (one.end = () => ((one.closed = true), session?.close(), resolve(one))));
  stream.on("error", (error) => ((one.error = error.message), one.end()));
  stream.on("close", () => version === 2 && one.end());
  one.write = (bytes) => new Promise((resolve) => (stream.write(bytes, () => resolve()) || one.closed ? resolve() : stream.once("drain", resolve)));
  one.finish = () => (stream.end(), one.done);
  one.cut = () => (version === 2 ? (stream.close(http2.constants.NGHTTP2_CANCEL), session.destroy()) : stream.destroy());
  return one;
}
async function send(call, body, step = 65536, ms = 0) {
  for (let at = 0; at < body.length && !call.closed; at += step) {
    await Promise.race([call.write(body.subarray(at, at + step)), call.done]);
    if (ms > 0) await sleep(ms);
  }
}

// ---- what there is to see
let bad = 0;
function verdict(name, fault) {
  if (!fault) return console.log(`ok uploads: ${name}`);
  bad++;
  console.log(`not ok uploads: ${name}: ${fault}`);
}
const seen = () => get(`${PROVIDER}/seen`);
async function until(what, ms = 10000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(10)) {
    const found = await what();
    if (found) return found;
  }
  return undefined;
}
function resident() { // KiB that are the process' own: the spool is the kernel's cache
  return +/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${DATAPLANE}/status`, "utf8"))[1];
}
const recordOf = (id) => until(async () => (await records()).find((row) => row.id === id));

const SOUND = "/v1/audio/transcriptions";
const EDIT = "/v1/images/edits";

async function flows(version, provider, announced) {
  const name = `HTTP/${version} to HTTP/${provider}, ${announced ? "its length announced" : "in chunks"}`;
  const model = `plain${provider}/hear`;
  const file = noise(4 << 20);
  const parts = (m) => form([["model", m], ["language", "en"], ["file", file]]);
  const body = parts(model);
  const before = (await seen()).length;
  const call = open(version, SOUND, announced ? body.length : undefined);
  await send(call, body.subarray(0, body.length - 65536));
  const early = await until(async () => (await seen()).slice(before).find((one) => one.bytes > 1 << 20));
  if (!early || early.whole) return verdict(name, `the provider had nothing while the caller still sent; status ${call.status} ${call.body}`);
  await send(call, body.subarray(body.length - 65536));
  await call.finish();
  const got = (await seen()).slice(before).find((one) => one.id === call.id);
  const want = parts("up-hear");
  const record = await recordOf(call.id);
  verdict(name, call.status !== 200 ? `status ${call.status} ${call.body}`
    : !got?.whole || got.sha256 !== digest(want) ? `other bytes: ${got?.bytes} of ${want.length}`
    : got.version !== (provider === 2 ? "2.0" : "1.1") ? `over HTTP/${got.version}`
    : announced && +got.length !== want.length ? `content-length ${got.length}`
    : record?.charge === undefined || record.charge === "0" ? `charge ${JSON.stringify(record)}` : "");
}

async function fileFirst(version) {
  const file = noise(4 << 20);
  const body = form([["file", file], ["model", "plain1/hear"]]);
  const call = open(version, SOUND, body.length);
  await send(call, body);
  await call.finish();
  const got = (await seen()).find((one) => one.id === call.id);
  verdict(`HTTP/${version}: a model behind its file`, call.status !== 200 || got?.sha256 !== digest(form([["file", file], ["model", "up-hear"]]))
    ? `status ${call.status} ${call.body} ${JSON.stringify(got)}` : "");
}

// Who refuses a stream unread has acted upon nothing: it gets the same form a second time.
async function shy(version, bytes) {
  const file = noise(bytes);
  const call = open(version, SOUND, undefined);
  const body = form([["model", "shy2/hear"], ["file", file]]);
  await send(call, body, 16384, 1);
  await call.finish();
  const got = (await seen()).filter((one) => one.id === call.id);
  const record = await recordOf(call.id);
  verdict(`HTTP/${version}: a stream refused unread is sent again, ${bytes >> 10} KiB`, call.status !== 200 ? `status ${call.status} ${call.body}`
    : got.length !== 2 || got[0].whole || got[1].sha256 !== digest(form([["model", "up-hear"], ["file", file]])) ? `the provider had ${JSON.stringify(got)}`
    : record?.attempts !== 2 || record.charge === "0" ? `record ${JSON.stringify(record)}` : "");
}

// What is transcribed is `file`, wherever it stands.
async function contextFirst(version) {
  const file = noise(1 << 20);
  const body = (model) => form([["model", model], ["context", file], ["file", file.subarray(0, 5000)]]);
  const call = open(version, SOUND, body("plain1/hear").length);
  await send(call, body("plain1/hear"));
  await call.finish();
  const got = (await seen()).find((one) => one.id === call.id);
  verdict(`HTTP/${version}: another file before the one that counts`, call.status !== 200 || got?.sha256 !== digest(body("up-hear")) ? `status ${call.status} ${call.body}` : "");
}

// None of these is ever whole at the provider, and none costs.
async function never(version) {
  const file = noise(1 << 20);
  const rows = [
    ["cut in its middle", SOUND, form([["model", "plain1/hear"], ["file", file]]), "cut"],
    ["another boundary at its end", SOUND, Buffer.from(form([["model", "plain1/hear"], ["file", file]]).toString("latin1").replace(/--XxX--\r\n$/, "--XxY--\r\n"), "latin1"), 400],
    ["a second model behind the file", EDIT, form([["model", "plain1/draw"], ["image", file], ["model", "plain1/hear"]]), 400],
    ["more images than there can be, said behind the file", EDIT, form([["model", "plain1/draw"], ["image", file], ["n", "99"]]), 400],
  ];
  for (const [name, path, body, want] of rows) {
    const before = (await seen()).length;
    const call = open(version, path, body.length);
    await send(call, body.subarray(0, want === "cut" ? body.length >> 1 : body.length));
    const began = await until(async () => (await seen()).slice(before)[0], 2000);
    if (want === "cut") call.cut();
    else await call.finish();
    const got = await until(async () => (await seen()).slice(before).find((one) => one.over), 5000);
    const record = await until(async () => (await records()).find((row) => row.id === (call.id ?? got?.id)));
    verdict(`HTTP/${version}: ${name}`, !began ? "it never began" : !got || got.whole ? `the provider had ${JSON.stringify(got)}`
      : want !== "cut" && call.status !== want ? `status ${call.status} ${call.body}`
      : record?.charge !== "0" ? `record ${JSON.stringify(record)}` : "");
  }
}

async function deaf(version) {
  const body = form([["model", "deaf1/hear"], ["file", noise(40 << 20)]]);
  const call = open(version, SOUND, body.length);
  let at = 0;
  for (let end = Date.now() + 1500; Date.now() < end && at < body.length; at += 65536)
    await Promise.race([call.write(body.subarray(at, at + 65536)), sleep(1500)]);
  const read = (await seen()).findLast((one) => one.how === "deaf");
  verdict(`HTTP/${version}: who is not read from is stopped (at ${(at / 1048576).toFixed(1)} of 40 MiB)`, at >= body.length ? "everything was taken" : !read ? "it never began" : "");
  call.cut();
}

async function memory(name, idle, parts, ms, path = SOUND) {
  const body = form(parts);
  let most = idle, running = true;
  const watch = (async () => { for (; running; await sleep(20)) most = Math.max(most, resident()); })();
  const calls = [];
  for (let i = 0; i < +COUNT; i++) {
    const call = open(1 + (i % 2), path, body.length, keys[i % keys.length]);
    calls.push(send(call, body, 65536, ms).then(() => call.finish()));
  }
  const done = await Promise.all(calls);
  running = false;
  await watch;
  const each = (most - idle) / +COUNT;
  const failed = done.filter((call) => call.status !== 200);
  verdict(`${COUNT} x ${MIB} MiB, ${name}: ${each.toFixed(0)} KiB each (${idle} to ${most} KiB)`,
    failed.length > 0 ? `${failed.length} failed: ${failed[0].status} ${failed[0].body} ${failed[0].error}` : each > 256 ? "more than 256" : "");
}

async function main() {
  for (const version of [1, 2]) for (const provider of [1, 2]) await flows(version, provider, true);
  await flows(1, 1, false);
  await flows(2, 2, false);
  for (const version of [1, 2]) {
    await fileFirst(version);
    await contextFirst(version);
    await shy(version, 20000);
    await shy(version, 4 << 20);
    await never(version);
    await deaf(version);
  }
  const file = noise(+MIB << 20);
  const idle = resident(); // before all of them: what one of them freed is not given to the next
  await memory("callers are slow", idle, [["model", "plain1/hear"], ["file", file]], 10);
  await memory("the provider is slow", idle, [["model", "slow1/hear"], ["file", file]], 0);
  await memory("the model behind the file", idle, [["file", file], ["model", "plain1/hear"]], 0);
  const picture = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), file]);
  await memory("pictures that another vendor gets in base64", idle, [["model", "draw1/draw"], ["prompt", "a boat"], ["image", picture]], 0, EDIT);
  process.exit(bad === 0 ? 0 : 1);
}
if (process.argv[2] === "serve") serve();
else await main();
