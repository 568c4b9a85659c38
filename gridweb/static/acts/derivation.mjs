/* PBKDF2 (RFC 8018) for one SM4 key: with HMAC-SM3 here, with HMAC-SHA-256 by the browser itself. */
import { sm3 } from "../verify/sm3.mjs";
import { joined } from "../verify/values.mjs";

const KEY_BYTES = 16;
const BLOCK_BYTES = 64;
const ROUNDS_AT_ONCE = 4096; // then the page may do something else

export async function derivedBySm3(password, salt, iterations) {
  const short = password.length > BLOCK_BYTES ? sm3(password) : password;
  const padded = new Uint8Array(BLOCK_BYTES);
  padded.set(short);
  const [inner, outer] = [0x36, 0x5c].map((byte) => padded.map((own) => own ^ byte));
  const mac = (message) => sm3(joined(outer, sm3(joined(inner, message))));
  let link = mac(joined(salt, Uint8Array.of(0, 0, 0, 1)));
  const key = link.slice(0, KEY_BYTES);
  for (let round = 1; round < iterations; round += 1) {
    link = mac(link);
    for (let place = 0; place < KEY_BYTES; place += 1) key[place] ^= link[place];
    if (round % ROUNDS_AT_ONCE === 0) await new Promise((go) => setTimeout(go));
  }
  return key;
}

export async function derivedBySha256(password, salt, iterations) {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 8 * KEY_BYTES));
}
