/* What the form of a standing rule says: buy up to, sell from, in every slot of some days, and what it prefers to buy. */
import { conditionsOf } from "./conditions.mjs";
import { units } from "./form.mjs";

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

/** The same parts, of which the one that buys has conditions where the form prefers something; null where that is not well-formed. */
function preferring(form, parts) {
  const buy = parts.find((one) => one.side === "buy");
  const conditions = conditionsOf(form.elements, buy?.quantity, buy?.price, form.dataset.priceMax);
  if (conditions === undefined) return parts;
  return conditions && buy ? parts.map((one) => (one === buy ? { conditions, side: "buy" } : one)) : null;
}

/** What the form says, in the ledger's units; null where it is no rule. */
export function ruleOf(form) {
  const { area, slot, endMax, day, daysMax } = form.dataset;
  const sides = SIDES.map((side) => part(form, side)).filter((one) => one !== undefined);
  const days = Number(form.elements.days.value);
  if (sides.length === 0 || sides.includes(null) || !Number.isInteger(days) || days < 1 || days > Number(daysMax)) return null;
  const parts = preferring(form, sides);
  if (parts === null) return null;
  const end = Math.min(Number(slot) + days * Number(day), Number(endMax));
  return { area, parts, slotStart: BigInt(slot), end: BigInt(end) };
}

/** How many counters a rule takes. */
export const countersOf = ({ parts }) => parts.flatMap((one) => one.conditions ?? [one]).length;
