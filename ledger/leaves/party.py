"""``party/<id>``: who is billed, where, by which meter."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import BOOL, NAME, U32
from ledger.leaves.family import Family


class PartyLeaf(NamedTuple):
    """area: the one it belongs to; meter: number of its settlement meter; trades: whether it may give orders."""

    area: str
    meter: int
    trades: bool


def _key(party: str) -> str:
    return f"party/{party}"


PARTY: Final = Family("party", _key, PartyLeaf, forms={"area": NAME, "meter": U32, "trades": BOOL}, is_provable=True)
