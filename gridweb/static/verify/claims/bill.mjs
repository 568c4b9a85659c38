/* Claims 5 to 7: the lines of the bill, and what gives their energies: registers and readings. */
import { hold } from "../answers.mjs";
import {
  IMPORTED_QUALITIES, INTERVAL_ROW, PRIMARY_WH_MAX, READING_ROW, REGISTER_CODES, REGISTER_WH_MAX,
} from "../layout.mjs";
import { equal, hex, least, magnitude, most, sum } from "../values.mjs";
import { endGateways } from "./state.mjs";

const CORRECTED = 0x02n; // the quality byte of an approved register
const ESTIMATED_CODE = 0x01n; // of imported energies, in the low nibble of their quality byte
const MISSING_CODE = 0x04n;
const MEASURED_MASK = 0x27n; // of a quality byte: its code, and the flag interpolated

/** 5: every column of the position follows from energies, fills, prices and the area's row. */
export function checkLines(of) {
  const contract = of.knownContract();
  const settled = of.settled();
  contract.checkPoint(settled);
  const lines = contract.linesOfPoint(settled);
  const { pays_nano, supplier_only_nano } = settled.columns;
  hold(pays_nano === sum(lines.map((line) => line.amount_nano)), "the point pays another sum than that of its lines");
  hold(supplier_only_nano === contract.supplierOnly(settled), "the amount with the supplier alone is another one");
  of.facts.lines = lines.filter((line) => line.energy_wh !== 0n).map((line) => ({
    line_kind: line.kind.name,
    energy_wh: line.energy_wh,
    price_micro_per_kwh: line.price_micro_per_kwh,
    amount_nano: line.amount_nano,
    account: line.kind.account,
  }));
  Object.assign(of.facts, { pays_nano, supplier_only_nano });
  return `Energies and prices give the ${of.facts.lines.length} lines of the point, and these what it pays.`;
}

/** Of a position, at an end of the slot at which its meter was not there. */
const NOT_READ = [-1n, -1n];

/** What each piece's meter shows where its part of the slot begins and ends, [import, export]: readings or approvals at the
 * slot's boundaries, first and final registers in between. */
const spansOf = (bundle) => bundle.pieces.map((piece) => ({
  start: piece.first ? registersOf(piece.first) : piece.installation.row.value.first_registers,
  end: piece.last ? registersOf(piece.last) : piece.ended_by.row.value.final_registers,
}));

function registersOf({ transaction, row }) {
  if (row === null) return transaction.body.registers;
  const { import_wh, export_wh } = READING_ROW.unpack(row.row);
  return [import_wh, export_wh];
}

/** 6: the registers of each meter lie in their range, advance within its limit, and give the position's energies. */
export function checkEnergy(of) {
  const { bundle, position } = of;
  if (bundle.imported !== null) return checkImportedEnergy(of, bundle.imported);
  const spans = spansOf(bundle);
  const taken = [0n, 0n];
  bundle.pieces.forEach((piece, at) => {
    advancesOf(piece, spans[at]).forEach((advanceWh, place) => { taken[place] += advanceWh; });
  });
  hold(most(...taken) <= PRIMARY_WH_MAX, "the pieces give more energy than a slot may have");
  const isGiven = equal([position.import_wh, position.export_wh], taken);
  hold(isGiven, `import and export of the position are not ${taken.join(" and ")} Wh, as the registers give`);
  const [start, end] = [spans[0].start, spans.at(-1).end];
  const shown = [[position.start_import, position.start_export], [position.end_import, position.end_export]];
  const read = [bundle.pieces[0].first ? start : NOT_READ, bundle.pieces.at(-1).last ? end : NOT_READ];
  hold(equal(shown, read), "the registers of the position are other ones");
  Object.assign(of.facts, { start_registers_wh: start, end_registers_wh: end });
  return `${taken[0]} Wh in and ${taken[1]} Wh out follow from the registers.`;
}

/** What a piece gives, import and export, primary Wh; halts where a register is out of its range or its meter's limit. */
function advancesOf(piece, span) {
  const { modulus_wh, ratio } = piece.installation.row.value;
  const beyondWh = least(modulus_wh || REGISTER_WH_MAX + 1n, REGISTER_WH_MAX + 1n);
  hold(most(...span.start, ...span.end) < beyondWh, "a register is out of its range");
  const mostAdvanceWh = mostWhOf(piece);
  return span.start.map((startWh, place) => {
    const endWh = span.end[place];
    const advanceWh = endWh - startWh + (endWh < startWh ? modulus_wh : 0n);
    const isWithin = advanceWh >= 0n && advanceWh <= mostAdvanceWh;
    hold(isWithin, `a register advanced by ${advanceWh} Wh, beyond the meter's limit`);
    return advanceWh * ratio;
  });
}

/** How far a register may advance in a piece: its meter's limit, which does not count where a register was approved. */
function mostWhOf(piece) {
  const { limit_wh, modulus_wh, ratio } = piece.installation.row.value;
  if (piece.approved_start === null && piece.approved_end === null) return limit_wh;
  const approvedWh = PRIMARY_WH_MAX / ratio;
  return modulus_wh ? least(approvedWh, modulus_wh / 2n) : approvedWh;
}

