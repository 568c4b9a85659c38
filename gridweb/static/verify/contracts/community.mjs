/* What contracts have in common by which a community shares its energy after the fact, between the grid's two prices. */
import { hold } from "../answers.mjs";
import { contractOf, lineKind, pointLine, pricedLines } from "../contract.mjs";
import { divided, least, most } from "../values.mjs";

export const RETAIL_PRICE = "residual_price_micro_per_kwh";
export const FEED_IN_PRICE = "feed_in_price_micro_per_kwh";
export const COMMUNITY_BUY = lineKind("community_buy", "community", 1n, "");
export const COMMUNITY_SELL = lineKind("community_sell", "community", -1n, "");
const CHARGES = [
  lineKind("network_traded", "network", 1n, "network_traded_micro_per_kwh"),
  lineKind("network_residual", "network", 1n, "network_residual_micro_per_kwh"),
  lineKind("levy", "levy", 1n, "levy_micro_per_kwh"),
];
export const COMMUNITY_PRICE_KEYS = [RETAIL_PRICE, FEED_IN_PRICE, ...CHARGES.map((kind) => kind.price)];

/** A line of each of CHARGES. */
export function linesOfCharges(of) {
  const { bought_wh } = of.columns;
  return pricedLines(CHARGES, [bought_wh, of.import_wh - bought_wh, of.import_wh], of);
}

/** A line of each kind, in their order; the community's amount is the position's own. */
function linesOfMember(of) {
  const buysWh = most(of.import_wh - of.export_wh, 0n);
  const sellsWh = most(of.export_wh - of.import_wh, 0n);
  const communityNano = of.columns.community_nano;
  return [
    pointLine(COMMUNITY_BUY, buysWh, null, buysWh ? communityNano : 0n),
    pointLine(COMMUNITY_SELL, sellsWh, null, sellsWh ? communityNano : 0n),
    ...linesOfCharges(of),
  ];
}

/** Hold that `share` is what largest remainder gives of a total by weight: the floor, or one more where the division leaves a rest. */
export function holdShare(what, share, total, weight, weights) {
  const [floor, rest] = weights ? divided(total * weight, weights) : [0n, 0n];
  hold(floor <= share && share <= floor + (rest > 0n ? 1n : 0n), `${what} is not the share that is due`);
}

export const holdNoNegative = (area) => hold(least(...Object.values(area)) >= 0n, "a sum of the area is negative");

function checkMember(of, rule) {
  const { surplus_wh: allSurplusWh, deficit_wh: allDeficitWh } = of.area;
  holdNoNegative(of.area);
  const exchange = rule({
    surplusWh: allSurplusWh,
    deficitWh: allDeficitWh,
    retail: of.area_prices[RETAIL_PRICE],
    feedIn: of.area_prices[FEED_IN_PRICE],
  });
  const deficitWh = most(of.import_wh - of.export_wh, 0n);
  const surplusWh = most(of.export_wh - of.import_wh, 0n);
  const isWithin = deficitWh <= allDeficitWh && surplusWh <= allSurplusWh;
  hold(isWithin, "the point has more surplus or deficit than its area");
  const sharedWh = least(allSurplusWh, allDeficitWh);
  const { bought_wh, sold_wh, community_nano } = of.columns;
  holdShare("the energy bought", bought_wh, sharedWh, deficitWh, allDeficitWh);
  holdShare("the energy sold", sold_wh, sharedWh, surplusWh, allSurplusWh);
  if (deficitWh > 0n) holdShare("what the community gets", community_nano, exchange.buyersNano, deficitWh, allDeficitWh);
  else if (surplusWh > 0n) holdShare("what the community pays", -community_nano, exchange.sellersNano, surplusWh, allSurplusWh);
  else hold(community_nano === 0n, "a point without surplus and deficit pays the community something");
}

/** A contract whose slots are shared by `rule`: {surplusWh, deficitWh, retail, feedIn} -> {buyersNano, sellersNano}, what the
 * buyers owe together, and what the sellers get. feedInMin: the lowest feed-in price that has a result. */
export const communityContract = (contract_id, feedInMin, rule) =>
  contractOf({
    contract_id,
    position_columns: ["bought_wh", "sold_wh", "community_nano", "pays_nano", "supplier_only_nano"],
    area_columns: ["surplus_wh", "deficit_wh"],
    price_keys: COMMUNITY_PRICE_KEYS,
    takesPrices: (prices) => feedInMin <= prices[FEED_IN_PRICE] && prices[FEED_IN_PRICE] <= prices[RETAIL_PRICE],
    linesOfPoint: linesOfMember,
    checkPoint: (of) => checkMember(of, rule),
    not_checked: [
      "that the community's surplus and deficit are the sums of its members' energies, and who got a unit that was left over",
    ],
  });
