/* Values as the verifier holds them. An integer of a file is a bigint, exact whatever its size; bytes are a Uint8Array; a map is
 * an object without a prototype, so that no key of a file means anything to JavaScript. Lengths and places are numbers.
 */

export const isBytes = (value) => value instanceof Uint8Array;
export const isMap = (value) => typeof value === "object" && value !== null && Object.getPrototypeOf(value) === null;
export const newMap = () => Object.create(null);
export const has = (map, key) => Object.hasOwn(map, key);

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = (text) => encoder.encode(text);

/** The text of bytes, null where they are not UTF-8. */
export function textOf(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

export function joined(...parts) {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    bytes.set(part, place);
    place += part.length;
  }
  return bytes;
}

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The bytes of pairs of hex digits, which `text` must be. */
export const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** The unsigned integer of big-endian bytes. */
export const integerOf = (bytes) => (bytes.length ? BigInt(`0x${hex(bytes)}`) : 0n);

/** A non-negative integer as big-endian bytes. */
export const bytesOf = (integer, width) => fromHex(integer.toString(16).padStart(2 * width, "0"));

/** Below 0, 0 or above 0 as one value stands before, beside or behind another of its type: bytes by bytes, texts by code points,
 * lists item by item. */
export function compare(one, two) {
  if (typeof one === "string") return compareItems(utf8(one), utf8(two));
  if (isBytes(one) || Array.isArray(one)) return compareItems(one, two);
  return one < two ? -1 : one > two ? 1 : 0;
}

function compareItems(one, two) {
  const length = Math.min(one.length, two.length);
  for (let at = 0; at < length; at += 1) {
    const order = compare(one[at], two[at]);
    if (order) return order;
  }
  return one.length - two.length;
}

/** Whether two values are the same, types and all. */
export function equal(one, two) {
  if (isBytes(one) || Array.isArray(one)) {
    const isSameKind = isBytes(one) ? isBytes(two) : Array.isArray(two);
    return isSameKind && one.length === two.length && one.every((item, at) => equal(item, two[at]));
  }
  if (typeof one === "object" && one !== null && typeof two === "object" && two !== null && !isBytes(two)) {
    const keys = Object.keys(one);
    return keys.length === Object.keys(two).length && keys.every((key) => has(two, key) && equal(one[key], two[key]));
  }
  return one === two;
}

/** Whether each stands before the next. */
export const isAscending = (values) => values.every((value, at) => at === 0 || compare(values[at - 1], value) < 0);

export const includes = (values, value) => values.some((one) => equal(one, value));

/** Sum of integers. */
export const sum = (values) => values.reduce((total, value) => total + value, 0n);
export const least = (...values) => values.reduce((found, value) => (value < found ? value : found));
export const most = (...values) => values.reduce((found, value) => (value > found ? value : found));
export const magnitude = (value) => (value < 0n ? -value : value);

/** The quotient rounded down, and what is then left: between 0 and the divisor. JavaScript's own operators round towards 0. */
export function divided(total, by) {
  const rest = ((total % by) + by) % by;
  return [(total - rest) / by, rest];
}

export const range = (count) => Array.from({ length: count }, (_, at) => at);
