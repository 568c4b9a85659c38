/* A bundle as records. Reading one is claim 1: its form, and that of everything inside. */
import { hold } from "./answers.mjs";
import { BOOLEANS, decode } from "./cbor.mjs";
import {
  ALL_OR_NONE, APPROVAL_KIND, AREA_HEAD, BATCH_KIND, BUNDLE, BUNDLE_BYTES_MAX, BUNDLE_TYPE, CHAIN, CLEARED_ROW,
  CLEARING, CONDITIONS_MAX, ENERGY_KINDS, ENROLMENT_KIND, FEE_TRADE_ROW, FILL_ROW, FILL_ROWS, IMPORT_KIND,
  INTERVAL_ROW, MEMBERSHIP, ORDER_BATCH_KIND, ORDER_KIND, PAIRED_CLEARED_ROW, PLACED_BID_ROW,
  PLACED_ROW, POSITION_HEAD, PROFILE_KIND, PROPOSAL, QUANTITIES_MAX, QUANTITY_BYTES, READING_ROW, RENEWABLE_KINDS, RUN,
  RUNS, SIDES, TRADES_MAX, TRADE_ROW,
} from "./layout.mjs";
import {
  readEntity, readHeadedRow, readHeader, readLeaf, readOpened, readRegistryRow, readRow, readTransaction,
} from "./records.mjs";
import { conform, knownVersion } from "./shapes.mjs";
import { foldPath, rootOfPath } from "./trees.mjs";
import { divided, equal, has, integerOf, isAscending, most, sum } from "./values.mjs";

export const ANY_KIND = (1n << BigInt(ENERGY_KINDS.length + 1)) - 1n;

/** The kinds that a condition takes which says this word, a bit each; bit 0 is energy of no kind that is known. */
export function kindsOf(word) {
  if (word === undefined) return ANY_KIND;
  const kinds = word === "renewable" ? RENEWABLE_KINDS : [word];
  return sum(kinds.map((kind) => 2n << BigInt(ENERGY_KINDS.indexOf(kind))));
}

/** An order in a batch, as a map of its fields. */
const placedOf = (row) => (row.length === PLACED_ROW.size ? PLACED_ROW : PLACED_BID_ROW).unpack(row);

/** What a profile orders in each slot, under counters from its own on: { side, limit, quantities, condition, ofBid }, as an
 * order's; condition: null of a part without; ofBid: the quantities of all conditions of the part. */
const partOrders = (body) =>
  body.parts.flatMap((part) => {
    const conditions = part.conditions ?? [part];
    const ofBid = conditions.map((one) => one.quantities_wh);
    return conditions.map(({ price_micro_per_kwh: limit, quantities_wh: quantities, energy_kind, seller }, choice) => {
      const asked = { choice: BigInt(choice), energy_kinds: kindsOf(energy_kind), seller };
      const condition = has(part, "conditions") ? asked : null;
      return { side: BigInt(SIDES.indexOf(part.side)), limit, quantities, condition, ofBid };
    });
  });

/** A filled order, and its fill. Of an aggregator's batch: its row, and the party's entry that names the aggregator. Of a ramp, a
 * bid with conditions or a profile, which give several orders: that of the fill's counter.
 *
 * trades: what the fill comes from, under a contract whose trades have prices of their own; none where there are too many.
 */
class Order {
  constructor({ order, fill, row, mandate, trades }) {
    Object.assign(this, { order, fill, row, mandate, trades });
  }

  /** Whether it has an order of the fill's counter in the slot from startS on; always, where it is one order. */
  gives(startS, slotS) {
    const { identity, body, kind } = this.order;
    const isAmong = (count) => this.place >= 0n && this.place < count;
    if (kind === PROFILE_KIND) {
      const isSlot = (startS - identity.slot_start_s) % slotS === 0n;
      const isWithin = identity.slot_start_s <= startS && startS < body.end_s;
      return isSlot && isWithin && isAmong(BigInt(partOrders(body).length));
    }
    if (has(body, "conditions")) return isAmong(BigInt(body.conditions.length));
    return !has(body, "steps") || isAmong(body.steps);
  }

