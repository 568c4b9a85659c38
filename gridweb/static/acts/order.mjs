/* The form that places an order. */
import { conditionsOf } from "./conditions.mjs";
import { SignedForm, units } from "./form.mjs";
import { placed } from "./placing.mjs";

/** What the form says, in the ledger's units; null where it is no order. */
function read(form) {
  const { area, slot, quantityMax, priceMax } = form.dataset;
  const { side, quantity, price } = form.elements;
  const [wh, micro] = [units(quantity.value, 3), units(price.value, 6)];
  if (!wh || wh > BigInt(quantityMax) || micro === null || micro > BigInt(priceMax)) return null;
  const order = { area, side: side.value, quantity: wh, price: micro, slotStart: BigInt(slot) };
  const conditions = conditionsOf(form.elements, wh, micro, priceMax);
  if (conditions === undefined) return order;
  if (conditions === null || side.value !== "buy") return null;
  const highest = conditions.map((one) => one.price_micro_per_kwh).reduce((one, next) => (next > one ? next : one));
  return { ...order, price: highest, conditions };
}

for (const form of document.querySelectorAll("form[data-order]")) {
  const { chain, party, counter, counterMax } = form.dataset;
  new SignedForm(form, {
    read,
    send: (sending, order, key) => {
      const last = Number(counterMax) + 1 - (order.conditions?.length ?? 1);
      return placed(sending, order, { chain, signer: party, first: Number(counter), last, key });
    },
  });
}
