"""Claims 11 and 12: whose keys signed readings, orders and enrolments, how they are tied, and that they did sign."""

from __future__ import annotations

from gridevidence.layout import (
    APPROVAL_KIND,
    BATCH_KIND,
    ENROLMENTS_MAX,
    IMPORT_KIND,
    ORDER_KIND,
    PROFILE_KIND,
    ROLE_OF_KIND,
)
from gridevidence.verifier.answers import hold, plain, refuse, same
from gridevidence.verifier.bundle import Enrolled, Key, Voted
from gridevidence.verifier.claims.state import end_gateways, hold_entity
from gridevidence.verifier.examination import Examination, UsedKey
from gridevidence.verifier.records import Entry, Transaction
from gridevidence.verifier.sm2 import is_valid_signature
from gridevidence.verifier.sm3 import sm3


def check_keys(of: Examination) -> str:
    """11: each transaction's key was in force, not revoked, with the role it needs, and is tied to genesis; no key too many."""
    names = [key.entity.key for key in of.bundle.keys]
    hold(names == sorted(set(names)), "the keys do not ascend")
    for key in of.bundle.keys:
        same("the kind of a key", key.entity.kind, "signer")
        hold_entity(of, key.entity)
        opened = [key.entity.entry_of(entry.row)[:2] for entry in key.entries]
        hold(opened == sorted(set(opened)), f"the opened entries of {key.entity.key} do not ascend")
    keys = {key.entity.name: key for key in of.bundle.keys}
    of.used_keys = [_used_key(keys, transaction) for transaction in of.bundle.transactions]
    needed = {used.entry.row.digest for used in of.used_keys}
    shown = {entry.row.digest for key in of.bundle.keys for entry in key.entries}
    hold(needed == shown, "a key is shown that signed nothing here")
    _check_organisations(of)
    for used in of.used_keys:
        _count_enrolments(of, used)
    distinct = {used.entry.row.digest: used for used in of.used_keys}
    of.facts["keys"] = [_key_fact(of, used) for used in distinct.values()]
    return "Each key was in force, not revoked, with its role; how it is tied is shown."


def _used_key(keys: dict[str, Key], transaction: Transaction) -> UsedKey:
    """The entry of the signer that was in force for a transaction: as of the block before, at its own block's time."""
    block, what = transaction.block, transaction.what
    key = keys.get(transaction.signer) or refuse(f"the key of {plain(transaction.signer)} is not shown")
    in_force = key.entity.in_force(block.ledger_time_s, block.height - 1)
    entry = next((one for one in key.entries if one.row.is_of(in_force)), None)
    if in_force is None or entry is None:
        refuse(f"the key of {transaction.signer} in force when {what} was recorded is not shown")
    hold(not entry.row.has_ended, f"the key of {transaction.signer} was revoked when {what} was recorded")
    role = ROLE_OF_KIND[transaction.kind]
    hold(role in entry.row.value["roles"], f"{transaction.signer} has not the role {role}")
    return UsedKey(transaction, entry, in_force.recorded_height)


def _check_organisations(of: Examination) -> None:
    """A gateway's key is of the gateway's organisation, as is that of an approval; a party's is of the party's."""
    party = of.bundle.party.row.value["organisation"]
    gateways = {(one.entity.name, one.row.value["organisation"]) for one in of.bundle.gateways}
    approving = {transaction.signed: name for transaction, name in end_gateways(of.bundle)}
    for used in of.used_keys:
        signer, organisation = used.transaction.signer, used.entry.row.value["organisation"]
        if used.transaction.kind == APPROVAL_KIND:
            gateway = approving[used.transaction.signed]
            hold((gateway, organisation) in gateways, f"{signer} is of another organisation than the gateway {gateway}")
        elif used.transaction.kind in (BATCH_KIND, IMPORT_KIND):
            hold((signer, organisation) in gateways, f"the key of {signer} is of another organisation than the gateway")
        elif used.transaction.kind in (ORDER_KIND, PROFILE_KIND):
            same(f"the organisation of the key of {signer}", organisation, party)