  /** What it says of the slot from startS on. party: the number of who signed an order by itself. */
  terms(party, startS, slotS) {
    const { identity, body, kind } = this.order;
    if (this.row !== null) return { slot_start_s: body.slot_start_s, ...placedOf(this.row.row) };
    const counter = identity.counter + this.place;
    if (kind === PROFILE_KIND) return { slot_start_s: startS, party, counter, ...this.partTerms(startS, slotS) };
    const ofSlot = { slot_start_s: identity.slot_start_s, party };
    const side = BigInt(SIDES.indexOf(body.side));
    if (has(body, "conditions")) {
      const wanted = body.conditions[Number(divided(this.place, BigInt(body.conditions.length))[1])];
      return { ...ofSlot, counter, side, quantity_wh: wanted.energy_wh, limit: wanted.price_micro_per_kwh };
    }
    if (has(body, "steps")) return { ...ofSlot, counter, side, ...this.stepTerms() };
    return {
      ...ofSlot,
      counter: identity.counter,
      side: side + (has(body, "condition") ? ALL_OR_NONE : 0n),
      quantity_wh: body.quantity_wh,
      limit: body.price_micro_per_kwh,
    };
  }

  /** What a profile orders under the fill's counter. */
  get part() {
    const orders = partOrders(this.order.body);
    return orders[Number(divided(this.place, BigInt(orders.length))[1])];
  }

  partTerms(startS, slotS) {
    const { side, limit, quantities } = this.part;
    return { side, quantity_wh: this.quantityIn(quantities, startS, slotS), limit };
  }

  /** Of some quantities of a profile that of the slot from startS on. */
  quantityIn(quantities, startS, slotS) {
    const [slots] = divided(startS - this.order.identity.slot_start_s, slotS);
    const at = Number(divided(slots * BigInt(QUANTITY_BYTES), BigInt(quantities.length))[1]);
    return integerOf(quantities.slice(at, at + QUANTITY_BYTES).reverse());
  }

  stepTerms() {
    const { quantity_wh, steps, price_micro_per_kwh: first, last_price_micro_per_kwh: last } = this.order.body;
    const step = this.place;
    const [until] = divided(quantity_wh * (step + 1n), steps);
    const [from] = divided(quantity_wh * step, steps);
    return { quantity_wh: until - from, limit: first + divided((last - first) * step, steps - 1n)[0] };
  }

  /** What the condition of the fill's counter asks for, of a bid that has some; null of any other order. choice: its place among
   * them; energy_kinds: a bit each; seller: a party's name, or in a batch its number and 1 more, undefined for any. */
  get condition() {
    if (this.row !== null) {
      const { energy_kinds, choice, seller } = placedOf(this.row.row);
      return energy_kinds ? { choice, energy_kinds, seller: seller || undefined } : null;
    }
    const { body, kind } = this.order;
    if (kind === PROFILE_KIND) return this.part.condition;
    if (!has(body, "conditions")) return null;
    const { energy_kind, seller } = body.conditions[Number(this.place)];
    return { choice: this.place, energy_kinds: kindsOf(energy_kind), seller };
  }

  /** The largest energy among the conditions of its bid in the slot from startS on. */
  bidWh(startS, slotS) {
    if (this.row !== null) return placedOf(this.row.row).bid_wh;
    if (this.order.kind !== PROFILE_KIND) return this.order.body.quantity_wh;
    return most(...this.part.ofBid.map((quantities) => this.quantityIn(quantities, startS, slotS)));
  }

  /** Whether another order is of the same bid: of one transaction, with conditions from one counter on. */
  isOfBid(other) {
    const from = ({ fill, condition }) => FILL_ROW.unpack(fill.row).counter - (condition?.choice ?? 0n);
    return equal(this.order.signed, other.order.signed) && from(this) === from(other);
  }

  /** Of the fill's order among those that the transaction gives. */
  get place() {
    return FILL_ROW.unpack(this.fill.row).counter - this.order.identity.counter;
  }
}

const given = (...ends) => ends.filter((one) => one !== null).length;

/** A part of the slot in which one meter's registers go on; ended_by: the entry at which they break off. What is absent is null. */
class Piece {
  constructor({ installation, end_installation, ended_by, start, end, approved_start, approved_end }) {
    Object.assign(this, { installation, end_installation, ended_by, start, end, approved_start, approved_end });
  }

  /** Whether its meter was put up, or taken down, inside the slot, of which it measured a part: it is read, or approved, at one end alone. */
  get isPart() {
    const starts = given(this.start, this.approved_start);
    const ends = given(this.end, this.approved_end);
    return this.ended_by === null ? starts === 0 && ends === 1 : starts === 1 && ends === 0;
  }

