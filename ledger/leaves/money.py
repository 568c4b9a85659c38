"""Amounts of accounts that collect without bound, stored as two limbs: whole units, and nano from 0 to 999,999,999."""

from __future__ import annotations

from typing import Final

from ledger.leaves.columns import Int64

NANO: Final = 10**9
"""Nano in one unit of the currency."""


def join_amount(units: int, nano: int) -> int:
    """The amount in nano."""
    return units * NANO + nano


def add_limbs(units: Int64, nano: Int64, more_units: Int64, more_nano: Int64) -> tuple[Int64, Int64]:
    """Row by row the sum of two amounts, as (units, nano)."""
    total_nano = nano + more_nano
    return units + more_units + total_nano // NANO, total_nano % NANO
