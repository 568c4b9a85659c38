/* SM3 (GB/T 32905-2016). */

const START = [0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e];
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

const rotated = (word, count) => (word << count) | (word >>> (32 - count));

/** The constants T_j, each rotated by j. */
const CONSTANTS = Int32Array.from({ length: 64 }, (_, j) => {
  const constant = j < 16 ? 0x79cc4519 : 0x7a879d8a;
  return j % 32 ? rotated(constant, j % 32) : constant;
});
const words = new Int32Array(68); // of the block in hand

/** The 32-byte digest of bytes. */
export function sm3(data) {
  const state = Int32Array.from(START);
  const view = padded(data);
  for (let start = 0; start < view.byteLength; start += BLOCK_BYTES) compress(state, view, start);
  const digest = new DataView(new ArrayBuffer(DIGEST_BYTES));
  state.forEach((word, at) => digest.setInt32(4 * at, word));
  return new Uint8Array(digest.buffer);
}

/** The message, a bit 1, zeros, and the message's length in bits as 64 bits. */
function padded(data) {
  const length = Math.ceil((data.length + 9) / BLOCK_BYTES) * BLOCK_BYTES;
  const bytes = new Uint8Array(length);
  bytes.set(data);
  bytes[data.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setBigUint64(length - 8, BigInt(data.length) * 8n);
  return view;
}

function expand(view, start) {
  for (let j = 0; j < 16; j += 1) words[j] = view.getInt32(start + 4 * j);
  for (let j = 16; j < 68; j += 1) {
    const mixed = words[j - 16] ^ words[j - 9] ^ rotated(words[j - 3], 15);
    words[j] = mixed ^ rotated(mixed, 15) ^ rotated(mixed, 23) ^ rotated(words[j - 13], 7) ^ words[j - 6];
  }
}

function compress(state, view, start) {
  expand(view, start);
  let [a, b, c, d, e, f, g, h] = state;
  for (let j = 0; j < 64; j += 1) {
    const a12 = rotated(a, 12);
    const ss1 = rotated((a12 + e + CONSTANTS[j]) | 0, 7);
    const ff = j < 16 ? a ^ b ^ c : (a & b) | (a & c) | (b & c);
    const gg = j < 16 ? e ^ f ^ g : (e & f) | (~e & g);
    const tt1 = (ff + d + (ss1 ^ a12) + (words[j] ^ words[j + 4])) | 0;
    const tt2 = (gg + h + ss1 + words[j]) | 0;
    [a, b, c, d] = [tt1, a, rotated(b, 9), c];
    [e, f, g, h] = [tt2 ^ rotated(tt2, 9) ^ rotated(tt2, 17), e, rotated(f, 19), g];
  }
  [a, b, c, d, e, f, g, h].forEach((word, at) => { state[at] ^= word; });
}
