// SPDX-License-Identifier: MIT
// a WAV of 16 kHz, 16 bit, one channel: 32,000 bytes a second
export function wave(seconds) {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0), head.writeUInt32LE(36 + seconds * 32000, 4), head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16), head.writeUInt16LE(1, 20), head.writeUInt16LE(1, 22), head.writeUInt32LE(16000, 24);
  head.writeUInt32LE(32000, 28), head.writeUInt16LE(2, 32), head.writeUInt16LE(16, 34), head.write("data", 36);
  head.writeUInt32LE(seconds * 32000, 40);
  return Buffer.concat([head, Buffer.alloc(seconds * 32000)]);
}
