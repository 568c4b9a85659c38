"""``cleared/<slot_start_s>/<zone>/<chunk>``: what a gate came to in each area, as columns, in chunks of area numbers."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from ledger.leaves.columns import Digests, Int64, chunks, grown, pack, unpack, unpack_digests
from ledger.leaves.family import Family, Leaves, Value, WritableLeaves


class ClearedLeaf(NamedTuple):
    """Columns by area number, int64[n]; digests uint8[n, 32].

    has_price: 1 where energy changes hands, else 0 and so is price_micro_per_kwh; orders: how many; book_roots, fills_roots: over each
    area's salted rows; rules: entry digest of each area's rules; seed: 32 bytes, of the whole slot. trades, trades_roots: how many each area
    has, and the root over their salted rows; None under a contract with one price for all.
    """

    has_price: Int64
    orders: Int64
    price_micro_per_kwh: Int64
    volume_wh: Int64
    book_roots: Digests
    fills_roots: Digests
    rules: Digests
    seed: bytes
    trades: Int64 | None = None
    trades_roots: Digests | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """Those that it has, by name: numbers, then digests."""
        named = ((name, getattr(self, name)) for name in (*_COLUMNS, *_DIGESTS))
        return {name: column for name, column in named if column is not None}

    @property
    def trade_prices_micro_per_kwh(self) -> list[int | None]:
        """The price of each area, None where nothing was traded."""
        pairs = zip(self.has_price.tolist(), self.price_micro_per_kwh.tolist(), strict=True)
        return [price if has_price else None for has_price, price in pairs]

    def take(self, areas: slice) -> ClearedLeaf:
        """Those of some areas."""
        return ClearedLeaf(**{name: column[areas] for name, column in self.columns.items()}, seed=self.seed)


_COLUMNS: Final = ("has_price", "orders", "price_micro_per_kwh", "volume_wh", "trades")
_DIGESTS: Final = ("book_roots", "fills_roots", "rules", "trades_roots")


def _key(slot_start_s: int, zone: str, chunk: int) -> str:
    return f"cleared/{slot_start_s}/{zone}/{chunk}"


def _decode(seed: bytes, **columns: bytes) -> ClearedLeaf:
    unpacked: dict[str, Any] = {
        name: (unpack_digests if name in _DIGESTS else unpack)(data) for name, data in columns.items()
    }
    return ClearedLeaf(**unpacked, seed=seed)


def _encode(record: ClearedLeaf) -> Value:
    columns = {name: column.tobytes() if name in _DIGESTS else pack(column) for name, column in record.columns.items()}
    return {**columns, "seed": record.seed}


CLEARED: Final = Family("cleared", _key, _decode, _encode, is_prunable=True)


def load_cleared(leaves: Leaves, slot_start_s: int, zone: str, areas: int) -> ClearedLeaf | None:
    """What a gate came to in all ``areas`` areas of a zone, none for those that are newer; None where the zone had no orders."""
    found = (CLEARED.load(leaves, slot_start_s, zone, chunk) for chunk, _, _ in chunks(areas))
    parts = [part for part in found if part is not None]
    if not parts:
        return None
    columns: dict[str, Any] = {
        name: grown(np.concatenate([getattr(part, name) for part in parts]), areas, 0) for name in parts[0].columns
    }
    return ClearedLeaf(**columns, seed=parts[0].seed)


def save_cleared(leaves: WritableLeaves, slot_start_s: int, zone: str, whole: ClearedLeaf) -> None:
    """Write what a gate came to, chunk by chunk."""
    for chunk, start, end in chunks(len(whole.orders)):
        CLEARED.save(leaves, whole.take(slice(start, end)), slot_start_s, zone, chunk)
