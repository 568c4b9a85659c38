/* Claims 2 to 4: one state of the ledger, the entities in force in it, and the point's place in the run. */
import { CANNOT_BE_DECIDED, hold, plain, refuse } from "../answers.mjs";
import { PROTOCOL_VERSION, SLOT_LENGTHS_S } from "../layout.mjs";
import { equal, has, includes, isAscending, most } from "../values.mjs";

/** 2: the header; under its state root chain, run and runs of this slot; genesis is the first leaf of its history. */
export function checkHeader(of) {
  const { bundle, run } = of;
  const { header, genesis } = bundle;
  const isGenesis = genesis.header.chain === header.chain && genesis.header.height === 0n;
  hold(isGenesis, "genesis is of another chain, or not its first header");
  hold(genesis.path.every((item) => item[0] === 1), "genesis is not the first leaf of the history");
  hold(equal(genesis.history_root, header.history_root), "the header's history does not begin with this genesis");
  const slot = `${of.startS}/${run.zone}`;
  const leaves = { chain: bundle.chain, [`run/${slot}/${run.run}`]: bundle.run, [`runs/${slot}`]: bundle.runs };
  for (const [key, leaf] of Object.entries(leaves)) {
    hold(leaf.key === key, `the key of a leaf is ${plain(leaf.key)}, not ${plain(key)}`);
    hold(equal(leaf.root, header.state_root), `the leaf ${plain(key)} is not in the header's state`);
  }
  hold(SLOT_LENGTHS_S.includes(of.slotS) && of.startS % of.slotS === 0n, "no slot of this chain starts then");
  const later = laterRuns(of);
  const { clock, currency } = bundle.chain.value;
  Object.assign(of.facts, { chain: header.chain, height: header.height, header_time_s: header.time_s, clock, currency });
  Object.assign(of.facts, { run: run.run, later_runs: later, contract: run.contract, zone: run.zone });
  Object.assign(of.facts, { slot_start_s: of.startS, slot_end_s: of.endS });
  const foreign = headersOf(bundle).find((one) => one.protocol_version !== PROTOCOL_VERSION);
  const unknown = `the protocol version ${foreign?.protocol_version} of a header is unknown here`;
  hold(foreign === undefined, unknown, CANNOT_BE_DECIDED);
  return `Run ${run.run} of the slot stands in the state of header ${header.height}.`;
}

/** The names of the slot's runs that the state lists behind this one, which it lists once. */
function laterRuns({ bundle, run }) {
  const madeAt = run.as_of_height + 1n;
  hold(madeAt <= bundle.header.height, "the run was made after the header");
  const { runs } = bundle.runs.value;
  const places = runs.flatMap((one, at) => (equal(one, [run.run, madeAt]) ? [at] : []));
  hold(places.length === 1, "the run does not stand once in the list of the slot's runs");
  return runs.slice(places[0] + 1).map(([name]) => name);
}

const headersOf = (bundle) => [
  bundle.header,
  bundle.genesis.header,
  ...bundle.handovers.map((one) => one.placed.header),
  ...(bundle.certified === null ? [] : [bundle.certified.header]),
  ...bundle.transactions.map((transaction) => transaction.block),
];

/** 3: zone, area, rules, party, point, installation and gateways were in force, belong together, and none has ended. */
export function checkRegistry(of) {
  const { bundle } = of;
  for (const kind of ["area", "party", "point", "rules", "zone"]) holdInForce(of, bundle[kind], kind, of.startS);
  checkPlaces(of);
  checkAgreements(of);
  checkPriceRules(of);
  checkSiblings(of);
  checkContract(of, of.startS - bundle.zone.row.value.open_before_start_s);
  const isShown = bundle.imported !== null || (bundle.pieces.length > 0) !== of.isEstimated;
  hold(isShown, "an estimated energy is shown without meters, any other with them");
  checkImportedAlone(of);
  checkPieces(of);
  checkGateways(of);
  checkMandates(of);
  tellPlaces(of);
  return "Zone, area, rules, party, point, meter and gateway are those in force for the slot, and belong together.";
}

