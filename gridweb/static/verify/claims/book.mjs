/* Claim 14, only with a book: the price that follows from all orders of the area in the slot. */
import { CANNOT_BE_DECIDED, Halt, hold } from "../answers.mjs";
import { decode } from "../cbor.mjs";
import {
  ALL_OR_NONE, ARRIVED_BOOK_ROW, BLOCK_ROUNDS_MAX, BOOK, BOOK_BYTES_MAX, BOOK_ROW, BOOK_TYPE,
  PLACED_BOOK_ROW, SIDES, TIMED_BOOK_ROW, WANTED_BOOK_ROW,
} from "../layout.mjs";
import { conform, knownVersion } from "../shapes.mjs";
import { rootOfLeaves } from "../trees.mjs";
import { compare, equal, joined, sum } from "../values.mjs";
import { fillOf, tradeOf } from "./fills.mjs";

/** 14: the book is the clearing's; price, volume and every fill follow from it by the contract's rule. */
export function checkBook(of) {
  const rows = bookRows(of);
  const contract = of.knownContract();
  if (contract.clear === null) throw new Halt(CANNOT_BE_DECIDED, "book: the bundle has no clearing");
  const orders = ordersOf(rows, contract);
  const due = clearRounds(contract, orders, of.bundle.rules.row.value.terms);
  const { cleared } = of;
  const price = cleared.has_price ? cleared.price : null;
  const isCleared = cleared.volume_wh === due.volume_wh && price === due.price_micro_per_kwh
    && cleared.trades === BigInt(due.trades.length);
  hold(isCleared, "the clearing has another volume, price or number of trades");
  const isFilled = orders.every((order, rank) => order.filled_wh === due.filled_wh[rank]);
  hold(isFilled, "the rule gives other fills than the book states");
  hold(areOwnOrdersKnown(of, orders, due), "an order of the party does not stand in the book with its fill");
  const what = contract.trades_in_pairs ? "Volume, every trade" : "Price, volume";
  return `${what} and every fill follow from all orders of the slot (${orders.length}) by the auction's rule.`;
}

/** The orders of a book's rows, each of which may be one. */
function ordersOf(rows, contract) {
  let layout = contract.ranks_by_arrival ? ARRIVED_BOOK_ROW : BOOK_ROW;
  if (contract.asks_wants) layout = WANTED_BOOK_ROW;
  if (contract.has_grid_fees) layout = PLACED_BOOK_ROW;
  if (contract.asks_arrival) layout = TIMED_BOOK_ROW;
  hold(rows.every((row) => row.length === layout.size), "a row of the book has another length than such a row");
  const orders = rows.map((row) => layout.unpack(row));
  hold(orders.every((order, rank) => order.rank === BigInt(rank)), "the book is not in rank order");
  if (contract.asks_arrival) {
    const came = orders.map((order) => order.arrival).sort(compare);
    hold(came.every((arrival, at) => arrival === BigInt(at)), "the orders of the book did not come one after the other");
  }
  const sides = contract.trades_in_pairs ? BigInt(SIDES.length) : 2n * ALL_OR_NONE;
  const areOrders = orders.every((order) => order.side < sides && order.quantity_wh > 0n);
  hold(areOrders, "an order has no side or no quantity");
  return orders;
}

/** The outcome of all orders in rank order; of those that are all or none and lack energy the half that lacks most goes, and again. */
function clearRounds(contract, orders, terms) {
  let left = orders;
  for (let round = 1; ; round += 1) {
    const due = contract.clear(left.map((one) => ({ ...one, side: one.side % ALL_OR_NONE })), terms);
    const lacking = left
      .map((one, at) => ({ wh: one.quantity_wh - due.filled_wh[at], ...one }))
      .filter((one) => one.side >= ALL_OR_NONE && one.wh > 0n);
    if (lacking.length === 0) return { ...due, filled_wh: filledByRank(orders.length, left, due) };
    lacking.sort((one, two) => compare([two.wh, two.rank], [one.wh, one.rank]));
    const out = new Set(lacking.slice(0, Math.floor((lacking.length + 1) / 2)).map((one) => one.rank));
    left = left.filter((one) => (round < BLOCK_ROUNDS_MAX ? !out.has(one.rank) : one.side < ALL_OR_NONE));
  }
}

