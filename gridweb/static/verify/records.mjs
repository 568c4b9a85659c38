/* The records inside a bundle: headers, leaves, registry entries, transactions, rows, each with the roots that its paths lead to.
 *
 * Fields are called as in docs/spec: the same words as in the stand-alone verifier in Python.
 */
import { hold, plain } from "./answers.mjs";
import { BOOLEANS, decode, encode } from "./cbor.mjs";
import {
  AREA_HEAD, BESIDE_ENTRIES, BODIES, ENDED, ENTITIES, ENTRIES, HEADER, I64, IDENTITIES, NAME, POSITION_HEAD,
  POWERS, REGISTRY_ROW_BYTES_MAX, SERIES_VALUES_MAX, SIGNED, TEXT_64, TIME, isPrice,
} from "./layout.mjs";
import { columnsOf } from "./rows.mjs";
import { anyMap, anyText, conform } from "./shapes.mjs";
import { sm3 } from "./sm3.mjs";
import { leafHash, rootOfPath } from "./trees.mjs";
import { equal, has, isAscending, isMap, joined } from "./values.mjs";

const NAME_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;
const NUMBER_PATTERN = /^(?:0|[1-9][0-9]{0,9})$/;
const U32_MAX = 0xffff_ffffn;

/** A registered entity's leaf. entries: {from_s, recorded_height, digest}. number: what the leaf shows beside them: number of an
 * area or party, row of a point; else 0. */
export class Entity {
  constructor({ kind, name, number, entries, isInOrder, root }) {
    Object.assign(this, { kind, name, number, entries, isInOrder, root });
  }

  /** Key of the leaf. */
  get key() {
    return `${this.kind}/${this.name}`;
  }

  /** The entry in force at a time, as of a height (docs/spec/registry.md); null where there is none. */
  inForce(atS, asOfHeight) {
    const begun = this.entries.filter((entry) => entry.recorded_height <= asOfHeight && entry.from_s <= atS);
    return begun.at(-1) ?? null;
  }

  /** The entry of a row; halts where it is none of the entity's. */
  entryOf(row) {
    const found = this.entries.find((entry) => row.isOf(entry));
    hold(row.key === this.key && found !== undefined, `the row of ${this.key} is none of its entries'`);
    return found;
  }
}

/** An opened registry row: which entity it is of, from when on, and what it says. */
export class RegistryRow {
  constructor({ key, from_s, value, digest }) {
    Object.assign(this, { key, from_s, value, digest });
  }

  /** Whether it says that the entity is retired, removed or revoked. */
  get hasEnded() {
    const ended = ENDED[kindOf(this.key)];
    return ended !== undefined && has(this.value, ended.word);
  }

  /** Whether it is the row of this entry. */
  isOf(entry) {
    return entry !== null && entry.from_s === this.from_s && equal(entry.digest, this.digest);
  }
}

/** An entity, and the row of one of its entries. */
export class Opened {
  constructor(entity, row) {
    Object.assign(this, { entity, row });
  }

  /** The entry whose row is shown; halts where it is none of the entity's. */
  get entry() {
    return this.entity.entryOf(this.row);
  }
}

const kindOf = (key) => key.split("/", 1)[0];

/** A header from its canonical bytes; its digest is what its signers sign, and its leaf in the history of later ones. */
export function readHeader(data, what) {
  const items = decode(data, what);
  conform(items, HEADER, what);
  const [, chain, height, time_s, ledger_time_s, , history_root, data_root, state_root, signers, signers_pending, protocol] = items;
  return {
    ...{ chain, height, time_s, ledger_time_s, history_root, data_root, state_root, signers, signers_pending },
    ...{ protocol_version: protocol, digest: sm3(data) },
  };
}

/** A state proof whose value has this shape. */
export function readLeaf(part, what, shape) {
  const leaf = decode(part.leaf, `the leaf of ${what}`, { simple: BOOLEANS });
  conform(leaf, [anyText, shape], `the leaf of ${what}`);
  return { key: leaf[0], value: leaf[1], root: rootOfPath(part.leaf, part.path) };
}

