/* The form that places an order. */
import { SignedForm, units } from "./form.mjs";
import { placed } from "./placing.mjs";

/** What the form says, in the ledger's units; null where it is no order. */
function read(form) {
  const { area, slot, quantityMax, priceMax } = form.dataset;
  const { side, quantity, price } = form.elements;
  const [wh, micro] = [units(quantity.value, 3), units(price.value, 6)];
  if (!wh || wh > BigInt(quantityMax) || micro === null || micro > BigInt(priceMax)) return null;
  return { area, side: side.value, quantity: wh, price: micro, slotStart: BigInt(slot) };
}

for (const form of document.querySelectorAll("form[data-order]")) {
  const { chain, party, counter, counterMax } = form.dataset;
  const by = { chain, signer: party, first: Number(counter), last: Number(counterMax) };
  new SignedForm(form, { read, send: (sending, order, key) => placed(sending, order, { ...by, key }) });
}