function filledByRank(count, left, due) {
  const filledWh = Array(count).fill(0n);
  left.forEach((one, at) => { filledWh[Number(one.rank)] = due.filled_wh[at]; });
  return filledWh;
}

/** Whether each order of the party stands in the book, as often as it is shown, with its fill; where trades are in pairs, with
 * what these come to, and with each of them where bundles of the party show them. */
function areOwnOrdersKnown(of, orders, due) {
  const inPairs = of.knownContract().trades_in_pairs;
  const areShown = of.bundle.orders.some((order) => order.trades.length > 0);
  const trades = inPairs ? tradesByRank(due, orders.length) : [];
  const known = new Map();
  orders.forEach((order, rank) => {
    const came = inPairs ? comeTo(order.side, trades[rank], areShown) : [];
    count(known, [order.side, order.quantity_wh, order.limit, order.filled_wh, ...askedOf(order), ...came], 1);
  });
  return of.bundle.orders.every((order) => count(known, ownOrder(order, inPairs), -1) >= 0);
}

function count(counts, value, change) {
  const key = value.join("/");
  counts.set(key, (counts.get(key) ?? 0) + change);
  return counts.get(key);
}

/** What a contract asks of an order beside side, quantity and limit, as its row says it. */
const askedOf = ({ bid, choice, energy_kinds, seller, grid_place, arrival }) =>
  [bid, choice, energy_kinds, seller, grid_place, arrival].filter((value) => value !== undefined);

/** [energy, price, fee] of each trade of each order; a sell's fee is its buyer's. */
function tradesByRank(due, orders) {
  const found = Array.from({ length: orders }, () => []);
  for (const trade of due.trades) {
    const told = [trade.energy_wh, trade.price_micro_per_kwh, trade.fee_micro_per_kwh];
    found[trade.buy].push(told);
    found[trade.sell].push(told);
  }
  return found;
}

/** The amount of an order's trades and, of a buy, their fees; behind both they themselves, ascending, where bundles of its party show them. */
function comeTo(side, trades, areShown) {
  const shown = areShown ? [...trades].sort(compare) : [];
  const feeNano = side ? 0n : sum(trades.map(([energyWh, , fee]) => energyWh * fee));
  return [sum(trades.map(([energyWh, price]) => energyWh * price)), feeNano, ...shown.flat()];
}

/** The same of an order of the party, as the bundle shows it. */
function ownOrder(order, inPairs) {
  const fill = fillOf(order.fill.row);
  const own = [fill.side, fill.quantity_wh, fill.limit, fill.filled_wh, ...askedOf(fill)];
  if (!inPairs) return own;
  const trades = order.trades.map((one) => tradeOf(one.row)).map((row) => [row.energy_wh, row.price, row.fee]);
  return [...own, fill.amount_nano ?? 0n, fill.fee_nano ?? 0n, ...trades.sort(compare).flat()];
}

/** The rows of the book file; "cannot be decided" unless it is the book of the clearing, made by the run's rules. */
function bookRows(of) {
  try {
    of.knownContract();
    const { cleared, bookData: data } = of;
    hold(cleared !== null, "the bundle has no clearing");
    hold(equal(cleared.rules, of.bundle.rules.row.digest), "the slot was cleared by other rules than those of the run");
    hold(data.length <= BOOK_BYTES_MAX, "the file is too large");
    const book = knownVersion(decode(data, "the file", { itemsMax: BOOK_BYTES_MAX }), BOOK_TYPE, "the file");
    conform(book, BOOK, "the file");
    const count = BigInt(book.book.length);
    hold(count === BigInt(book.salts.length) && count === cleared.orders, `the file has not ${cleared.orders} rows`);
    const leaves = book.book.map((row, at) => joined(book.salts[at], row));
    hold(equal(rootOfLeaves(leaves), cleared.book_root), "the file is not the book that was cleared");
    return book.book;
  } catch (why) {
    if (!(why instanceof Halt)) throw why;
    throw new Halt(CANNOT_BE_DECIDED, `book: ${why.reason}; the file is another slot's, or altered`);
  }
}
