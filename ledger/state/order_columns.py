"""The orders of an aggregator's batch as columns; the bytes are those of gridcore.transactions.order_batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from gridcore import merkle
from gridcore.column import I64_MAX, I64_MIN
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from gridcore.transactions.order_batch import split_orders
from ledger.leaves.columns import Digests, Int64
from ledger.state.columns import decode_column, encode_rows

_COLUMNS: Final = (
    ("party", 0, 1 << 32),
    ("counter", 0, 1 << 32),
    ("side", 0, 2),
    ("quantity_wh", I64_MIN, I64_MAX + 1),
    ("price_micro_per_kwh", I64_MIN, I64_MAX + 1),
)
"""Name, lowest value and end of each column."""


@dataclass(frozen=True)
class OrderColumns:
    """The orders of one batch, row by row, int64[n]; seed: of their salts."""

    seed: bytes
    party: Int64
    counter: Int64
    side: Int64
    quantity_wh: Int64
    price_micro_per_kwh: Int64

    @cached_property
    def rows(self) -> PackedRows:
        """Each row's 25 bytes, as a salted leaf covers them."""
        wide = (self.quantity_wh, self.price_micro_per_kwh)
        narrow = (("<u4", self.party), ("<u4", self.counter), ("u1", self.side))
        return encode_rows([*narrow, *(("<i8", column) for column in wide)])

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
        for (name, low, end), data in zip(_COLUMNS, encoded.columns, strict=True)
    }
    return OrderColumns(seed=encoded.seed, **columns)
