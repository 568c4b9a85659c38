/* Claims 11 and 12: whose keys signed readings, orders and enrolments, how they are tied, and that they did sign. */
import { hold, plain, refuse } from "../answers.mjs";
import {
  APPROVAL_KIND, BATCH_KIND, ENROLMENTS_MAX, IMPORT_KIND, ORDER_KIND, PROFILE_KIND, ROLE_OF_KIND,
} from "../layout.mjs";
import { isValidSignature } from "../sm2.mjs";
import { sm3 } from "../sm3.mjs";
import { equal, hex, includes, isAscending } from "../values.mjs";
import { endGateways, holdEntity } from "./state.mjs";

/** 11: each transaction's key was in force, not revoked, with the role it needs, and is tied to genesis; no key too many. */
export function checkKeys(of) {
  const { keys, transactions } = of.bundle;
  hold(isAscending(keys.map((key) => key.entity.key)), "the keys do not ascend");
  for (const key of keys) checkShownKey(of, key);
  of.usedKeys = transactions.map((transaction) => usedKey(keys, transaction));
  const needed = new Set(of.usedKeys.map((used) => hex(used.entry.row.digest)));
  const shown = keys.flatMap((key) => key.entries).map((entry) => hex(entry.row.digest));
  hold(shown.every((digest) => needed.has(digest)), "a key is shown that signed nothing here");
  checkOrganisations(of);
  for (const used of of.usedKeys) countEnrolments(of, used);
  // One fact a key, in the order in which they signed first; the last transaction of a key says for which role.
  const distinct = new Map(of.usedKeys.map((used) => [hex(used.entry.row.digest), used]));
  of.facts.keys = [...distinct.values()].map((used) => keyFact(of, used));
  return "Each key was in force, not revoked, with its role; how it is tied is shown.";
}

function checkShownKey(of, { entity, entries }) {
  hold(entity.kind === "signer", "a key is of an entity that is no signer");
  holdEntity(of, entity);
  const opened = entries.map(({ row }) => entity.entryOf(row)).map((entry) => [entry.from_s, entry.recorded_height]);
  hold(isAscending(opened), `the opened entries of ${entity.key} do not ascend`);
}

/** The entry of the signer that was in force for a transaction: as of the block before, at its own block's time. */
function usedKey(keys, transaction) {
  const { block, what, signer, kind } = transaction;
  const key = keys.find((one) => one.entity.name === signer) ?? refuse(`the key of ${plain(signer)} is not shown`);
  const inForce = key.entity.inForce(block.ledger_time_s, block.height - 1n);
  const entry = key.entries.find((one) => one.row.isOf(inForce));
  hold(entry !== undefined, `the key of ${signer} in force when ${what} was recorded is not shown`);
  hold(!entry.row.hasEnded, `the key of ${signer} was revoked when ${what} was recorded`);
  const role = ROLE_OF_KIND[kind];
  hold(entry.row.value.roles.includes(role), `${signer} has not the role ${role}`);
  return { transaction, entry, recorded_height: inForce.recorded_height };
}

/** A gateway's key is of the gateway's organisation, as is that of an approval; a party's is of the party's. */
function checkOrganisations({ bundle, usedKeys }) {
  const party = bundle.party.row.value.organisation;
  const gateways = bundle.gateways.map((one) => [one.entity.name, one.row.value.organisation]);
  for (const { transaction, entry } of usedKeys) {
    const { signer, kind } = transaction;
    const { organisation } = entry.row.value;
    if (kind === APPROVAL_KIND) {
      // Where both ends are approved by the same bytes, the gateway of the end counts.
      const { gateway } = endGateways(bundle).findLast((end) => equal(end.transaction.signed, transaction.signed));
      hold(includes(gateways, [gateway, organisation]), `${signer} is of another organisation than the gateway ${gateway}`);
    } else if (kind === BATCH_KIND || kind === IMPORT_KIND) {
      hold(includes(gateways, [signer, organisation]), `the key of ${signer} is of another organisation than the gateway`);
    } else if (kind === ORDER_KIND || kind === PROFILE_KIND) {
      hold(organisation === party, `the key of ${signer} is of another organisation than the party`);
    }
  }
}