def _count_enrolments(of: Examination, used: UsedKey) -> int:
    """How many enrolments lie between a key and genesis, or a vote; halts where it is not tied so."""
    entry, key = used.entry, used.entry.row.key
    if entry.voted is not None:
        _hold_voted(of, used, entry.voted)
        return 0
    if entry.enrolment is None:
        _hold_at_genesis(of, used)
        return 0
    enroller = _enroller(of, entry.enrolment)
    enrolment = enroller.transaction
    same(f"the chain of {enrolment.what}", enrolment.chain, of.bundle.header.chain)
    same(f"the block that recorded the key of {key}", used.recorded_height, enrolment.block.height)
    hold(entry.enrolment.rows_root == enrolment.body["rows_root"], f"{enrolment.what} has no such row")
    organisations = [one.row.value["organisation"] for one in (entry, enroller.entry)]
    hold(organisations[0] == organisations[1], f"{key} was enrolled by another organisation")
    enrolments = _count_enrolments(of, enroller) + 1  # ends: each was recorded before the key that it enrolled
    hold(enrolments <= ENROLMENTS_MAX, f"more than {ENROLMENTS_MAX} enrolments lie between {key} and genesis")
    return enrolments


def _hold_voted(of: Examination, used: UsedKey, voted: Voted) -> None:
    """Hold that organisations have given the key: the state says so, by a proposal that has passed."""
    row, leaf = used.entry.row, voted.leaf
    hold(leaf.key.startswith("proposal/"), f"the key of {row.key} rests on {plain(leaf.key)}, which is no proposal")
    hold(leaf.root == of.bundle.header.state_root, f"the proposal of {row.key} is not in the state")
    same(f"the block that recorded the key of {row.key}", used.recorded_height, voted.decided_height)
    hold([row.key, row.value] in voted.rows, f"the proposal gives {row.key} another key, or none")


def _hold_at_genesis(of: Examination, used: UsedKey) -> None:
    """Hold that genesis names the key."""
    row, genesis = used.entry.row, used.entry.genesis
    if genesis is None:
        refuse(f"{row.key} is not tied to anything")
    same(f"the block that recorded the key of {row.key}", used.recorded_height, 0)
    same(f"the entity at genesis of {row.key}", genesis.key, row.key)
    hold(genesis.root == of.bundle.genesis.header.state_root, f"{row.key} is not in the state of genesis")
    hold(Entry(row.from_s, 0, row.digest) in genesis.entries, f"genesis does not name this key of {row.key}")


def _enroller(of: Examination, enrolled: Enrolled) -> UsedKey:
    """The key that signed an enrolment."""
    return next(used for used in of.used_keys if used.transaction is enrolled.transaction)


def _key_fact(of: Examination, used: UsedKey) -> dict[str, str]:
    """Whose key it is, its fingerprint, and how it is tied; halts where the trust root pins its signer to other keys."""
    signer, row = used.transaction.signer, used.entry.row
    fingerprint, trust, bundle = sm3(row.value["public_key"]).hex(), of.trust, of.bundle
    tie = "genesis"
    if used.entry.enrolment is not None:
        enrolment = used.entry.enrolment.transaction
        tie = f"enrolled by {enrolment.signer} at height {enrolment.block.height}"
    elif used.entry.voted is not None:
        tie = f"voted by {', '.join(used.entry.voted.in_favour)} at height {used.entry.voted.decided_height}"
    is_of_chain = trust is not None and trust.is_of(bundle.header.chain, bundle.genesis.header.digest)
    pins = [one for name, one in trust.pins if name == signer] if trust is not None and is_of_chain else []
    hold(not pins or fingerprint in pins, f"the trust file pins {signer} to another key than {fingerprint[:16]}...")
    role = ROLE_OF_KIND[used.transaction.kind]
    return {"signer": signer, "role": role, "fingerprint": fingerprint, "tie": "pinned" if pins else tie, "origin": tie}


def check_signatures(of: Examination) -> str:
    """12: batches, orders and enrolments are signed with these keys."""
    for transaction, entry, _ in of.used_keys:
        is_valid = is_valid_signature(entry.row.value["public_key"], transaction.signed, transaction.signature)
        hold(is_valid, f"{transaction.what} is not signed with the key of {transaction.signer}")
    return "Readings are signed with their gateway's key, orders with the party's or its aggregator's, enrolments with the administrator's."
