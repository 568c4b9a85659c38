/* The verdict on a bundle: every claim in its order, trust last. */
import { CANNOT_BE_DECIDED, EXIT_STATUS, Halt, NOT_VERIFIED, VERIFIED } from "./answers.mjs";
import { readBundle } from "./bundle.mjs";
import {
  APPROVED_UNREAD, CLAIMS, ESTIMATE_UNCHECKED, IMPORTED_UNSIGNED, IMPORT_ESTIMATE_UNCHECKED, NEVER_CHECKED, TRADES_UNSHOWN,
} from "./claim-words.mjs";
import { checkEnergy, checkLines, checkReadings } from "./claims/bill.mjs";
import { checkBook } from "./claims/book.mjs";
import { checkCertificate } from "./claims/certificate.mjs";
import { checkKeys, checkSignatures } from "./claims/keys.mjs";
import { checkClearing, checkOrders } from "./claims/market.mjs";
import { checkRecorded } from "./claims/recorded.mjs";
import { checkHeader, checkPosition, checkRegistry } from "./claims/state.mjs";
import { Examination } from "./examination.mjs";
import { OF_CONTRACT, OF_READINGS } from "./layout.mjs";
import { has } from "./values.mjs";

const SHAPE = "shape";
const BOOK_CLAIM = "book";
/** Of each claim behind the first, in their order. */
const CHECKS = {
  header: checkHeader,
  registry: checkRegistry,
  position: checkPosition,
  lines: checkLines,
  energy: checkEnergy,
  readings: checkReadings,
  orders: checkOrders,
  clearing: checkClearing,
  recorded: checkRecorded,
  keys: checkKeys,
  signatures: checkSignatures,
  certificate: checkCertificate,
  [BOOK_CLAIM]: checkBook,
};
const MARKS = { simulated: "SIMULATED", imported: "IMPORTED" };

/** Check every claim of a bundle, and of its area's anonymous order book where one is given; never throws for bad bytes.
 *
 * Returns the answer and its exit status, why, the claim that fails {number, word} or null, the claims that hold (word: text), what
 * was not checked, what the bundle shows, and its mark: SIMULATED, IMPORTED or "".
 */
export function verifyBundle(data, trust, book = null) {
  let examination = null;
  try {
    examination = new Examination(readBundle(data), trust, book);
  } catch (why) {
    if (!(why instanceof Halt)) throw why;
    const refuted = why.answer === NOT_VERIFIED ? SHAPE : "";
    return verdictOf({ answer: why.answer, reason: refuted ? `${SHAPE}: ${why.reason}` : why.reason, refuted });
  }
  const claims = { [SHAPE]: "The file is one canonical evidence bundle, version 2, and so is everything inside." };
  const { facts, contract } = examination;
  const { refuted, reasons } = check(examination, claims);
  const undecided = reasons.length > 0 ? CANNOT_BE_DECIDED : VERIFIED;
  const answer = refuted ? NOT_VERIFIED : undecided;
  const reason = [...new Set(reasons)].join("; ") || "every claim holds";
  return verdictOf({ answer, reason, refuted, claims, facts, beyond: contract?.not_checked });
}

/** Put the text of each claim that holds into `claims`; the word of the first that is refuted, and the reasons of those that do
 * not hold. One that cannot be decided ends nothing: a later one may still be refuted. */
function check(examination, claims) {
  const reasons = [];
  for (const [word, checkClaim] of Object.entries(CHECKS)) {
    if (!isDue(word, examination)) continue;
    try {
      claims[word] = checkClaim(examination);
    } catch (why) {
      if (!(why instanceof Halt)) throw why;
      if (why.answer === NOT_VERIFIED) return { refuted: word, reasons: [`${word}: ${why.reason}`] };
      reasons.push(why.reason);
    }
  }
  return { refuted: "", reasons };
}

function isDue(word, examination) {
  if (word === BOOK_CLAIM) return examination.bookData !== null;
  if (OF_CONTRACT.includes(word)) return examination.contract !== null;
  return !OF_READINGS.includes(word) || !examination.isEstimated;
}

function verdictOf({ answer, reason, refuted, claims = {}, facts = {}, beyond = [] }) {
  const words = Object.keys(CLAIMS);
  const told = [
    [facts.clock === "imported", IMPORTED_UNSIGNED],
    [facts.estimated, ESTIMATE_UNCHECKED],
    [facts.estimates, IMPORT_ESTIMATE_UNCHECKED],
    [facts.approved?.length, APPROVED_UNREAD],
    [facts.trades_unshown, TRADES_UNSHOWN],
  ].flatMap(([isSo, text]) => (isSo ? [text] : []));
  const open = words.filter((word) => !has(claims, word) && word !== refuted).map((word) => CLAIMS[word]);
  return {
    answer,
    exit: EXIT_STATUS[answer],
    reason,
    claim: refuted ? { number: words.indexOf(refuted) + 1, word: refuted } : null,
    claims,
    not_checked: [...told, ...open, ...beyond, ...NEVER_CHECKED],
    mark: MARKS[facts.clock] ?? "",
    facts,
  };
}
