/* The layout of a bundle: limits, shapes, rows and claims (docs/spec/bundle.md). Names are those of the specification. */
import { LIST_ITEMS_MAX } from "./cbor.mjs";
import { RowLayout } from "./rows.mjs";
import { anyBoolean, anyBytes, anyInteger, anyMap, anyText, bytes, bytesThat, list, text, within } from "./shapes.mjs";
import { isPublicKey } from "./sm2.mjs";

// ------------------------------------------------------------------------------------------------------------ limits
export const BUNDLE_BYTES_MAX = 1 << 20;
export const BOOK_BYTES_MAX = 64 << 20;
export const TRUST_BYTES_MAX = 1 << 20;
export const REGISTER_WH_MAX = 10n ** 13n;
export const SLOT_LENGTHS_S = [300n, 900n, 1800n, 3600n];
export const HANDOVERS_MAX = 64; // changes of the set of signers that one bundle shows
export const ENROLMENTS_MAX = 8; // between a key and genesis
export const PROTOCOL_VERSION = 2n;
export const TRADES_MAX = 256; // of all orders together, whose trades a bundle shows
export const REGISTRY_ROW_BYTES_MAX = 32_768;
export const SERIES_VALUES_MAX = 3_000;
const PRICE_MAX = 10n ** 9n; // of rules and price series, micro per kWh
export const PRICES = within(-PRICE_MAX, PRICE_MAX);
export const isPrice = (value) => value >= -PRICE_MAX && value <= PRICE_MAX;

// ------------------------------------------------------------------------------------------------------------ values
export const NAME = text("[A-Za-z0-9._-]{1,64}");
export const TEXT_64 = text(".{1,64}");
const TEXT_200 = text(".{1,200}");
export const NATURAL = within(0n, (1n << 63n) - 1n);
export const I64 = within(-(1n << 63n), (1n << 63n) - 1n);
const U32 = within(0n, (1n << 32n) - 1n);
export const TIME = within(0n, 253_402_300_799n); // UTC seconds to the end of the year 9999
const POWER = within(1n, 1n << 31n);
const POSITIVE = within(1n, (1n << 63n) - 1n);
const PUBLIC_KEY = bytesThat(isPublicKey, "a public key");
const PATH_ITEM = bytesThat((item) => item.length === 33 && item[0] < 2, "a side and a digest");
const MAYBE_DIGEST = bytesThat((value) => value.length === 0 || value.length === 32, "a digest or nothing");

// ------------------------------------------------------------------------------------------------ a bundle's own parts
export const BUNDLE_TYPE = "gridledger-evidence";
export const BOOK_TYPE = "gridledger-book";
export const TRUST_TYPE = "gridledger-trust";
const PATH = list(PATH_ITEM, 0, 64);
const STATE_PROOF = { leaf: anyBytes, path: PATH };
const OPENED = { ...STATE_PROOF, row: anyBytes, salt: bytes(16) };
const ROW_PROOF = { path: PATH, row: anyBytes, salt: bytes(16) };
const PLACED = { header: anyBytes, path: PATH };
const TRANSACTION = {
  attachment_digest: bytes(32),
  data_path: PATH,
  header: anyBytes,
  history_path: PATH,
  signature: bytes(64),
  signed: anyBytes,
};
const READING = { ...TRANSACTION, reading: ROW_PROOF };
const PIECE = {
  "approved_end?": TRANSACTION,
  "approved_start?": TRANSACTION,
  "end?": READING,
  "end_installation?": OPENED,
  "ended_by?": OPENED,
  installation: OPENED,
  "start?": READING,
};
const ORDER = {
  ...TRANSACTION,
  fill: ROW_PROOF,
  "mandate?": OPENED,
  "order?": ROW_PROOF,
  "trades?": list(ROW_PROOF, 1, TRADES_MAX),
};
const KEY_ENTRY = {
  "enrolment?": { ...TRANSACTION, row_path: PATH },
  "genesis?": STATE_PROOF,
  row: anyBytes,
  salt: bytes(16),
  "voted?": STATE_PROOF,
};
const CERTIFICATE = list([PUBLIC_KEY, bytes(64)], 0, LIST_ITEMS_MAX);
const SIGNER_SET = list([PUBLIC_KEY, POWER], 1, LIST_ITEMS_MAX);
export const BUNDLE = {
  "agreements?": list(OPENED, 1, 8),
  area: OPENED,
  area_result: ROW_PROOF,
  certificate: CERTIFICATE,
  "certified?": PLACED,
  chain: STATE_PROOF,
  "clearing?": { ...STATE_PROOF, area: ROW_PROOF },
  gateways: list(OPENED, 0, 8),
  genesis: PLACED,
  handovers: list({ ...PLACED, certificate: CERTIFICATE, signers: SIGNER_SET }, 0, HANDOVERS_MAX),
  header: anyBytes,
  "imported?": { ...TRANSACTION, installation: OPENED, interval: ROW_PROOF },
  keys: list({ ...STATE_PROOF, entries: list(KEY_ENTRY, 1, 4) }, 0, 16),
  orders: list(ORDER, 0, 16),
  party: OPENED,
  pieces: list(PIECE, 0, 4),
  point: OPENED,
  "point_rules?": OPENED,
  position: ROW_PROOF,
  rules: OPENED,
  run: STATE_PROOF,
  runs: STATE_PROOF,
  "series?": list(OPENED, 1, 24),
  "siblings?": list({ point: OPENED, position: ROW_PROOF }, 1, 15),
  type: anyText,
  version: anyInteger,
  zone: OPENED,
  zone_contract: OPENED,
};
export const BOOK = {
  book: list(anyBytes, 0, BOOK_BYTES_MAX),
  salts: list(bytes(16), 0, BOOK_BYTES_MAX),
  type: anyText,
  version: anyInteger,
};
const HEX_DIGEST = text("[0-9a-fA-F]{64}");
const TRUSTED = { name: anyText, power: POSITIVE, public_key: text("[0-9a-fA-F]{130}") };
export const TRUST = {
  chain: anyText,
  genesis: HEX_DIGEST,
  pins: list({ fingerprint: HEX_DIGEST, signer: anyText }, 0, TRUST_BYTES_MAX),
  signers: list(TRUSTED, 0, TRUST_BYTES_MAX),
  type: anyText,
  version: anyInteger,
};

