/* The form that makes a standing rule: buy up to, sell from, in every slot of some days. */
import { ruleContent } from "./contents.mjs";
import { SignedForm, units } from "./form.mjs";
import { placed } from "./placing.mjs";

const SIDES = ["buy", "sell"];

/** A side of the rule; undefined where neither field says anything, null where they are not well-formed. */
function part(form, side) {
  const { quantityMax, priceMax } = form.dataset;
  const texts = ["quantity", "price"].map((name) => form.elements[`${side}_${name}`].value.trim());
  if (texts.every((text) => text === "")) return undefined;
  const [quantity, price] = [units(texts[0], 3), units(texts[1], 6)];
  if (!quantity || quantity > BigInt(quantityMax) || price === null || price > BigInt(priceMax)) return null;
  return { price, quantity, side };
}

/** What the form says, in the ledger's units; null where it is no rule. */
function read(form) {
  const { area, slot, endMax, day, daysMax } = form.dataset;
  const parts = SIDES.map((side) => part(form, side)).filter((one) => one !== undefined);
  const days = Number(form.elements.days.value);
  if (parts.length === 0 || parts.includes(null) || !Number.isInteger(days) || days < 1 || days > Number(daysMax)) return null;
  const end = Math.min(Number(slot) + days * Number(day), Number(endMax));
  return { area, parts, slotStart: BigInt(slot), end: BigInt(end) };
}

for (const form of document.querySelectorAll("form[data-standing]")) {
  const { chain, party, counterMax } = form.dataset;
  new SignedForm(form, {
    read,
    send: (sending, rule, key) => {
      const last = Number(counterMax) + 1 - rule.parts.length;
      return placed(sending, rule, { chain, signer: party, key, first: 1, last }, ruleContent);
    },
  });
}
