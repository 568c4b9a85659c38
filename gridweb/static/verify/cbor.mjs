/* Canonical CBOR (RFC 8949 section 4.2.1), as far as bundles hold it. */
import { Halt, NOT_VERIFIED, hold } from "./answers.mjs";
import { compare, integerOf, isBytes, joined, newMap, textOf, utf8 } from "./values.mjs";

export const DEPTH_MAX = 8; // arrays and maps inside one another, the outermost included
export const LIST_ITEMS_MAX = 256;

const WIDTHS = [1, 2, 4, 8]; // bytes of an argument behind the first byte

/** Simple values by their one byte, as leaves and registry rows may hold them; nothing else may. */
export const BOOLEANS = new Map([[0xf4, false], [0xf5, true]]);
const NO_SIMPLE = new Map();

/** Canonical bytes of what this verifier hashes and the forms of acts sign: integers, bytes, texts, and arrays and maps of them. */
export function encode(value) {
  if (typeof value === "bigint") return value < 0n ? head(1, -1n - value) : head(0, value);
  if (isBytes(value)) return joined(head(2, BigInt(value.length)), value);
  if (typeof value === "string") {
    const bytes = utf8(value);
    return joined(head(3, BigInt(bytes.length)), bytes);
  }
  if (!Array.isArray(value)) return encodeMap(Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encode(item)])));
  return joined(head(4, BigInt(value.length)), ...value.map(encode));
}

/** Canonical bytes of a map: its keys are texts, its values encoded already. */
export function encodeMap(values) {
  const entries = Object.entries(values).map(([key, value]) => [encode(key), value]);
  entries.sort(([one], [two]) => compare(one, two));
  return joined(head(5, BigInt(entries.length)), ...entries.flat());
}

function head(major, argument) {
  if (argument < 24n) return Uint8Array.of((major << 5) | Number(argument));
  const place = WIDTHS.findIndex((width) => argument < 1n << BigInt(8 * width));
  const bytes = new Uint8Array(1 + WIDTHS[place]);
  bytes[0] = (major << 5) | (24 + place);
  for (let at = bytes.length - 1, left = argument; at > 0; at -= 1, left >>= 8n) bytes[at] = Number(left & 0xffn);
  return bytes;
}

/** The one canonical item in `data`; halts, naming `what` and the offset, where it is not. itemsMax: of an array. */
export function decode(data, what, { simple = NO_SIMPLE, itemsMax = LIST_ITEMS_MAX, depthMax = DEPTH_MAX } = {}) {
  hold(data.length > 0, `${what} is empty`);
  try {
    const reader = new CborReader(data, simple, itemsMax, depthMax);
    const value = reader.item(1);
    hold(reader.offset === data.length, `the length of its one item is ${reader.offset}, not ${data.length}`);
    return value;
  } catch (why) {
    if (!(why instanceof Halt)) throw why;
    throw new Halt(NOT_VERIFIED, `${what} cannot be parsed: ${why.reason}`);
  }
}

class CborReader {
  constructor(data, simple, itemsMax, depthMax) {
    this.data = data;
    this.simple = simple;
    this.itemsMax = itemsMax;
    this.depthMax = depthMax;
    this.offset = 0;
  }

  /** The item that begins here. `depth`: that of an array or map that begins here. */
  item(depth) {
    const start = this.offset;
    hold(start < this.data.length, `cut short, at offset ${start}`);
    const first = this.data[start];
    this.offset += 1;
    if (this.simple.has(first)) return this.simple.get(first);
    hold(first < 0xc0 && (first & 31) <= 27, `of a type that does not belong here, at offset ${start}`);
    const major = first >> 5;
    const argument = this.argument(first & 31, start);
    if (major === 0) return argument;
    if (major === 1) return -1n - argument;
    hold(argument <= BigInt(this.data.length - this.offset), `a length past the end, at offset ${start}`);
    const count = Number(argument);
    if (major < 4) return this.string(major, count);
    hold(depth <= this.depthMax, `nested too deep, at offset ${start}`);
    return major === 4 ? this.array(count, depth) : this.map(count, depth);
  }

  argument(short, start) {
    if (short < 24) return BigInt(short);
    const width = WIDTHS[short - 24];
    const argument = integerOf(this.data.subarray(this.offset, this.offset + width));
    this.offset += width;
    const leastLong = width === 1 ? 24n : 1n << BigInt(4 * width);
    const isShortest = argument >= leastLong && this.offset <= this.data.length;
    hold(isShortest, `cut short, or not the shortest form, at offset ${start}`);
    return argument;
  }

  string(major, count) {
    const bytes = this.data.subarray(this.offset, this.offset + count);
    this.offset += count;
    if (major === 2) return bytes;
    const text = textOf(bytes);
    hold(text !== null, "a text that is not UTF-8");
    return text;
  }

  array(count, depth) {
    hold(count <= this.itemsMax, `an array of more than ${this.itemsMax} items`);
    const items = [];
    while (items.length < count) items.push(this.item(depth + 1));
    return items;
  }

  map(count, depth) {
    const entries = newMap();
    let last = new Uint8Array();
    for (let entry = 0; entry < count; entry += 1) {
      const start = this.offset;
      const key = this.item(depth + 1);
      hold(typeof key === "string", "a map key that is no text");
      const bytes = this.data.subarray(start, this.offset);
      hold(compare(bytes, last) > 0, "a map key twice or out of order");
      last = bytes;
      entries[key] = this.item(depth + 1);
    }
    return entries;
  }
}
