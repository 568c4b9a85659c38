"""The payments of a span of local time as rows of ``payments.csv``."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from gridcore.errors import UsageError
from gridcore.transactions.payment import GROUNDS
from gridledger.settling.chain.frame import Scope, timezone_of
from gridledger.settling.results.months import span_of_month
from gridledger.settling.results.payments import PaymentRow
from gridledger.tables.columns import utf8
from ledger.paid import PaidFor, Recorded, payments_between
from ledger.store.reader import LedgerReader

PAYMENTS_MAX: Final = 1 << 18
"""Payments of a folder: all of them are in memory."""


def payments_of_month(reader: LedgerReader, scope: Scope, month: str) -> list[PaymentRow]:
    """Those for points of a scope in a local month: see ``payments_of_span``."""
    return payments_of_span(reader, scope, range(*span_of_month(month, timezone_of(reader, scope))), month)


def payments_of_span(reader: LedgerReader, scope: Scope, span_s: range, when: str) -> list[PaymentRow]:
    """Those for points of a scope in a span of ledger time, by the blocks up to its height: by party, then in the order of the blocks.

    ``when``: the span as errors name it. UsageError for more than PAYMENTS_MAX, and as of ``payments_between``.
    """
    zone = ZoneInfo(timezone_of(reader, scope))
    recorded = payments_between(reader, PaidFor(scope.zone, scope.height, scope.area), span_s, when)
    found = [_row(one, datetime.fromtimestamp(one.time_s, zone)) for one in islice(recorded, PAYMENTS_MAX + 1)]
    if len(found) > PAYMENTS_MAX:
        words = f"more than {PAYMENTS_MAX} payments in {when}; name one of its areas with --area"
        raise UsageError(f"zone {scope.zone}: {words}")
    return sorted(found, key=lambda row: utf8(row.party))


def _row(one: Recorded, local: datetime) -> PaymentRow:
    said = one.said
    return PaymentRow(
        party=said.party,
        month=f"{local:%Y-%m}",
        transaction=one.transaction.hex(),
        date=local.date().isoformat(),
        time_s=one.time_s,
        height=one.height,
        point=said.point,
        ground=said.ground,
        account=GROUNDS[said.ground].account,
        amount_nano=said.amount_nano,
        reference=said.reference.hex(),
        signer=one.signer,
    )
