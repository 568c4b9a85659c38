"""``balance/<zone>/<chunk>``: what each point of a zone owes from all runs, in chunks of the zone's rows."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ledger.leaves.columns import NO_SEED, Int64, pack, unpack
from ledger.leaves.family import Family, Value
from ledger.leaves.money import Money, add_limbs, join_amount


class BalanceLeaf(NamedTuple):
    """Columns int64[n]: whole units (of either sign) and nano, 0 to 999,999,999. seed: 32 bytes, replaced by each run."""

    units: Int64
    nano: Int64
    seed: bytes

    def add(self, more: Money) -> BalanceLeaf:
        """The balances after they grew, one for each row that the chunk has by now."""
        before = Money(self.units, self.nano).padded(len(more.units))
        return BalanceLeaf(*add_limbs(*before, *more), self.seed)

    def owes_nano(self) -> list[int]:
        """What each point owes, in nano; beyond 64 bits where it must be."""
        return [join_amount(units, nano) for units, nano in zip(self.units.tolist(), self.nano.tolist(), strict=True)]


def _key(zone: str, chunk: int) -> str:
    return f"balance/{zone}/{chunk}"


def _decode(nano: bytes, units: bytes, seed: bytes) -> BalanceLeaf:
    return BalanceLeaf(unpack(units), unpack(nano), seed)


def _encode(record: BalanceLeaf) -> Value:
    return {"nano": pack(record.nano), "units": pack(record.units), "seed": record.seed}


BALANCE: Final = Family("balance", _key, _decode, _encode)


def no_balance(size: int) -> BalanceLeaf:
    """What a chunk of ``size`` points owes before the first run."""
    return BalanceLeaf(np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), NO_SEED)
