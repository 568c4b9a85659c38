/* The arithmetic of sharing_keys/1: a community's production is given to its consumers by keys, after the fact. */
import { hold } from "../answers.mjs";
import { TRADE_PRICE, contractOf, lineKind, pricedLines, supplierOnlyNano } from "../contract.mjs";
import { PRICES } from "../layout.mjs";
import { anyBoolean, text } from "../shapes.mjs";
import { divided, least } from "../values.mjs";
import { holdNoNegative, holdShare } from "./community.mjs";

const SHARING_KINDS = [
  lineKind("trade_buy", "clearing", 1n, TRADE_PRICE),
  lineKind("trade_sell", "clearing", -1n, TRADE_PRICE),
  lineKind("residual_import", "supplier", 1n, "residual_price_micro_per_kwh"),
  lineKind("residual_export", "offtaker", -1n, "feed_in_price_micro_per_kwh"),
  lineKind("network_traded", "network", 1n, "network_traded_micro_per_kwh"),
  lineKind("network_residual", "network", 1n, "network_residual_micro_per_kwh"),
  lineKind("levy", "levy", 1n, "levy_micro_per_kwh"),
];
const PPM = 1_000_000n;
const TERMS_OF_SHARING = {
  method: text("static|static_reallocated|dynamic|priority"),
  "settle_residual?": anyBoolean,
  [TRADE_PRICE]: PRICES,
};

/** The point's energy that is billed: all of it, or the shared alone; at the price that the terms name for what is shared. */
function billed(of) {
  const priced = { ...of, trade_price: of.terms[TRADE_PRICE] };
  if (of.terms.settle_residual ?? true) return priced;
  return { ...priced, import_wh: of.columns.bought_wh, export_wh: of.columns.sold_wh };
}

function linesOfSharer(settled) {
  const of = billed(settled);
  const { bought_wh, sold_wh } = of.columns;
  const restWh = of.import_wh - bought_wh;
  const energiesWh = [bought_wh, sold_wh, restWh, of.export_wh - sold_wh, bought_wh, restWh, of.import_wh];
  return pricedLines(SHARING_KINDS, energiesWh, of);
}

/** What the point was given and gave, as far as its own energy and the sums of its area tell. */
function checkSharer(of) {
  const { production_wh, consumption_wh, shared_wh, keys_ppm } = of.area;
  const { bought_wh, sold_wh } = of.columns;
  holdNoNegative(of.area);
  hold(shared_wh <= least(production_wh, consumption_wh), "more was shared than produced, or consumed");
  const isWithin = of.import_wh <= consumption_wh && of.export_wh <= production_wh;
  hold(isWithin, "the point has more import or export than its area");
  const isGiven = bought_wh >= 0n && bought_wh <= least(of.import_wh, shared_wh);
  hold(isGiven, "the point was given more than it consumes, or than was shared");
  holdShare("what the point gave", sold_wh, shared_wh, of.export_wh, production_wh);
  hold((of.point.share_ppm ?? 0n) <= keys_ppm, "the point's key is more than those of its area");
  const { method } = of.terms;
  if (method === "dynamic" || (method === "priority" && shared_wh === consumption_wh)) {
    hold(shared_wh === least(production_wh, consumption_wh), "the energy that was shared is another one");
    holdShare("what the point was given", bought_wh, shared_wh, of.import_wh, consumption_wh);
  } else if (method === "priority") hold(shared_wh === production_wh, "the energy that was shared is another one");
  else checkKey(of, method);
}

/** Hold that the point was given what its key says. */
function checkKey(of, method) {
  const { production_wh, shared_wh, keys_ppm } = of.area;
  const { bought_wh } = of.columns;
  const key = of.point.share_ppm ?? 0n;
  const poolWh = (production_wh * least(keys_ppm, PPM)) / PPM;
  const [floor, rest] = keys_ppm ? divided(poolWh * key, keys_ppm) : [0n, 0n];
  hold(shared_wh <= poolWh, "more was shared than the keys share");
  hold(least(of.import_wh, floor) <= bought_wh, "the point was given less than its key says");
  const mostReallocated = key ? of.import_wh : 0n;
  const mostWh = method === "static" ? floor + (rest > 0n ? 1n : 0n) : mostReallocated;
  hold(bought_wh <= mostWh, "the point was given more than its key says");
}

export const SHARING_KEYS_1 = contractOf({
  contract_id: "sharing_keys/1",
  position_columns: ["bought_wh", "sold_wh", "pays_nano", "supplier_only_nano"],
  area_columns: ["production_wh", "consumption_wh", "shared_wh", "keys_ppm"],
  price_keys: SHARING_KINDS.map((kind) => kind.price).filter((key) => key !== TRADE_PRICE),
  terms: TERMS_OF_SHARING,
  linesOfPoint: linesOfSharer,
  checkPoint: checkSharer,
  not_checked: [
    "that the area's production, consumption, keys and shared energy are sums over its points, and who was served before others",
  ],
  supplierOnly: (of) => supplierOnlyNano(billed(of)),
});
