/* What a settlement contract computes of one point and of one book: as much of it as a bundle shows (docs/spec/contracts.md).
 *
 * A contract is an object:
 *   contract_id, position_columns, area_columns, price_keys, not_checked: as the specification lists them
 *   terms          their shape in the rules
 *   checkTerms     halts where terms of that shape do not hold together
 *   takesPrices    whether prices, each within its bound, may be so together
 *   linesOfPoint   one line a kind, in the order of the kinds
 *   checkPoint     halts where a column that no sum of lines gives does not follow, or a price may not be
 *   clear          (orders, terms) -> what a gate comes to; null of a contract that takes no orders. Orders are {side, quantity_wh,
 *                  limit, until_rank} in rank order: side 0 buys, 1 sells; until_rank: the rank before which it was withdrawn
 *   supplierOnly   what the energy that is billed would have cost with the supplier alone
 *   trades_in_pairs    whether a gate comes to trades, each at a price of its own
 *   has_buyers_price   whether a gate has a price for buyers beside its trades, which are at what sellers get
 *   takes_agreements   whether the point's agreements say what it traded; a bundle of another contract shows none
 *   ranks_by_arrival   whether orders rank as they came
 *   asks_wants         whether rows of orders say bid, choice, energy_kinds and seller
 *   asks_arrival       whether rows of orders say when each came: its place among those of its area, from 0
 *   has_grid_fees      whether rows of orders say their place, and trades have fees that buyers pay beyond the price
 */
import { sum } from "./values.mjs";

export const TRADE_PRICE = "trade_price_micro_per_kwh"; // the clearing's price, in place of one of the rules

/** A kind of line. sign: 1 where the party owes energy x price, -1 where it is owed. price: the key of its price in the rules;
 * TRADE_PRICE, or "" for a line without a price. */
export const lineKind = (name, account, sign, price) => ({ name, account, sign, price });

/** A line of a point: energy x price, signed; without a price (null) the amount is the contract's own. Positive: the party owes. */
export const pointLine = (kind, energy_wh, price_micro_per_kwh, amount_nano) =>
  ({ kind, energy_wh, price_micro_per_kwh, amount_nano });

/** A line of energy x price. */
export function pricedLine(kind, energy_wh, of) {
  const price = kind.price === TRADE_PRICE ? of.trade_price : of.prices[kind.price];
  return pointLine(kind, energy_wh, price, kind.sign * energy_wh * price);
}

/** Lines of kinds and energies, one of each. */
export const pricedLines = (kinds, energiesWh, of) => kinds.map((kind, at) => pricedLine(kind, energiesWh[at], of));

/** What the point would owe with the supplier alone. */
export function supplierOnlyNano(of) {
  const keys = ["residual_price_micro_per_kwh", "network_residual_micro_per_kwh", "levy_micro_per_kwh"];
  const importPrice = sum(keys.map((key) => of.prices[key]));
  return of.import_wh * importPrice - of.export_wh * of.prices.feed_in_price_micro_per_kwh;
}

/** A trade of a gate: the ranks of both orders, its energy and price. */
export const match = (buy, sell, energy_wh, price_micro_per_kwh) => ({ buy, sell, energy_wh, price_micro_per_kwh, fee_micro_per_kwh: 0n });

/** What a gate comes to: volume, price (null without one for all), the fill of each order in rank order, trades in their order. */
export const cleared = (volume_wh, price_micro_per_kwh, filled_wh, trades = []) =>
  ({ volume_wh, price_micro_per_kwh, filled_wh, trades });

const DEFAULTS = {
  area_columns: [],
  terms: {},
  clear: null,
  not_checked: [],
  checkTerms: () => {},
  takesPrices: () => true,
  checkPoint: () => {}, // where every column but the sums is a sum of fills: the claim about orders
  supplierOnly: supplierOnlyNano,
  trades_in_pairs: false,
  has_buyers_price: false,
  takes_agreements: false,
  ranks_by_arrival: false,
  asks_wants: false,
  asks_arrival: false,
  has_grid_fees: false,
};

/** A contract out of what is its own. */
export const contractOf = (own) => ({ ...DEFAULTS, ...own });
