/* What the conditions of bids ask for, and whether what they got is that, as far as a bundle tells (docs/spec/contracts.md). */
import { hold } from "../answers.mjs";
import { ANY_KIND, kindsOf } from "../bundle.mjs";
import { has, sum } from "../values.mjs";
import { sells, tradeOf } from "./fills.mjs";

const UNKNOWN_KIND = 1n; // bit 0 of a set of kinds: energy of no kind that is known

const isOneKind = (kinds) => kinds > 0n && kinds <= ANY_KIND && (kinds & (kinds - 1n)) === 0n;

/** Hold that fills say of their orders what these say themselves in the slot from startS on; that the rows of a bid belong
 * together, got no more than it asked for, and that what was wanted of one seller is of one. */
export function holdWants(orders, fills, { startS, slotS }) {
  const bids = new Map();
  const sellers = new Map();
  orders.forEach((order, at) => {
    const fill = fills[at];
    const { what } = order.order;
    hold(has(fill, "bid"), `the fill of ${what} does not say what was wanted`);
    if (!bids.has(fill.bid)) bids.set(fill.bid, []);
    bids.get(fill.bid).push({ order, fill });
    hold(fill.choice === (order.condition?.choice ?? 0n), `the fill of ${what} is of another condition`);
    if (sells(fill)) hold(isOneKind(fill.energy_kinds), `${what} sells energy of no kind, or of several`);
    else holdCondition(order, fill, sellers);
  });
  // a batch names sellers by numbers: a name and a number may be one seller's
  for (const words of ["string", "bigint"]) {
    const numbers = [...sellers].filter(([seller]) => typeof seller === words).map(([, number]) => number);
    hold(new Set(numbers).size === numbers.length, "sellers of two names have one number");
  }
  const known = [];
  for (const own of bids.values()) {
    const { order } = own[0];
    holdBid(own, startS, slotS);
    // a ramp, a profile and an aggregator's batch give several orders or bids of one transaction, each alone
    if (order.condition === null) continue;
    hold(!known.some((other) => other.isOfBid(order)), "conditions of one order are of several bids");
    known.push(order);
  }
}

/** Several orders under one number are the conditions of one bid, and got at most its quantity. */
function holdBid(own, startS, slotS) {
  const { order } = own[0];
  const { what } = order.order;
  const conditions = own.map((one) => one.order.condition);
  const areOne = own.every((one) => one.order.isOfBid(order)) && (own.length === 1 || !conditions.includes(null));
  hold(areOne, `${what} and another order are one bid`);
  if (conditions[0] === null) return;
  const bidWh = order.bidWh(startS, slotS);
  hold(own.every((one) => one.order.bidWh(startS, slotS) === bidWh), `the conditions of ${what} are of several bids`);
  const gotWh = sum(own.map((one) => one.fill.filled_wh));
  hold(gotWh <= bidWh, `the conditions of ${what} got more than the largest of them`);
}

/** Hold that fills claim no kind of energy, and no place in the grid, but those that the party's points are registered with. A
 * point that was registered anew behind an order may have been another one at the gate. */
export function holdRegistered(points, orders, fills) {
  orders.forEach(({ order }, at) => {
    const fill = fills[at];
    const hasPlace = has(fill, "grid_place");
    hold(!hasPlace || fill.grid_place > 0n, `${order.what} was filled, and stands at no place in the grid`);
    const claimsKind = has(fill, "bid") && sells(fill) && fill.energy_kinds !== UNKNOWN_KIND;
    for (const point of points.filter((one) => one.entry.recorded_height <= order.block.height)) {
      const { energy_kind, grid_place } = point.row.value;
      const kinds = energy_kind === undefined ? UNKNOWN_KIND : kindsOf(energy_kind);
      const where = `point ${point.entity.name}`;
      hold(!claimsKind || fill.energy_kinds === kinds, `${order.what} sells another kind of energy than that of ${where}`);
      hold(!hasPlace || fill.grid_place === (grid_place ?? 0n), `${order.what} stands at another place in the grid than ${where}`);
    }
  });
}

/** A buy takes what its condition says; without one it takes all. */
function holdCondition(order, fill, sellers) {
  const { what } = order.order;
  const { energy_kinds, seller } = order.condition ?? { energy_kinds: ANY_KIND };
  hold(fill.energy_kinds === energy_kinds, `${what} takes other kinds of energy than its fill says`);
  hold((fill.seller > 0n) === (seller !== undefined), `${what} wants a seller that its fill has not, or the reverse`);
  if (seller === undefined) return;
  if (!sellers.has(seller)) sellers.set(seller, fill.seller);
  hold(fill.seller === sellers.get(seller), `the seller that ${what} wants has two numbers`);
  const partners = new Set(order.trades.map((one) => tradeOf(one.row).seller));
  hold(partners.size <= 1, `${what} buys from one seller, and has trades with several`);
}