// ------------------------------------------------------------------------------------------------- headers and leaves
// Type, chain, height, time, ledger time, previous, history, data and state root, signers, signers pending, protocol.
export const HEADER = [
  text("header/2"),
  text(".{17,56}"),
  ...[NATURAL, TIME, TIME],
  ...[bytes(32), bytes(32), bytes(32), bytes(32), bytes(32)],
  MAYBE_DIGEST,
  NATURAL,
];
export const CHAIN = {
  clock: text("block|simulated|imported"),
  currency: text("[A-Z]{3}"),
  name: text("[^/\\x00-\\x1f\\x7f]{1,40}"),
  slot_s: NATURAL,
  thresholds: { contract: POSITIVE, protocol: POSITIVE, registry: POSITIVE, signers: POSITIVE },
};
/** Of one that has passed. */
export const PROPOSAL = {
  action: anyBytes,
  against: list(NAME, 0, LIST_ITEMS_MAX),
  decided_height: NATURAL,
  in_favour: list(NAME, 1, LIST_ITEMS_MAX),
  open_until_s: TIME,
  organisation: NAME,
  proposed_height: NATURAL,
  status: text("passed"),
};
export const MEMBERSHIP = { rows: list([anyText, anyMap], 1, 16), seed: bytes(32), sort: text("membership") };
export const CLEARING = {
  areas: NATURAL,
  areas_root: bytes(32),
  contract: TEXT_64,
  contract_pin: bytes(32),
  slot_start_s: TIME,
  zone: NAME,
};
export const RUN = {
  ...CLEARING,
  as_of_height: NATURAL,
  points: NATURAL,
  rows: NATURAL,
  rows_root: bytes(32),
  run: NAME,
  totals_root: bytes(32),
};
export const RUNS = { runs: list([NAME, NATURAL], 0, LIST_ITEMS_MAX) };

