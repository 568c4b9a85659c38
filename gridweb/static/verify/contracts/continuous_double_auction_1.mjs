/* The matching of continuous_double_auction/1: orders meet as they come, each pair at the limit of the order that rested. */
import { match } from "../contract.mjs";
import { least } from "../values.mjs";
import { pairedContract } from "./traders.mjs";

/** Each order meets the best that rests on the other side, of equal limits the one that came first; the rest of it rests. */
export function meetAsTheyCome(orders) {
  const leftWh = orders.map((order) => order.quantity_wh);
  const trades = [];
  const resting = [[], []]; // ranks by side, best first
  orders.forEach((order, rank) => {
    if (order.until_rank <= BigInt(rank)) return; // withdrawn before it came
    const side = Number(order.side);
    const sign = side === 0 ? 1n : -1n;
    trades.push(...met(rank, orders, leftWh, resting[1 - side], sign));
    if (leftWh[rank]) rest(rank, orders, resting[side], sign);
  });
  return trades;
}

/** The trades of an order that comes, with those of the other side that rest. */
function met(rank, orders, leftWh, others, sign) {
  const trades = [];
  while (others.length) {
    const other = others[0];
    if (orders[other].until_rank <= BigInt(rank)) { // withdrawn meanwhile
      others.shift();
      continue;
    }
    const price = orders[other].limit;
    if (!leftWh[rank] || sign * price > sign * orders[rank].limit) break;
    const energyWh = least(leftWh[rank], leftWh[other]);
    trades.push(sign > 0n ? match(rank, other, energyWh, price) : match(other, rank, energyWh, price));
    leftWh[rank] -= energyWh;
    leftWh[other] -= energyWh;
    if (leftWh[other]) break;
    others.shift();
  }
  return trades;
}

function rest(rank, orders, own, sign) {
  const behind = own.findIndex((one) => sign * orders[one].limit < sign * orders[rank].limit);
  own.splice(behind < 0 ? own.length : behind, 0, rank);
}

export const BY_ARRIVAL = {
  not_checked: ["that the orders stand in the book in the order in which the ledger took them"],
  ranks_by_arrival: true,
};
export const CONTINUOUS_DOUBLE_AUCTION_1 = pairedContract("continuous_double_auction/1", meetAsTheyCome, BY_ARRIVAL);
