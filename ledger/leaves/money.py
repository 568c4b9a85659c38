"""Amounts of accounts that collect without bound, stored as two limbs: whole units, and nano from 0 to 999,999,999."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from ledger.leaves.columns import Int64, grown

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

    @classmethod
    def of_column(cls, amounts_nano: Int64) -> Money:
        """Amounts in nano that fit into int64."""
        return cls(amounts_nano // NANO, amounts_nano % NANO)

    def less(self, other: Money) -> Money:
        """Row by row this less the other."""
        nano = self.nano - other.nano
        return Money(self.units - other.units + nano // NANO, nano % NANO)

    def padded(self, size: int) -> Money:
        """The same with amounts of 0 behind it, up to ``size`` in all."""
        return Money(grown(self.units, size, 0), grown(self.nano, size, 0))

    @property
    def is_anything(self) -> bool:
        """Whether an amount is not 0."""
        return bool(self.units.any() or self.nano.any())

    @property
    def total_nano(self) -> int:
        """The sum of all amounts, in nano, of any size."""
        return join_amount(sum(self.units.tolist()), int(self.nano.sum()))


NO_MONEY: Final = Money.of([])
"""No rows."""
