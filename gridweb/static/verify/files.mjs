/* The files of one question as verdicts: what the command, the pages and the offline page ask with. */
import { EXIT_STATUS, Halt, plain } from "./answers.mjs";
import { CLAIMS, NEVER_CHECKED } from "./claim-words.mjs";
import { decodeTrust } from "./trust.mjs";
import { hex, isBytes } from "./values.mjs";
import { verifyBundle } from "./verdict.mjs";

/** The verdict on a bundle; trust and book may be null. A trust file that is malformed is "bad usage", `trustName` names it. */
export function verifyFiles(bundle, trust, book, trustName = "trust.json") {
  let root = null;
  try {
    root = trust === null ? null : decodeTrust(trust);
  } catch (why) {
    if (!(why instanceof Halt)) throw why;
    return {
      ...{ answer: why.answer, exit: EXIT_STATUS[why.answer], reason: `${plain(trustName)}: ${why.reason}` },
      ...{ claim: null, claims: {}, mark: "", facts: {}, not_checked: [...Object.values(CLAIMS), ...NEVER_CHECKED] },
    };
  }
  return verifyBundle(bundle, root, book);
}

/** A verdict as one JSON object: integers as numbers of whatever size, bytes in hex. */
export function verdictJson(value) {
  if (typeof value === "bigint") return value.toString();
  if (isBytes(value)) return JSON.stringify(hex(value));
  if (Array.isArray(value)) return `[${value.map(verdictJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${verdictJson(item)}`);
  return `{${entries.join(", ")}}`;
}