/** How many enrolments lie between a key and genesis, or a vote; halts where it is not tied so. */
function countEnrolments(of, used) {
  const { entry, recorded_height: recordedHeight } = used;
  if (entry.voted !== null) return holdVoted(of, used);
  if (entry.enrolment === null) return holdAtGenesis(of, used);
  const { key } = entry.row;
  const enroller = of.usedKeys.find((one) => one.transaction === entry.enrolment.transaction);
  const enrolment = enroller.transaction;
  hold(enrolment.chain === of.bundle.header.chain, `${enrolment.what} is of another chain`);
  hold(recordedHeight === enrolment.block.height, `the key of ${key} was recorded in another block`);
  hold(equal(entry.enrolment.rows_root, enrolment.body.rows_root), `${enrolment.what} has no such row`);
  const isOfOne = entry.row.value.organisation === enroller.entry.row.value.organisation;
  hold(isOfOne, `${key} was enrolled by another organisation`);
  const enrolments = countEnrolments(of, enroller) + 1; // ends: each was recorded before the key that it enrolled
  hold(enrolments <= ENROLMENTS_MAX, `more than ${ENROLMENTS_MAX} enrolments lie between ${key} and genesis`);
  return enrolments;
}

/** Hold that organisations have given the key: the state says so, by a proposal that has passed. */
function holdVoted(of, { entry, recorded_height: recordedHeight }) {
  const { row, voted } = entry;
  const isProposal = voted.leaf.key.startsWith("proposal/");
  hold(isProposal, `the key of ${row.key} rests on ${plain(voted.leaf.key)}, which is no proposal`);
  hold(equal(voted.leaf.root, of.bundle.header.state_root), `the proposal of ${row.key} is not in the state`);
  hold(recordedHeight === voted.decided_height, `the key of ${row.key} was recorded in another block`);
  hold(includes(voted.rows, [row.key, row.value]), `the proposal gives ${row.key} another key, or none`);
  return 0;
}

/** Hold that genesis names the key. */
function holdAtGenesis(of, { entry, recorded_height: recordedHeight }) {
  const { row, genesis } = entry;
  hold(recordedHeight === 0n, `the key of ${row.key} was recorded behind genesis`);
  hold(genesis.key === row.key, `the entity at genesis of ${row.key} is another one`);
  const isInState = equal(genesis.root, of.bundle.genesis.header.state_root);
  hold(isInState, `${row.key} is not in the state of genesis`);
  const isNamed = genesis.entries.some((one) => one.recorded_height === 0n && row.isOf(one));
  hold(isNamed, `genesis does not name this key of ${row.key}`);
  return 0;
}

function tieOf({ enrolment, voted }) {
  if (enrolment !== null) return `enrolled by ${enrolment.transaction.signer} at height ${enrolment.transaction.block.height}`;
  if (voted !== null) return `voted by ${voted.in_favour.join(", ")} at height ${voted.decided_height}`;
  return "genesis";
}

/** Whose key it is, its fingerprint, and how it is tied; halts where the trust root pins its signer to other keys. */
function keyFact({ trust, bundle }, { transaction, entry }) {
  const { signer, kind } = transaction;
  const fingerprint = hex(sm3(entry.row.value.public_key));
  const isOfChain = trust !== null && trust.isOf(bundle.header.chain, bundle.genesis.header.digest);
  const pins = isOfChain ? trust.pins.filter((pin) => pin.signer === signer) : [];
  const isPinned = pins.length === 0 || pins.some((pin) => pin.fingerprint === fingerprint);
  hold(isPinned, `the trust file pins ${signer} to another key than ${fingerprint.slice(0, 16)}...`);
  const origin = tieOf(entry);
  return { signer, role: ROLE_OF_KIND[kind], fingerprint, tie: pins.length > 0 ? "pinned" : origin, origin };
}

/** 12: batches, orders and enrolments are signed with these keys. */
export function checkSignatures(of) {
  for (const { transaction, entry } of of.usedKeys) {
    const isValid = isValidSignature(entry.row.value.public_key, transaction.signed, transaction.signature);
    hold(isValid, `${transaction.what} is not signed with the key of ${transaction.signer}`);
  }
  return "Readings are signed with their gateway's key, orders with the party's or its aggregator's, enrolments with the administrator's.";
}
