/* SM2 signatures (GB/T 32918.2 and .5): their check, which holds no secrets, so its time may depend on its input.
 *
 * Points are [X, Y, Z] with x = X / Z^2 and y = Y / Z^3, null the point at infinity: no division before the end, and there none
 * either. Coordinates are residues of either sign; only what is compared is brought below the prime.
 */
import { sm3 } from "./sm3.mjs";
import { bytesOf, integerOf, joined, utf8 } from "./values.mjs";

const P = 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffffn;
const B = 0x28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93n;
const N = 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n;
const GX = 0x32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7n;
const GY = 0xbc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0n;
const CURVE = joined(...[P - 3n, B, GX, GY].map((number) => bytesOf(number, 32)));

export const GROUP_ORDER = N; // below it are private scalars and nonces

const KEY_BYTES = 65;
const SIGNATURE_BYTES = 64;
const ID_BYTES_MAX = 8191; // its length in bits travels in 16 bits
const DEFAULT_ID = utf8("1234567812345678");
const WINDOW_BITS = 4n;
const WINDOWS = 64;

const affine = (key) => [integerOf(key.subarray(1, 33)), integerOf(key.subarray(33))];

/** Whether `key` is 04 || x || y of a point on the SM2 curve (its order is prime, so every point will do). */
export function isPublicKey(key) {
  if (key.length !== KEY_BYTES || key[0] !== 4) return false;
  const [x, y] = affine(key);
  return x < P && y < P && (y * y - (x * x * x - 3n * x + B)) % P === 0n;
}

/** Whether `signature` (r || s, 64 bytes) is the SM2 signature of `message` by `key`; malformed input is false. */
export function isValidSignature(key, message, signature, id = DEFAULT_ID) {
  if (signature.length !== SIGNATURE_BYTES || !isPublicKey(key) || id.length > ID_BYTES_MAX) return false;
  const r = integerOf(signature.subarray(0, 32));
  const s = integerOf(signature.subarray(32));
  const t = (r + s) % N;
  if (!(r > 0n && r < N && s > 0n && s < N) || t === 0n) return false;
  const e = digestOf(key, message, id);
  const point = sumOfMultiples(s, generatorMultiples(), t, multiplesOf([...affine(key), 1n]));
  // (e + x) mod N = r: x is below P, and P is below 2 N.
  const x = (((r - e) % N) + N) % N;
  return point !== null && (isAbscissa(point, x) || (x + N < P && isAbscissa(point, x + N)));
}

/** What is signed of a message: an integer over the signer's id, the curve, the key and the message. */
export function digestOf(key, message, id = DEFAULT_ID) {
  const za = sm3(joined(bytesOf(BigInt(8 * id.length), 2), id, CURVE, key.subarray(1)));
  return integerOf(sm3(joined(za, message)));
}

/** [x, y] of a multiple of the base point; 0 < factor < GROUP_ORDER. */
export function multipleOfBase(factor) {
  const [x, y, z] = sumOfMultiples(factor, generatorMultiples(), 0n, [null]);
  const inverse = inverseOf(z, P);
  const square = (inverse * inverse) % P;
  return [x * square, y * square * inverse].map((part) => residueOf(part, P));
}

/** Between 0 and the modulus. */
export const residueOf = (value, modulus) => ((value % modulus) + modulus) % modulus;

/** By Fermat: the modulus is prime. */
export function inverseOf(value, modulus) {
  let [power, base, found] = [modulus - 2n, residueOf(value, modulus), 1n];
  for (; power > 0n; power >>= 1n, base = (base * base) % modulus) if (power & 1n) found = (found * base) % modulus;
  return found;
}

const isAbscissa = ([x, , z], candidate) => (x - candidate * z * z) % P === 0n;

/** s * G + t * key, both at once, four bits at a time. */
function sumOfMultiples(s, ofBase, t, ofKey) {
  let point = null;
  for (let window = WINDOWS - 1; window >= 0; window -= 1) {
    for (let bit = 0n; bit < WINDOW_BITS; bit += 1n) point = doubled(point);
    const shift = BigInt(window) * WINDOW_BITS;
    point = added(point, ofBase[Number((s >> shift) & 15n)]);
    point = added(point, ofKey[Number((t >> shift) & 15n)]);
  }
  return point;
}

/** 0 to 15 times a point. */
function multiplesOf(point) {
  const multiples = [null, point];
  while (multiples.length < 16) multiples.push(added(multiples.at(-1), point));
  return multiples;
}

let ofGenerator = null; // made at the first signature

function generatorMultiples() {
  ofGenerator ??= multiplesOf([GX, GY, 1n]);
  return ofGenerator;
}

function doubled(point) {
  if (point === null) return null;
  const [x, y, z] = point;
  const delta = (z * z) % P;
  const gamma = (y * y) % P;
  const beta = (x * gamma) % P;
  const alpha = (3n * (x - delta) * (x + delta)) % P; // 3 x^2 + a z^4, for a = -3
  const sumX = (alpha * alpha - 8n * beta) % P;
  return [sumX, (alpha * (4n * beta - sumX) - 8n * gamma * gamma) % P, (2n * y * z) % P];
}

function added(one, two) {
  if (one === null || two === null) return one ?? two;
  const [x1, y1, z1] = one;
  const [x2, y2, z2] = two;
  const z1z1 = (z1 * z1) % P;
  const z2z2 = (z2 * z2) % P;
  const u1 = (x1 * z2z2) % P;
  const s1 = (y1 * z2 * z2z2) % P;
  const h = (x2 * z1z1 - u1) % P;
  const r = (y2 * z1 * z1z1 - s1) % P;
  if (h === 0n) return r === 0n ? doubled(one) : null;
  const hh = (h * h) % P;
  const hhh = (h * hh) % P;
  const v = (u1 * hh) % P;
  const sumX = (r * r - hhh - 2n * v) % P;
  return [sumX, (r * (v - sumX) - s1 * hhh) % P, (z1 * z2 * h) % P];
}
