"""``trades/<slot_start_s>/<zone>/<chunk>``: the trades of a cleared slot, by area, then in the order in which they were made, in chunks."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ledger.leaves.columns import Int64, chunks, join_columns, pack_each, unpack_each
from ledger.leaves.family import Family, Leaves, Value, WritableLeaves


class TradesLeaf(NamedTuple):
    """Columns int64[n], ascending by area number. buy, sell: the places of both orders among all fills of the slot.

    energy_wh: positive; price_micro_per_kwh: within the limits of both; seed: 32 bytes, of the whole slot; fee_micro_per_kwh: what the buyer pays
    beyond it, None under a contract without such fees.
    """

    area: Int64
    buy: Int64
    energy_wh: Int64
    price_micro_per_kwh: Int64
    sell: Int64
    seed: bytes
    fee_micro_per_kwh: Int64 | None = None

    @property
    def columns(self) -> dict[str, Int64]:
        """Those that it has, by name."""
        named = ((name, getattr(self, name)) for name in (*_COLUMNS, "fee_micro_per_kwh"))
        return {name: column for name, column in named if column is not None}

    def take(self, rows: Int64 | slice) -> TradesLeaf:
        """Some of the trades."""
        columns: dict[str, Any] = {name: column[rows] for name, column in self.columns.items()}
        return TradesLeaf(**columns, seed=self.seed)


_COLUMNS: Final = TradesLeaf._fields[:-2]


def _key(slot_start_s: int, zone: str, chunk: int) -> str:
    return f"trades/{slot_start_s}/{zone}/{chunk}"


def _decode(seed: bytes, **columns: bytes) -> TradesLeaf:
    unpacked: dict[str, Any] = unpack_each(columns)
    return TradesLeaf(**unpacked, seed=seed)


def _encode(record: TradesLeaf) -> Value:
    return {**pack_each(record.columns), "seed": record.seed}


TRADES: Final = Family("trades", _key, _decode, _encode, is_prunable=True)


def load_trades(leaves: Leaves, slot_start_s: int, zone: str, trades: int) -> TradesLeaf:
    """All trades of a cleared slot with this number of trades; without any there is no seed: b""."""
    parts = list(TRADES.must_each(leaves, ((slot_start_s, zone, chunk) for chunk, _, _ in chunks(trades))))
    names = parts[0].columns if parts else _COLUMNS
    columns: dict[str, Any] = {name: join_columns(getattr(part, name) for part in parts) for name in names}
    return TradesLeaf(**columns, seed=parts[-1].seed if parts else b"")


def save_trades(leaves: WritableLeaves, slot_start_s: int, zone: str, whole: TradesLeaf) -> None:
    """Write all trades of a slot, chunk by chunk."""
    for chunk, start, end in chunks(len(whole.area)):
        TRADES.save(leaves, whole.take(slice(start, end)), slot_start_s, zone, chunk)
