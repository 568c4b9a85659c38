/* Claims 8 and 9: what the party traded, and the price of it: orders and clearing. */
import { hold, plain } from "../answers.mjs";
import { ALL_OR_NONE, PROFILE_KIND, PROFILE_S_MAX, SIDES } from "../layout.mjs";
import { compare, divided, equal, has, least, range, sum } from "../values.mjs";
import { areCountersOrdered, fillOf, holdAmount, holdPrice, isWhole, sells } from "./fills.mjs";
import { holdRegistered, holdWants } from "./wants.mjs";

/** 8: each order is the party's, for this area and slot, in time, within its limit; the fills are all that it traded. */
export function checkOrders(of) {
  const { orders } = of.bundle;
  const contract = of.knownContract();
  if (contract.clear === null) {
    hold(orders.length === 0, "the contract takes no orders, and there are some");
    return "The contract takes no orders.";
  }
  const fills = orders.map((order) => checkOrder(of, order));
  hold(areCountersOrdered(fills), "the orders do not ascend by their counters");
  if (contract.asks_wants) holdWants(orders, fills, of);
  else hold(!fills.some((fill) => has(fill, "bid")), "a fill says what was wanted, and the contract asks for nothing");
  const areFeesDue = fills.every((fill) => has(fill, "fee_nano") === contract.has_grid_fees);
  hold(areFeesDue, "a fill has fees, and the contract has none, or the reverse");
  const isArrivalDue = fills.every((fill) => has(fill, "arrival") === contract.asks_arrival);
  hold(isArrivalDue, "a fill says when its order came, and the contract does not ask for it, or the reverse");
  holdRegistered([of.bundle.point, ...of.bundle.siblings.map((one) => one.point)], orders, fills);
  checkSide(of, fills.filter((fill) => !sells(fill)), { energy: "bought_wh", amount: "bought_nano", metered: "import_wh" });
  checkSide(of, fills.filter(sells), { energy: "sold_wh", amount: "sold_nano", metered: "export_wh" });
  of.facts.aggregators = orders.flatMap((order, at) =>
    (order.mandate === null ? [] : [{ counter: fills[at].counter, aggregator: order.order.signer }]));
  const shown = orders.reduce((count, order) => count + order.trades.length, 0);
  of.facts.trades_unshown = contract.trades_in_pairs && orders.length > 0 && shown === 0;
  const behind = shown > 0 ? ` Their ${shown} trades are the clearing's.` : "";
  const count = fills.length === 1 ? "1 filled order" : `${fills.length} filled orders`;
  return `${count} of the party, none beyond its limit or its time: all that it bought and sold.${behind}`;
}

/** Hold that the fills of one side, dealt to the party's points by their energy, are what the points bought or sold. */
function checkSide(of, fills, { energy, amount, metered }) {
  const points = pointsOf(of);
  const filledWh = sum(fills.map((fill) => fill.filled_wh));
  const weights = points.map((one) => one[metered]);
  hold(least(...weights) >= 0n, "an energy is below 0");
  const energiesWh = dealt(filledWh, weights);
  hold(equal(energiesWh, columnOf(of, points, energy)), `the fills, dealt to the points, do not give ${energy}`);
  hold(filledWh <= (of.cleared?.volume_wh ?? 0n), "the party's fills are more than the volume of the slot");
  if (!of.knownContract().trades_in_pairs) return;
  const amountsNano = dealt(sum(fills.map((fill) => fill.amount_nano ?? 0n)), energiesWh);
  hold(equal(amountsNano, columnOf(of, points, amount)), `what the fills come to, dealt to the points, is not ${amount}`);
  if (!of.knownContract().has_grid_fees || energy !== "bought_wh") return;
  const feesNano = dealt(sum(fills.map((fill) => fill.fee_nano)), energiesWh);
  hold(equal(feesNano, columnOf(of, points, "grid_fee_nano")), "the fees of the fills, dealt to the points, are others");
}

/** A column of the contract, of each of some points. */
function columnOf(of, points, column) {
  const place = of.knownContract().position_columns.indexOf(column);
  return points.map((one) => one.columns[place]);
}

/** The positions of all points of the party, ascending by the bytes of the points' names. */
function pointsOf({ bundle, position, siblings }) {
  const own = { name: bundle.point.entity.name, position };
  const others = bundle.siblings.map((one, at) => ({ name: one.point.entity.name, position: siblings[at] }));
  return [own, ...others].sort((one, two) => compare(one.name, two.name)).map((one) => one.position);
}

/** The shares of a total by weight, largest remainders first; without any weight all to the first. */
function dealt(total, weights) {
  const whole = sum(weights);
  if (whole === 0n) return weights.map((_, at) => (at === 0 ? total : 0n));
  const parts = weights.map((weight) => divided(total * weight, whole));
  const shares = parts.map(([share]) => share);
  const byRest = range(weights.length).sort((one, two) => compare(parts[two][1], parts[one][1]));
  for (const at of byRest.slice(0, Number(total - sum(shares)))) shares[at] += 1n;
  return shares;
}

