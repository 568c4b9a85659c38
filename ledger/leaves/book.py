"""``book/<slot_start_s>/<zone>/<chunk>``: the orders of a slot in order of acceptance, as columns, in chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ledger.leaves.columns import Digests, Int64, join_columns, pack_each, split_row, unpack_digests, unpack_each
from ledger.leaves.family import Family, Leaves, Value, WritableLeaves

BUY, SELL = 0, 1
SIDES: Final[Mapping[str, int]] = {"buy": BUY, "sell": SELL}


class Order(NamedTuple):
    """One order as its party gave it.

    area, party: numbers, in the zone and on the chain; price_micro_per_kwh: its limit; side: ``BUY`` or ``SELL``.
    """

    area: int
    counter: int
    party: int
    price_micro_per_kwh: int
    quantity_wh: int
    side: int


class BookLeaf(NamedTuple):
    """Orders in order of acceptance: columns int64[n] as in ``Order``; ids, seeds: uint8[n, 32].

    ids: of the transactions; seeds: SM3 of each one's signature: random, bound to the order, known to members only.
    """

    area: Int64
    counter: Int64
    party: Int64
    price_micro_per_kwh: Int64
    quantity_wh: Int64
    side: Int64
    ids: Digests
    seeds: Digests

    def take(self, rows: Int64) -> BookLeaf:
        """Some of the orders."""
        columns: dict[str, Any] = {name: column[rows] for name, column in self._asdict().items()}
        return BookLeaf(**columns)


def _key(slot_start_s: int, zone: str, chunk: int) -> str:
    return f"book/{slot_start_s}/{zone}/{chunk}"


def _decode(ids: bytes, seeds: bytes, **columns: bytes) -> BookLeaf:
    unpacked: dict[str, Any] = unpack_each(columns)
    return BookLeaf(**unpacked, ids=unpack_digests(ids), seeds=unpack_digests(seeds))


def _encode(record: BookLeaf) -> Value:
    columns = pack_each({name: getattr(record, name) for name in Order._fields})
    return {**columns, "ids": record.ids.tobytes(), "seeds": record.seeds.tobytes()}


BOOK: Final = Family("book", _key, _decode, _encode, is_prunable=True)


def load_orders(leaves: Leaves, slot_start_s: int, zone: str) -> BookLeaf:
    """All orders of a slot."""
    parts: list[BookLeaf] = []
    while (chunk := BOOK.load(leaves, slot_start_s, zone, len(parts))) is not None:
        parts.append(chunk)
    columns: dict[str, Any] = {name: join_columns(getattr(part, name) for part in parts) for name in Order._fields}
    for name in ("ids", "seeds"):
        columns[name] = unpack_digests(b"".join(getattr(part, name).tobytes() for part in parts))
    return BookLeaf(**columns)


def append_order(
    leaves: WritableLeaves, slot_start_s: int, zone: str, place: int, order: Order, transaction_id: bytes, seed: bytes
) -> None:
    """Put the order number ``place`` (from 0) of a slot behind the others; those are not decoded."""
    key = BOOK.key(slot_start_s, zone, split_row(place)[0])
    before = leaves.get(key) or dict.fromkeys(BookLeaf._fields, b"")
    new = {name: value.to_bytes(8, "little", signed=True) for name, value in order._asdict().items()}
    new |= {"ids": transaction_id, "seeds": seed}
    leaves.put(key, {name: before[name] + data for name, data in new.items()})
