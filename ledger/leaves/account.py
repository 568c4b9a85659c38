"""``account/<area>/<name>``: what a counter-account of an area has received in all runs."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.family import Family, Value
from ledger.leaves.money import join_amount, split_amount


class AccountLeaf(NamedTuple):
    """received_nano: negative where it has paid more; without bound."""

    received_nano: int


def _key(area: str, name: str) -> str:
    return f"account/{area}/{name}"


def _decode(nano: int, units: int) -> AccountLeaf:
    return AccountLeaf(join_amount(units, nano))


def _encode(record: AccountLeaf) -> Value:
    units, nano = split_amount(record.received_nano)
    return {"nano": nano, "units": units}


ACCOUNT: Final = Family("account", _key, _decode, _encode)