/** The imported energies lie within the meter's limit, and are the position's, which has no registers. */
function checkImportedEnergy({ position }, imported) {
  const { limit_wh, ratio } = imported.installation.row.value;
  const { import_wh, export_wh } = INTERVAL_ROW.unpack(imported.row.row);
  const isWithin = least(import_wh, export_wh) >= 0n && most(import_wh, export_wh) <= limit_wh * ratio;
  hold(isWithin, "an imported energy is beyond the meter's limit");
  const isGiven = position.import_wh === import_wh && position.export_wh === export_wh;
  hold(isGiven, "import and export of the position are not what was imported");
  const registers = [position.start_import, position.end_import, position.start_export, position.end_export];
  hold(registers.every((wh) => wh === -1n), "a position with imported energy has registers");
  return `${import_wh} Wh in and ${export_wh} Wh out are what was imported.`;
}

/** 7: what tells the registers at both ends was signed for this chain, meter and boundary: a reading that was measured there, or
 * an approval. */
export function checkReadings(of) {
  const { bundle, facts } = of;
  if (bundle.imported !== null) return checkImport(of, bundle.imported);
  const meters = bundle.endInstallations.map((opened) => opened.entity.name);
  const [first, last] = [bundle.pieces[0].first, bundle.pieces.at(-1).last];
  const boundaries = [...(first ? [of.startS] : []), ...(last ? [of.endS] : [])];
  facts.clocks = [];
  facts.approved = [];
  const gateways = endGateways(bundle);
  bundle.ends.forEach((end, at) => {
    const boundaryS = boundaries[at];
    if (end.row === null) checkApproval(of, end.transaction, boundaryS, meters[at]);
    else checkReading(of, end, boundaryS, meters[at], gateways[at].gateway);
  });
  const what = facts.approved.length === 0 ? "measured readings" : "readings, or approved by the gateway's organisation,";
  if (!last) hold(of.position.quality === 0n, "the position has another quality");
  const shown = `The registers are ${what} of meter ${[...new Set(meters)].join(" and ")}`;
  return bundle.isPartSlot
    ? `${shown} at one end of the slot; where the meter was put up or taken down inside it, the registry states them.`
    : `${shown} at both ends of the slot.`;
}

/** The row is one of an import for this chain, meter and slot, signed by the meter's gateway. */
function checkImport(of, { transaction, row, installation }) {
  const { body } = transaction;
  const isOfChain = transaction.chain === of.bundle.header.chain;
  const isByGateway = transaction.signer === installation.row.value.gateway;
  hold(isOfChain && isByGateway, "the import is of another chain, or not by the meter's gateway");
  hold(equal(row.root, body.rows_root), "the imported energy is not a row of the import");
  const interval = INTERVAL_ROW.unpack(row.row);
  hold(`${interval.meter}` === installation.entity.name, "the imported energy is another meter's");
  hold(interval.slot_start_s === of.startS, "the imported energy is another slot's");
  hold(body.slot_s === of.slotS, "the slots of the import are of another length");
  hold(interval.quality === of.position.quality, "the imported energy is of another quality");
  hold(IMPORTED_QUALITIES.includes(interval.quality), "the imported energy has a quality that none has");
  of.facts.files = body.files.map(([name, digest]) => ({ name, sm3: hex(digest) }));
  of.facts.estimates = (interval.quality & 7n) === ESTIMATED_CODE ? body.estimates : "";
  of.facts.missing = interval.quality === MISSING_CODE;
  const files = body.files.length === 1 ? "1 file" : `${body.files.length} files`;
  return `The energy was imported from ${files} by ${transaction.signer}, for this meter and slot; no meter signed it.`;
}

function checkReading(of, { transaction: batch, row }, boundaryS, meter, gateway) {
  const { body, what } = batch;
  const isOfGateway = batch.chain === of.bundle.header.chain && batch.signer === gateway;
  hold(isOfGateway, `${what} is of another chain, or not by the meter's gateway`);
  hold(body.boundary_s === boundaryS, `${what} is of another boundary`);
  hold(equal(body.registers, REGISTER_CODES), `${what} is of other registers`);
  hold(equal(row.root, body.rows_root), `the reading is not a row of ${what}`);
  const reading = READING_ROW.unpack(row.row);
  hold(`${reading.meter}` === meter, `the reading in ${what} is another meter's`);
  hold((reading.quality & MEASURED_MASK) === 0n, `the reading in ${what} was not measured`);
  const offMs = magnitude(reading.offset_ms) + magnitude(body.clock.offset_ms);
  hold(offMs <= 500n * of.slotS, `the reading in ${what} may be far from its boundary`);
  hold(body.clock.state !== "unsynced", `the clock of ${what} was not synchronised`);
  hold(boundaryS === of.startS || reading.quality === of.position.quality, "the position has another quality");
  of.facts.clocks.push({ boundary_s: boundaryS, gateway, ...body.clock });
}

function checkApproval(of, { body, what, chain, signer }, boundaryS, meter) {
  hold(chain === of.bundle.header.chain, `${what} is of another chain`);
  hold(body.boundary_s === boundaryS, `${what} is of another boundary`);
  hold(`${body.installation}` === meter, `${what} is of another meter`);
  hold(boundaryS === of.startS || of.position.quality === CORRECTED, "the position has another quality");
  of.facts.approved.push({ boundary_s: boundaryS, signer, reason: body.reason });
}