  /** What tells the registers at the slot's start. */
  get first() {
    return this.start ?? asEnd(this.approved_start);
  }

  /** What tells the registers at the slot's end. */
  get last() {
    return this.end ?? asEnd(this.approved_end);
  }

  /** The entry in force at the piece's end. */
  get lastInstallation() {
    return this.end_installation ?? this.installation;
  }
}

/** What tells registers is a transaction, and where it is a batch of readings the meter's row of it; row: null of an approval. */
const asEnd = (approval) => (approval === null ? null : { transaction: approval, row: null });

/** All of it, by the names of docs/spec/bundle.md. */
class Bundle {
  constructor(parts) {
    Object.assign(this, parts);
  }

  /** What tells the registers at the slot's start, then at its end: a reading, or an approval; none of an estimate, one of a part slot. */
  get ends() {
    if (this.pieces.length === 0) return [];
    return [this.pieces[0].first, this.pieces.at(-1).last].filter((one) => one !== null);
  }

  /** The entry in force at the boundary of each of `ends`. */
  get endInstallations() {
    if (this.pieces.length === 0) return [];
    const [first, last] = [this.pieces[0], this.pieces.at(-1)];
    return [...(first.first ? [first.installation] : []), ...(last.last ? [last.lastInstallation] : [])];
  }

  /** Whether the meter was put up, or taken down, inside the slot. */
  get isPartSlot() {
    return this.pieces.length === 1 && this.pieces[0].isPart;
  }

  /** Batches and approvals, or an import; orders, enrolments. */
  get transactions() {
    const entries = this.keys.flatMap((key) => key.entries);
    return [
      ...this.ends.map((end) => end.transaction),
      ...(this.imported === null ? [] : [this.imported.transaction]),
      ...this.orders.map((order) => order.order),
      ...entries.flatMap((entry) => (entry.enrolment === null ? [] : [entry.enrolment.transaction])),
    ];
  }
}

/** The records of a bundle; halts where the file, or anything inside, has not the form that it should have. */
export function readBundle(data) {
  hold(data.length <= BUNDLE_BYTES_MAX, `a bundle has at most ${BUNDLE_BYTES_MAX} bytes`);
  const parts = knownVersion(decode(data, "the bundle"), BUNDLE_TYPE, "the bundle");
  conform(parts, BUNDLE, "bundle");
  const header = readHeader(parts.header, "the header");
  const opened = ["area", "party", "point", "rules", "zone", "zone_contract"].map((name) => [
    name,
    readOpened(parts[name], name.replace("_", " ")),
  ]);
  const bundle = new Bundle({
    ...Object.fromEntries(opened),
    header,
    agreements: (parts.agreements ?? []).map((part) => readOpened(part, "an agreement")),
    area_result: readHeadedRow(parts.area_result, "the area's result", AREA_HEAD),
    certificate: readCertificate(parts.certificate),
    certified: optional(parts, "certified", (part) => readPlaced(part, "the certified header", header.digest)),
    chain: readLeaf(parts.chain, "the chain", CHAIN),
    clearing: optional(parts, "clearing", readClearing),
    gateways: parts.gateways.map((part) => readOpened(part, "a gateway")),
    genesis: readPlaced(parts.genesis, "the header of genesis"),
    handovers: parts.handovers.map(readHandover),
    imported: optional(parts, "imported", readImported),
    keys: parts.keys.map(readKey),
    orders: parts.orders.map((part, at) => readOrder(part, `order ${at + 1}`)),
    pieces: parts.pieces.map(readPiece),
    point_rules: optional(parts, "point_rules", (part) => readOpened(part, "the point's own rules")),
    position: readHeadedRow(parts.position, "the position", POSITION_HEAD),
    run: readLeaf(parts.run, "the run", RUN),
    runs: readLeaf(parts.runs, "the runs", RUNS),
    series: (parts.series ?? []).map((part) => readOpened(part, "a price series")),
    siblings: (parts.siblings ?? []).map(readSibling),
  });
  holdPieces(bundle.pieces);
  holdOrders(bundle);
  return bundle;
}

const optional = (parts, name, read) => (has(parts, name) ? read(parts[name]) : null);