// ----------------------------------------------------------------------------------------------------------- registry
export const ENTRIES = {
  entries: list([TIME, NATURAL, bytes(32)], 0, 64),
  "folded?": bytes(32),
  "folded_to_s?": TIME,
};
export const BESIDE_ENTRIES = { area: { number: U32 }, party: { number: U32 }, point: { row: U32 } };
const WITHIN = within(0n, 31_622_400n); // seconds before or behind an instant of a slot
const UNTIL_FINAL = within(0n, 10n * 31_622_400n); // seconds behind a slot's end
export const POWERS = within(0n, 10n ** 12n); // contracted, W
const SHARE = within(0n, 1_000_000n); // parts of a million
const CREDIT_NANO = within(0n, 10n ** 18n);
const ROLES = text("administrator|aggregator|clock|gateway|prosumer|regulator|utility");
const REGISTERS = [within(0n, REGISTER_WH_MAX), within(0n, REGISTER_WH_MAX)]; // import, export
const AGREED = { buyer: NAME, buyer_point: NAME, seller: NAME, seller_point: NAME };
export const ENERGY_KINDS = ["biomass", "coal", "gas", "geothermal", "hydro", "nuclear", "oil", "solar", "waste", "wind"];
export const RENEWABLE_KINDS = ["biomass", "geothermal", "hydro", "solar", "wind"];
/** Values of registry rows, by the word that their keys begin with. */
export const ENTITIES = {
  agreement: {
    ...AGREED,
    basis: text("difference|fixed_quantity|pay_as_produced"),
    price_micro_per_kwh: PRICES,
    "quantity_wh?": within(1n, 10n ** 9n),
    "series?": NAME,
    "share_ppm?": within(1n, 1_000_000n),
  },
  area: { calendar: NAME, rules: NAME, zone: NAME },
  gateway: { organisation: NAME, protection: NAME },
  installation: {
    "final_registers?": REGISTERS,
    "first_registers?": REGISTERS,
    gateway: NAME,
    limit_wh: within(1n, 10n ** 9n),
    meter: NAME,
    modulus_wh: within(0n, 1n << 53n),
    point: NAME,
    profile: NAME,
    ratio: within(1n, 10_000n),
    "reason?": TEXT_200,
  },
  party: {
    "aggregator?": NAME,
    area: NAME,
    "contracted_w?": anyMap,
    "credit_nano?": CREDIT_NANO,
    organisation: NAME,
    "tariff?": NAME,
    trades: anyBoolean,
  },
  point: {
    area: NAME,
    "balance_responsible_export?": NAME,
    "balance_responsible_import?": NAME,
    "energy_kind?": text(ENERGY_KINDS.join("|")),
    "grid_operator?": NAME,
    "grid_place?": within(1n, 65_535n),
    "offtaker?": NAME,
    "party?": NAME,
    "priority?": SHARE,
    role: text("household|load|feeder"),
    "rules?": NAME,
    "share_ppm?": SHARE,
    "standing_profile?": NAME,
    "supplier?": NAME,
  },
  price_series: { prices: anyBytes, slot_s: within(1n, 86_400n) },
  rules: { prices: anyMap, "series?": anyMap, terms: anyMap, "until_s?": TIME },
  signer: { "certificate?": anyBytes, organisation: NAME, public_key: PUBLIC_KEY, roles: list(ROLES, 1, 7) },
  zone: {
    contract: TEXT_64,
    contract_pin: bytes(32),
    "correction_after_s?": WITHIN,
    "final_after_s?": UNTIL_FINAL,
    first_slot_start_s: TIME,
    "gap_slots_from_s?": TIME,
    "gap_slots_max?": within(1n, 4_320n),
    gate_before_start_s: WITHIN,
    metering_deadline_s: WITHIN,
    open_before_start_s: WITHIN,
    "part_slots_are_measured?": anyBoolean,
    "profiles_have_conditions?": anyBoolean,
    "run_calendar?": {
      corrections: list([UNTIL_FINAL, SHARE], 0, 16),
      dispute_material_nano: CREDIT_NANO,
      final_run_after_s: UNTIL_FINAL,
      initial_last_after_s: UNTIL_FINAL,
      initial_measured_ppm: SHARE,
    },
    "runs_follow_points?": anyBoolean,
    "runs_follow_points_from_s?": TIME,
  },
};
/** The values of entities that have come to an end, by the same word, with the key that says so: it is always true. */
export const ENDED = {
  agreement: { word: "ended", shape: { ...AGREED, ended: anyBoolean } },
  gateway: { word: "retired", shape: { organisation: NAME, retired: anyBoolean } },
  installation: {
    word: "removed",
    shape: { "final_registers?": REGISTERS, point: NAME, "reason?": TEXT_200, removed: anyBoolean },
  },
  signer: { word: "revoked", shape: { organisation: NAME, revoked: anyBoolean } },
};

