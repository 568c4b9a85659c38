"""What must hold of every node once a simulation is over, whatever went wrong before (I1 to I5 of docs/consensus-testing.md).

Each function yields what does not hold, one line each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from gridcore.codes import Code
from gridcore.errors import GridError
from gridcore.header import Receipt, check_certificate, check_receipt, decode_receipt
from gridcore.light.trusted import advance, begin
from ledger.engines.earlier import INADMISSIBLE
from ledger.leaves.accounts import ACCOUNTS
from ledger.leaves.balance import BALANCE
from ledger.leaves.family import Family
from ledger.leaves.money import NANO
from ledger.leaves.positions import POSITIONS
from ledger.light import steps
from ledger.state.block import Block
from ledger.store.consortium import ConsortiumLedger
from simulators.consensus.node import Node
from simulators.consensus.workload import Acknowledged

R = TypeVar("R")


class Decided(NamedTuple):
    """A block as all nodes have it, and what it came to. codes: one for each of its transactions."""

    block: Block
    codes: tuple[int, ...]
    state_root: bytes


def violations(nodes: Sequence[Node], acknowledged: Sequence[Acknowledged]) -> Iterator[str]:
    """Everything that does not hold."""
    ledgers = [node.home.ledger for node in nodes if node.home.ledger is not None]
    if len(ledgers) < len(nodes):
        yield f"{len(nodes) - len(ledgers)} nodes do not run at the end"
        return
    ledgers.sort(key=lambda ledger: ledger.joined_height)  # the first one has all blocks
    for ledger in ledgers:
        yield from _not_the_same(ledger, ledgers[0])
        yield from _not_followed(ledger)
    yield from _not_readable(ledgers, acknowledged)
    for ledger in ledgers[:1]:
        yield from _applied_twice(ledger)
        yield from _inadmissible(ledger)
        yield from _not_conserved(ledger)
        yield from _not_certified(ledger)
    for node in nodes:
        yield from _signed_in_error(node, ledgers[0])


def decided_blocks(nodes: Sequence[Node]) -> tuple[Decided, ...]:
    """All blocks, from a node that runs and has them all."""
    for node in nodes:
        if (ledger := node.home.ledger) is not None and not ledger.joined_height:
            return tuple(_decided(ledger, height) for height in range(1, ledger.height + 1))
    return ()


def _decided(ledger: ConsortiumLedger, height: int) -> Decided:
    codes = tuple(entry.code for entry in ledger.results(height))
    return Decided(ledger.block(height).block(), codes, ledger.header(height).state_root)


def _not_the_same(ledger: ConsortiumLedger, other: ConsortiumLedger) -> Iterator[str]:
    """I1: the same header at every height that two nodes have."""
    for height in range(max(1, ledger.joined_height), min(ledger.height, other.height) + 1):
        if ledger.header_bytes(height) != other.header_bytes(height):
            yield f"two nodes have other headers of height {height} (I1)"


def _not_readable(ledgers: Sequence[ConsortiumLedger], acknowledged: Sequence[Acknowledged]) -> Iterator[str]:
    """I2: whatever somebody has a receipt for is there at every node, with a proof that holds."""
    first, others = ledgers[0], ledgers[1:]
    for known in acknowledged:
        what = f"transaction {known.id.hex()}, acknowledged at height {known.height}"
        decision = first.find_transaction(known.id)
        if decision is None or (known.code == Code.ACCEPTED and decision.height != known.height):
            yield f"{what}, is not there any more (I2)"
        if decision is None or decision.height != known.height:
            continue  # what was refused may have been sent again, and be decided anew in a block that is not certified yet
        data = first.receipt(known.id)
        having = [other for other in others if other.joined_height < decision.height]
        if data is None or any(other.receipt(known.id) != data for other in having):
            yield f"{what}, has another receipt at another node (I2)"
        else:
            yield from _not_proved(first, known, decode_receipt(data))


def _not_proved(ledger: ConsortiumLedger, known: Acknowledged, receipt: Receipt) -> Iterator[str]:
    """I2: a receipt says what it said when it was given, and holds."""
    if receipt.code != known.code:
        yield f"transaction {known.id.hex()}: code {receipt.code}, acknowledged was {known.code} (I2)"
    signers = ledger.signers_of(receipt.certified_header.height)
    try:
        check_receipt(receipt, chain=ledger.chain, digest=receipt.digest, signers=signers)
    except GridError as error:
        yield f"transaction {known.id.hex()}: {error} (I2)"


def _applied_twice(ledger: ConsortiumLedger) -> Iterator[str]:
    """I3: no transaction was applied at two heights."""
    applied = Counter(
        entry.id
        for height in range(1, ledger.height + 1)
        for entry in ledger.results(height)
        if entry.code == Code.ACCEPTED
    )
    for transaction_id, times in applied.items():
        if times > 1:
            yield f"transaction {transaction_id.hex()} was applied {times} times (I3)"


def _inadmissible(ledger: ConsortiumLedger) -> Iterator[str]:
    """What anybody could make up enters no block, whoever proposed it."""
    for height in range(1, ledger.height + 1):
        codes = {entry.code for entry in ledger.results(height)}
        if codes & INADMISSIBLE:
            yield f"block {height} has a transaction that may enter none: codes {sorted(codes)}"


def _not_conserved(ledger: ConsortiumLedger) -> Iterator[str]:
    """I4: what points owe is what accounts have received, and in every run as much is sold as bought."""
    owed_nano = sum(sum(record.owes_nano()) for _, record in _records(ledger, BALANCE))
    received_nano = 0
    for _, record in _records(ledger, ACCOUNTS):
        for account, units in record.units.items():
            received_nano += NANO * int(units.sum()) + int(record.nano[account].sum())
    if owed_nano != received_nano:
        yield f"points owe {owed_nano} nano, accounts have received {received_nano} (I4)"
    traded_wh: Counter[str] = Counter()
    for key, positions in _records(ledger, POSITIONS):
        bought_wh, sold_wh = (int(positions.columns[name].sum()) for name in ("bought_wh", "sold_wh"))
        traded_wh[key.rpartition("/")[0]] += bought_wh - sold_wh
    for run, more_wh in traded_wh.items():
        if more_wh:
            yield f"{run}: {more_wh} Wh more bought than sold (I4)"


def _not_certified(ledger: ConsortiumLedger) -> Iterator[str]:
    """I5: each header names the one before, and each certificate that is there holds."""
    for height in range(1, ledger.height + 1):
        header, certificate = ledger.header(height), ledger.certificate(height)
        if header.previous != ledger.digest(height - 1):
            yield f"header {height} follows another header than {height - 1} (I5)"
        try:
            if certificate:
                check_certificate(header, certificate, ledger.signers_of(height))
        except GridError as error:
            yield f"{error} (I5)"
    if ledger.certified_height < ledger.height - 4:
        yield f"at height {ledger.height} the newest certificate is that of height {ledger.certified_height} (I5)"


def _not_followed(ledger: ConsortiumLedger) -> Iterator[str]:
    """I5: a light client that trusts genesis alone comes to what this node has certified, over every change of the set."""
    trusted = begin(ledger.chain, ledger.digest(0), ledger.application.origin.signers)
    try:
        while shown := steps(ledger, trusted.height, trusted.height):
            for step in shown:
                trusted = advance(trusted, step)
    except GridError as error:
        yield f"a light client at height {trusted.height} cannot go on: {error} (I5)"
        return
    if (trusted.height, trusted.digest) != (ledger.certified_height, ledger.digest(ledger.certified_height)):
        yield f"a light client stands at height {trusted.height}, its node has certified {ledger.certified_height} (I5)"


def _signed_in_error(node: Node, ledger: ConsortiumLedger) -> Iterator[str]:
    """No key signs another header than the one that was decided, in all lives of its node."""
    for height, digests in node.home.key.signed.items():
        if height <= ledger.height and digests != {ledger.digest(height)}:
            yield f"node {node.number} has signed {len(digests)} headers of height {height}"


def _records(ledger: ConsortiumLedger, family: Family[Any, R]) -> Iterator[tuple[str, R]]:
    """The leaves of a family, with their keys."""
    for key in ledger.leaf_keys(family.prefix):
        yield key, family.decode(**(ledger.get(key) or {}))
