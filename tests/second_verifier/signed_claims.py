"""Claims 10 to 12: what was recorded, the keys, the signatures."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.second_verifier.bundle import Key, KeyEntry
from tests.second_verifier.case import Case, LieError, require, value_of
from tests.second_verifier.proofs import Approval, Reading, Transaction
from tests.second_verifier.registry import Entry, Gateway, Installation, Signer
from tests.second_verifier.sm import sm2_holds, sm3
from tests.second_verifier.trees import fold, leaf_hash

_MOST_ENROLMENTS = 8


def check_recorded(case: Case) -> None:
    """Claim 10."""
    last = case.bundle.run.as_of_height + 1
    for transaction in case.bundle.transactions:
        header = transaction.header
        require(header.chain == case.bundle.header.chain, "a block of another chain")
        require(1 <= header.height < case.bundle.header.height, "a block that is not before the header")
        in_block = fold(leaf_hash(transaction.data_leaf), transaction.data_path) == header.data_root
        require(in_block, "a transaction was not accepted in its block")
        in_history = fold(leaf_hash(header.digest), transaction.history_path) == case.bundle.header.history_root
        require(in_history, "a block is not in the history of the header")
    used = [reading.transaction for reading in case.bundle.readings]
    used += [case.bundle.imported.told.transaction] if case.bundle.imported else []
    used += [order.transaction for order in case.bundle.orders]
    for transaction in used:
        require(transaction.header.height <= last, "a batch or order that was recorded after the run")


@dataclass(frozen=True)
class Tied:
    """A transaction, and the entry of its signer that was in force when it was recorded."""

    transaction: Transaction
    key: Key
    shown: KeyEntry
    entry: Entry
    signer: Signer


def _tie(case: Case, transaction: Transaction, role: str) -> Tied:
    header = transaction.header
    name = f"signer/{transaction.signer}"
    key = next((key for key in case.bundle.keys if key.entity.leaf.key == name), None)
    if key is None:
        raise LieError(f"{name} is not shown")
    entry = key.entity.in_force(header.ledger_time_s, header.height - 1)
    if entry is None:
        raise LieError(f"{name} was not in force")
    for shown in key.entries:
        row = shown.row
        if (row.key, row.from_s, row.digest) == (name, entry.from_s, entry.digest):
            if not isinstance(row.value, Signer) or role not in row.value.roles:
                raise LieError(f"{name} was revoked, or has not the role {role}")
            return Tied(transaction, key, shown, entry, row.value)
    raise LieError(f"the entry of {name} in force is not shown")


def _role_of(end: Reading | Approval) -> str:
    return "gateway" if isinstance(end, Reading) else "utility"


def _signed(case: Case) -> Iterator[Tied]:
    """Each batch and order with its key, then the enrolments that these keys rest on, each once."""
    waiting = [(_tie(case, end.transaction, _role_of(end)), 0) for end in case.bundle.readings]
    if case.bundle.imported is not None:
        waiting.append((_tie(case, case.bundle.imported.told.transaction, "gateway"), 0))
    for order in case.bundle.orders:
        waiting.append((_tie(case, order.transaction, "aggregator" if order.placed else "prosumer"), 0))
    known: set[int] = set()
    while waiting:
        tied, links = waiting.pop(0)
        yield tied
        enrolment = tied.shown.enrolment
        if enrolment is None or id(tied.shown) in known:
            continue
        known.add(id(tied.shown))
        require(links < _MOST_ENROLMENTS, "too many enrolments between a key and genesis")
        by = _tie(case, enrolment.transaction, "administrator")
        require(by.signer.organisation == tied.signer.organisation, "a key enrolled by another organisation")
        waiting.append((by, links + 1))


def _check_entry(case: Case, tied: Tied) -> None:
    """The entry is tied to genesis or to its enrolment."""
    shown, entry = tied.shown, tied.entry
    if shown.genesis is not None:
        genesis = shown.genesis
        require(genesis.leaf.key == tied.key.entity.leaf.key, "a leaf of genesis of another signer")
        require(genesis.leaf.root == case.bundle.genesis.header.state_root, "a key's leaf is not of genesis")
        require(entry.recorded_height == 0 and entry in genesis.entries, "a key's entry is not of genesis")
    if shown.voted is not None:
        voted = shown.voted
        require(voted.leaf.key.startswith("proposal/"), "a key that rests on no proposal")
        require(voted.leaf.root == case.bundle.header.state_root, "a proposal's leaf is not in the state")
        require(entry.recorded_height == voted.decided_height, "a key of another decision")
        require(voted.gives, "a key that its proposal does not give")
    if shown.enrolment is not None:
        enrolment = shown.enrolment
        require(entry.recorded_height == enrolment.transaction.header.height, "a key of another enrolment")
        require(fold(shown.row.digest, enrolment.row_path) == enrolment.rows_root, "a key not in its enrolment")
        require(enrolment.transaction.chain == case.bundle.header.chain, "an enrolment on another chain")
    own = (case.bundle.header.chain, case.bundle.genesis.header.digest)
    is_of_chain = case.trust is not None and (case.trust.chain, case.trust.genesis) == own
    pins = case.trust.pins.get(tied.transaction.signer) if case.trust and is_of_chain else None
    require(pins is None or sm3(tied.signer.public_key) in pins, "a key is not the pinned one")


def _check_organisations(case: Case, tied: Tied) -> None:
    if any(tied.transaction is order.transaction for order in case.bundle.orders if not order.placed):
        require(tied.signer.organisation == case.party.organisation, "the party's key is of another organisation")
    for end, (opened, _) in zip(case.bundle.readings, case.ends, strict=True):
        if tied.transaction is not end.transaction:
            continue
        name = tied.transaction.signer if isinstance(end, Reading) else value_of(opened, Installation).gateway
        named = [gateway for gateway in case.bundle.gateways if gateway.entity.name == name]
        organisations = {value_of(gateway, Gateway).organisation for gateway in named}
        require(organisations == {tied.signer.organisation}, "the gateway's key is of another organisation")


def _check_importer(case: Case, tied: Tied) -> None:
    imported = case.bundle.imported
    if imported is not None and tied.transaction is imported.told.transaction:
        organisations = {value_of(gateway, Gateway).organisation for gateway in case.bundle.gateways}
        require(organisations == {tied.signer.organisation}, "the importer's key is of another organisation")


def check_keys(case: Case) -> None:
    """Claim 11."""
    keys = case.bundle.keys
    names = [key.entity.leaf.key for key in keys]
    require(names == sorted(set(names)), "the keys do not ascend")
    for key in keys:
        require(key.entity.leaf.root == case.bundle.header.state_root, "a key does not lie under the state root")
        require(key.entity.entries_ascend(), "the entries of a key do not ascend")
        places = [(shown.row.from_s, _height(key, shown)) for shown in key.entries]
        require(places == sorted(set(places)), "the entries shown of a key do not ascend")
    needed = set()
    for tied in _signed(case):
        _check_entry(case, tied)
        _check_organisations(case, tied)
        _check_importer(case, tied)
        needed.add((tied.key.entity.leaf.key, tied.entry))
    require(len(needed) == sum(len(key.entries) for key in keys), "a key that nothing is signed by")


def _height(key: Key, shown: KeyEntry) -> int:
    heights = [entry.recorded_height for entry in key.entity.entries if entry.digest == shown.row.digest]
    require(len(heights) == 1, "a key's row is not that of one entry")
    return heights[0]


def check_signatures(case: Case) -> None:
    """Claim 12."""
    for tied in _signed(case):
        transaction = tied.transaction
        holds = sm2_holds(tied.signer.public_key, transaction.signed, transaction.signature)
        require(holds, f"a signature is not that of {transaction.signer}")
