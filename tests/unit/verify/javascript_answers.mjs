/* Answers questions to the verifier in JavaScript: what the conformance vectors and mutated bundles ask.
 *
 * answerTo({handler, input}) -> the output that the handler's vectors expect; bytes travel as hex. In a browser a test imports it; as
 * a program of Node.js it answers one JSON line with another one.
 */
import { Halt } from "../../../gridweb/static/verify/answers.mjs";
import { BOOLEANS, decode } from "../../../gridweb/static/verify/cbor.mjs";
import { verdictJson, verifyFiles } from "../../../gridweb/static/verify/files.mjs";
import { BOOK_BYTES_MAX } from "../../../gridweb/static/verify/layout.mjs";
import { isValidSignature } from "../../../gridweb/static/verify/sm2.mjs";
import { sm3 } from "../../../gridweb/static/verify/sm3.mjs";
import { verdictLines } from "../../../gridweb/static/verify/text.mjs";
import { foldPath, leafHash, nodeHash, rootOfLeaves } from "../../../gridweb/static/verify/trees.mjs";
import { bytesOf, equal, fromHex, hex, joined, utf8 } from "../../../gridweb/static/verify/values.mjs";

const SALT_BYTES = 16;
const SIMPLE = new Map([...BOOLEANS, [0xf6, null]]);
const HEX = /^(?:[0-9a-fA-F]{2})*$/;

class Refused extends Error {}

function bytes(text) {
  if (typeof text !== "string" || !HEX.test(text)) throw new Refused("not hex");
  return fromHex(text);
}

const HANDLERS = {
  "sm3/1": ({ message }) => ({ digest: hex(sm3(bytes(message))) }),
  "sm2_verify/1": (input) => isValid(() =>
    isValidSignature(bytes(input.public_key), bytes(input.message), bytes(input.signature), utf8(input.distinguishing_id))),
  "merkle_root/1": ({ leaves }) => ({ root: hex(rootOfLeaves(leaves.map(bytes))) }),
  "merkle_inclusion/1": (input) => isValid(() => isIncluded(input)),
  "merkle_consistency/1": (input) => isValid(() => isConsistent(input)),
  "salted_root/1": saltedRoot,
  "cbor_canonical/1": (input) => ({ canonical: isCanonical(bytes(input.bytes)) }),
  "bundle_verify/1": ({ bundle, trust, book }) => {
    const [one, two, three] = [bundle, trust, book].map((text) => (text === undefined ? null : bytes(text)));
    const verdict = verifyFiles(one, two, three);
    const { answer, exit, claim } = verdict;
    return { answer, exit, claim, json: verdictJson(verdict), text: verdictLines(verdict).join("\n") }; // exact as text alone
  },
};

export function answerTo({ handler, input }) {
  try {
    return HANDLERS[handler](input);
  } catch (why) {
    if (why instanceof Refused) return { error: true };
    throw why;
  }
}

function isValid(check) {
  try {
    return { valid: check() };
  } catch (why) {
    if (why instanceof Refused) return { valid: false };
    throw why;
  }
}

/** Whether the verifier's decoder takes it, at any depth and with null, which no bundle holds. */
function isCanonical(data) {
  try {
    decode(data, "the item", { simple: SIMPLE, itemsMax: BOOK_BYTES_MAX, depthMax: BOOK_BYTES_MAX });
    return true;
  } catch (why) {
    if (why instanceof Halt) return false;
    throw why;
  }
}

/** The sides of a leaf's siblings, from the leaf up (RFC 9162 section 2.1.3.2): 0 left, 1 right. */
function sidesOf(index, size) {
  const sides = [];
  for (let at = index, last = size - 1; last > 0; at = Math.floor(at / 2), last = Math.floor(last / 2)) {
    if (at % 2) sides.push(0);
    else if (at < last) sides.push(1);
  }
  return sides;
}

function isIncluded({ leaf, index, size, path, root }) {
  if (!(index >= 0 && index < size)) return false;
  const sides = sidesOf(index, size);
  const siblings = path.map(bytes);
  if (sides.length !== siblings.length || siblings.some((one) => one.length !== 32)) return false;
  const sided = siblings.map((sibling, at) => joined(Uint8Array.of(sides[at]), sibling));
  return equal(foldPath(leafHash(bytes(leaf)), sided), bytes(root));
}

function isConsistent({ size_old: oldSize, root_old, size_new: newSize, root_new, path }) {
  const [oldRoot, newRoot] = [bytes(root_old), bytes(root_new)];
  const siblings = path.map(bytes);
  const empty = rootOfLeaves([]);
  if (oldSize < 0 || oldSize > newSize || [oldRoot, newRoot, ...siblings].some((one) => one.length !== 32)) return false;
  if (oldSize === newSize) return equal(oldRoot, newRoot) && siblings.length === 0 && (newSize > 0 || equal(oldRoot, empty));
  if (oldSize === 0) return siblings.length === 0 && equal(oldRoot, empty);
  return isGrown(oldSize - 1, newSize - 1, oldRoot, newRoot, siblings);
}

/** RFC 9162 section 2.1.4.2, with the places of both last leaves. */
function isGrown(oldLast, newLast, oldRoot, newRoot, siblings) {
  let [at, last] = [oldLast, newLast];
  while (at % 2) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  const due = at ? [...siblings] : [oldRoot, ...siblings];
  if (due.length === 0) return false;
  let [old, grown] = [due[0], due[0]];
  for (const sibling of due.slice(1)) {
    if (last === 0) return false;
    if (at % 2 || at === last) {
      [old, grown] = [nodeHash(sibling, old), nodeHash(sibling, grown)];
      while (at % 2 === 0 && at !== 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
    } else grown = nodeHash(grown, sibling);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && equal(old, oldRoot) && equal(grown, newRoot);
}

/** Salts: SM3(seed || counter), counter 32 bits from 1; each digest gives two. */
function saltedRoot({ seed, rows }) {
  const [start, data] = [bytes(seed), rows.map(bytes)];
  const salts = data.map((_, at) => {
    const digest = sm3(joined(start, bytesOf(BigInt(Math.floor(at / 2) + 1), 4)));
    return digest.subarray((at % 2) * SALT_BYTES, (at % 2 + 1) * SALT_BYTES);
  });
  return { root: hex(rootOfLeaves(data.map((row, at) => joined(salts[at], row)))), salts: salts.map(hex) };
}

if (typeof process !== "undefined") {
  const { createInterface } = await import("node:readline");
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(answerTo(JSON.parse(line)))}\n`);
  }
}
