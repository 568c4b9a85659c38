/* The arithmetic of grid_fee_path/1 and /2: markets one above the other, cleared from the lowest up, with the fees of the places between. */
import { hold } from "../answers.mjs";
import { lineKind, match, pointLine } from "../contract.mjs";
import { list, text, within } from "../shapes.mjs";
import { compare, least, most } from "../values.mjs";
import { linesOfMetered, linesOfPairs, pairedContract } from "./traders.mjs";

const FEE_KIND = lineKind("grid_fee", "network", 1n, "");
const LEVELS_MAX = 8;

/** The places of an area's grid by number; halts where they are no tree with every parent before its children. */
function gridPlaces({ grid_places: listed }) {
  const found = new Map();
  for (const { place: number, parent = 0n, fee_micro_per_kwh: fee, fee_ppm: feePpm = 0n, ...rest } of listed) {
    const isBelow = found.size > 0;
    hold(!found.has(number) && (parent !== 0n) === isBelow && Object.keys(rest).length === 0, "the places of the grid are no tree");
    hold(!isBelow || found.has(parent), "a place of the grid stands before its parent");
    const above = found.get(parent) ?? { level: -1 };
    hold(above.level + 1 < LEVELS_MAX, "a place of the grid lies too deep");
    found.set(number, { parent, level: above.level + 1, fee, feePpm });
  }
  return found;
}

/** What a place takes of a kWh that is asked for at a limit. */
const feeOf = ({ fee, feePpm }, limit) => fee + (most(limit, 0n) * feePpm) / 1_000_000n;

/** The fees of a limit from a place to the last below a market. */
function feesBelow(number, market, limit, places) {
  let fees = 0n;
  for (let at = number; at !== market; at = places.get(at).parent) fees += feeOf(places.get(at), limit);
  return fees;
}

/** Trades at what sellers get, each with the fees on its path. */
function gridFeePath(orders, terms) {
  const places = gridPlaces(terms);
  const numbers = [...places.keys()];
  const leftWh = orders.map((order) => order.quantity_wh);
  const stands = new Map();
  orders.forEach((order, rank) => { if (places.has(order.grid_place)) stands.set(rank, order.grid_place); });
  const trades = [];
  for (let level = LEVELS_MAX - 1; level >= 0; level -= 1) {
    for (const number of numbers.filter((one) => places.get(one).level === level)) {
      const ranks = [...stands].filter(([, at]) => at === number).map(([rank]) => rank);
      trades.push(...clearPlace(number, ranks, { orders, places, leftWh, priceRule: terms.price_rule }));
      for (const rank of ranks) {
        if (leftWh[rank] && level > 0) stands.set(rank, places.get(number).parent);
        else stands.delete(rank);
      }
    }
  }
  return trades;
}

/** The best bid meets the cheapest offer, as they are seen in the place, each with the fees of its own limit, while they cross. */
function clearPlace(number, ranks, { orders, places, leftWh, priceRule }) {
  const seenPrices = new Map(ranks.map((rank) => {
    const { side, limit, grid_place: place } = orders[rank];
    const below = feesBelow(place, number, limit, places);
    return [rank, side === 0n ? limit - below : limit + below + feeOf(places.get(number), limit)];
  }));
  const seen = (rank) => seenPrices.get(rank);
  const bids = ranks.filter((rank) => orders[rank].side === 0n).sort((one, two) => compare(seen(two), seen(one)) || one - two);
  const offers = ranks.filter((rank) => orders[rank].side === 1n).sort((one, two) => compare(seen(one), seen(two)) || one - two);
  const trades = [];
  let place = 0;
  for (const buy of bids) {
    while (leftWh[buy] && place < offers.length && seen(offers[place]) <= seen(buy)) {
      const sell = offers[place];
      const energyWh = least(leftWh[buy], leftWh[sell]);
      const asked = orders[sell].limit;
      const fee = seen(sell) - asked + feesBelow(orders[buy].grid_place, number, asked, places);
      const price = priceRule === "pay_as_bid" ? orders[buy].limit - fee : asked;
      trades.push({ ...match(buy, sell, energyWh, price), fee_micro_per_kwh: fee });
      leftWh[buy] -= energyWh;
      leftWh[sell] -= energyWh;
      if (leftWh[sell] === 0n) place += 1;
    }
  }
  return trades;
}

const GRID_FEE_PATH = {
  position_columns: [
    "bought_wh", "sold_wh", "bought_nano", "sold_nano", "grid_fee_nano", "pays_nano", "supplier_only_nano",
  ],
  linesOfPoint: (of) => [
    ...linesOfPairs(of),
    pointLine(FEE_KIND, of.columns.bought_wh, null, of.columns.grid_fee_nano),
    ...linesOfMetered(of),
  ],
  not_checked: ["that the places of the other sides in the grid, and of the party's points that were registered anew behind its orders, are those that were registered"],
  checkTerms: gridPlaces,
  has_grid_fees: true,
};
const GRID_PLACE = { fee_micro_per_kwh: within(0n, 10n ** 9n), "parent?": within(1n, 65_535n), place: within(1n, 65_535n) };

/** A version: its id, what a place has beside number, parent and fee, and the other terms. */
export const gridFeePathOf = (contract_id, ofPlace, terms) => pairedContract(contract_id, gridFeePath, {
  ...GRID_FEE_PATH,
  terms: { grid_places: list({ ...GRID_PLACE, ...ofPlace }, 1, 64), ...terms },
});

export const GRID_FEE_PATH_1 = gridFeePathOf("grid_fee_path/1", {}, { price_rule: text("pay_as_bid|pay_as_offer") });
