/* One bundle under examination: its records, and what the claims found in them so far. */
import { CANNOT_BE_DECIDED, Halt, hold, plain } from "./answers.mjs";
import { CONTRACTS } from "./contracts/known.mjs";
import { CLEARED_ROW, ESTIMATED, PAIRED_CLEARED_ROW, isPrice } from "./layout.mjs";
import { unpackArea, unpackPosition } from "./records.mjs";
import { columnsOf } from "./rows.mjs";
import { conform } from "./shapes.mjs";
import { divided, equal, has } from "./values.mjs";

const PRICE_BYTES = 8; // of a value of a price series

/** What the claims are checked on, in their order: each finds here what those before it have found. */
export class Examination {
  constructor(bundle, trust, book) {
    this.bundle = bundle;
    this.trust = trust;
    this.bookData = book;
    this.facts = {};
    this.run = bundle.run.value;
    this.startS = this.run.slot_start_s;
    this.slotS = bundle.chain.value.slot_s;
    this.endS = this.startS + this.slotS;
    this.position = unpackPosition(bundle.position.row);
    this.siblings = bundle.siblings.map((one) => unpackPosition(one.position.row));
    this.area = unpackArea(bundle.area_result.row);
    this.cleared = bundle.clearing === null ? null : clearedArea(bundle.clearing.area.row);
    this.usedKeys = []; // one for each transaction: {transaction, entry, recorded_height}
    this.contract = CONTRACTS.get(this.run.contract) ?? null; // null where its arithmetic is unknown here
  }

  /** Whether the position says that the ledger estimated its energy: neither registers nor an import tell it. */
  get isEstimated() {
    return ESTIMATED.includes(this.position.quality) && this.bundle.imported === null;
  }

  /** The contract; halts where it is unknown. */
  knownContract() {
    if (this.contract !== null) return this.contract;
    throw new Halt(CANNOT_BE_DECIDED, `the contract ${plain(this.run.contract)} is unknown here`);
  }

  /** What the lines of the point rest on; halts unless rules and rows have exactly what the contract declares.
   *
   * columns, area: the contract's columns by name. prices: of the point in the slot; area_prices: of its area, the same unless
   * the point has rules of its own. trade_price: 0 where nothing was cleared.
   */
  settled() {
    const contract = this.knownContract();
    const { bundle, cleared } = this;
    hold(contract.takes_agreements || bundle.agreements.length === 0, "the contract settles no agreements");
    return {
      import_wh: this.position.import_wh,
      export_wh: this.position.export_wh,
      columns: named(contract.position_columns, this.position.columns),
      area: named(contract.area_columns, this.area.columns),
      prices: this.prices(bundle.point_rules ?? bundle.rules),
      area_prices: this.prices(bundle.rules),
      terms: bundle.rules.row.value.terms,
      point: bundle.point.row.value,
      trade_price: cleared !== null && cleared.has_price ? cleared.price : 0n,
      agreements: bundle.agreements.map((one) => this.agreed(one.row.value)),
    };
  }

  /** What an agreement says of the slot; halts for a difference without a reference price: it does not hold in it. */
  agreed(stated) {
    const isDifference = stated.basis === "difference";
    const said = has(stated, "series") ? this.seriesPrice(stated.series) : null;
    hold(!isDifference || said !== null, "a difference has no reference price in the slot");
    const strike = stated.price_micro_per_kwh;
    return {
      is_seller: stated.seller_point === this.bundle.point.entity.name,
      is_difference: isDifference,
      price: isDifference ? strike - said : said ?? strike,
      quantity_wh: stated.quantity_wh ?? null,
      share_ppm: stated.share_ppm ?? null,
    };
  }

  /** What a price series says of the slot, null where it says nothing. */
  seriesPrice(name) {
    const { row } = this.bundle.series.find((one) => one.entity.name === name);
    const [slots] = divided(this.startS - row.from_s, row.value.slot_s);
    const at = Number(slots) * PRICE_BYTES;
    return columnsOf(row.value.prices.subarray(at, at + PRICE_BYTES))[0] ?? null;
  }

  /** The prices of rules in the slot: what series say instead holds, unless the contract does not take them together. */
  prices(rules) {
    const contract = this.knownContract();
    const stated = rules.row.value;
    conform(stated.terms, contract.terms, "the terms of the rules");
    contract.checkTerms(stated.terms);
    const hasItsKeys = equal(Object.keys(stated.prices).sort(), [...contract.price_keys].sort());
    hold(hasItsKeys, "the rules have not the prices of the contract");
    const isTaken = Object.values(stated.prices).every(isPrice) && contract.takesPrices(stated.prices);
    hold(isTaken, `the prices of ${plain(rules.row.key)} are none that the contract takes`);
    const varied = { ...stated.prices };
    for (const [key, name] of Object.entries(stated.series ?? {})) varied[key] = this.seriesPrice(name) ?? varied[key];
    return contract.takesPrices(varied) ? varied : stated.prices;
  }
}

const named = (names, values) => Object.fromEntries(names.map((name, at) => [name, values[at]]));

/** The area's row of the clearing; trades, trades_root: null under a contract with one price for all. */
function clearedArea(row) {
  if (row.length === PAIRED_CLEARED_ROW.size) return PAIRED_CLEARED_ROW.unpack(row);
  return { ...CLEARED_ROW.unpack(row), trades: 0n, trades_root: null };
}
