"""``clearing/<area>/<slot_start_s>``: what one gate came to."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.family import Family


class ClearingLeaf(NamedTuple):
    """A cleared gate.

    book_root, fills_root: over its salted rows; contract: id of the one that cleared it; orders: how many; rules: SM3 of the
    rules leaf; volume_wh: energy that changes hands; price_micro_per_kwh: of every fill, None when the volume is 0.
    """

    area: str
    book_root: bytes
    contract: str
    fills_root: bytes
    orders: int
    rules: bytes
    slot_start_s: int
    volume_wh: int
    price_micro_per_kwh: int | None = None


def _key(area: str, slot_start_s: int) -> str:
    return f"clearing/{area}/{slot_start_s}"


CLEARING: Final = Family(
    "clearing", _key, ClearingLeaf, optional=frozenset({"price_micro_per_kwh"}), is_provable=True, is_followed=True
)
