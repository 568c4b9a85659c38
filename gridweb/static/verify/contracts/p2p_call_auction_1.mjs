/* The arithmetic of p2p_call_auction/1 and /2: nine kinds of lines, and a call auction at one price. */
import { TRADE_PRICE, cleared, contractOf, lineKind, pricedLines } from "../contract.mjs";
import { PRICES } from "../layout.mjs";
import { text } from "../shapes.mjs";
import { compare, equal, least, magnitude, most, sum } from "../values.mjs";
import { TRADER_PRICE_KEYS, linesOfMetered, splitPrice, takesTraderPrices } from "./traders.mjs";

const TRADE_KINDS = [
  lineKind("trade_buy", "clearing", 1n, TRADE_PRICE),
  lineKind("trade_sell", "clearing", -1n, TRADE_PRICE),
];
const TERMS = { rationing: text("pro_rata"), reference_price_micro_per_kwh: PRICES };

/** Volume, price and each order's fill of orders in rank order.
 *
 * The price is the limit with the largest volume, then the smallest imbalance, then by the market's pressure, then nearest to
 * the reference, or a share of the way from the lowest to the highest that are left. Whole price levels are filled in price order; the
 * one that does not fit is split pro rata, ties by rank, or served as its orders came.
 */
function callAuction(orders, terms) {
  const levels = levelsOf(orders);
  const { volume, kept } = bestCandidates(orders, levels);
  const filledWh = orders.map(() => 0n);
  if (volume === 0n) return cleared(0n, null, filledWh);
  for (const side of [0, 1]) {
    let left = volume;
    for (const level of side === 0 ? [...levels].reverse() : levels) left -= fillLevel(level.ranks[side], left, { orders, filledWh, terms });
  }
  return cleared(volume, priceOf(kept, terms), filledWh);
}

/** Each limit, ascending, with the ranks of its buys and of its sells. */
function levelsOf(orders) {
  const found = new Map();
  orders.forEach((order, rank) => {
    if (!found.has(order.limit)) found.set(order.limit, { limit: order.limit, ranks: [[], []] });
    found.get(order.limit).ranks[Number(order.side)].push(rank);
  });
  return [...found.values()].sort((one, two) => compare(one.limit, two.limit));
}

const quantityOf = (ranks, orders) => sum(ranks.map((rank) => orders[rank].quantity_wh));

/** The largest volume, and the limits with it and the smallest imbalance: {price, excess}, prices ascending. */
function bestCandidates(orders, levels) {
  let kept = [];
  let best = [0n, 0n]; // volume, then less imbalance
  let demand = sum(orders.filter((order) => order.side === 0n).map((order) => order.quantity_wh));
  let supply = 0n;
  for (const { limit, ranks: [buys, sells] } of levels) {
    supply += quantityOf(sells, orders);
    const excess = demand - supply;
    const quality = [least(demand, supply), -magnitude(excess)];
    if (kept.length === 0 || compare(quality, best) >= 0) {
      kept = [...(equal(quality, best) ? kept : []), { price: limit, excess }];
      best = quality;
    }
    demand -= quantityOf(buys, orders);
  }
  return { volume: best[0], kept };
}

function priceOf(kept, terms) {
  const lowest = kept[0].price;
  const highest = kept.at(-1).price;
  if (kept.every((one) => one.excess > 0n)) return highest;
  if (kept.every((one) => one.excess < 0n)) return lowest;
  if ("price_k_ppm" in terms) return splitPrice(lowest, highest, terms);
  return least(most(terms.reference_price_micro_per_kwh, lowest), highest);
}

/** Give the orders of one level and side what is left for them; returns how much they took. */
function fillLevel(ranks, left, { orders, filledWh, terms }) {
  const total = quantityOf(ranks, orders);
  const share = least(total, left);
  if (terms.rationing === "time") {
    let rest = share;
    for (const rank of [...ranks].sort((one, two) => compare(orders[one].arrival, orders[two].arrival))) {
      filledWh[rank] = least(rest, orders[rank].quantity_wh);
      rest -= filledWh[rank];
    }
    return share;
  }
  for (const rank of ranks) filledWh[rank] = (share * orders[rank].quantity_wh) / total;
  const restOf = (rank) => (share * orders[rank].quantity_wh) % total;
  const units = share - sum(ranks.map((rank) => filledWh[rank])); // each to one of the largest remainders
  const byRest = [...ranks].sort((one, two) => compare(restOf(two), restOf(one)));
  for (const rank of byRest.slice(0, Number(units))) filledWh[rank] += 1n;
  return share;
}

const OF_AUCTION = {
  position_columns: ["bought_wh", "sold_wh", "pays_nano", "supplier_only_nano"],
  price_keys: TRADER_PRICE_KEYS,
  takesPrices: takesTraderPrices,
  linesOfPoint: (of) => [
    ...pricedLines(TRADE_KINDS, [of.columns.bought_wh, of.columns.sold_wh], of),
    ...linesOfMetered(of),
  ],
  clear: callAuction,
};

/** A version of the auction: its id, the shape of its terms, and what else is its own. */
export const callAuctionOf = (contract_id, terms, own = {}) => contractOf({ ...OF_AUCTION, contract_id, terms, ...own });

export const P2P_CALL_AUCTION_1 = callAuctionOf("p2p_call_auction/1", TERMS);
