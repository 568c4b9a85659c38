/* JSON with exact integers and no key twice: what JSON.parse does not give.
 *
 * It takes what Python's reader takes, so that both verifiers read a trust file the same way: NaN and Infinity too, which no
 * shape then allows.
 */
import { Halt, BAD_USAGE, hold, plain } from "./answers.mjs";
import { has, newMap } from "./values.mjs";

const JSON_DEPTH_MAX = 900;
const DIGITS_MAX = 4300; // of an integer; Python reads no longer one
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN_TEXT = /[^"\\\x00-\x1f]*/y;
const BLANK = /[ \t\n\r]*/y;
const WORDS = { true: true, false: false, null: null, NaN, Infinity, "-Infinity": -Infinity };
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** The value of a text: integers as bigint, other numbers as number, objects as maps; halts with "bad usage" where it is none. */
export function parseJson(source) {
  const reader = new JsonReader(source);
  const value = reader.value(1);
  reader.blank();
  reader.due(reader.at === source.length);
  return value;
}

class JsonReader {
  constructor(source) {
    this.source = source;
    this.at = 0;
  }

  due(condition) {
    hold(condition, `it cannot be read as JSON, at character ${this.at}`, BAD_USAGE);
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  blank() {
    this.match(BLANK);
  }

  /** Whether `sign` stands here; then it is passed. */
  takes(sign) {
    if (!this.source.startsWith(sign, this.at)) return false;
    this.at += sign.length;
    return true;
  }

  value(depth) {
    this.due(depth <= JSON_DEPTH_MAX);
    this.blank();
    if (this.takes('"')) return this.text();
    if (this.takes("{")) return this.object(depth);
    if (this.takes("[")) return this.array(depth);
    for (const [word, value] of Object.entries(WORDS)) if (this.takes(word)) return value;
    return this.number();
  }

  number() {
    const found = this.match(NUMBER);
    this.due(found !== null);
    const [digits, fraction, exponent] = found;
    if (fraction !== undefined || exponent !== undefined) return Number(digits);
    this.due(digits.replace("-", "").length <= DIGITS_MAX);
    return BigInt(digits);
  }

  text() {
    const parts = [];
    for (;;) {
      parts.push(this.match(PLAIN_TEXT)[0]);
      if (this.takes('"')) return parts.join("");
      this.due(this.takes("\\"));
      parts.push(this.takes("u") ? this.unit() : this.escape());
    }
  }

  escape() {
    const sign = this.source[this.at];
    this.due(sign !== undefined && has(ESCAPES, sign));
    this.at += 1;
    return ESCAPES[sign];
  }

  unit() {
    const digits = this.source.slice(this.at, this.at + 4);
    this.due(/^[0-9a-fA-F]{4}$/.test(digits));
    this.at += 4;
    return String.fromCharCode(parseInt(digits, 16));
  }

  array(depth) {
    const items = [];
    this.blank();
    if (this.takes("]")) return items;
    for (;;) {
      items.push(this.value(depth + 1));
      this.blank();
      if (this.takes("]")) return items;
      this.due(this.takes(","));
    }
  }

  object(depth) {
    const entries = newMap();
    this.blank();
    if (this.takes("}")) return entries;
    for (;;) {
      this.blank();
      this.due(this.takes('"'));
      const key = this.text();
      if (has(entries, key)) throw new Halt(BAD_USAGE, `a key stands twice: ${plain(key)}`);
      this.blank();
      this.due(this.takes(":"));
      entries[key] = this.value(depth + 1);
      this.blank();
      if (this.takes("}")) return entries;
      this.due(this.takes(","));
    }
  }
}
