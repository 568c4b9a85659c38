/* What a bid prefers, as the fields of a form say it: of an order, or of what a standing rule buys. */
import { units } from "./form.mjs";

/** The conditions of a bid of so many Wh up to a limit, in the order of its liking: from a seller or of a kind, else up to another
 * limit from anybody. undefined: the form has no such fields, or they say nothing; null: they are not well-formed. */
export function conditionsOf({ seller, kind, other }, wh, micro, priceMax) {
  if (seller === undefined) return undefined;
  const asked = { ...(seller.value.trim() ? { seller: seller.value.trim() } : {}), ...(kind.value ? { energy_kind: kind.value } : {}) };
  if (Object.keys(asked).length === 0) return other.value.trim() ? null : undefined;
  const first = { energy_wh: wh, price_micro_per_kwh: micro, ...asked };
  if (!other.value.trim()) return [first];
  const elseMicro = units(other.value, 6);
  if (elseMicro === null || elseMicro > BigInt(priceMax)) return null;
  return [first, { energy_wh: wh, price_micro_per_kwh: elseMicro }];
}
