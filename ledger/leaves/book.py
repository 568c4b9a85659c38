"""``book/<slot_start_s>/<zone>/<chunk>``: the orders of a slot as columns, in chunks of party numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger.leaves.columns import Digests, Int64, join_columns, pack_each, unpack_digests, unpack_each
from ledger.leaves.family import Family, Leaves, Value, WritableLeaves
from ledger.leaves.orders import ORDERS

BUY, SELL = 0, 1
SIDES: Final[Mapping[str, int]] = {"buy": BUY, "sell": SELL}


class BookLeaf(NamedTuple):
    """Orders of the parties of one chunk, in order of acceptance: columns int64[n]; ids, seeds: uint8[n, 32].

    area, party: numbers, in the zone and on the chain; held_micro_per_kwh: what is held of the party for each kWh;
    price_micro_per_kwh: the order's limit; side: ``BUY`` or ``SELL``; ids: of the transactions; seeds: random, bound to the
    order, known to members only.
    """

    area: Int64
    counter: Int64
    held_micro_per_kwh: Int64
    party: Int64
    price_micro_per_kwh: Int64
    quantity_wh: Int64
    side: Int64
    ids: Digests
    seeds: Digests

    def take(self, rows: Int64 | slice) -> BookLeaf:
        """Some of the orders."""
        columns: dict[str, Any] = {name: column[rows] for name, column in self._asdict().items()}
        return BookLeaf(**columns)


_COLUMNS: Final = BookLeaf._fields[:-2]


def _key(slot_start_s: int, zone: str, chunk: int) -> str:
    return f"book/{slot_start_s}/{zone}/{chunk}"


def _decode(ids: bytes, seeds: bytes, **columns: bytes) -> BookLeaf:
    unpacked: dict[str, Any] = unpack_each(columns)
    return BookLeaf(**unpacked, ids=unpack_digests(ids), seeds=unpack_digests(seeds))


def _encode(record: BookLeaf) -> Value:
    columns = pack_each({name: getattr(record, name) for name in _COLUMNS})
    return {**columns, "ids": record.ids.tobytes(), "seeds": record.seeds.tobytes()}


BOOK: Final = Family("book", _key, _decode, _encode, is_prunable=True)


def join_orders(parts: Sequence[BookLeaf]) -> BookLeaf:
    """The orders of several parts, one after the other."""
    columns: dict[str, Any] = {name: join_columns(getattr(part, name) for part in parts) for name in _COLUMNS}
    for name in ("ids", "seeds"):
        columns[name] = unpack_digests(b"".join(getattr(part, name).tobytes() for part in parts))
    return BookLeaf(**columns)


def load_orders(leaves: Leaves, slot_start_s: int, zone: str) -> BookLeaf:
    """All orders of a slot."""
    found = ORDERS.load(leaves, slot_start_s, zone)
    return join_orders([BOOK.must(leaves, slot_start_s, zone, chunk) for chunk in (found.chunks if found else ())])


def append_orders(leaves: WritableLeaves, slot_start_s: int, zone: str, chunk: int, orders: BookLeaf) -> None:
    """Put orders behind those that stand in a chunk, which are not decoded."""
    key, new = BOOK.key(slot_start_s, zone, chunk), BOOK.encode(orders)
    before = leaves.get(key)
    leaves.put(key, new if before is None else {name: before[name] + data for name, data in new.items()})
