"""``book/<slot_start_s>/<zone>/<chunk>``: the orders of a slot as columns, in chunks of party numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from gridcore.sm3 import DIGEST_BYTES
from ledger.leaves.columns import Digests, Int64, join_columns, pack_each, unpack_digests, unpack_each
from ledger.leaves.family import Family, Leaves, Value, WritableLeaves
from ledger.leaves.orders import ORDERS

BUY, SELL = 0, 1
SIDES: Final[Mapping[str, int]] = {"buy": BUY, "sell": SELL}


class Wants(NamedTuple):
    """What a condition of a bid asks for, numbers or columns: its place among the conditions, from 0; kinds of energy, a bit each; the number of
    the party that it buys from, and 1 more, 0 for any.
    """

    choice: int | Int64
    energy_kinds: int | Int64
    seller: int | Int64

    @property
    def packed(self) -> int | Int64:
        """As one number, 0 only where it asks for nothing: 4 bits, 16, and the rest."""
        return self.choice + (self.energy_kinds << 4) + (self.seller << 20)

    @classmethod
    def unpacked(cls, wants: Int64) -> Wants:
        """The inverse, of a column."""
        return cls(wants & 15, wants >> 4 & 0xFFFF, wants >> 20)


class BookLeaf(NamedTuple):
    """Orders of the parties of one chunk, in order of acceptance: columns int64[n]; ids, seeds: uint8[n, 32].

    area, party: numbers, in the zone and on the chain; held_micro_per_kwh: what is held of the party for each kWh;
    all_or_none: 1 where it is filled as a whole or not at all; price_micro_per_kwh: the order's limit; recorded_height: of the block
    that took it; side: ``BUY`` or ``SELL``; wants: of a condition of a bid what it asks for, packed (``Wants``), 0 for
    an order that asks for nothing; withdrawn_height: of the block that withdrew it, 0 while it stands; ids: of the
    transactions; seeds: random, bound to the order, known to members only.
    """

    all_or_none: Int64
    area: Int64
    counter: Int64
    held_micro_per_kwh: Int64
    party: Int64
    price_micro_per_kwh: Int64
    quantity_wh: Int64
    recorded_height: Int64
    side: Int64
    wants: Int64
    withdrawn_height: Int64
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
    """All orders of a slot that stand."""
    book = load_all_orders(leaves, slot_start_s, zone)
    return book.take(np.flatnonzero(book.withdrawn_height == 0))


def load_all_orders(leaves: Leaves, slot_start_s: int, zone: str) -> BookLeaf:
    """All orders of a slot, withdrawn ones among them."""
    found = ORDERS.load(leaves, slot_start_s, zone)
    return join_orders(
        list(BOOK.must_each(leaves, ((slot_start_s, zone, chunk) for chunk in (found.chunks if found else ()))))
    )


def has_orders_of(leaves: Leaves, slot_start_s: int, zone: str, chunk: int, transaction_id: bytes) -> bool:
    """Whether a transaction has given an order that a chunk holds, which is not decoded: a block may ask for each of its transactions."""
    value = leaves.get(BOOK.key(slot_start_s, zone, chunk))
    ids: bytes = b"" if value is None else value["ids"]
    at = ids.find(transaction_id)
    while at % DIGEST_BYTES and at >= 0:
        at = ids.find(transaction_id, at + 1)
    return at >= 0


def append_orders(leaves: WritableLeaves, slot_start_s: int, zone: str, chunk: int, orders: BookLeaf) -> None:
    """Put orders behind those that stand in a chunk, which are not decoded."""
    key, new = BOOK.key(slot_start_s, zone, chunk), BOOK.encode(orders)
    before = leaves.get(key)
    leaves.put(key, new if before is None else {name: before[name] + data for name, data in new.items()})
