"""The orders of an aggregator's batch as columns; the bytes are those of gridcore.transactions.order_batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from gridcore import merkle
from gridcore.column import I64_MAX, I64_MIN
from gridcore.errors import EncodingError
from gridcore.registry.point import kinds_wanted
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from gridcore.transactions.market_order import CONDITIONS_MAX
from gridcore.transactions.order_batch import join_orders, split_orders
from ledger.leaves.book import BUY, Wants
from ledger.leaves.columns import Digests, Int64
from ledger.state.columns import decode_column, encode_column, encode_rows

_COLUMNS: Final = (
    ("party", 0, 1 << 32),
    ("counter", 0, 1 << 32),
    ("side", 0, 2),
    ("quantity_wh", I64_MIN, I64_MAX + 1),
    ("price_micro_per_kwh", I64_MIN, I64_MAX + 1),
)
"""Name, lowest value and end of each column."""
_WANTED: Final = (
    ("choice", 0, CONDITIONS_MAX),
    ("energy_kinds", 0, kinds_wanted(None) + 1),
    ("seller", 0, 1 << 32),
    ("bid_wh", 0, I64_MAX + 1),
)
"""The same of what conditions of bids want."""


@dataclass(frozen=True)
class WantedColumns:
    """What the rows of a batch ask for as conditions of bids, row by row, int64[n]; all 0 of a row that is none (``order_batch.Wanted``)."""

    choice: Int64
    energy_kinds: Int64
    seller: Int64
    bid_wh: Int64

    def take(self, rows: Int64) -> WantedColumns:
        """Some of the rows."""
        return WantedColumns(**{name: getattr(self, name)[rows] for name, _, _ in _WANTED})

    @property
    def packed(self) -> Int64:
        """As the book has it."""
        return np.asarray(Wants(self.choice, self.energy_kinds, self.seller).packed)


@dataclass(frozen=True)
class OrderColumns:
    """The orders of one batch, row by row, int64[n]; seed: of their salts; wanted: None where no row is a condition of a bid."""

    seed: bytes
    party: Int64
    counter: Int64
    side: Int64
    quantity_wh: Int64
    price_micro_per_kwh: Int64
    wanted: WantedColumns | None = None

    @cached_property
    def rows(self) -> PackedRows:
        """Each row's 25 bytes, 40 where rows say what they want, as a salted leaf covers them."""
        wide = (self.quantity_wh, self.price_micro_per_kwh)
        narrow = (("<u4", self.party), ("<u4", self.counter), ("u1", self.side))
        columns = [*narrow, *(("<i8", column) for column in wide)]
        if self.wanted is not None:
            own = self.wanted
            columns += [("u1", own.choice), ("<u2", own.energy_kinds), ("<u4", own.seller), ("<i8", own.bid_wh)]
        return encode_rows(columns)

    @cached_property
    def offer(self) -> Int64:
        """int64[n], ascending: which offer each row is of, from 0. The conditions of a bid are one, every other row is one by itself."""
        if self.wanted is None:
            return np.arange(len(self.party))
        return np.cumsum(self.wanted.choice == 0) - 1

    @property
    def rows_root(self) -> bytes:
        """Root over the salted rows."""
        return merkle.salted_root(self.seed, self.rows)

    def take(self, rows: Int64, seed: bytes) -> OrderColumns:
        """Some of the orders as a batch of their own. seed: 32 bytes."""
        wants = None if self.wanted is None else self.wanted.take(rows)
        if wants is not None and not wants.energy_kinds.any():
            wants = None
        columns = {name: getattr(self, name)[rows] for name, _, _ in _COLUMNS}
        return OrderColumns(seed=seed, **columns, wanted=wants)

    def encode(self) -> bytes:
        """The attachment."""
        own = [getattr(self, name) for name, _, _ in _COLUMNS]
        wants = [] if self.wanted is None else [getattr(self.wanted, name) for name, _, _ in _WANTED]
        return join_orders(self.seed, [encode_column(column) for column in (*own, *wants)])

    def check_bids(self) -> None:
        """EncodingError unless rows say what they want only where one is a condition, and the conditions of each bid stand together, in order."""
        if self.wanted is None:
            return
        own, is_bid = self.wanted, self.wanted.energy_kinds > 0
        says_nothing = (own.choice == 0) & (own.seller == 0) & (own.bid_wh == 0)
        goes_on = np.flatnonzero(own.choice > 0)
        before = goes_on - 1
        is_next = np.ones(len(goes_on), dtype=bool)
        for column, step in ((self.party, 0), (self.counter, 1), (own.choice, 1), (own.bid_wh, 0)):
            is_next &= column[before] + step == column[goes_on]
        largest_wh = np.zeros(len(self.offer), dtype=np.int64)
        np.maximum.at(largest_wh, self.offer, self.quantity_wh)
        is_right = (self.side == BUY) & (self.quantity_wh > 0) & (largest_wh[self.offer] == own.bid_wh)
        if not (
            is_bid.any() and own.choice[0] == 0 and is_next.all() and np.where(is_bid, is_right, says_nothing).all()
        ):
            raise EncodingError("a batch of orders has bids whose conditions do not stand together")

    @property
    def order_seeds(self) -> Digests:
        """uint8[n, 32]: of each order, secret like the salts, and other digests than those that paths to rows show."""
        hashes = merkle.salted_leaf_hashes(sm3(self.seed + b"orders"), self.rows)
        return np.frombuffer(bytes(hashes.data), dtype=np.uint8).reshape(-1, 32)


def decode_orders(attachment: bytes, count: int) -> OrderColumns:
    """The orders of a batch's attachment. EncodingError for anything but the canonical form."""
    encoded = split_orders(attachment)
    columns = {
        name: decode_column(name, data, count, low, end)
        for (name, low, end), data in zip((*_COLUMNS, *_WANTED), encoded.columns, strict=False)
    }
    wants = {name: columns.pop(name) for name, _, _ in _WANTED if name in columns}
    wanted = WantedColumns(**wants) if wants else None
    orders = OrderColumns(seed=encoded.seed, **columns, wanted=wanted)
    orders.check_bids()
    return orders
