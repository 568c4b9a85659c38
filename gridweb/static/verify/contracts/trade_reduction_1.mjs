/* trade_reduction/1: the last buy and the last sell that meet set two prices and do not trade; the rest between them is the
 * auction's surplus. */
import { hold } from "../answers.mjs";
import { cleared, contractOf, lineKind, match, pointLine } from "../contract.mjs";
import { compare, least, range, sum } from "../values.mjs";
import { payAsBid } from "./pay_as_bid_1.mjs";
import { TRADER_PRICE_KEYS, linesOfMetered, linesOfPairs, takesTraderPrices } from "./traders.mjs";

const SURPLUS_KIND = lineKind("auction_surplus", "auction_surplus", 1n, "");

/** A total by largest remainder, ties to the earlier. */
function sharesWh(totalWh, quantitiesWh) {
  const whole = sum(quantitiesWh);
  const products = quantitiesWh.map((quantityWh) => totalWh * quantityWh);
  const shares = products.map((product) => product / whole);
  const byRest = range(products.length).sort((one, two) => compare(products[two] % whole, products[one] % whole));
  for (const at of byRest.slice(0, Number(totalWh - sum(shares)))) shares[at] += 1n;
  return shares;
}

/** Who trades with whom: both sides in rank order, one beside the other. */
function meetAgain(filledWh, buys, sells, price) {
  const leftWh = [...filledWh];
  const trades = [];
  let place = 0;
  for (const buy of buys) {
    while (leftWh[buy]) {
      const sell = sells[place];
      const energyWh = least(leftWh[buy], leftWh[sell]);
      if (energyWh) trades.push(match(buy, sell, energyWh, price));
      leftWh[buy] -= energyWh;
      leftWh[sell] -= energyWh;
      if (leftWh[sell] === 0n) place += 1;
    }
  }
  return trades;
}

/** The ranks of one side that met, ascending, without the last that did. */
function tradedRanks(ranks) {
  const last = ranks.at(-1);
  return [...new Set(ranks)].filter((rank) => rank !== last).sort(compare);
}

/** The price is the buyers'. */
function tradeReduction(orders) {
  const nothing = cleared(0n, null, orders.map(() => 0n));
  const pairs = payAsBid(orders);
  if (pairs.length === 0) return nothing;
  const last = pairs.at(-1);
  const sides = [tradedRanks(pairs.map((pair) => pair.buy)), tradedRanks(pairs.map((pair) => pair.sell))];
  const quantities = sides.map((ranks) => ranks.map((rank) => orders[rank].quantity_wh));
  const volumeWh = least(...quantities.map(sum));
  if (volumeWh === 0n) return nothing;
  const filledWh = orders.map(() => 0n);
  sides.forEach((ranks, side) => {
    const shares = sharesWh(volumeWh, quantities[side]);
    ranks.forEach((rank, at) => { filledWh[rank] = shares[at]; });
  });
  const trades = meetAgain(filledWh, ...sides, orders[last.sell].limit);
  return cleared(volumeWh, orders[last.buy].limit, filledWh, trades);
}

/** What buyers pay is the gate's price, and no less than sellers get. */
function checkReduced(of) {
  const { bought_wh, bought_nano, surplus_nano } = of.columns;
  const isDifference = surplus_nano === bought_wh * of.trade_price - bought_nano;
  hold(isDifference, "what the point pays beyond what sellers get is another amount");
  hold(surplus_nano >= 0n, "buyers pay less than sellers get");
}

export const TRADE_REDUCTION_1 = contractOf({
  contract_id: "trade_reduction/1",
  position_columns: [
    "bought_wh", "sold_wh", "bought_nano", "sold_nano", "surplus_nano", "pays_nano", "supplier_only_nano",
  ],
  price_keys: TRADER_PRICE_KEYS,
  takesPrices: takesTraderPrices,
  linesOfPoint: (of) => [
    ...linesOfPairs(of),
    pointLine(SURPLUS_KIND, of.columns.bought_wh, null, of.columns.surplus_nano),
    ...linesOfMetered(of),
  ],
  checkPoint: checkReduced,
  clear: tradeReduction,
  trades_in_pairs: true,
  has_buyers_price: true,
});
