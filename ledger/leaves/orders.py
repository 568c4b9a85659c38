"""``orders/<slot_start_s>/<zone>``: which chunks the book of a slot has; there where it has any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family


class OrdersLeaf(NamedTuple):
    """chunks: of the parties that have orders, ascending."""

    chunks: Sequence[int]


def _key(slot_start_s: int, zone: str) -> str:
    return f"orders/{slot_start_s}/{zone}"


ORDERS: Final = Family("orders", _key, OrdersLeaf, is_prunable=True)
