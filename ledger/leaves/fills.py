"""``fills/<slot_start_s>/<zone>/<chunk>``: every order of a cleared slot with what it got, by area and order id, in chunks."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ledger.leaves.columns import Int64, chunks, join_columns, pack_each, unpack_each
from ledger.leaves.family import Family, Leaves, Value, WritableLeaves


class FillsLeaf(NamedTuple):
    """Columns int64[n], ascending by area number, then by the bytes of the order id.

    area, party: numbers, in the zone and on the chain; price_micro_per_kwh: the order's limit; filled_wh: 0 where it got nothing;
    held_micro_per_kwh: what is held of the party for each kWh of it; side: 0 buy, 1 sell; seed: 32 bytes, of the whole slot.
    """

    area: Int64
    counter: Int64
    filled_wh: Int64
    held_micro_per_kwh: Int64
    party: Int64
    price_micro_per_kwh: Int64
    quantity_wh: Int64
    side: Int64
    seed: bytes

    def take(self, rows: Int64 | slice) -> FillsLeaf:
        """Some of the fills."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return FillsLeaf(**columns, seed=self.seed)


_COLUMNS: Final = FillsLeaf._fields[:-1]


def _key(slot_start_s: int, zone: str, chunk: int) -> str:
    return f"fills/{slot_start_s}/{zone}/{chunk}"


def _decode(seed: bytes, **columns: bytes) -> FillsLeaf:
    unpacked: dict[str, Any] = unpack_each(columns)
    return FillsLeaf(**unpacked, seed=seed)


def _encode(record: FillsLeaf) -> Value:
    return {**pack_each({name: getattr(record, name) for name in _COLUMNS}), "seed": record.seed}


FILLS: Final = Family("fills", _key, _decode, _encode, is_prunable=True)


def load_fills(leaves: Leaves, slot_start_s: int, zone: str, orders: int) -> FillsLeaf:
    """All fills of a cleared slot with this number of orders; without orders there is no seed: b""."""
    parts = [FILLS.must(leaves, slot_start_s, zone, chunk) for chunk, _, _ in chunks(orders)]
    columns: dict[str, Any] = {name: join_columns(getattr(part, name) for part in parts) for name in _COLUMNS}
    return FillsLeaf(**columns, seed=parts[-1].seed if parts else b"")


def save_fills(leaves: WritableLeaves, slot_start_s: int, zone: str, whole: FillsLeaf) -> None:
    """Write all fills of a slot, chunk by chunk."""
    for chunk, start, end in chunks(len(whole.area)):
        FILLS.save(leaves, whole.take(slice(start, end)), slot_start_s, zone, chunk)
