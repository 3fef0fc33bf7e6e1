// SPDX-License-Identifier: MIT
// Coded bodies from Node: fetch (HTTP/1.1) and node:http2. Usage: client.mjs URL KEY; see ../bodies.sh.
import http2 from 'node:http2';
import zlib from 'node:zlib';

const [url, key] = process.argv.slice(2);
const check = (name, good, why) => console.log(good ? `ok node: ${name}` : `not ok node: ${name}: ${why}`);
const body = JSON.stringify({ model: 'openai/gpt-4o-mini', messages: [{ role: 'user', content: 'Grüße, ' + 'again and '.repeat(300) }] });
const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
const chat = '/v1/chat/completions';

// One frame with one raw block: what a zstd encoder does that does not compress (RFC 8878).
function zstd(text) {
  const bytes = Buffer.from(text);
  const frame = Buffer.alloc(12);
  frame.writeUInt32LE(0xfd2fb528, 0);
  frame[4] = 0xa0; // single segment, 4 bytes of size
  frame.writeUInt32LE(bytes.length, 5);
  frame.writeUIntLE((bytes.length << 3) | 1, 9, 3);
  return Buffer.concat([frame, bytes]);
}
const codings = {
  gzip: (text) => zlib.gzipSync(text),
  deflate: (text) => zlib.deflateSync(text),
  br: (text) => zlib.brotliCompressSync(text),
  zstd,
};

async function byFetch(path, coding, bytes, chunked = false) {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: coding ? { ...headers, 'content-encoding': coding } : headers,
    body: chunked ? new ReadableStream({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    }) : bytes,
    ...(chunked ? { duplex: 'half' } : {}),
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

function byHttp2(session, coding, bytes) {
  return new Promise((resolve, reject) => {
    const request = session.request({ ':method': 'POST', ':path': chat, ...headers, 'content-encoding': coding });
    let status = 0;
    let text = '';
    request.setEncoding('utf8');
    request.on('response', (fields) => { status = fields[':status']; });
    request.on('data', (part) => { text += part; });
    request.on('end', () => resolve({ status, text }));
    request.on('error', reject);
    request.end(bytes);
  });
}

const said = (text) => {
  const { choices, usage } = JSON.parse(text);
  return JSON.stringify([choices[0].message.content, usage.prompt_tokens]);
};
const plain = await byFetch(chat, null, body);
check('plain', plain.status === 200, plain.text);
const want = said(plain.text);
const session = http2.connect(url);
for (const [name, encode] of Object.entries(codings)) {
  const coded = encode(body);
  const ways = {
    'HTTP/1.1': await byFetch(chat, name, coded),
    'HTTP/1.1, chunked': await byFetch(chat, name, coded, true),
    'HTTP/2': await byHttp2(session, name, coded),
  };
  for (const [way, got] of Object.entries(ways))
    check(`${name} over ${way}`, got.status === 200 && said(got.text) === want, `${got.status} ${got.text}`);
  const half = await byHttp2(session, name, coded.subarray(0, coded.length - 4));
  check(`${name} that ends early is 400`, half.status === 400 && JSON.parse(half.text).error.code === 'bad_request', half.text);
}
session.close();

const claude = JSON.stringify({ model: 'openai/gpt-4o-mini', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] });
const messages = await byFetch('/v1/messages', 'br', codings.br(claude));
check('a translated body', messages.status === 200 && JSON.parse(messages.text).type === 'message', messages.text);
const bomb = await byFetch('/v1/messages', 'gzip', codings.gzip(' '.repeat(64 << 20)));
check('64 MiB of blanks are 413 in the dialect', bomb.status === 413 && JSON.parse(bomb.text).error.type === 'request_too_large', bomb.text);
const other = await byFetch(chat, 'compress', body);
check('another coding is 415 and names ours', other.status === 415 && other.headers.get('accept-encoding') === 'gzip, deflate, br, zstd', other.text);
const stream = await byFetch(chat, 'gzip', codings.gzip(JSON.stringify({ ...JSON.parse(body), stream: true })));
check('a stream comes uncompressed', stream.status === 200 && !stream.headers.has('content-encoding') && stream.text.endsWith('data: [DONE]\n\n'), stream.text.slice(-100));
