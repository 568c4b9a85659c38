/* SM2 signatures (GB/T 32918.2), made in the browser. Its integers take a time that depends on them: who can measure this machine that
 * finely has the key anyway. The nonce comes from crypto.getRandomValues. */
import { GROUP_ORDER, digestOf, inverseOf, isValidSignature, multipleOfBase, residueOf } from "../verify/sm2.mjs";
import { bytesOf, integerOf, joined } from "../verify/values.mjs";

const SCALAR_BYTES = 32;

/** 04 || x || y of a private scalar; null for one that is none. */
export function publicKeyOf(scalar) {
  if (scalar < 1n || scalar >= GROUP_ORDER - 1n) return null;
  return joined(Uint8Array.of(4), ...multipleOfBase(scalar).map((part) => bytesOf(part, SCALAR_BYTES)));
}

/** r || s of a message by a key of openKeyFile. */
export function signed({ scalar, publicKey }, message) {
  const digest = digestOf(publicKey, message);
  for (;;) {
    const nonce = integerOf(crypto.getRandomValues(new Uint8Array(SCALAR_BYTES)));
    if (nonce < 1n || nonce >= GROUP_ORDER) continue;
    const r = (digest + multipleOfBase(nonce)[0]) % GROUP_ORDER;
    if (r === 0n || r + nonce === GROUP_ORDER) continue;
    const s = residueOf(inverseOf(1n + scalar, GROUP_ORDER) * (nonce - r * scalar), GROUP_ORDER);
    if (s === 0n) continue;
    const signature = joined(bytesOf(r, SCALAR_BYTES), bytesOf(s, SCALAR_BYTES));
    if (!isValidSignature(publicKey, message, signature)) throw new Error("a signature that was just made does not hold");
    return signature;
  }
}
