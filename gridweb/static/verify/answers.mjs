/* The answers of the verifier, and how a claim that does not hold gives one. */
import { isBytes, hex } from "./values.mjs";

export const VERIFIED = "verified";
export const NOT_VERIFIED = "not verified";
export const CANNOT_BE_DECIDED = "cannot be decided";
export const BAD_USAGE = "bad usage";
export const EXIT_STATUS = { [VERIFIED]: 0, [NOT_VERIFIED]: 1, [BAD_USAGE]: 2, [CANNOT_BE_DECIDED]: 3 };

const SHOWN_MAX = 160; // characters of a foreign text that a reason repeats

/** Why a claim does not hold, cannot be decided, or a file cannot be used. */
export class Halt extends Error {
  constructor(answer, reason) {
    super(reason);
    this.answer = answer;
    this.reason = reason;
  }
}

/** Halt with `answer` and the reason `otherwise` unless `condition` holds. */
export function hold(condition, otherwise, answer = NOT_VERIFIED) {
  if (!condition) throw new Halt(answer, otherwise);
}

/** Halt: not verified. */
export function refuse(reason) {
  throw new Halt(NOT_VERIFIED, reason);
}

/** Text that is safe to show anywhere: bytes in hex, anything but printable ASCII escaped as Python does, anything long cut. */
export function plain(value) {
  const text = Array.from(asText(value)).slice(0, SHOWN_MAX).join("");
  return /^[\x20-\x7e]*$/.test(text) ? text : escaped(text);
}

function asText(value) {
  if (isBytes(value)) return hex(value);
  if (Array.isArray(value)) return `(${value.map(asText).join(", ")})`;
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null || value === undefined) return "None";
  return typeof value === "object" ? "a map" : String(value);
}

const SIGNS = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(text) {
  const escapesQuote = text.includes("'") && text.includes('"');
  return Array.from(text, (sign) => {
    const code = sign.codePointAt(0);
    if (sign in SIGNS) return SIGNS[sign];
    if (sign === "'" && escapesQuote) return "\\'";
    if (code >= 0x20 && code < 0x7f) return sign;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
    return `\\U${code.toString(16).padStart(8, "0")}`;
  }).join("");
}
