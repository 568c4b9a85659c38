/* The verdict as a household reads it, line by line, as the stand-alone verifier in Python prints it. */
import { NOT_VERIFIED, plain } from "./answers.mjs";
import { OWN_WORD } from "./claims/certificate.mjs";
import { magnitude } from "./values.mjs";

const MARK_TEXTS = {
  SIMULATED: "this chain's clock is simulated; no real meter stands behind its readings.",
  IMPORTED: "these values were imported from files; no meter signed them.",
};
const ROLE_WORDS = {
  gateway: "gateway",
  prosumer: "party",
  aggregator: "aggregator",
  administrator: "administrator",
  utility: "utility",
};
const SUBSTITUTE = "substitute: "; // begins the reason of an approved register that nobody read
const TIE_WORDS = { genesis: "named by genesis", pinned: "pinned in the trust file" };
const NANO_DIGITS = 9;
const MICRO_DIGITS = 6;
const PLACES_MIN = 2;
const LAST_SECOND = 253_402_300_799n; // of the year 9999

/** The answer; the bill; state, certificate and keys; what was checked, and what was not. */
export function verdictLines(verdict) {
  const { answer, reason, mark, facts, claims, not_checked: notChecked } = verdict;
  const isTold = answer !== NOT_VERIFIED && facts.party !== undefined;
  const held = Object.entries(claims).map(([word, text]) => `  ${word}: ${text}`);
  return [
    `${answer.toUpperCase()}: ${reason}`,
    ...(mark ? [`${mark}: ${MARK_TEXTS[mark]}`] : []),
    ...(isTold ? [...billLines(facts), ...originLines(facts)] : []),
    ...(held.length > 0 ? ["", "Checked:", ...held] : []),
    ...["", "Not checked:"],
    ...notChecked.map((text) => `  ${text}`),
  ];
}

/** A time of the ledger in UTC, to the second. */
export function utcTime(seconds) {
  const shown = seconds < LAST_SECOND ? seconds : LAST_SECOND;
  return new Date(Number(shown) * 1000).toISOString().slice(0, 19).replace("T", " ");
}

/** Of a register that an organisation answers for: nobody read a substitute. */
export const registerWord = ({ reason }) => (reason.startsWith(SUBSTITUTE) ? "substituted" : "corrected");

/** Of an energy that does not end with a reading, "" for any other. */
export function energyWord(facts) {
  if (facts.missing) return "missing";
  if (facts.estimates || facts.estimated) return "estimated";
  const end = facts.approved?.findLast((one) => one.boundary_s === facts.slot_end_s);
  return end === undefined ? "" : registerWord(end);
}

function energyWords(facts) {
  const word = energyWord(facts);
  const meter = facts.estimated ? "" : `meter ${plain(facts.meter)}`;
  return [meter, word && `energy ${word.toUpperCase()}`].filter(Boolean).join(", ");
}

/** The lines of the point as a table, and what they come to. */
function billLines(facts) {
  const start = utcTime(facts.slot_start_s).slice(0, 16);
  const end = utcTime(facts.slot_end_s).slice(11, 16);
  const first = `${facts.party}, ${energyWords(facts)}, ${start} to ${end} UTC, area ${facts.area}, run ${facts.run}:`;
  if (facts.lines === undefined) return ["", first];
  const pays = owes(facts.pays_nano, facts.currency, ["owes", "is paid"]);
  const alone = owes(facts.supplier_only_nano, facts.currency, ["would owe", "would be paid"]);
  const last = `${facts.party} ${pays} for this slot; with the supplier alone it ${alone}.`;
  return ["", first, ...tableLines(facts), last];
}

function tableLines({ lines, currency }) {
  const prices = decimals(lines.map((line) => line.price_micro_per_kwh), MICRO_DIGITS);
  const amounts = decimals(lines.map((line) => line.amount_nano), NANO_DIGITS);
  const rows = [
    ["line", "energy", `${currency}/kWh`, currency, "account"],
    ...lines.map((line, at) => [line.line_kind, `${line.energy_wh} Wh`, prices[at], amounts[at], line.account]),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map(([kind, ...rest]) => {
    const right = rest.slice(0, 3).map((text, at) => text.padStart(widths[at + 1])).join("  ");
    return `  ${kind.padEnd(widths[0])}  ${right}  ${rest[3]}`;
  });
}

/** Numbers of 10^-digits, exactly, all with as many places as the longest needs, at least two; "" for null. */
export function decimals(numbers, digits) {
  const shown = numbers.map((number) => (number === null ? "" : decimal(number, digits)));
  const zeros = shown.filter(Boolean).map((text) => text.length - text.replace(/0+$/, "").length);
  const spare = Math.min(zeros.length > 0 ? Math.min(...zeros) : 0, digits - PLACES_MIN);
  return shown.map((text) => text.slice(0, text.length - spare));
}

function decimal(number, digits) {
  const text = magnitude(number).toString().padStart(digits + 1, "0");
  return `${number < 0n ? "-" : ""}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** An amount with the word for one that is owed, or for one that is received. */
function owes(amountNano, currency, [owed, received]) {
  return `${amountNano < 0n ? received : owed} ${decimals([magnitude(amountNano)], NANO_DIGITS)[0]} ${currency}`;
}

const tieWords = (tie) => TIE_WORDS[tie] ?? tie;

/** Where it stands, who certified it, whose keys signed, and which clocks the gateways stated. */
function originLines(facts) {
  const later = facts.later_runs.join(", ");
  return [
    "",
    `Ledger ${facts.chain}, block ${facts.height} of ${utcTime(facts.header_time_s)} UTC.`,
    later ? `A later run of this slot was known then: ${later}.` : "No later run of this slot was known then.",
    ...certifierLines(facts),
    ...(facts.keys ?? []).flatMap(keyLines),
    ...(facts.aggregators ?? []).map((placed) =>
      `Order ${placed.counter} was placed by aggregator ${placed.aggregator} under a mandate of the party's registry row.`),
    ...(facts.files ?? []).flatMap((file) => [`Imported from ${plain(file.name)}, SM3:`, `  ${file.sm3}`]),
    ...(facts.estimates ? [`The importer estimated the energy by ${plain(facts.estimates)}.`] : []),
    ...(facts.approved ?? []).map((one) => {
      const answers = `${one.signer} answers for it: ${plain(one.reason)}`;
      return `Register of ${utcTime(one.boundary_s)} UTC: ${registerWord(one)}, ${answers}`;
    }),
    ...(facts.clocks ?? []).map((clock) => {
      const stated = `${clock.state}, ${clock.offset_ms} ms off`;
      return `Reading of ${utcTime(clock.boundary_s)} UTC: gateway ${clock.gateway} stated its clock as ${stated}.`;
    }),
  ];
}

function certifierLines(facts) {
  if (facts.signers === undefined) return [];
  const { signers, signers_total: total, power, power_total: powerTotal, certified_by: names } = facts;
  const count = `${signers} of ${total} signers, ${power} of ${powerTotal} power`;
  return [`Certified by ${names.join(", ")} (${total === 1 ? OWN_WORD : count}).`];
}

function keyLines(key) {
  const origin = key.tie === key.origin ? "" : `; ${tieWords(key.origin)}`;
  return [
    `Key of ${ROLE_WORDS[key.role]} ${key.signer}, ${tieWords(key.tie)}${origin}; fingerprint (SM3):`,
    `  ${key.fingerprint}`,
  ];
}
