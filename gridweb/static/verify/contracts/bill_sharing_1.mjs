/* The arithmetic of bill_sharing/1: a community's import of a month is paid by deficits, its export earned by surpluses. */
import { hold } from "../answers.mjs";
import { contractOf, pointLine } from "../contract.mjs";
import { equal, least, most } from "../values.mjs";
import {
  COMMUNITY_BUY, COMMUNITY_PRICE_KEYS, COMMUNITY_SELL, FEED_IN_PRICE, RETAIL_PRICE, holdNoNegative, holdShare, linesOfCharges,
} from "./community.mjs";

const NANO = 10n ** 9n; // of a unit of the currency
const ENERGY_COLUMNS = ["deficit_wh", "surplus_wh"];
const AMOUNT_COLUMNS = ["cost_units", "cost_nano", "income_units", "income_nano"];
const ofPeriod = (names) => names.map((name) => `period_${name}`);

/** A line of each kind, in their order; those of the month stand in its last slot alone. */
const linesOfBill = (of) => [
  pointLine(COMMUNITY_BUY, of.columns.period_deficit_wh, null, of.columns.paid_nano),
  pointLine(COMMUNITY_SELL, of.columns.period_surplus_wh, null, -of.columns.earned_nano),
  ...linesOfCharges(of),
];

/** An amount in whole units and nano. */
const inLimbs = (nano) => [nano / NANO, nano % NANO];

function checkBill(of) {
  holdNoNegative(of.area);
  checkSums(of);
  checkSlot(of, most(of.import_wh - of.export_wh, 0n), "deficit_wh", "bought_wh");
  checkSlot(of, most(of.export_wh - of.import_wh, 0n), "surplus_wh", "sold_wh");
  checkPeriod(of, "period_deficit_wh", "paid_nano", "cost");
  checkPeriod(of, "period_surplus_wh", "earned_nano", "income");
}

function checkSums({ area, area_prices }) {
  const importedWh = most(area.deficit_wh - area.surplus_wh, 0n);
  const exportedWh = most(area.surplus_wh - area.deficit_wh, 0n);
  const costs = inLimbs(importedWh * area_prices[RETAIL_PRICE]);
  const earns = inLimbs(exportedWh * area_prices[FEED_IN_PRICE]);
  hold(equal([area.cost_units, area.cost_nano], costs), "what the area's import costs is another amount");
  hold(equal([area.income_units, area.income_nano], earns), "what the area's export earns is another amount");
}

/** Hold the point's part in the slot. */
function checkSlot(of, energyWh, column, traded) {
  const sharedWh = least(of.area.surplus_wh, of.area.deficit_wh);
  hold(of.columns[column] === energyWh, `the point's ${column} is another one`);
  hold(energyWh <= of.area[column], "the point has more surplus or deficit than its area");
  holdShare(`the energy ${traded}`, of.columns[traded], sharedWh, energyWh, of.area[column]);
}

/** Hold the point's part in the month. */
function checkPeriod(of, column, amount, money) {
  const allNano = of.area[`period_${money}_units`] * NANO + of.area[`period_${money}_nano`];
  const energyWh = of.columns[column];
  const isWithin = energyWh >= 0n && energyWh <= of.area[column];
  hold(isWithin, "the point has more surplus or deficit in the month than its area");
  holdShare(`the point's ${amount}`, of.columns[amount], allNano, energyWh, of.area[column]);
}

export const BILL_SHARING_1 = contractOf({
  contract_id: "bill_sharing/1",
  position_columns: [
    "bought_wh", "sold_wh", ...ENERGY_COLUMNS, ...ofPeriod(ENERGY_COLUMNS), "paid_nano", "earned_nano", "pays_nano",
    "supplier_only_nano",
  ],
  area_columns: ["period_start_s", ...ENERGY_COLUMNS, ...AMOUNT_COLUMNS, ...ofPeriod([...ENERGY_COLUMNS, ...AMOUNT_COLUMNS])],
  price_keys: COMMUNITY_PRICE_KEYS,
  takesPrices: (prices) => prices[FEED_IN_PRICE] >= 0n && prices[FEED_IN_PRICE] <= prices[RETAIL_PRICE],
  linesOfPoint: linesOfBill,
  checkPoint: checkBill,
  not_checked: [
    "that the sums of area and month are those of all members and slots, and who got a unit that was left over",
  ],
});
