"""``accounts/<zone>/<chunk>``: what each counter-account of each area has received in all runs, in chunks of area numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.leaves.columns import NO_SEED, Int64, pack_each, unpack_each
from ledger.leaves.family import Family, Value
from ledger.leaves.money import NO_MONEY, Money, add_limbs


class AccountsLeaf(NamedTuple):
    """units, nano: account -> int64[n] by area number, whole units of either sign and 0 to 999,999,999; seed: replaced by each run."""

    units: Mapping[str, Int64]
    nano: Mapping[str, Int64]
    seed: bytes

    def add(self, posted: Mapping[str, Money], areas: int) -> AccountsLeaf:
        """The accounts of a chunk that has so many areas by now after they received more; an account that was not there is new."""
        before = {account: Money(units, self.nano[account]) for account, units in self.units.items()}
        after = {
            account: Money(*add_limbs(*before.get(account, NO_MONEY).padded(areas), *more.padded(areas)))
            for account, more in {**dict.fromkeys(before, NO_MONEY), **posted}.items()
        }
        units = {account: money.units for account, money in after.items()}
        return AccountsLeaf(units, {account: money.nano for account, money in after.items()}, self.seed)


def _key(zone: str, chunk: int) -> str:
    return f"accounts/{zone}/{chunk}"


def _decode(nano: Mapping[str, bytes], units: Mapping[str, bytes], seed: bytes) -> AccountsLeaf:
    return AccountsLeaf(unpack_each(units), unpack_each(nano), seed)


def _encode(record: AccountsLeaf) -> Value:
    return {"nano": pack_each(record.nano), "seed": record.seed, "units": pack_each(record.units)}


ACCOUNTS: Final = Family("accounts", _key, _decode, _encode)
NO_ACCOUNTS: Final = AccountsLeaf({}, {}, NO_SEED)
"""What a chunk of areas has received before the first run."""