/** A state proof of a registered entity. */
export function readEntity(part, what) {
  const { key, value, root } = readLeaf(part, what, anyMap);
  const { kind, name } = kindAndName(key, `the leaf of ${what}`);
  conform(value, { ...ENTRIES, ...BESIDE_ENTRIES[kind] }, `the leaf of ${what}`);
  const entries = value.entries.map(([from_s, recorded_height, digest]) => ({ from_s, recorded_height, digest }));
  const isFoldWhole = has(value, "folded") === has(value, "folded_to_s");
  const isInOrder = isFoldWhole && isAscending(entries.map((entry) => [entry.from_s, entry.recorded_height]));
  return new Entity({ kind, name, number: value.number ?? value.row ?? 0n, entries, isInOrder, root });
}

function kindAndName(key, what) {
  const slash = key.indexOf("/");
  const kind = slash < 0 ? key : key.slice(0, slash);
  const name = slash < 0 ? "" : key.slice(slash + 1);
  const isNumber = NUMBER_PATTERN.test(name) && BigInt(name) <= U32_MAX;
  const isKnown = has(ENTITIES, kind) && NAME_PATTERN.test(name) && (kind !== "installation" || isNumber);
  hold(isKnown, `${what} is of no entity that belongs in a bundle: ${plain(key)}`);
  return { kind, name };
}

/** A registry row: canonical [key, from_s, value]. */
export function readRegistryRow(row, salt, what) {
  hold(row.length <= REGISTRY_ROW_BYTES_MAX, `the row of ${what} has more than ${REGISTRY_ROW_BYTES_MAX} bytes`);
  const items = decode(row, `the row of ${what}`, { simple: BOOLEANS });
  conform(items, [anyText, TIME, anyMap], `the row of ${what}`);
  const [key, from_s, value] = items;
  const { kind } = kindAndName(key, `the row of ${what}`);
  const ended = ENDED[kind];
  const hasEnded = ended !== undefined && has(value, ended.word);
  conform(value, hasEnded ? ended.shape : ENTITIES[kind], `the row of ${what}`);
  if (hasEnded) hold(value[ended.word], `the row of ${what} says that it is not ${ended.word}`);
  else HELD_TOGETHER[kind]?.(value, `the row of ${what}`);
  return new RegistryRow({ key, from_s, value, digest: leafHash(joined(salt, row)) });
}

/** What a row's values are to one another, by the kind of its entity. */
const HELD_TOGETHER = {
  signer: (value, what) => hold(isAscending(value.roles), `${what}: roles do not ascend`),
  zone: holdZone,
  installation: holdInstallation,
  agreement: holdAgreement,
  party: holdContracted,
  rules: holdRules,
  price_series: holdSeries,
};

function holdZone(value, what) {
  hold(value.gate_before_start_s < value.open_before_start_s, `${what}: the gate closes before it opens`);
  const deadlineS = value.metering_deadline_s;
  hold((value.final_after_s ?? deadlineS) >= deadlineS, `${what}: it is final before it is settled`);
  if (!has(value, "run_calendar")) return;
  const calendar = value.run_calendar;
  const isAlone = !has(value, "correction_after_s") && has(value, "final_after_s");
  hold(isAlone, `${what}: its run calendar does not go with it`);
  const firstS = calendar.initial_last_after_s;
  const duesS = calendar.corrections.map(([dueS]) => dueS);
  const isOrdered = isAscending([firstS, ...duesS, calendar.final_run_after_s, value.final_after_s]);
  hold(isOrdered && deadlineS <= firstS, `${what}: the dates of its run calendar do not ascend`);
}

function holdInstallation(value, what) {
  hold(value.limit_wh * value.ratio <= 10n ** 9n, `${what}: the limit times the ratio is above 10^9`);
  const isAbove = value.modulus_wh === 0n || value.modulus_wh > 2n * value.limit_wh;
  hold(isAbove, `${what}: the modulus is not above twice the limit`);
  const isBegun = has(value, "first_registers") || !has(value, "final_registers");
  hold(isBegun, `${what}: final registers without first ones`);
  const statedWh = [...(value.final_registers ?? []), ...(value.first_registers ?? [])];
  const isBelow = value.modulus_wh === 0n || statedWh.every((wh) => wh < value.modulus_wh);
  hold(isBelow, `${what}: a register is not below the modulus`);
}

