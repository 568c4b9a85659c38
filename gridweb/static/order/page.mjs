/* The form that places an order: opens the key file, signs here, sends the signed order, and says in one line what became of it. */
import { wordsOf } from "../verify/elements.mjs";
import { utf8 } from "../verify/values.mjs";
import { KeyFileError, openKeyFile } from "./keyfile.mjs";
import { Sending } from "./sending.mjs";

const CBOR_TYPE = "application/cbor";

/** A decimal of at most so many digits behind the point, in units of its last one; null for anything else. */
function units(text, digits) {
  const found = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim());
  if (found === null || (found[2] ?? "").length > digits) return null;
  return BigInt(found[1] + (found[2] ?? "").padEnd(digits, "0"));
}

class OrderForm {
  constructor(form) {
    this.form = form;
    this.words = wordsOf(form);
    this.said = form.querySelector(".said");
    this.button = form.querySelector("button");
    this.sending = new Sending(posted);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.button.hasAttribute("aria-busy")) this.place();
    });
  }

  say(text, state = "") {
    this.said.className = `said ${state}`;
    this.said.textContent = text;
  }

  async place() {
    const order = this.order();
    if (order === null) return this.say(this.words.amounts, "bad");
    this.button.setAttribute("aria-busy", "true");
    try {
      this.say(this.words.opening);
      const { key: file, password } = this.form.elements;
      const key = await openKeyFile(await file.files[0].text(), utf8(password.value));
      this.say(this.words.sending);
      const answer = await this.send(order, key);
      this.say(answer.words, answer.is_placed ? "good" : "bad");
      if (answer.is_placed) setTimeout(() => location.assign(`?slot=${this.form.dataset.slot}`), 1500);
    } catch (why) {
      this.say(why instanceof KeyFileError ? this.words[why.word] : `${this.words.unanswered} ${why.message}`, "bad");
    } finally {
      this.form.elements.password.value = "";
      this.button.removeAttribute("aria-busy");
    }
    return undefined;
  }

  /** What the form says, in the ledger's units; null where it is no order. */
  order() {
    const { area, slot, quantityMax, priceMax } = this.form.dataset;
    const { side, quantity, price } = this.form.elements;
    const [wh, micro] = [units(quantity.value, 3), units(price.value, 6)];
    if (!wh || wh > BigInt(quantityMax) || micro === null || micro > BigInt(priceMax)) return null;
    return { area, side: side.value, quantity: wh, price: micro, slotStart: BigInt(slot) };
  }

  /** With the next counter that the household has not used in the slot. */
  send(order, key) {
    const { chain, party, counter, counterMax } = this.form.dataset;
    return this.sending.send(order, { chain, party, key, first: Number(counter), last: Number(counterMax) });
  }
}

async function posted(body) {
  const token = document.querySelector("meta[name=form-token]").content;
  const headers = { "Content-Type": CBOR_TYPE, "X-Form-Token": token, Accept: "application/json" };
  const answer = await fetch(location.pathname, { method: "POST", headers, body });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail ?? answer.statusText);
  return found;
}

for (const form of document.querySelectorAll("form[data-order]")) new OrderForm(form);
