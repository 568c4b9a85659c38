"""What of a month's documents is disputed, and therefore not due. Pure, in integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from settlement.invoicing.total import invoice_total


class Contested(NamedTuple):
    """An amount that stands contested, in nano-currency. tax_ppm: the rate of the tax that comes on top of it, None for none: a tax itself, a total, what is not taxed."""

    amount_nano: int
    tax_ppm: int | None


def disputed_nano(contested: Sequence[Contested], gross_nano: int, *, quantum_nano: int, rounding: str) -> int:
    """What is not due of documents that come to ``gross_nano``: the contested amounts and their tax, rounded as an invoice of these lines alone would be.

    Credits are paid out, contested or not: they count for nothing. From 0 to what the documents come to, 0 where they are a credit. SettlementError as of ``invoice_total``.
    """
    owed = [one for one in contested if one.amount_nano > 0]
    rates_ppm = [one.tax_ppm for one in owed]
    total = invoice_total([one.amount_nano for one in owed], rates_ppm, quantum_nano, rounding)
    return min(max(gross_nano, 0), total.gross * quantum_nano)