/** Hold that an order is the party's, in time, and filled as it may be; returns its fill. */
function checkOrder(of, order) {
  const { bundle, cleared } = of;
  const { order: transaction } = order;
  const { what } = transaction;
  const fill = fillOf(order.fill.row);
  hold(transaction.chain === bundle.header.chain, `${what} is of another chain`);
  checkWhoPlaced(of, order);
  const terms = order.terms(bundle.party.entity.number, of.startS, of.slotS);
  hold(terms.slot_start_s === of.startS, `${what} is for another slot`);
  checkInTime(of, transaction);
  hold(order.gives(of.startS, of.slotS), `${what} gives no order of the fill's counter in the slot`);
  hold(cleared !== null && equal(order.fill.root, cleared.fills_root), `the fill of ${what} is not a row of the clearing`);
  hold(terms.party === bundle.party.entity.number, `${what} is another party's`);
  for (const name of ["party", "counter", "side", "quantity_wh", "limit"]) {
    hold(fill[name] === terms[name], `the ${name} in the fill of ${what} is ${plain(fill[name])}, not ${plain(terms[name])}`);
  }
  checkFill(of, order, fill);
  return fill;
}

/** Hold that an order was recorded while the slot was open. */
function checkInTime(of, { kind, body, block, what }) {
  const zone = of.bundle.zone.row.value;
  const opensS = kind === PROFILE_KIND ? body.end_s - PROFILE_S_MAX : of.startS - zone.open_before_start_s;
  const isInTime = opensS <= block.ledger_time_s && block.ledger_time_s < of.startS - zone.gate_before_start_s;
  hold(isInTime, `${what} was recorded before the slot opened, or after its gate had closed`);
  const hasConditions = kind === PROFILE_KIND && body.parts.some((part) => has(part, "conditions"));
  const isKnown = !hasConditions || has(zone, "profiles_have_conditions");
  hold(isKnown, `${what} has conditions, and the zone knows no profile that has any`);
}

/** Hold that a fill is of a side, and no more and at no worse price than was ordered. */
function checkFill(of, order, fill) {
  const { what } = order.order;
  const { cleared, contract } = of;
  hold(fill.side < (order.row ? BigInt(SIDES.length) : 2n * ALL_OR_NONE), `${what} neither buys nor sells`);
  hold(isWhole(fill), `${what} is all or none, and was filled in part`);
  const isFilled = fill.filled_wh > 0n && fill.filled_wh <= fill.quantity_wh;
  hold(isFilled, `${what} was filled with nothing, or with more than its quantity`);
  const tellsAmount = fill.amount_nano !== null;
  hold(tellsAmount === contract.trades_in_pairs, `the fill of ${what} is of another kind of contract`);
  if (!contract.trades_in_pairs) {
    holdPrice(cleared.price, fill, what);
    hold(order.trades.length === 0, `${what} has trades, and the contract makes none`);
    return;
  }
  holdAmount(cleared, order, fill);
  if (contract.has_buyers_price && fill.side === 0n) holdPrice(cleared.price, fill, what);
}

/** An order by itself is signed by the party, for its area; a row of a batch by its aggregator, for the run's zone. */
function checkWhoPlaced(of, { order, row, mandate }) {
  const { bundle } = of;
  const { what, signer, body } = order;
  if (row === null || mandate === null) {
    hold(signer === bundle.party.entity.name, `${what} is not by the party`);
    hold(body.area === bundle.area.entity.name, `${what} is for another area`);
    return;
  }
  const mandated = mandate.row.value;
  hold(signer === (mandated.aggregator ?? ""), `${what} is not by the party's aggregator`);
  hold(mandated.area === bundle.area.entity.name, `the mandate of ${what} is of another area`);
  hold(body.zone === of.run.zone, `${what} is for another zone`);
  hold(equal(row.root, body.rows_root), `${what} is not a row of its batch`);
}

/** 9: the clearing is the slot's, by the contract of the run; the area has a volume and a price in it. */
export function checkClearing(of) {
  const { cleared: row, run, bundle } = of;
  const { clearing } = bundle;
  if (clearing === null) return "The party had no filled order, so no clearing is needed.";
  hold(clearing.leaf.key === `clearing/${of.startS}/${run.zone}`, "the clearing is of another slot or zone");
  hold(equal(clearing.leaf.root, bundle.header.state_root), "the clearing is not in the header's state");
  for (const name of ["zone", "slot_start_s", "contract", "contract_pin"]) {
    hold(equal(clearing.leaf.value[name], run[name]), `the ${name} of the clearing is not the run's`);
  }
  hold(equal(clearing.area.root, clearing.leaf.value.areas_root), "the area is not a row of the clearing");
  hold(row.area === bundle.area.entity.number, "the cleared area is another one");
  hold(row.orders >= BigInt(bundle.orders.length), "the area had fewer orders than are shown");
  const contract = of.knownContract();
  const isPriced = contract.trades_in_pairs ? contract.has_buyers_price : true;
  const hasPrice = row.has_price === (isPriced ? 1n : 0n);
  hold(row.volume_wh > 0n && hasPrice, "the area has no volume, or another number of prices");
  if (!contract.trades_in_pairs) {
    hold(row.trades_root === null, "the area has trades, and the contract makes none");
    return `${row.volume_wh} Wh were cleared in the area at ${row.price} micro/kWh.`;
  }
  hold(row.trades > 0n && row.trades_root !== null, "the area has no trades");
  return `${row.volume_wh} Wh were cleared in the area, in ${row.trades} trades at prices of their own.`;
}
