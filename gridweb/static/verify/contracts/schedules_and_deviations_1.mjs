/* The arithmetic of schedules_and_deviations/1: schedules between two points in full, what was metered otherwise at its own prices. */
import { hold } from "../answers.mjs";
import { contractOf, lineKind, pointLine } from "../contract.mjs";
import { agreedWh, between, differenceParts, holdWithin } from "./bilateral_agreements_1.mjs";
import { TRADER_PRICE_KEYS, linesOfMetered, takesTraderPrices } from "./traders.mjs";

const SCHEDULE_BUY = lineKind("schedule_buy", "clearing", 1n, "");
const SCHEDULE_SELL = lineKind("schedule_sell", "clearing", 1n, "");
const SCHEDULE_DIFFERENCE = lineKind("schedule_difference", "clearing", 1n, "");
const SCHEDULE_WH_MAX = 125_000_000n; // one above it comes to nothing

/** A line of each kind, in their order. */
function linesOfScheduled(of) {
  const kept = of.columns;
  return [
    pointLine(SCHEDULE_BUY, kept.bought_wh, null, kept.bought_nano),
    pointLine(SCHEDULE_SELL, kept.sold_wh, null, -kept.sold_nano),
    pointLine(SCHEDULE_DIFFERENCE, kept.difference_wh, null, kept.difference_nano),
    ...linesOfMetered(of),
  ];
}

/** The schedules of one side: what was agreed, exactly, unless it is a share of what the other side exports. */
function scheduledParts(of, isSeller) {
  return of.agreements
    .filter((agreed) => agreed.is_seller === isSeller && !agreed.is_difference)
    .flatMap((agreed) => {
      if (agreed.quantity_wh === null && !agreed.is_seller) return [between(0n, SCHEDULE_WH_MAX, agreed.price)];
      const wh = agreedWh(agreed, of);
      return wh <= SCHEDULE_WH_MAX ? [between(wh, wh, agreed.price)] : [];
    });
}

/** What the point bought, sold and owes of differences follows from its agreements. */
function checkScheduled(of) {
  const kept = of.columns;
  hold(kept.bought_wh >= 0n && kept.sold_wh >= 0n, "an energy bought or sold is negative");
  holdWithin("bought", scheduledParts(of, false), kept.bought_wh, kept.bought_nano);
  holdWithin("sold", scheduledParts(of, true), kept.sold_wh, kept.sold_nano);
  holdWithin("of differences", differenceParts(of), kept.difference_wh, kept.difference_nano);
}

export const SCHEDULES_AND_DEVIATIONS_1 = contractOf({
  contract_id: "schedules_and_deviations/1",
  position_columns: [
    "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano", "supplier_only_nano",
  ],
  price_keys: TRADER_PRICE_KEYS,
  takesPrices: takesTraderPrices,
  linesOfPoint: linesOfScheduled,
  checkPoint: checkScheduled,
  not_checked: [
    "what the other sides of the point's agreements export, where a share of it was bought, and that no other agreement of the point holds",
  ],
  takes_agreements: true,
});
