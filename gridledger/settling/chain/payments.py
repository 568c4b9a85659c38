"""The payments of a local month: accepted transactions of the blocks, which a pruned ledger keeps too."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby, islice
from typing import Final
from zoneinfo import ZoneInfo

from gridcore.envelope import decode_transaction
from gridcore.errors import UsageError, broken
from gridcore.registry.point import POINT
from gridcore.transactions.payment import GROUNDS, Payment
from gridledger.settling.chain.frame import Scope, timezone_of
from gridledger.settling.results.months import span_of_month
from gridledger.settling.results.payments import PaymentRow
from gridledger.tables.columns import utf8
from ledger.leaves.payments import PAYMENTS, PaymentsLeaf
from ledger.registry.bodies import in_force
from ledger.store.reader import LedgerReader
from ledger.store.rows import DecidedTransaction

PAYMENTS_MAX: Final = 1 << 18
"""Payments of a folder: all of them are in memory."""


def payments_of_month(reader: LedgerReader, scope: Scope, month: str) -> list[PaymentRow]:
    """Those for points of a scope in a local month, by the blocks up to its height: by party, then in the order of the blocks.

    A payment is of the area that its point had when it was recorded, as its posting is, and of the party that it names, whether that is still
    billed there or not. UsageError for more than PAYMENTS_MAX, and where the ledger began with a snapshot behind payments of the month.
    """
    timezone = timezone_of(reader, scope)
    span_s = range(*span_of_month(month, timezone))
    heights = range(reader.joined_height, scope.height + 1)

    def ledger_time_s(height: int) -> int:
        return reader.header(height).ledger_time_s

    first, end = (heights.start + bisect_left(heights, at_s, key=ledger_time_s) for at_s in (span_s.start, span_s.stop))
    if reader.joined_height and first == reader.joined_height:
        _check_none_before(reader, span_s, month)
    found = list(islice(_payments(reader, scope, range(first, end), ZoneInfo(timezone)), PAYMENTS_MAX + 1))
    if len(found) > PAYMENTS_MAX:
        words = f"more than {PAYMENTS_MAX} payments in {month}; name one of its areas with --area"
        raise UsageError(f"zone {scope.zone}: {words}")
    return sorted(found, key=lambda row: utf8(row.party))


def _payments(reader: LedgerReader, scope: Scope, heights: range, zone: ZoneInfo) -> Iterator[PaymentRow]:
    """The payments of some blocks for points of a scope, in the order of the blocks. A payment has the ledger time that its header states."""
    acts = reader.accepted_acts(Payment.kind, heights.stop - 1, heights.start - 1)
    for height, of_height in groupby(reversed(acts), key=lambda act: act.height):
        own = {act.position for act in of_height}
        time_s = reader.header(height).ledger_time_s
        for decided in reader.transactions(height):
            if decided.position in own:
                row = _row(decided, datetime.fromtimestamp(time_s, zone), time_s)
                if _is_of(reader, scope, row):
                    yield row


def _row(decided: DecidedTransaction, local: datetime, time_s: int) -> PaymentRow:
    transaction = decode_transaction(decided.wire)
    said = Payment.decode(transaction)
    return PaymentRow(
        party=said.party,
        month=f"{local:%Y-%m}",
        transaction=decided.id.hex(),
        date=local.date().isoformat(),
        time_s=time_s,
        height=decided.height,
        point=said.point,
        ground=said.ground,
        account=GROUNDS[said.ground].account,
        amount_nano=said.amount_nano,
        reference=said.reference.hex(),
        signer=transaction.signer,
    )


def _is_of(reader: LedgerReader, scope: Scope, row: PaymentRow) -> bool:
    """Whether its area is of a scope: by the entry of its point that the payment was posted by."""
    point = in_force(reader, POINT, row.point, row.time_s, row.height - 1)
    area = (point or broken(f"point {row.point} is in force where somebody paid for it")).record.area
    zone, _ = reader.registry.zone_of_area(area) or broken(f"area {area} is registered where its points are")
    return zone.name == scope.zone and scope.area in (None, area)


def _check_none_before(reader: LedgerReader, span_s: range, month: str) -> None:
    """UsageError where the ledger began with a snapshot, and its state has, or may have had, payments of a month in the blocks before."""
    for key in reader.leaf_keys(PAYMENTS.prefix):
        leaf = PAYMENTS.must(reader, *PAYMENTS.names(key))
        if may_have_before(leaf, reader.joined_height, span_s):
            begins = f"this ledger began with the snapshot of height {reader.joined_height}, and payments of {month} are in blocks before"
            raise UsageError(f"{begins}; take a ledger that has them (gridledger node restore, from an archive)")


def may_have_before(leaf: PaymentsLeaf, height: int, span_s: range) -> bool:
    """Whether a point has payments of a span up to a height among its newest, or may have had some that are not among these any more."""
    if any(paid.height <= height and paid.time_s in span_s for paid in leaf.newest):
        return True
    return leaf.recorded > len(leaf.newest) and leaf.newest[0].time_s >= span_s.start
