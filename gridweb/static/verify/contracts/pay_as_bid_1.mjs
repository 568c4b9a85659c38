/* The matching of pay_as_bid/1: the best buy meets the best sell while their limits cross, each pair at the buy's limit. */
import { match } from "../contract.mjs";
import { compare, least, range } from "../values.mjs";
import { pairedContract } from "./traders.mjs";

/** Buys from the highest limit, sells from the lowest, of equal limits the lower rank first. */
export function payAsBid(orders) {
  const ofSide = (side) => range(orders.length).filter((rank) => orders[rank].side === side);
  const buys = ofSide(0n).sort((one, two) => compare(orders[two].limit, orders[one].limit));
  const sells = ofSide(1n).sort((one, two) => compare(orders[one].limit, orders[two].limit));
  const leftWh = orders.map((order) => order.quantity_wh);
  const trades = [];
  let place = 0;
  for (const buy of buys) {
    while (leftWh[buy] && place < sells.length && orders[sells[place]].limit <= orders[buy].limit) {
      const sell = sells[place];
      const energyWh = least(leftWh[buy], leftWh[sell]);
      trades.push(match(buy, sell, energyWh, orders[buy].limit));
      leftWh[buy] -= energyWh;
      leftWh[sell] -= energyWh;
      if (leftWh[sell] === 0n) place += 1;
    }
  }
  return trades;
}

export const PAY_AS_BID_1 = pairedContract("pay_as_bid/1", payAsBid);
