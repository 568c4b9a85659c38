"""``fills/<area>/<slot_start_s>/<chunk>``: every order of a cleared slot with what it got, by order id, in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ledger.leaves.columns import chunks
from ledger.leaves.family import Family, Leaves, WritableLeaves


class Fill(NamedTuple):
    """One order of a cleared slot. side: "buy" or "sell"; price_micro_per_kwh: its limit; filled_wh: 0 where it got nothing."""

    party: str
    counter: int
    side: str
    quantity_wh: int
    price_micro_per_kwh: int
    filled_wh: int


class FillsLeaf(NamedTuple):
    """fills: ascending by the bytes of their order ids; seed: 32 bytes, from which the salts of the slot's rows follow."""

    fills: Sequence[Fill]
    seed: bytes


def _key(area: str, slot_start_s: int, chunk: int) -> str:
    return f"fills/{area}/{slot_start_s}/{chunk}"


def _decode(fills: Iterable[Sequence[object]], seed: bytes) -> FillsLeaf:
    return FillsLeaf([Fill._make(fill) for fill in fills], seed)


FILLS: Final = Family("fills", _key, _decode)


def load_fills(leaves: Leaves, area: str, slot_start_s: int, orders: int) -> FillsLeaf:
    """All fills of a cleared slot with this number of orders; without orders there is no seed: b""."""
    fills: list[Fill] = []
    seed = b""
    for chunk, _, _ in chunks(orders):
        part = FILLS.must(leaves, area, slot_start_s, chunk)
        fills += part.fills
        seed = part.seed
    return FillsLeaf(fills, seed)


def save_fills(leaves: WritableLeaves, area: str, slot_start_s: int, whole: FillsLeaf) -> None:
    """Write all fills of a slot, chunk by chunk."""
    for chunk, start, end in chunks(len(whole.fills)):
        FILLS.save(leaves, FillsLeaf(whole.fills[start:end], whole.seed), area, slot_start_s, chunk)
