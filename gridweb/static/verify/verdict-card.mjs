/* A verdict as pages show it: the answer, what was checked, what was not, and what the bundle says.
 *
 * `words`: texts in the page's language, as gridweb.verify_words makes them.
 */
import { VERIFIED } from "./answers.mjs";
import { badge, element, filled } from "./elements.mjs";
import { decimals, energyWord, registerWord, utcTime } from "./text.mjs";

const STATES = { verified: "good", "not verified": "bad", "cannot be decided": "warn", "bad usage": "bad" };

/** The card of a verdict. isOpen: with the lists unfolded. */
export function verdictCard(verdict, words, isOpen = true) {
  const { answer, exit, claim, claims, not_checked: notChecked, reason, mark } = verdict;
  const state = STATES[answer];
  const held = Object.keys(claims);
  const counts = filled(words.checked_counts, { holds: held.length, open: notChecked.length });
  return element(
    "article",
    { class: `verdict ${state}` },
    element(
      "p",
      { class: "answer", "data-answer": answer },
      badge(state, words.answers[answer]),
      element("small", {}, ` ${filled(words.exit_status, { status: exit })}`),
    ),
    claim === null ? null : failedClaim(claim, words),
    answer === VERIFIED ? null : verifierSays(reason, words),
    mark === "" ? null : element("p", { class: "note" }, element("strong", {}, words.marks[mark]), `: ${words.mark_texts[mark]}`),
    element(
      "details",
      { class: "checked", ...(isOpen ? { open: "" } : {}) },
      element("summary", {}, counts),
      held.length === 0 ? null : element("h4", {}, words.checked),
      held.length === 0 ? null : element("ul", { class: "claims" }, ...held.map((word) => heldClaim(word, claims[word], words))),
      element("h4", {}, words.not_checked_title),
      element("ul", { class: "claims" }, ...notChecked.map((text) => element("li", {}, badge("idle", words.not_checked[text] ?? text)))),
    ),
  );
}

const failedClaim = ({ word }, words) =>
  element(
    "p",
    { class: "failed", "data-failed": word },
    `${words.claim_that_fails} `,
    element("strong", {}, words.claims[word]),
    " ",
    element("code", {}, word),
  );

const verifierSays = (reason, words) =>
  element(
    "p",
    { class: "verifier-says" },
    element("span", {}, words.verifiers_words),
    " ",
    element("code", { lang: "en" }, reason),
  );

const heldClaim = (word, text, words) =>
  element(
    "li",
    {},
    badge("good", words.claims[word]),
    " ",
    element("code", {}, word),
    element("br"),
    element("span", { class: "verifier-says", lang: "en" }, text),
  );

/** What a bundle says, once it is not refuted: whose slot, which lines, which block, whose keys; null of one that says nothing. */
export function billOf({ answer, facts }, words) {
  if (answer === "not verified" || facts.party === undefined) return null;
  const span = `${utcTime(facts.slot_start_s).slice(0, 16)} – ${utcTime(facts.slot_end_s).slice(11, 16)} UTC`;
  const rows = [
    [words.party, facts.party],
    [words.meter, facts.meter],
    ...(energyWord(facts) === "" ? [] : [[words.quality, words.qualities[energyWord(facts)]]]),
    [words.slot, span],
    [words.area, facts.area],
    [words.run, facts.run],
    [words.later_runs, facts.later_runs.join(", ") || words.no_later_run],
    [words.ledger, facts.chain],
    [words.block, `${facts.height} · ${utcTime(facts.header_time_s)} UTC`],
    [words.certified_by, facts.certified_by?.join(", ") ?? words.not_certified],
    ...(facts.approved ?? []).map((one) => answeredFor(one, words)),
    ...(facts.keys ?? []).map((key) => [`${words.roles[key.role]} ${key.signer}`, keyText(key, words)]),
  ];
  return element(
    "section",
    { class: "bill" },
    element("h3", {}, words.the_bill),
    element("dl", { class: "facts-list" }, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    facts.lines === undefined ? null : linesTable(facts, words),
  );
}

/** Of a register that nobody's meter signed: whose word it is, and why. */
const answeredFor = (one, words) => [
  filled(words.register, { time: `${utcTime(one.boundary_s)} UTC` }),
  `${words.qualities[registerWord(one)]} · ${filled(words.answers_for, { signer: one.signer, reason: one.reason })}`,
];

const keyText = (key, words) => [
  `${tieText(key.tie, words)} · SM3 `,
  element("code", { class: "hex" }, key.fingerprint),
];

/** How a key is tied; "enrolled" and "voted" say by whom, and at which height. */
function tieText(tie, words) {
  const found = /^(enrolled|voted) by (.+) at height ([0-9]+)$/.exec(tie);
  return found === null ? words.ties[tie] : filled(words.ties[found[1]], { by: found[2], height: found[3] });
}

function linesTable({ lines, currency, pays_nano: paysNano }, words) {
  const prices = decimals(lines.map((line) => line.price_micro_per_kwh), 6);
  const amounts = decimals([...lines.map((line) => line.amount_nano), paysNano], 9);
  const number = (text) => element("td", { class: "number" }, text);
  const heading = (text, kind = "") => element("th", { scope: "col", class: kind || null }, text);
  const body = lines.map((line, at) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, words.line_kinds[line.line_kind] ?? line.line_kind),
      ...[line.energy_wh.toString(), prices[at], amounts[at]].map(number),
    ));
  const sum = element("tr", {}, element("th", { scope: "row", colspan: "3" }, words.sum), number(amounts.at(-1)));
  const titles = [heading(words.line), ...["Wh", `${currency}/kWh`, currency].map((text) => heading(text, "number"))];
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": words.the_bill },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...titles)),
      element("tbody", {}, ...body),
      element("tfoot", {}, sum),
    ),
  );
}
