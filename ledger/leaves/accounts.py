"""``accounts/<zone>/<chunk>``: what each counter-account of each area has received in all runs, in chunks of area numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from ledger.leaves.columns import NO_SEED, Int64, grown, pack_each, unpack_each
from ledger.leaves.family import Family, Value
from ledger.leaves.money import add_limbs


class AccountsLeaf(NamedTuple):
    """units, nano: account -> int64[n] by area number, whole units of either sign and 0 to 999,999,999; seed: replaced by each run."""

    units: Mapping[str, Int64]
    nano: Mapping[str, Int64]
    seed: bytes

    def add(self, units: Mapping[str, Int64], nano: Mapping[str, Int64], seed: bytes) -> AccountsLeaf:
        """The accounts after they received more, under another seed; an account that was not there is new."""
        all_units, all_nano = dict(self.units), dict(self.nano)
        for account, more_units in units.items():
            none, size = np.zeros_like(more_units), len(more_units)
            before = all_units.get(account, none), all_nano.get(account, none)
            units_before, nano_before = (grown(limb, size, 0) for limb in before)
            after = add_limbs(units_before, nano_before, more_units, nano[account])
            all_units[account], all_nano[account] = after
        return AccountsLeaf(all_units, all_nano, seed)


def _key(zone: str, chunk: int) -> str:
    return f"accounts/{zone}/{chunk}"


def _decode(nano: Mapping[str, bytes], units: Mapping[str, bytes], seed: bytes) -> AccountsLeaf:
    return AccountsLeaf(unpack_each(units), unpack_each(nano), seed)


def _encode(record: AccountsLeaf) -> Value:
    return {"nano": pack_each(record.nano), "seed": record.seed, "units": pack_each(record.units)}


ACCOUNTS: Final = Family("accounts", _key, _decode, _encode)
NO_ACCOUNTS: Final = AccountsLeaf({}, {}, NO_SEED)
"""What a chunk of areas has received before the first run."""