function holdOrders(bundle) {
  const shown = bundle.orders.map((order) => order.trades.length);
  hold((bundle.clearing === null) === (shown.length === 0), "a clearing stands beside orders, and only there");
  const isAllOrNone = !shown.some((count) => count > 0) || shown.every((count) => count > 0);
  hold(isAllOrNone, "the trades of all orders are shown, or of none");
  const trades = shown.reduce((total, count) => total + count, 0);
  hold(trades <= TRADES_MAX, `a bundle shows at most ${TRADES_MAX} trades`);
  hold(shown.length > 0 || bundle.siblings.length === 0, "other points of the party stand beside orders only");
}

const readCertificate = (pairs) => pairs.map(([key, signature]) => ({ key, signature }));

/** A header, and the path beside it: from `leaf`, or from the header's own digest. */
function readPlaced(part, what, leaf = null) {
  const header = readHeader(part.header, what);
  return { header, path: part.path, history_root: rootOfPath(leaf ?? header.digest, part.path) };
}

const readClearing = (part) => ({
  area: readRow(part.area, "the cleared area", CLEARED_ROW, PAIRED_CLEARED_ROW),
  leaf: readLeaf(part, "the clearing", CLEARING),
});

const readSibling = (part) => ({
  position: readHeadedRow(part.position, "another position", POSITION_HEAD),
  point: readOpened(part.point, "another point"),
});

/** A header that names another signer set, its certificate, and the set. */
const readHandover = (part) => ({
  placed: readPlaced(part, "a hand-over"),
  certificate: readCertificate(part.certificate),
  signers: part.signers.map(([key, power]) => ({ key, power })),
});

function readOrder(part, what) {
  hold(has(part, "order") === has(part, "mandate"), "a row of a batch and a mandate stand beside one another");
  const kinds = has(part, "order") ? [ORDER_BATCH_KIND] : [ORDER_KIND, PROFILE_KIND];
  const transaction = readTransaction(part, what, ...kinds);
  holdSeveral(transaction);
  const row = optional(part, "order", (one) => readRow(one, `the row of ${what}`, PLACED_ROW, PLACED_BID_ROW));
  if (row !== null) holdPlaced(placedOf(row.row), what);
  return new Order({
    order: transaction,
    fill: readRow(part.fill, `the fill of ${what}`, ...FILL_ROWS),
    row,
    mandate: optional(part, "mandate", (one) => readOpened(one, `the mandate of ${what}`)),
    trades: (part.trades ?? []).map((one) => readRow(one, `a trade of ${what}`, TRADE_ROW, FEE_TRADE_ROW)),
  });
}

/** Hold that a row of a batch is a condition of a bid, or says nothing of what it wants. */
function holdPlaced({ side, quantity_wh, choice, energy_kinds, seller, bid_wh }, what) {
  if (!energy_kinds) {
    hold(!choice && !seller && !bid_wh, `${what} is no condition, and says what it wants`);
    return;
  }
  hold(side === BigInt(SIDES.indexOf("buy")), `${what} has conditions, and does not buy`);
  const isCondition = choice < BigInt(CONDITIONS_MAX) && energy_kinds <= ANY_KIND;
  hold(isCondition, `${what} is a condition that no bid has`);
  hold(quantity_wh >= 1n && quantity_wh <= bid_wh, `${what} is of more than its bid`);
}

/** Hold what a ramp or a profile is beside its fields. */
function holdSeveral({ what, body, kind }) {
  const isRamp = has(body, "steps");
  hold(!isRamp || !has(body, "condition"), `${what} is a ramp and has a condition`);
  if (has(body, "conditions")) {
    hold(!isRamp && !has(body, "condition"), `${what} has conditions, and is a ramp or all or none`);
    hold(body.side === "buy", `${what} has conditions, and does not buy`);
    const largestWh = most(...body.conditions.map((one) => one.energy_wh));
    const highest = most(...body.conditions.map((one) => one.price_micro_per_kwh));
    const isSo = body.quantity_wh === largestWh && body.price_micro_per_kwh === highest;
    hold(isSo, `quantity and price of ${what} are not those of its conditions`);
  }
  hold(isAscending(body.replaces ?? []), `the counters that ${what} replaces do not ascend`);
  hold(isRamp === has(body, "last_price_micro_per_kwh"), `${what} is half a ramp`);
  for (const part of kind === PROFILE_KIND ? body.parts : []) holdPart(part, what);
}

