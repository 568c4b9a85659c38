/* The regulator's sample: rows of a certified run are drawn by a seed, each one's bundle is fetched and verified in this browser, and
 * what came out is put into a protocol that can be printed. */
import { VERIFIED } from "./answers.mjs";
import { readBundle } from "./bundle.mjs";
import { drawnRow } from "./draw.mjs";
import { badge, element, filled, wordsOf } from "./elements.mjs";
import { verifyFiles } from "./files.mjs";
import { unpackPosition } from "./records.mjs";
import { sm3 } from "./sm3.mjs";
import { hex, range } from "./values.mjs";

const NO_CONTENT = 204;
const ROWS_ASKED_MAX = 64; // until one is billed, whose bundle says how many rows the run has
const STATES = { verified: "good", "not verified": "bad", "cannot be decided": "warn", unbilled: "idle" };

class Sample {
  constructor(form) {
    this.form = form;
    this.words = wordsOf(form);
    this.place = document.querySelector("[data-protocol]");
    this.seen = new Map(); // by row: what was found there
    this.isBusy = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.isBusy) this.run(); // one sample at a time: rows of two would stand in one protocol
    });
  }

  async run() {
    const fields = new FormData(this.form);
    const button = this.form.querySelector("button");
    this.seen.clear();
    const { value, text } = this.form.elements.slot.selectedOptions[0];
    this.asked = { area: this.form.dataset.area, slotS: BigInt(value), slotWords: text };
    this.isBusy = true;
    button.setAttribute("aria-busy", "true");
    try {
      await this.draw(fields.get("seed"), Number(fields.get("count")));
    } catch (why) {
      this.show(element("p", { class: "outage", role: "alert" }, `${this.words.not_fetched} ${why.message}`));
    } finally {
      this.isBusy = false;
      button.removeAttribute("aria-busy");
    }
  }

  async draw(seed, count) {
    this.trust = await fetched("/trust.json");
    this.basis = null; // zone, run and number of rows, as the first bundle that is verified says
    for (let row = 0n; row < ROWS_ASKED_MAX && this.basis === null; row += 1n) await this.look(row);
    if (this.basis === null) {
      this.show(element("p", { class: "outage", role: "alert" }, this.words.none_settled));
      return;
    }
    const items = [];
    for (const number of range(count).map((at) => at + 1)) {
      this.show(element("p", { class: "note" }, filled(this.words.checking, { number, count })));
      const row = drawnRow(seed, number, this.basis.rows);
      items.push({ number, row, ...(await this.look(row)) });
    }
    this.show(...this.protocol(seed, items));
  }

  /** What stands at a row: the answer on its bundle, whose it is, its digest; each row is asked for once. */
  async look(row) {
    if (!this.seen.has(row)) this.seen.set(row, await this.verify(row));
    return this.seen.get(row);
  }

  async verify(row) {
    const { area, slotS } = this.asked;
    const run = this.basis === null ? "" : `?run=${encodeURIComponent(this.basis.run)}`;
    const bundle = await fetched(`/sample/areas/${encodeURIComponent(area)}/slots/${slotS}/rows/${row}${run}`);
    if (bundle === null) return { answer: "unbilled", party: "", digest: "", reason: this.words.no_bill };
    const { answer, facts, reason } = verifyFiles(bundle, this.trust, null);
    const found = { answer, party: facts.party ?? "", digest: hex(sm3(bundle)), reason };
    if (answer !== VERIFIED) return found;
    const shown = readBundle(bundle);
    const place = { zone: facts.zone, run: facts.run, rows: shown.run.value.rows, certifiedBy: facts.certified_by, facts };
    this.basis ??= place;
    const isOfBasis = ["zone", "run", "rows"].every((name) => place[name] === this.basis[name]);
    const isDrawn = isOfBasis && facts.slot_start_s === slotS && unpackPosition(shown.position.row).row === row;
    return isDrawn ? found : { ...found, answer: "not verified", reason: this.words.another };
  }

  show(...parts) {
    this.place.replaceChildren(...parts);
  }

  protocol(seed, items) {
    const { words, basis } = this;
    const count = (answer) => items.filter((item) => item.answer === answer).length;
    const counts = { verified: count(VERIFIED), refuted: count("not verified"), undecided: count("cannot be decided") };
    const facts = [
      [words.seed, element("code", {}, seed)],
      [words.area, this.asked.area],
      [words.slot, this.asked.slotWords],
      [words.run, basis.run],
      [words.rows, basis.rows.toString()],
      [words.ledger, basis.facts.chain],
      [words.certified_by, basis.certifiedBy.join(", ")],
      [words.trust_digest, element("code", { class: "hex" }, hex(sm3(this.trust)))],
      [words.made, `${new Date().toISOString().slice(0, 19).replace("T", " ")} UTC`],
    ];
    const print = element("button", { type: "button", class: "secondary" }, words.print);
    print.addEventListener("click", () => window.print());
    return [
      element("h2", {}, words.protocol),
      element("dl", { class: "facts-list" }, ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
      element("p", { class: "counts" }, element("strong", {}, filled(words.counts, { ...counts, unbilled: count("unbilled") }))),
      this.table(items),
      element("p", { class: "note" }, words.about_unbilled),
      element("p", { class: "signature" }, words.signature),
      print,
    ];
  }

  table(items) {
    const { words } = this;
    const titles = ["#", words.row, words.party, words.answer, words.proof_digest];
    const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)));
    const rows = items.map((item) =>
      element(
        "tr",
        { "data-row": item.row.toString(), "data-answer": item.answer },
        element("td", {}, item.number.toString()),
        element("td", {}, item.row.toString()),
        element("td", {}, item.party),
        element("td", {}, badge(STATES[item.answer], words.answers[item.answer] ?? words.no_bill), this.why(item)),
        element("td", {}, element("code", { class: "hex" }, item.digest)),
      ));
    return element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": words.protocol },
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)),
    );
  }

  why({ answer, reason }) {
    return answer === VERIFIED || answer === "unbilled" ? "" : element("small", {}, ` ${reason}`);
  }
}

/** The bytes at an address of these pages, null where there are none. */
async function fetched(address) {
  const answer = await fetch(address);
  if (answer.status === NO_CONTENT) return null;
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

for (const form of document.querySelectorAll("form[data-sample]")) new Sample(form);
