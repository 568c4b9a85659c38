/* What an order got: at the price of the gate, or in trades that have prices of their own. */
import { hold } from "../answers.mjs";
import { ALL_OR_NONE, FEE_TRADE_ROW, FILL_ROWS, TRADE_ROW } from "../layout.mjs";
import { equal, isAscending, sum } from "../values.mjs";

/** A row of the clearing: what an order got; amount_nano: what its trades come to, null where a gate has one price for all. */
export function fillOf(row) {
  const fill = FILL_ROWS.find((layout) => layout.size === row.length).unpack(row);
  return { amount_nano: null, ...fill };
}

/** A trade, from a row of either layout. */
export const tradeOf = (row) =>
  (row.length === TRADE_ROW.size ? { ...TRADE_ROW.unpack(row), fee: 0n } : FEE_TRADE_ROW.unpack(row));

/** Whether the order of a fill sells. */
export const sells = (fill) => fill.side % ALL_OR_NONE === 1n;

/** Whether a fill may be: an order that is all or none got all. */
export const isWhole = (fill) => fill.side < ALL_OR_NONE || fill.filled_wh === fill.quantity_wh;

/** Hold that a price is within the limit of a fill's order. */
export function holdPrice(price, fill, what) {
  hold(sells(fill) ? price >= fill.limit : price <= fill.limit, `${what} was filled beyond its limit`);
}

/** Hold that a fill comes to no worse than its limit; and where its trades are shown, that they are the clearing's, the order's
 * own, each within its limit, and give the fill's energy and amount. */
export function holdAmount(cleared, order, fill) {
  const { what } = order.order;
  const amountNano = fill.amount_nano ?? 0n;
  hold(fill.side < ALL_OR_NONE, `${what} is all or none, and the contract trades in pairs`);
  const feeNano = fill.fee_nano ?? 0n;
  hold(feeNano >= 0n && (feeNano === 0n || fill.side === 0n), `${what} has fees that no buyer has`);
  const worstNano = fill.limit * fill.filled_wh;
  const isWithin = fill.side === 0n ? amountNano + feeNano <= worstNano : amountNano >= worstNano;
  hold(isWithin, `${what} was filled beyond its limit`);
  if (order.trades.length > 0) holdTrades(cleared, order, fill, amountNano);
}

function holdTrades(cleared, order, fill, amountNano) {
  const { what } = order.order;
  const areOfClearing = order.trades.every((one) => equal(one.root, cleared.trades_root));
  hold(areOfClearing, `a trade of ${what} is not a row of the clearing`);
  const hasFees = fill.fee_nano !== undefined;
  const areRows = order.trades.every((one) => (one.row.length === FEE_TRADE_ROW.size) === hasFees);
  hold(areRows, `a trade shown with ${what} is another contract's`);
  const trades = order.trades.map((one) => tradeOf(one.row));
  const sidesOf = (trade) => [[trade.buyer, trade.buy_counter], [trade.seller, trade.sell_counter]];
  const own = Number(fill.side);
  const areOwn = trades.every((trade) => equal(sidesOf(trade)[own], [fill.party, fill.counter]));
  hold(areOwn, `a trade shown with ${what} is another order's`);
  const partners = new Set(trades.map((trade) => sidesOf(trade)[1 - own].join("/")));
  hold(partners.size === trades.length, `${what} trades twice with one order`);
  hold(trades.every((trade) => trade.energy_wh > 0n), `a trade of ${what} is of no energy`);
  for (const trade of trades) {
    hold(trade.fee >= 0n, `a trade of ${what} has a negative fee`);
    holdPrice(sells(fill) ? trade.price : trade.price + trade.fee, fill, what);
  }
  const feesNano = sum(trades.map((trade) => trade.energy_wh * trade.fee));
  hold(!hasFees || sells(fill) || feesNano === fill.fee_nano, `the trades of ${what} have other fees`);
  const energyWh = sum(trades.map((trade) => trade.energy_wh));
  hold(energyWh === fill.filled_wh, `the trades of ${what} have another energy`);
  const comeToNano = sum(trades.map((trade) => trade.energy_wh * trade.price));
  hold(comeToNano === amountNano, `the trades of ${what} come to another amount`);
}

/** Whether counters ascend, each once. */
export const areCountersOrdered = (fills) => isAscending(fills.map((fill) => fill.counter));
