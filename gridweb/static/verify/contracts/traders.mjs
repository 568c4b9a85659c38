/* What contracts have in common under which parties trade before delivery: seven kinds of lines beside those of the trades. */
import { cleared, contractOf, lineKind, pointLine, pricedLines } from "../contract.mjs";
import { within } from "../shapes.mjs";
import { least, most, sum } from "../values.mjs";

export const METERED_KINDS = [
  lineKind("residual_import", "supplier", 1n, "residual_price_micro_per_kwh"),
  lineKind("surplus", "balance", -1n, "surplus_price_micro_per_kwh"),
  lineKind("residual_export", "offtaker", -1n, "feed_in_price_micro_per_kwh"),
  lineKind("shortfall", "balance", 1n, "shortfall_price_micro_per_kwh"),
  lineKind("network_traded", "network", 1n, "network_traded_micro_per_kwh"),
  lineKind("network_residual", "network", 1n, "network_residual_micro_per_kwh"),
  lineKind("levy", "levy", 1n, "levy_micro_per_kwh"),
];
export const TRADER_PRICE_KEYS = METERED_KINDS.map((kind) => kind.price);
export const PAIRED_BUY = lineKind("trade_buy", "clearing", 1n, "");
export const PAIRED_SELL = lineKind("trade_sell", "clearing", -1n, "");

/** A line of each of METERED_KINDS, in their order. Import and export are never netted. */
export function linesOfMetered(of) {
  const { bought_wh, sold_wh } = of.columns;
  const tradedWh = least(of.import_wh, bought_wh);
  const energiesWh = [
    most(of.import_wh - bought_wh, 0n),
    most(bought_wh - of.import_wh, 0n),
    most(of.export_wh - sold_wh, 0n),
    most(sold_wh - of.export_wh, 0n),
    tradedWh,
    of.import_wh - tradedWh,
    of.import_wh,
  ];
  return pricedLines(METERED_KINDS, energiesWh, of);
}

/** What was traded has no one price, and its amount is the position's own. */
export const linesOfPairs = (of) => [
  pointLine(PAIRED_BUY, of.columns.bought_wh, null, of.columns.bought_nano),
  pointLine(PAIRED_SELL, of.columns.sold_wh, null, -of.columns.sold_nano),
];

/** Whether nobody earns by energy that only one of two parties has. */
export function takesTraderPrices(prices) {
  const missingPrice = prices.shortfall_price_micro_per_kwh;
  const supplied = prices.residual_price_micro_per_kwh + prices.network_residual_micro_per_kwh;
  return prices.surplus_price_micro_per_kwh <= least(missingPrice, prices.feed_in_price_micro_per_kwh)
    && supplied <= missingPrice + prices.network_traded_micro_per_kwh;
}

/** The shape of the term that says where between two limits a price lies. */
export const PRICE_K = within(0n, 1_000_000n);

/** A share of the way from the lowest to the highest price, rounded down. */
export const splitPrice = (lowest, highest, { price_k_ppm: kPpm }) => lowest + ((highest - lowest) * kPpm) / 1_000_000n;

/** The same trades, each at a share of the way from the sell's limit to the buy's. */
export const splitBetweenLimits = (meet) => (orders, terms) =>
  meet(orders).map((trade) =>
    ({ ...trade, price_micro_per_kwh: splitPrice(orders[trade.sell].limit, orders[trade.buy].limit, terms) }));

/** A contract whose gates come to the trades of `meet`, from orders as a contract's `clear` has them. */
export function pairedContract(contract_id, meet, own = {}) {
  function clear(orders, terms) {
    const trades = meet(orders, terms);
    const filledWh = orders.map(() => 0n);
    for (const trade of trades) {
      filledWh[trade.buy] += trade.energy_wh;
      filledWh[trade.sell] += trade.energy_wh;
    }
    return cleared(sum(trades.map((trade) => trade.energy_wh)), null, filledWh, trades);
  }
  return contractOf({
    contract_id,
    position_columns: ["bought_wh", "sold_wh", "bought_nano", "sold_nano", "pays_nano", "supplier_only_nano"],
    price_keys: TRADER_PRICE_KEYS,
    takesPrices: takesTraderPrices,
    linesOfPoint: (of) => [...linesOfPairs(of), ...linesOfMetered(of)],
    clear,
    trades_in_pairs: true,
    ...own,
  });
}