// ------------------------------------------------------------------------------------------------------- transactions
export const BATCH_KIND = "metering/reading_batch";
export const ENROLMENT_KIND = "registry/register";
export const ORDER_KIND = "market/order";
export const ORDER_BATCH_KIND = "market/order_batch";
export const PROFILE_KIND = "market/profile";
export const APPROVAL_KIND = "metering/approve";
export const IMPORT_KIND = "metering/interval_import";
export const ROLE_OF_KIND = {
  [APPROVAL_KIND]: "utility",
  [BATCH_KIND]: "gateway",
  [IMPORT_KIND]: "gateway",
  [ORDER_KIND]: "prosumer",
  [ORDER_BATCH_KIND]: "aggregator",
  [PROFILE_KIND]: "prosumer",
  [ENROLMENT_KIND]: "administrator",
};
export const REGISTER_CODES = ["1-0:1.8.0", "1-0:2.8.0"];
export const SIDES = ["buy", "sell"]; // a side's number in a row is its place
const SIDE = text("buy|sell");
const AGENT = text(".{0,64}");
export const CONDITIONS_MAX = 4; // of a bid
const ASKED = { "energy_kind?": text([...ENERGY_KINDS, "renewable"].join("|")), "seller?": NAME };
const CONDITION = { ...ASKED, energy_wh: I64, price_micro_per_kwh: I64 };
const PART = { // of a profile: it has conditions, or what it says itself
  "conditions?": list({ ...ASKED, price_micro_per_kwh: I64, quantities_wh: anyBytes }, 1, CONDITIONS_MAX),
  "price_micro_per_kwh?": I64,
  "quantities_wh?": anyBytes,
  side: SIDE,
};
export const BODIES = {
  [APPROVAL_KIND]: { boundary_s: TIME, installation: U32, reason: TEXT_200, registers: REGISTERS },
  [BATCH_KIND]: {
    agent: AGENT,
    boundary_s: I64,
    clock: { offset_ms: I64, state: text("synced|holdover|unsynced|simulated") },
    configuration: bytes(32),
    "observations?": bytes(32),
    previous: bytes(32),
    profiles: bytes(32),
    "receipt?": [I64, bytes(32)],
    registers: list(anyText, 1, 3),
    rows: within(1n, 4096n),
    rows_root: bytes(32),
  },
  [IMPORT_KIND]: {
    agent: AGENT,
    estimates: AGENT,
    files: list([TEXT_64, bytes(32)], 1, 16),
    first_slot_s: TIME,
    meters: within(1n, 65_536n),
    rows_root: bytes(32),
    slot_s: within(1n, 86_400n),
    slots: within(1n, 288n),
  },
  [ORDER_KIND]: {
    area: TEXT_64,
    "condition?": text("all_or_none"),
    "conditions?": list(CONDITION, 1, CONDITIONS_MAX),
    "last_price_micro_per_kwh?": I64,
    price_micro_per_kwh: I64,
    quantity_wh: I64,
    "replaces?": list(within(1n, 16n), 1, 16),
    side: SIDE,
    "steps?": within(2n, 16n),
  },
  [PROFILE_KIND]: {
    area: TEXT_64,
    end_s: TIME,
    parts: list(PART, 1, 16),
  },
  [ORDER_BATCH_KIND]: { rows: within(1n, 16_384n), rows_root: bytes(32), slot_start_s: I64, zone: NAME },
  [ENROLMENT_KIND]: { rows: within(1n, 4096n), rows_root: bytes(32) },
};
const BY_CLIENT = { client_id: bytes(16), valid_until_s: I64 };
const BY_SLOT = { counter: I64, nonce: bytes(16), slot_start_s: I64 };
export const IDENTITIES = {
  [APPROVAL_KIND]: BY_CLIENT,
  [BATCH_KIND]: { counter: POSITIVE, epoch: POSITIVE },
  [IMPORT_KIND]: BY_CLIENT,
  [ORDER_KIND]: BY_SLOT,
  [PROFILE_KIND]: BY_SLOT,
  [ORDER_BATCH_KIND]: BY_CLIENT,
  [ENROLMENT_KIND]: BY_CLIENT,
};
export const QUANTITY_BYTES = 4; // of a part of a profile, little-endian
export const QUANTITIES_MAX = 672;
export const PROFILE_S_MAX = 31n * 86_400n; // from the block that has a profile to its end
export const SIGNED = {
  chain: anyText,
  kind: anyText,
  signer: NAME,
  type: text("transaction"),
  version: within(1n, 1n),
};

