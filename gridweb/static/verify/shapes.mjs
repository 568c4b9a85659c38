/* What a decoded value must look like.
 *
 * A shape is a function (value, where) that halts unless the value has it; an array of shapes = an array of exactly these; an
 * object = a map of exactly these keys, of which "key?" may be absent.
 */
import { CANNOT_BE_DECIDED, Halt, hold, plain } from "./answers.mjs";
import { has, isBytes, isMap } from "./values.mjs";

export const VERSION = 2n; // of bundle, book and trust root

const shape = (holds, otherwise) => (value, where) => hold(holds(value), `${where} is not ${otherwise}`);

export const anyBytes = shape(isBytes, "bytes");
export const anyMap = shape(isMap, "a map");
export const anyText = shape((value) => typeof value === "string", "a text");
export const anyInteger = shape((value) => typeof value === "bigint", "an integer");
export const anyBoolean = shape((value) => typeof value === "boolean", "true or false");

/** So many bytes. */
export const bytes = (count) => shape((value) => isBytes(value) && value.length === count, `${count} bytes`);

/** Bytes of which `holds` is true. */
export const bytesThat = (holds, otherwise) => shape((value) => isBytes(value) && holds(value), otherwise);

/** An integer from `first` to `last`. */
export const within = (first, last) =>
  shape((value) => typeof value === "bigint" && value >= first && value <= last, "an integer in its range");

/** A text that the whole of `pattern` matches. */
export const text = (pattern) => {
  const whole = new RegExp(`^(?:${pattern})$`, "su");
  return shape((value) => typeof value === "string" && whole.test(value), "what it should be");
};

/** An array of `fewest` to `most` values of one shape. */
export const list = (item, fewest, most) => (value, where) => {
  hold(Array.isArray(value), `${where} is not an array`);
  hold(value.length >= fewest && value.length <= most, `${where} has ${value.length} items`);
  for (const one of value) conform(one, item, where);
};

/** Halt, naming the place, unless `value` has this shape. */
export function conform(value, wanted, where) {
  if (typeof wanted === "function") wanted(value, where);
  else if (Array.isArray(wanted)) conformItems(value, wanted, where);
  else conformMap(value, wanted, where);
}

function conformItems(value, shapes, where) {
  hold(Array.isArray(value), `${where} is not an array`);
  hold(value.length === shapes.length, `${where} has ${value.length} items`);
  shapes.forEach((wanted, at) => conform(value[at], wanted, where));
}

function conformMap(value, fields, where) {
  hold(isMap(value), `${where} is not a map`);
  const unknown = Object.keys(value).filter((key) => key.endsWith("?") || !(has(fields, key) || has(fields, `${key}?`)));
  hold(unknown.length === 0, `${where} holds what does not belong there: ${plain(unknown.join(", "))}`);
  for (const [key, wanted] of Object.entries(fields)) {
    const name = key.replace(/\?$/, "");
    hold(has(value, name) || key !== name, `${where} lacks ${name}`);
    if (has(value, name)) conform(value[name], wanted, `${where}.${name}`);
  }
}

/** A map of this `type`; halts with "cannot be decided" where its `version` is not VERSION. */
export function knownVersion(value, kind, what) {
  hold(isMap(value) && value.type === kind, `${what} is no ${kind}`);
  hold(typeof value.version === "bigint", `the version of ${what} is not an integer`);
  if (value.version === VERSION) return value;
  const who = value.version === 1n ? "; release 0.1 of GridLedger knows it" : "";
  throw new Halt(CANNOT_BE_DECIDED, `${what} is of version ${plain(value.version)}, known here is ${VERSION}${who}`);
}
