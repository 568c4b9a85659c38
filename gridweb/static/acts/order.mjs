/* The form that places an order. */
import { SignedForm, units } from "./form.mjs";
import { placed } from "./placing.mjs";

/** A bid's conditions, in the order of its liking: from a seller or of a kind, else up to another limit from anybody. null: not well-formed. */
function conditionsOf({ seller, kind, other }, wh, micro, priceMax) {
  const asked = { ...(seller.value.trim() ? { seller: seller.value.trim() } : {}), ...(kind.value ? { energy_kind: kind.value } : {}) };
  if (Object.keys(asked).length === 0) return other.value.trim() ? null : undefined;
  const first = { energy_wh: wh, price_micro_per_kwh: micro, ...asked };
  if (!other.value.trim()) return [first];
  const elseMicro = units(other.value, 6);
  if (elseMicro === null || elseMicro > BigInt(priceMax)) return null;
  return [first, { energy_wh: wh, price_micro_per_kwh: elseMicro }];
}

/** What the form says, in the ledger's units; null where it is no order. */
function read(form) {
  const { area, slot, quantityMax, priceMax } = form.dataset;
  const { side, quantity, price, seller } = form.elements;
  const [wh, micro] = [units(quantity.value, 3), units(price.value, 6)];
  if (!wh || wh > BigInt(quantityMax) || micro === null || micro > BigInt(priceMax)) return null;
  const order = { area, side: side.value, quantity: wh, price: micro, slotStart: BigInt(slot) };
  const conditions = seller === undefined ? undefined : conditionsOf(form.elements, wh, micro, priceMax);
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
