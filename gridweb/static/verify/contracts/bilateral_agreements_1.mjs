/* The arithmetic of bilateral_agreements/1: what was agreed between two points first, the rest with supplier and offtaker. */
import { hold } from "../answers.mjs";
import { contractOf, lineKind, pointLine, pricedLines } from "../contract.mjs";
import { PRIMARY_WH_MAX } from "../layout.mjs";
import { compare, least, magnitude, sum } from "../values.mjs";

const AGREED_BUY = lineKind("agreement_buy", "clearing", 1n, "");
const AGREED_SELL = lineKind("agreement_sell", "clearing", 1n, "");
const AGREED_DIFFERENCE = lineKind("agreement_difference", "clearing", 1n, "");
const BESIDE_KINDS = [
  lineKind("residual_import", "supplier", 1n, "residual_price_micro_per_kwh"),
  lineKind("residual_export", "offtaker", -1n, "feed_in_price_micro_per_kwh"),
  lineKind("network_traded", "network", 1n, "network_traded_micro_per_kwh"),
  lineKind("network_residual", "network", 1n, "network_residual_micro_per_kwh"),
  lineKind("levy", "levy", 1n, "levy_micro_per_kwh"),
];
const DIFFERENCE_NANO_MAX = 5n * 10n ** 17n; // one beyond it comes to nothing
const WHOLE_PPM = 1_000_000n;

/** A line of each kind, in their order. */
function linesOfPartner(of) {
  const kept = of.columns;
  const restWh = of.import_wh - kept.bought_wh;
  const besideWh = [restWh, of.export_wh - kept.sold_wh, kept.bought_wh, restWh, of.import_wh];
  return [
    pointLine(AGREED_BUY, kept.bought_wh, null, kept.bought_nano),
    pointLine(AGREED_SELL, kept.sold_wh, null, -kept.sold_nano),
    pointLine(AGREED_DIFFERENCE, kept.difference_wh, null, kept.difference_nano),
    ...pricedLines(BESIDE_KINDS, besideWh, of),
  ];
}

/** What was agreed for the slot; for a share of what somebody else exports no more than any point may. */
export function agreedWh(agreed, of) {
  if (agreed.quantity_wh !== null) return agreed.quantity_wh;
  return agreed.is_seller ? (of.export_wh * (agreed.share_ppm ?? 0n)) / WHOLE_PPM : PRIMARY_WH_MAX;
}

/** What one agreement may have come to, as far as the point alone tells: least to most Wh, at a price per Wh. */
export const between = (leastWh, mostWh, nanoPerWh) => ({ leastWh, mostWh, nanoPerWh });

/** The energy agreements of one side: at most what was agreed, and what the point metered. */
function tradedParts(of, isSeller) {
  const meteredWh = isSeller ? of.export_wh : of.import_wh;
  return of.agreements
    .filter((agreed) => agreed.is_seller === isSeller && !agreed.is_difference)
    .map((agreed) => between(0n, least(agreedWh(agreed, of), meteredWh), agreed.price));
}

/** The differences: what was agreed, exactly, unless it is a share of what the other side exports. */
export function differenceParts(of) {
  return of.agreements.filter((agreed) => agreed.is_difference).flatMap((agreed) => {
    const mostWh = agreedWh(agreed, of);
    const nanoPerWh = agreed.is_seller ? -agreed.price : agreed.price;
    const isExact = agreed.quantity_wh !== null || agreed.is_seller;
    if (isExact && magnitude(mostWh * nanoPerWh) > DIFFERENCE_NANO_MAX) return [];
    return [between(isExact ? mostWh : 0n, mostWh, nanoPerWh)];
  });
}

/** Hold that the parts can come to this energy and, with it, to this amount. */
export function holdWithin(what, parts, energyWh, amountNano) {
  const leastWh = sum(parts.map((part) => part.leastWh));
  const mostWh = sum(parts.map((part) => part.mostWh));
  hold(leastWh <= energyWh && energyWh <= mostWh, `the energy ${what} is not what the agreements say`);
  const byPrice = [...parts].sort((one, two) => compare(one.nanoPerWh, two.nanoPerWh));
  const lowest = amountOf(byPrice, energyWh - leastWh);
  const highest = amountOf(byPrice.reverse(), energyWh - leastWh);
  hold(lowest <= amountNano && amountNano <= highest, `the amount ${what} is not what the agreements say`);
}

/** The amount where the first parts take all of what is left beyond the least of each. */
function amountOf(parts, wh) {
  let nano = sum(parts.map((part) => part.leastWh * part.nanoPerWh));
  let leftWh = wh;
  for (const part of parts) {
    const takenWh = least(leftWh, part.mostWh - part.leastWh);
    nano += takenWh * part.nanoPerWh;
    leftWh -= takenWh;
  }
  return nano;
}

/** What the point bought, sold and owes of differences, as far as its own energy and its agreements tell. */
function checkPartner(of) {
  const kept = of.columns;
  const isBought = kept.bought_wh >= 0n && kept.bought_wh <= of.import_wh;
  hold(isBought, "the point bought more by agreement than it imports");
  const isSold = kept.sold_wh >= 0n && kept.sold_wh <= of.export_wh;
  hold(isSold, "the point sold more by agreement than it exports");
  holdWithin("bought", tradedParts(of, false), kept.bought_wh, kept.bought_nano);
  holdWithin("sold", tradedParts(of, true), kept.sold_wh, kept.sold_nano);
  holdWithin("of differences", differenceParts(of), kept.difference_wh, kept.difference_nano);
}

export const BILATERAL_AGREEMENTS_1 = contractOf({
  contract_id: "bilateral_agreements/1",
  position_columns: [
    "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano", "supplier_only_nano",
  ],
  price_keys: BESIDE_KINDS.map((kind) => kind.price),
  linesOfPoint: linesOfPartner,
  checkPoint: checkPartner,
  not_checked: [
    "what the other sides of the point's agreements metered, which bounds their energy, and that no other agreement of the point holds",
  ],
  takes_agreements: true,
});