/** Hold that a part of a profile says its limit and quantities, or buys by conditions that do. */
function holdPart(part, what) {
  const hasConditions = has(part, "conditions");
  for (const name of ["price_micro_per_kwh", "quantities_wh"]) {
    hold(has(part, name) !== hasConditions, `a part of ${what} has conditions and ${name}, or neither`);
  }
  hold(!hasConditions || part.side === "buy", `a part of ${what} has conditions, and does not buy`);
  for (const { quantities_wh: quantities } of part.conditions ?? [part]) {
    const count = quantities.length / QUANTITY_BYTES;
    const isWhole = Number.isInteger(count) && count >= 1 && count <= QUANTITIES_MAX && quantities.some((byte) => byte > 0);
    const due = `1 to ${QUANTITIES_MAX} of ${QUANTITY_BYTES} bytes each, one above 0`;
    hold(isWhole, `the quantities of ${what} are not ${due}`);
  }
}

const readReading = (part, when) => ({
  transaction: readTransaction(part, `the ${when} batch`, BATCH_KIND),
  row: readRow(part.reading, `the ${when} reading`, READING_ROW),
});

const readImported = (part) => ({
  transaction: readTransaction(part, "the import", IMPORT_KIND),
  row: readRow(part.interval, "the imported energy", INTERVAL_ROW),
  installation: readOpened(part.installation, "the installation"),
});

const readApproval = (part, when) => readTransaction(part, `the ${when} approval`, APPROVAL_KIND);

const readPiece = (part) =>
  new Piece({
    installation: readOpened(part.installation, "the installation"),
    end_installation: optional(part, "end_installation", (one) => readOpened(one, "the installation's end")),
    ended_by: optional(part, "ended_by", (one) => readOpened(one, "the end of an installation's part")),
    start: optional(part, "start", (one) => readReading(one, "start")),
    end: optional(part, "end", (one) => readReading(one, "end")),
    approved_start: optional(part, "approved_start", (one) => readApproval(one, "start")),
    approved_end: optional(part, "approved_end", (one) => readApproval(one, "end")),
  });

function holdPieces(pieces) {
  if (pieces.length === 1 && pieces[0].isPart) {
    const isLast = pieces[0].ended_by === null;
    hold(pieces[0].end_installation === null || isLast, "only the last piece has an installation of its end");
    return;
  }
  pieces.forEach((piece, at) => {
    const isLast = at === pieces.length - 1;
    const isGiven = given(piece.start, piece.approved_start) === (at === 0 ? 1 : 0)
      && given(piece.end, piece.approved_end) === (isLast ? 1 : 0);
    hold(isGiven, "the first piece has one start, reading or approval, the last one one end");
    hold((piece.ended_by === null) === isLast, "every piece but the last one is ended by an entry");
    hold(piece.end_installation === null || isLast, "only the last piece has an installation of its end");
  });
}

/** A signer, and those of its entries that the bundle rests on. */
const readKey = (part) => ({ entity: readEntity(part, "a signer"), entries: part.entries.map(readKeyEntry) });

/** An entry of a signer, and one of its origins: the entity at genesis, its enrolment, or a vote. */
function readKeyEntry(part) {
  const origins = ["genesis", "enrolment", "voted"].filter((origin) => has(part, origin));
  hold(origins.length === 1, "a key is of genesis, was enrolled, or was voted on, one of the three");
  const row = readRegistryRow(part.row, part.salt, "a signer");
  return {
    row,
    genesis: optional(part, "genesis", (one) => readEntity(one, "a signer at genesis")),
    enrolment: optional(part, "enrolment", (one) => readEnrolment(one, row)),
    voted: optional(part, "voted", readVoted),
  };
}

/** A proposal that has passed, by which organisations gave keys; rows: key and value of each entity that it names. */
function readVoted(part) {
  const leaf = readLeaf(part, "a proposal", PROPOSAL);
  const action = decode(leaf.value.action, "the action of a proposal", { simple: BOOLEANS });
  conform(action, MEMBERSHIP, "the action of a proposal");
  return { leaf, rows: action.rows, decided_height: leaf.value.decided_height, in_favour: leaf.value.in_favour };
}

/** The transaction that enrolled a key, and the rows root that the path of the key's row leads to. */
const readEnrolment = (part, row) => ({
  transaction: readTransaction(part, `the enrolment of ${row.key}`, ENROLMENT_KIND),
  rows_root: foldPath(row.digest, part.row_path),
});
