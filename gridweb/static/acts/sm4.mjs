/* SM4 (GB/T 32907) in CBC, only its decryption: what key files are encrypted with. */

const BLOCK_BYTES = 16;
const ROUNDS = 32;
const SBOX = Uint8Array.from(
  ("d690e9fecce13db716b614c228fb2c052b679a762abe04c3aa441326498606999c4250f491ef987a33540b43edcfac62"
    + "e4b31ca9c908e89580df94fa758f3fa64707a7fcf37317ba83593c19e6854fa8686b81b27164da8bf8eb0f4b70569d35"
    + "1e240e5e6358d1a225227c3b01217887d40046579fd327524c3602e7a0c4c89eeabf8ad240c738b5a3f7f2cef96115a1"
    + "e0ae5da49b341a55ad933230f58cb1e31df6e22e8266ca60c02923ab0d534e6fd5db3745defd8e2f03ff6a726d6c5b51"
    + "8d1baf92bbddbc7f11d95c411f105ad80ac13188a5cd7bbd2d74d012b8e5b4b08969974a0c96777e65b9f109c56ec684"
    + "18f07dec3adc4d2079ee5f3ed7cb3948").match(/../g),
  (pair) => parseInt(pair, 16),
);
const SYSTEM = [0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc];

const rotated = (word, count) => (word << count) | (word >>> (32 - count));
const substituted = (word) =>
  (SBOX[word >>> 24] << 24) | (SBOX[(word >>> 16) & 255] << 16) | (SBOX[(word >>> 8) & 255] << 8) | SBOX[word & 255];
const wordsOf = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, BLOCK_BYTES);
  return [0, 4, 8, 12].map((place) => view.getInt32(place));
};

function roundKeys(key) {
  const words = wordsOf(key).map((word, place) => word ^ SYSTEM[place]);
  for (let round = 0; round < ROUNDS; round += 1) {
    const constant = [0, 1, 2, 3].reduce((found, byte) => (found << 8) | (((4 * round + byte) * 7) & 255), 0);
    const mixed = substituted(words[round + 1] ^ words[round + 2] ^ words[round + 3] ^ constant);
    words.push(words[round] ^ mixed ^ rotated(mixed, 13) ^ rotated(mixed, 23));
  }
  return words.slice(4);
}

function decryptedBlock(keys, block) {
  const words = wordsOf(block);
  for (let round = 0; round < ROUNDS; round += 1) {
    const mixed = substituted(words[round + 1] ^ words[round + 2] ^ words[round + 3] ^ keys[ROUNDS - 1 - round]);
    words.push(words[round] ^ mixed ^ rotated(mixed, 2) ^ rotated(mixed, 10) ^ rotated(mixed, 18) ^ rotated(mixed, 24));
  }
  const plain = new DataView(new ArrayBuffer(BLOCK_BYTES));
  words.slice(-4).reverse().forEach((word, place) => plain.setInt32(4 * place, word));
  return new Uint8Array(plain.buffer);
}

/** The plaintext, padding included; key and vector have 16 bytes, `encrypted` a whole number of blocks. */
export function decryptCbc(key, vector, encrypted) {
  const keys = roundKeys(key);
  const plain = new Uint8Array(encrypted.length);
  let before = vector;
  for (let start = 0; start < encrypted.length; start += BLOCK_BYTES) {
    const block = encrypted.slice(start, start + BLOCK_BYTES);
    decryptedBlock(keys, block).forEach((byte, place) => { plain[start + place] = byte ^ before[place]; });
    before = block;
  }
  return plain;
}
