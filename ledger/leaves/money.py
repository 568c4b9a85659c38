"""Amounts of accounts that collect without bound, stored as two limbs: whole units, and nano from 0 to 999,999,999."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

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


class Money(NamedTuple):
    """Amounts as int64 columns: whole units of either sign, and nano from 0 to 999,999,999."""

    units: Int64
    nano: Int64

    @classmethod
    def of(cls, amounts_nano: Iterable[int]) -> Money:
        """Amounts in nano, of any size that a chain can come to."""
        limbs = [divmod(amount, NANO) for amount in amounts_nano]
        return cls(*np.array(limbs, dtype=np.int64).reshape(len(limbs), 2).T)