/** Hold that area, zone, rules, party and point name one another. */
function checkPlaces({ bundle, run }) {
  const { zone, area, party, point, rules } = bundle;
  hold(zone.entity.name === run.zone, "the zone is another one than the run's");
  hold(area.row.value.zone === zone.entity.name, "the area is of another zone");
  hold(isOwned(point, area.entity.name, party.entity.name), "the point is of another area, or of another party");
  hold(party.row.value.area === area.entity.name, "the party is of another area");
  hold(area.row.value.rules === rules.entity.name, "the area has other rules");
}

const isOwned = (point, area, party) => point.row.value.area === area && point.row.value.party === party;

function tellPlaces(of) {
  const { bundle, facts } = of;
  const installations = bundle.pieces.map((piece) => piece.installation);
  if (bundle.imported !== null) installations.push(bundle.imported.installation);
  // The last entry of a gateway that is shown says how its key is protected.
  const protections = new Map(bundle.gateways.map((one) => [one.entity.name, one.row.value.protection]));
  facts.area = bundle.area.entity.name;
  facts.point = bundle.point.entity.name;
  facts.party = bundle.party.entity.name;
  facts.meter = installations.map((installation) => installation.row.value.meter).join(" ");
  facts.gateway = [...protections.keys()].join(" ");
  facts.protection = [...protections.values()].join(" ");
  if (of.isEstimated) facts.estimated = true;
}

/** Each once, ascending by name, in force, and of the point and its party on one side. */
function checkAgreements(of) {
  const { agreements, point, party } = of.bundle;
  hold(isAscending(agreements.map((one) => one.entity.name)), "the agreements do not ascend");
  for (const one of agreements) {
    holdInForce(of, one, "agreement", of.startS);
    const agreed = one.row.value;
    const isOfSide = (side) => agreed[`${side}_point`] === point.entity.name && agreed[side] === party.entity.name;
    const isOwn = isOfSide("seller") || isOfSide("buyer");
    hold(isOwn, `${one.entity.key} is of another point, or of another party at it`);
  }
}

/** The rules that the point names of its own, and just the series that these, the area's and agreements name, are those in force. */
function checkPriceRules(of) {
  const { bundle } = of;
  const own = bundle.point_rules;
  hold(bundle.point.row.value.rules === own?.entity.name, "the point has other rules of its own");
  if (own !== null) holdInForce(of, own, "rules", of.startS);
  const rules = own === null ? [bundle.rules] : [bundle.rules, own];
  const names = new Set(rules.flatMap((opened) => Object.values(opened.row.value.series ?? {})));
  for (const { row } of bundle.agreements) if (has(row.value, "series")) names.add(row.value.series);
  const shown = bundle.series.map((one) => one.entity.name);
  hold(equal(shown, [...names].sort()), "the price series are not those that rules and agreements name");
  for (const one of bundle.series) holdInForce(of, one, "price_series", of.startS);
}

/** Other points of the party in force in the slot, each once, ascending by name. */
function checkSiblings(of) {
  const { siblings, point, area, party } = of.bundle;
  const names = siblings.map((one) => one.point.entity.name);
  hold(isAscending(names), "the other points of the party do not ascend");
  hold(!names.includes(point.entity.name), "the point stands among the other points of its party");
  for (const one of siblings) {
    holdInForce(of, one.point, "point", of.startS);
    const isOfParty = isOwned(one.point, area.entity.name, party.entity.name);
    hold(isOfParty, "another point is of another area, or of another party");
  }
}

/** Hold that an entity's leaf lies in the state, and that its entries are in order. */
export function holdEntity(of, entity) {
  hold(equal(entity.root, of.bundle.header.state_root), `${entity.key} is not in the header's state`);
  hold(entity.isInOrder, `the entries of ${entity.key} do not ascend, or what is folded is not whole`);
}

/** Hold that it is of this kind, lies in the state, and that its row is the one in force (as of the run's height). */
function holdInForce(of, opened, kind, atS, asOfHeight = of.run.as_of_height) {
  const { entity, row } = opened;
  hold(entity.kind === kind, `the kind of an entity is ${plain(entity.kind)}, not ${kind}`);
  holdEntity(of, entity);
  const isInForce = row.key === entity.key && row.isOf(entity.inForce(atS, asOfHeight));
  hold(isInForce, `the row of ${entity.key} is not the one in force`);
  hold(!row.hasEnded, `${entity.key} had ended`);
}