function holdContracted(value, what) {
  if (!has(value, "contracted_w")) return;
  const contracted = Object.entries(value.contracted_w);
  hold(1 <= contracted.length && contracted.length <= 16, `${what}: it has not 1 to 16 contracted powers`);
  for (const [name, powerW] of contracted) {
    conform(name, TEXT_64, `${what}.contracted_w`);
    conform(powerW, POWERS, `${what}.contracted_w.${plain(name)}`);
  }
}

function holdAgreement(value, what) {
  const isShare = has(value, "share_ppm");
  const isDifference = value.basis === "difference";
  hold(isShare !== has(value, "quantity_wh"), `${what}: it has not either a quantity or a share`);
  const isOfBasis = isDifference || isShare === (value.basis === "pay_as_produced");
  hold(isOfBasis, `${what}: the basis has no such quantity`);
  hold(!isDifference || has(value, "series"), `${what}: a difference without a reference price`);
  hold(value.buyer_point !== value.seller_point, `${what}: both sides are of one point`);
}

function holdRules(value, what) {
  for (const [key, price] of Object.entries(value.prices)) conform(price, I64, `${what}.prices.${plain(key)}`);
  for (const [key, name] of Object.entries(value.series ?? {})) {
    conform(name, NAME, `${what}.series.${plain(key)}`);
    hold(has(value.prices, key), `${what}: a series of a price that there is not`);
  }
}

function holdSeries(value, what) {
  const length = value.prices.length;
  const isColumn = length > 0 && length <= 8 * SERIES_VALUES_MAX && length % 8 === 0;
  hold(isColumn, `${what}: prices are 1 to ${SERIES_VALUES_MAX} whole numbers of 64 bits`);
  hold(columnsOf(value.prices).every(isPrice), `${what}: a price that no series may have`);
}

/** An opened entry. */
export const readOpened = (part, what) =>
  new Opened(readEntity(part, what), readRegistryRow(part.row, part.salt, what));

/** A row proof whose row has the length of its layout, or of one of several; with the root that its path leads to. */
export function readRow(part, what, ...layouts) {
  const isSized = layouts.some((layout) => layout.size === part.row.length);
  hold(isSized, `the row of ${what} has not ${layouts.map((layout) => layout.size).join(" or ")} bytes`);
  return rooted(part);
}

const rooted = (part) => ({ row: part.row, root: rootOfPath(joined(part.salt, part.row), part.path) });

/** A row proof whose row is a head and then the contract's columns of eight bytes. */
export function readHeadedRow(part, what, head) {
  const columnsBytes = part.row.length - head.size;
  hold(columnsBytes >= 0 && columnsBytes % 8 === 0, `the row of ${what} has a length that no such row has`);
  return rooted(part);
}

export const unpackPosition = (row) => ({ ...POSITION_HEAD.unpack(row), columns: POSITION_HEAD.columnsBehind(row) });
export const unpackArea = (row) => ({ ...AREA_HEAD.unpack(row), columns: AREA_HEAD.columnsBehind(row) });

/** A transaction proof of one of these kinds. */
export function readTransaction(part, what, ...kinds) {
  const signed = decode(part.signed, what);
  const named = isMap(signed) ? signed.kind : null;
  const kind = kinds.includes(named) ? named : kinds[0];
  conform(signed, { ...SIGNED, body: BODIES[kind], identity: IDENTITIES[kind] }, what);
  hold(signed.kind === kind, `${what} is of the kind ${plain(signed.kind)}`);
  const digest = sm3(encode([part.signed, part.signature, part.attachment_digest]));
  const block = readHeader(part.header, `the header of ${what}`);
  return {
    ...{ what, kind, block, chain: signed.chain, signer: signed.signer, identity: signed.identity, body: signed.body },
    ...{ signed: part.signed, signature: part.signature },
    data_root: rootOfPath(encode([digest, 0n]), part.data_path),
    history_root: rootOfPath(block.digest, part.history_path),
  };
}