// --------------------------------------------------------------------------------------------------------------- rows
const ENERGIES = { import_wh: "u64", export_wh: "u64" };
export const READING_ROW = new RowLayout({ meter: "u32", offset_ms: "i32", quality: "u8", ...ENERGIES });
export const INTERVAL_ROW = new RowLayout({
  ...{ meter: "u32", slot_start_s: "i64", quality: "u8" },
  ...{ import_wh: "i64", export_wh: "i64" },
});
export const POSITION_HEAD = new RowLayout({
  ...{ row: "u32", quality: "u8" },
  ...{ start_import: "i64", end_import: "i64", start_export: "i64", end_export: "i64" },
  ...{ import_wh: "i64", export_wh: "i64" },
});
export const AREA_HEAD = new RowLayout({ area: "u32", rules: "digest" });
const CLEARED = {
  ...{ area: "u32", orders: "u32", volume_wh: "i64", has_price: "u8", price: "i64" },
  ...{ rules: "digest", book_root: "digest", fills_root: "digest" },
};
export const CLEARED_ROW = new RowLayout(CLEARED);
export const PAIRED_CLEARED_ROW = new RowLayout({ ...CLEARED, trades: "u32", trades_root: "digest" });
const PLACED_ORDER = { party: "u32", counter: "u32", side: "u8", quantity_wh: "i64", limit: "i64" };
export const FILL_ROW = new RowLayout({ ...PLACED_ORDER, filled_wh: "i64" });
export const PAIRED_FILL_ROW = new RowLayout({ ...PLACED_ORDER, filled_wh: "i64", amount_nano: "i64" });
export const BLOCK_ROUNDS_MAX = 32; // times that a gate is cleared with such orders
export const ALL_OR_NONE = 2n; // added to the side of a row whose order is filled as a whole or not at all
const WANTS = { bid: "u32", choice: "u32", energy_kinds: "u32", seller: "u32" }; // under conditional_bid/1
const PAIRED_FILL = { ...PLACED_ORDER, filled_wh: "i64", amount_nano: "i64" };
export const WANTED_FILL_ROW = new RowLayout({ ...PAIRED_FILL, ...WANTS });
export const FEE_FILL_ROW = new RowLayout({ ...PAIRED_FILL, fee_nano: "i64", grid_place: "u32" }); // grid_fee_path/1 and /2
export const TIMED_FILL_ROW = new RowLayout({ ...PLACED_ORDER, filled_wh: "i64", arrival: "u32" }); // p2p_call_auction/2
export const FILL_ROWS = [FILL_ROW, PAIRED_FILL_ROW, WANTED_FILL_ROW, FEE_FILL_ROW, TIMED_FILL_ROW];
const TRADE = {
  ...{ buyer: "u32", buy_counter: "u32", seller: "u32", sell_counter: "u32" },
  ...{ energy_wh: "i64", price: "i64" },
};
export const TRADE_ROW = new RowLayout(TRADE);
export const FEE_TRADE_ROW = new RowLayout({ ...TRADE, fee: "i64" });
export const PLACED_ROW = new RowLayout(PLACED_ORDER);
// what a condition of a bid asks for; seller: 0 where any will do
export const PLACED_BID_ROW = new RowLayout({ ...PLACED_ORDER, choice: "u8", energy_kinds: "u16", seller: "u32", bid_wh: "i64" });
const IN_BOOK = { rank: "u32", side: "u8", quantity_wh: "i64", limit: "i64", filled_wh: "i64" };
export const BOOK_ROW = new RowLayout(IN_BOOK);
export const ARRIVED_BOOK_ROW = new RowLayout({ ...IN_BOOK, until_rank: "u32" }); // withdrawn before this rank
export const WANTED_BOOK_ROW = new RowLayout({ ...IN_BOOK, ...WANTS });
export const PLACED_BOOK_ROW = new RowLayout({ ...IN_BOOK, grid_place: "u32" });
export const TIMED_BOOK_ROW = new RowLayout({ ...IN_BOOK, arrival: "u32" });

// ------------------------------------------------------------------------------------------------------------- claims
export const OF_CONTRACT = ["lines", "orders", "clearing"]; // unchecked where the contract is unknown
export const OF_READINGS = ["energy", "readings"]; // unchecked where the energy is estimated
export const ESTIMATED = [0x01n, 0x21n]; // quality of positions whose energy no registers tell: an open gap, a closed one
export const IMPORTED_QUALITIES = [0x00n, 0x01n, 0x02n, 0x04n, 0x21n]; // measured, estimated, corrected, missing, interpolated
export const PRIMARY_WH_MAX = 10n ** 9n; // of a slot: what an approved register may give, and what all pieces may