/** The contract is the one in force when the slot's gate opened, or from the zone's first entry on. */
function checkContract(of, openingS) {
  const { zone, zone_contract: opened } = of.bundle;
  hold(equal(opened.entity, zone.entity), "the contract is of another zone than the run's");
  holdInForce(of, opened, "zone", most(openingS, opened.entity.entries[0].from_s));
  hold(of.run.contract === opened.row.value.contract, "the run is by another contract than the zone's");
  hold(equal(of.run.contract_pin, opened.row.value.contract_pin), "the run pins another contract than the zone does");
}

/** An imported energy stands alone, on a chain of such, of the meter that was in force at the point. */
function checkImportedAlone(of) {
  const { imported, pieces, chain } = of.bundle;
  if (imported === null) return;
  hold(pieces.length === 0, "an imported energy is shown with registers");
  hold(chain.value.clock === "imported", "an imported energy is on a chain of meters");
  holdInForce(of, imported.installation, "installation", of.startS);
  holdAtPoint(of, imported.installation);
  of.facts.imported = true;
}

const holdAtPoint = (of, installation) =>
  hold(installation.row.value.point === of.bundle.point.entity.name, "the installation is at another point");

/** Each meter follows where the registers of the one before it broke off, inside the slot. */
function checkPieces(of) {
  if (of.bundle.isPartSlot) {
    checkPart(of, of.bundle.pieces[0]);
    return;
  }
  let beginS = of.startS;
  let before = null;
  for (const piece of of.bundle.pieces) {
    if (before !== null) beginS = beginOf(of, piece.installation, before, beginS);
    holdInForce(of, piece.installation, "installation", beginS);
    holdAtPoint(of, piece.installation);
    before = piece.ended_by;
    if (before !== null) beginS = breakS(of, piece, before);
  }
  if (of.bundle.pieces.length > 0) checkEnd(of, of.bundle.pieces.at(-1));
}

/** The zone measures part slots, and inside this one the meter was put up, or taken down. */
function checkPart(of, piece) {
  const { installation, ended_by: endedBy } = piece;
  const { row } = installation;
  hold(has(of.bundle.zone.row.value, "part_slots_are_measured"), "the zone measures no part of a slot");
  let [fromS, untilS] = [of.startS, of.endS];
  if (endedBy !== null) {
    untilS = breakS(of, piece, endedBy);
    hold(endedBy.row.hasEnded, "the meter was not taken down, and what it measured behind a break is not shown");
  } else {
    fromS = row.from_s;
    hold(of.startS < fromS && fromS < of.endS, "the meter was not put up inside the slot");
    const isFirst = has(row.value, "first_registers") && !has(row.value, "final_registers");
    hold(isFirst, "the meter was not put up, and what it measured before is not shown");
    checkEnd(of, piece);
  }
  holdInForce(of, installation, "installation", fromS);
  holdAtPoint(of, installation);
  of.facts.part = { from_s: fromS, until_s: untilS };
}

/** When a meter begins behind the entry `before`, at which the registers before it broke off at `brokenS`. */
function beginOf(of, { row }, before, brokenS) {
  const isAfter = brokenS <= row.from_s && row.from_s <= of.endS;
  hold(isAfter, "a meter begins before the one before it ends, or behind the slot");
  hold(has(row.value, "first_registers"), "a meter that begins in the slot has no first registers");
  const isSame = before.row.hasEnded || equal(row.digest, before.row.digest);
  hold(isSame, "behind a break stands another entry than that of the break");
  return row.from_s;
}

/** When the registers of a piece break off: by the entry that follows that of the piece, inside the slot. */
function breakS(of, piece, { entity, row }) {
  const asOfHeight = of.run.as_of_height;
  hold(equal(entity, piece.installation.entity), "a piece is ended by an entry of another installation");
  hold(of.startS < row.from_s && row.from_s < of.endS, "a piece does not end inside the slot");
  const isNext = piece.installation.row.isOf(entity.inForce(row.from_s - 1n, asOfHeight));
  const isStanding = row.key === entity.key && row.isOf(entity.inForce(row.from_s, asOfHeight));
  hold(isNext && isStanding, "a piece is not ended by the entry that follows");
  holdAtPoint(of, { row });
  hold(has(row.value, "final_registers"), "a piece has no final registers");
  return row.from_s;
}

