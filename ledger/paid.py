"""What was paid for points of a zone or an area in a span of ledger time: accepted transactions of the blocks, which a pruned ledger keeps too."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from gridcore.envelope import decode_transaction
from gridcore.errors import UsageError, broken
from gridcore.registry.point import POINT
from gridcore.transactions.payment import Payment
from ledger.leaves.payments import PAYMENTS, PaymentsLeaf
from ledger.registry.bodies import in_force
from ledger.store.reader import LedgerReader
from ledger.store.rows import DecidedTransaction


class PaidFor(NamedTuple):
    """For whose points: those of a zone, or of one of its areas, and of one party or (None) of all; by the blocks up to a height."""

    zone: str
    height: int
    area: str | None = None
    party: str | None = None


class Recorded(NamedTuple):
    """A payment as its block has it. transaction: its id; time_s: ledger time that its header states, UTC seconds."""

    transaction: bytes
    height: int
    time_s: int
    signer: str
    said: Payment


def payments_between(reader: LedgerReader, paid_for: PaidFor, span_s: range, when: str) -> Iterator[Recorded]:
    """The payments of a span of ledger time, in the order of the blocks. ``when``: the span as errors name it.

    A payment is of the area that its point had when it was recorded, as its posting is, and of the party that it names, whether that is still
    billed there or not. UsageError where the ledger began with a snapshot behind payments of the span.
    """
    heights = range(reader.joined_height, paid_for.height + 1)

    def ledger_time_s(height: int) -> int:
        return reader.header(height).ledger_time_s

    first, end = (heights.start + bisect_left(heights, at_s, key=ledger_time_s) for at_s in (span_s.start, span_s.stop))
    if reader.joined_height and first == reader.joined_height:
        _check_none_before(reader, span_s, when)
    return _payments(reader, paid_for, range(first, end))


def _payments(reader: LedgerReader, paid_for: PaidFor, heights: range) -> Iterator[Recorded]:
    acts = reader.accepted_acts(Payment.kind, heights.stop - 1, heights.start - 1)
    for height, of_height in groupby(reversed(acts), key=lambda act: act.height):
        own = {act.position for act in of_height}
        time_s = reader.header(height).ledger_time_s
        for decided in reader.transactions(height):
            if decided.position in own:
                recorded = _recorded(decided, time_s)
                if _is_of(reader, paid_for, recorded):
                    yield recorded


def _recorded(decided: DecidedTransaction, time_s: int) -> Recorded:
    transaction = decode_transaction(decided.wire)
    return Recorded(decided.id, decided.height, time_s, transaction.signer, Payment.decode(transaction))


def _is_of(reader: LedgerReader, paid_for: PaidFor, recorded: Recorded) -> bool:
    """Whether it is wanted; its area is that of the entry of its point that it was posted by."""
    if paid_for.party not in (None, recorded.said.party):
        return False
    name = recorded.said.point
    point = in_force(reader, POINT, name, recorded.time_s, recorded.height - 1)
    area = (point or broken(f"point {name} is in force where somebody paid for it")).record.area
    zone, _ = reader.registry.zone_of_area(area) or broken(f"area {area} is registered where its points are")
    return zone.name == paid_for.zone and paid_for.area in (None, area)


def _check_none_before(reader: LedgerReader, span_s: range, when: str) -> None:
    """UsageError where the ledger began with a snapshot, and its state has, or may have had, payments of a span in the blocks before."""
    for key in reader.leaf_keys(PAYMENTS.prefix):
        leaf = PAYMENTS.must(reader, *PAYMENTS.names(key))
        if may_have_before(leaf, reader.joined_height, span_s):
            begins = f"this ledger began with the snapshot of height {reader.joined_height}, and payments of {when} are in blocks before"
            raise UsageError(f"{begins}; take a ledger that has them (gridledger node restore, from an archive)")


def may_have_before(leaf: PaymentsLeaf, height: int, span_s: range) -> bool:
    """Whether a point has payments of a span up to a height among its newest, or may have had some that are not among these any more."""
    if any(paid.height <= height and paid.time_s in span_s for paid in leaf.newest):
        return True
    return leaf.recorded > len(leaf.newest) and leaf.newest[0].time_s >= span_s.start
