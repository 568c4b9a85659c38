"""``book/<area>/<slot_start_s>/<chunk>``: the orders of a slot in order of acceptance, in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ledger.leaves.columns import CHUNK_ROWS
from ledger.leaves.family import Family, Leaves, WritableLeaves


class Order(NamedTuple):
    """One order as its party gave it.

    side: "buy" or "sell"; price_micro_per_kwh: its limit; transaction_id: of the transaction that gave it; seed: SM3 of
    that transaction's signature, 32 bytes: random, bound to the order, known to members only.
    """

    party: str
    counter: int
    side: str
    quantity_wh: int
    price_micro_per_kwh: int
    transaction_id: bytes
    seed: bytes


class BookLeaf(NamedTuple):
    """orders: at most ``CHUNK_ROWS``, in order of acceptance."""

    orders: Sequence[Order]


def _key(area: str, slot_start_s: int, chunk: int) -> str:
    return f"book/{area}/{slot_start_s}/{chunk}"


def _decode(orders: Iterable[Sequence[object]]) -> BookLeaf:
    return BookLeaf([Order._make(order) for order in orders])


BOOK: Final = Family("book", _key, _decode)


def load_orders(leaves: Leaves, area: str, slot_start_s: int) -> list[Order]:
    """All orders of a slot."""
    orders: list[Order] = []
    while (chunk := BOOK.load(leaves, area, slot_start_s, len(orders) // CHUNK_ROWS)) is not None:
        orders += chunk.orders
        if len(chunk.orders) < CHUNK_ROWS:
            break
    return orders


def append_order(leaves: WritableLeaves, area: str, slot_start_s: int, place: int, order: Order) -> None:
    """Put the order number ``place`` (from 0) of a slot behind the others; those are not decoded."""
    key = BOOK.key(area, slot_start_s, place // CHUNK_ROWS)
    chunk = leaves.get(key)
    leaves.put(key, {"orders": [*(chunk["orders"] if chunk else ()), order]})