/** The installation's entry in force at the slot's end is shown a second time only where it is another one. */
function checkEnd(of, piece) {
  const { installation, end_installation: end } = piece;
  holdInForce(of, piece.lastInstallation, "installation", of.endS);
  if (end === null) return;
  hold(equal(end.entity, installation.entity), "another installation stands at the slot's end");
  const isOther = !equal(end.row.digest, installation.row.digest);
  hold(isOther, "the installation's entry at the slot's end is no other one");
  hold(!has(end.row.value, "final_registers"), "the registers break off inside the last piece");
  holdAtPoint(of, end);
}

/** Exactly the gateways' entries that the readings rest on, each once, ascending; none of them has ended. */
function checkGateways(of) {
  const shown = of.bundle.gateways.map(placeOf);
  hold(isAscending(shown), "the gateways do not ascend");
  const needed = answeringGateways(of.bundle).map(({ transaction, gateway }) => neededGateway(of, transaction, gateway));
  hold(shown.every((place) => includes(needed, place)), "a gateway is shown that no reading rests on");
}

/** What orders entries: by entity, then time, then height. */
const placeOf = (opened) => [opened.entity.key, opened.entry.from_s, opened.entry.recorded_height];

/** The party's entry beside each order of a batch is the one in force in the slot when the batch was recorded. */
function checkMandates(of) {
  for (const { mandate, order } of of.bundle.orders) {
    if (mandate !== null) {
      hold(equal(mandate.entity, of.bundle.party.entity), `the mandate of ${order.what} is another party's`);
      holdInForce(of, mandate, "party", of.startS, order.block.height - 1n);
    }
  }
}

/** The entry of a gateway that was in force when a batch was recorded: it is shown, and holds. */
function neededGateway(of, { block, what }, name) {
  for (const opened of of.bundle.gateways) {
    const inForce = opened.entity.inForce(block.ledger_time_s, block.height - 1n);
    if (opened.entity.name === name && opened.row.isOf(inForce)) {
      holdInForce(of, opened, "gateway", block.ledger_time_s, block.height - 1n);
      return placeOf(opened);
    }
  }
  return refuse(`the entry of gateway ${plain(name)} in force when ${what} was recorded is not shown`);
}

/** The batch or approval at each end of the slot, and the gateway that its installation hung on at its boundary. */
export function endGateways({ endInstallations, ends }) {
  return ends.map((end, at) => ({ transaction: end.transaction, gateway: endInstallations[at].row.value.gateway ?? "" }));
}

/** The same, or the import with the gateway of its installation. */
function answeringGateways(bundle) {
  if (bundle.imported === null) return endGateways(bundle);
  const { transaction, installation } = bundle.imported;
  return [{ transaction, gateway: installation.row.value.gateway }];
}

/** 4: position and area row lie in the run, with the point's row, the area's number and the rules' digest. */
export function checkPosition(of) {
  const { bundle, position, run } = of;
  hold(equal(bundle.position.root, run.rows_root), "the position is not a row of the run");
  hold(equal(bundle.area_result.root, run.areas_root), "the area's row is not one of the run");
  hold(position.row === bundle.point.entity.number, "the position is another point's");
  bundle.siblings.forEach((one, at) => {
    hold(equal(one.position.root, run.rows_root), "another position is not a row of the run");
    hold(of.siblings[at].row === one.point.entity.number, "another position is another point's");
  });
  hold(of.area.area === bundle.area.entity.number, "the area row is another area's");
  hold(equal(of.area.rules, bundle.rules.row.digest), "the area was settled by other rules than these");
  const contract = of.knownContract();
  const width = position.columns.length;
  const isWide = width === contract.position_columns.length && of.area.columns.length === contract.area_columns.length;
  hold(isWide, "the rows have other columns than the contract");
  hold(of.siblings.every((one) => one.columns.length === width), "another position has other columns");
  Object.assign(of.facts, { import_wh: position.import_wh, export_wh: position.export_wh });
  return `The position of point ${bundle.point.entity.name} is row ${position.row} of the run.`;
}
