"""``fills/<slot_start_s>/<zone>/<chunk>``: every order of a cleared slot with what it got, by area and rank, in chunks."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ledger.leaves.columns import Int64, chunks, join_columns, pack_each, unpack_each
from ledger.leaves.family import Family, Leaves, Value, WritableLeaves


class FillsLeaf(NamedTuple):
    """Columns int64[n], ascending by area number, then by rank: the bytes of the order id, or arrival.

    all_or_none: 1 where it is filled as a whole or not at all; area, party: numbers, in the zone and on the chain; price_micro_per_kwh: the order's limit; filled_wh: 0 where it got nothing;
    held_micro_per_kwh: what is held of the party for each kWh of it; side: 0 buy, 1 sell; seed: 32 bytes, of the whole slot;
    amount_nano: what its trades come to, None under a contract with one price for all; until_rank: under a contract whose orders rank by
    arrival the rank in its area before which it was withdrawn, the number of orders for one that was not, else None. fee_nano: what it
    pays for the way of what it bought, beyond amount_nano, None under a contract without such fees. bid, choice, energy_kinds, seller, grid_place, arrival: what the contract asks of orders (``ledger.state.order_terms``), None where it does not.
    """

    all_or_none: Int64
    area: Int64
    counter: Int64
    filled_wh: Int64
    held_micro_per_kwh: Int64
    party: Int64
    price_micro_per_kwh: Int64
    quantity_wh: Int64
    side: Int64
    seed: bytes
    amount_nano: Int64 | None = None
    until_rank: Int64 | None = None
    fee_nano: Int64 | None = None
    bid: Int64 | None = None
    choice: Int64 | None = None
    energy_kinds: Int64 | None = None
    seller: Int64 | None = None
    grid_place: Int64 | None = None
    arrival: Int64 | None = None

    @property
    def columns(self) -> dict[str, Int64]:
        """Those that it has, by name."""
        named = ((name, getattr(self, name)) for name in (*_COLUMNS, *_OPTIONAL))
        return {name: column for name, column in named if column is not None}

    @property
    def order_terms(self) -> dict[str, Int64]:
        """Those that a contract asked for, by name, in the order of the fields."""
        named = ((name, getattr(self, name)) for name in _ORDER_TERMS)
        return {name: column for name, column in named if column is not None}

    def take(self, rows: Int64 | slice) -> FillsLeaf:
        """Some of the fills."""
        columns: dict[str, Any] = {name: column[rows] for name, column in self.columns.items()}
        return FillsLeaf(**columns, seed=self.seed)


_COLUMNS: Final = FillsLeaf._fields[: FillsLeaf._fields.index("seed")]
_OPTIONAL: Final = FillsLeaf._fields[len(_COLUMNS) + 1 :]
_ORDER_TERMS: Final = _OPTIONAL[3:]


def _key(slot_start_s: int, zone: str, chunk: int) -> str:
    return f"fills/{slot_start_s}/{zone}/{chunk}"


def _decode(seed: bytes, **columns: bytes) -> FillsLeaf:
    unpacked: dict[str, Any] = unpack_each(columns)
    return FillsLeaf(**unpacked, seed=seed)


def _encode(record: FillsLeaf) -> Value:
    return {**pack_each(record.columns), "seed": record.seed}


FILLS: Final = Family("fills", _key, _decode, _encode, is_prunable=True)


def load_fills(leaves: Leaves, slot_start_s: int, zone: str, orders: int) -> FillsLeaf:
    """All fills of a cleared slot with this number of orders; without orders there is no seed: b""."""
    parts = list(FILLS.must_each(leaves, ((slot_start_s, zone, chunk) for chunk, _, _ in chunks(orders))))
    names = parts[0].columns if parts else _COLUMNS
    columns: dict[str, Any] = {name: join_columns(getattr(part, name) for part in parts) for name in names}
    return FillsLeaf(**columns, seed=parts[-1].seed if parts else b"")


def save_fills(leaves: WritableLeaves, slot_start_s: int, zone: str, whole: FillsLeaf) -> None:
    """Write all fills of a slot, chunk by chunk."""
    for chunk, start, end in chunks(len(whole.area)):
        FILLS.save(leaves, whole.take(slice(start, end)), slot_start_s, zone, chunk)
