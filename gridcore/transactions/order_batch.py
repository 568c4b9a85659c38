"""market/order_batch: orders of many parties for one slot of one zone, placed by their aggregator (docs/spec/envelope.md).

The signed part names the salted tree over the rows; the rows travel beside it as columns, with the seed of their salts.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

from gridcore import cbor, merkle
from gridcore.column import encode_column
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.forms import DIGEST, NAME, Form, integer, octets
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields

ROWS_MAX: Final = 16_384
SEED_BYTES: Final = 32
COLUMNS: Final = ("party", "counter", "side", "quantity_wh", "price_micro_per_kwh")
ATTACHMENT_ITEMS_MAX: Final = 10
"""CBOR items of an attachment: a map of two keys, an array of five columns, a seed."""
_ROW: Final = struct.Struct("<IIBqq")
_BODY: Final[Mapping[str, Form]] = {
    "rows": integer(1, ROWS_MAX),
    "rows_root": DIGEST,
    "slot_start_s": integer(),
    "zone": NAME,
}
_ATTACHMENT: Final[Mapping[str, Form]] = {
    "columns": Form(
        f"an array of {len(COLUMNS)} byte strings",
        lambda value: (
            isinstance(value, list)
            and len(value) == len(COLUMNS)
            and all(isinstance(column, bytes) for column in value)
        ),
    ),
    "seed": octets(SEED_BYTES),
}


@dataclass(frozen=True, kw_only=True)
class OrderBatch(ClientNamed):
    """Orders of parties that have registered who signs as their aggregator.

    rows: how many, 1 to ROWS_MAX; rows_root: over the salted rows, 32 bytes; slot_start_s: UTC seconds; zone: name.
    """

    kind: ClassVar[str] = "market/order_batch"

    rows: int
    rows_root: bytes
    slot_start_s: int
    zone: str

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {
            "rows": self.rows,
            "rows_root": self.rows_root,
            "slot_start_s": self.slot_start_s,
            "zone": self.zone,
        }

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content. The attachment is not looked at."""
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))


class PlacedOrder(NamedTuple):
    """One order of a batch. party: its number on the chain; side: place in ``market_order.SIDES``."""

    party: int
    counter: int
    side: int
    quantity_wh: int
    price_micro_per_kwh: int


class AttachedOrders(NamedTuple):
    """Orders beside a batch. The batch says rows and rows_root; attachment travels."""

    rows: int
    rows_root: bytes
    attachment: bytes


class EncodedOrders(NamedTuple):
    """An attachment, its columns not decoded. seed: 32 bytes; columns: in the order of ``COLUMNS``."""

    seed: bytes
    columns: Sequence[bytes]


def attach_orders(seed: bytes, orders: Sequence[PlacedOrder]) -> AttachedOrders:
    """Salt (32 bytes ``seed``) and encode orders in their order. EncodingError for none, too many, or a value out of its width."""
    if not 1 <= len(orders) <= ROWS_MAX:
        raise EncodingError(f"a batch of orders has 1 to {ROWS_MAX} rows, not {len(orders)}")
    try:
        rows = [_ROW.pack(*order) for order in orders]
    except struct.error as error:
        raise EncodingError(f"an order of a batch: {error}") from None
    columns = [encode_column(column) for column in zip(*orders, strict=True)]
    attachment = cbor.encode({"columns": columns, "seed": seed})
    return AttachedOrders(len(orders), merkle.salted_root(seed, rows), attachment)


def split_orders(attachment: bytes) -> EncodedOrders:
    """Seed and encoded columns of a batch's attachment. EncodingError for any other form."""
    value = cbor.decode(attachment, items_max=ATTACHMENT_ITEMS_MAX)
    return EncodedOrders(**check_fields("attachment", value, _ATTACHMENT))
