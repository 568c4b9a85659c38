/* The matching of conditional_bid/1: bids in the order of their choices, each with the cheapest offer that it accepts. */
import { match } from "../contract.mjs";
import { text } from "../shapes.mjs";
import { compare, least, most, range } from "../values.mjs";
import { pairedContract } from "./traders.mjs";

/** The sells of each seller's number, 0 for all, the dearest first. */
function sellsBySeller(orders) {
  const sells = range(orders.length).filter((rank) => orders[rank].side === 1n);
  sells.sort((one, two) => compare(orders[two].limit, orders[one].limit) || two - one);
  const found = new Map();
  for (const sell of sells) {
    for (const number of new Set([0n, orders[sell].seller])) {
      if (!found.has(number)) found.set(number, []);
      found.get(number).push(sell);
    }
  }
  return found;
}

/** First choices first; of one choice the highest limit first, of equal ones the lower rank. */
function conditionalBid(orders, { price_rule: priceRule }) {
  const buys = range(orders.length).filter((rank) => orders[rank].side === 0n);
  const leftWh = orders.map((order) => order.quantity_wh);
  const ofBid = new Map();
  for (const { bid, quantity_wh } of buys.map((rank) => orders[rank])) ofBid.set(bid, most(ofBid.get(bid) ?? 0n, quantity_wh));
  buys.sort((one, two) => compare(orders[one].choice, orders[two].choice) || compare(orders[two].limit, orders[one].limit));
  const ofSeller = sellsBySeller(orders);
  const asked = new Map();
  const trades = [];
  for (const buy of buys) {
    const { limit, bid, energy_kinds: kinds, seller } = orders[buy];
    const key = `${kinds}/${seller}`;
    if (!asked.has(key)) asked.set(key, (ofSeller.get(seller) ?? []).filter((sell) => orders[sell].energy_kinds & kinds));
    const accepted = asked.get(key); // the cheapest at the end; what is used up never comes back
    while (least(leftWh[buy], ofBid.get(bid)) > 0n && accepted.length > 0) {
      const sell = accepted.at(-1);
      const energyWh = least(leftWh[buy], ofBid.get(bid), leftWh[sell]);
      if (energyWh === 0n) {
        accepted.pop();
        continue;
      }
      if (orders[sell].limit > limit) break;
      trades.push(match(buy, sell, energyWh, priceRule === "pay_as_bid" ? limit : orders[sell].limit));
      leftWh[buy] -= energyWh;
      leftWh[sell] -= energyWh;
      ofBid.set(bid, ofBid.get(bid) - energyWh);
    }
  }
  return trades;
}

export const CONDITIONAL_BID_1 = pairedContract("conditional_bid/1", conditionalBid, {
  not_checked: ["that the energy of the other sides is of the kinds, and their names those, that the party's conditions ask for, and of what kind the party's points were that were registered anew behind its orders"],
  terms: { price_rule: text("pay_as_bid|pay_as_offer") },
  asks_wants: true,
});
