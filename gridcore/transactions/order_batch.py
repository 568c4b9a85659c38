"""market/order_batch: orders of many parties for one slot of one zone, placed by their aggregator (docs/spec/envelope.md).

The signed part names the salted tree over the rows; the rows travel beside it as columns, with the seed of their salts. Where a row is
a condition of a bid, all rows of the batch say what they want.
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
from gridcore.registry.point import kinds_wanted
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields

ROWS_MAX: Final = 16_384
SEED_BYTES: Final = 32
COLUMNS: Final = ("party", "counter", "side", "quantity_wh", "price_micro_per_kwh")
WANTED_COLUMNS: Final = ("choice", "energy_kinds", "seller", "bid_wh")
"""Behind the others where a row of the batch is a condition of a bid."""
ATTACHMENT_ITEMS_MAX: Final = 14
"""CBOR items of an attachment: a map of two keys, an array of nine columns, a seed."""
_ROW: Final = struct.Struct("<IIBqq")
_WANTED: Final = struct.Struct("<BHIq")
_BODY: Final[Mapping[str, Form]] = {
    "rows": integer(1, ROWS_MAX),
    "rows_root": DIGEST,
    "slot_start_s": integer(),
    "zone": NAME,
}
_ATTACHMENT: Final[Mapping[str, Form]] = {
    "columns": Form(
        f"an array of {len(COLUMNS)} byte strings, or of {len(COLUMNS) + len(WANTED_COLUMNS)}",
        lambda value: (
            isinstance(value, list)
            and len(value) in (len(COLUMNS), len(COLUMNS) + len(WANTED_COLUMNS))
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


class Wanted(NamedTuple):
    """What a row asks for as one condition of a bid. choice: its place among the conditions, from 0; energy_kinds: a bit each
    (``gridcore.registry.point.kinds_wanted``); seller: the number of the party that it buys from, and 1 more, 0 for any; bid_wh: the largest
    energy of the bid's conditions. All 0 of an order without conditions.
    """

    choice: int = 0
    energy_kinds: int = 0
    seller: int = 0
    bid_wh: int = 0


NOTHING: Final = Wanted()
"""What an order without conditions wants: whatever is offered."""


class PlacedOrder(NamedTuple):
    """One order of a batch. party: its number on the chain; side: place in ``market_order.SIDES``; wanted: of a condition of a bid."""

    party: int
    counter: int
    side: int
    quantity_wh: int
    price_micro_per_kwh: int
    wanted: Wanted = NOTHING


class PlacedCondition(NamedTuple):
    """So much at most, up to this limit. seller: a party's number on the chain; energy_kind: as in ``market_order.Condition``; None: any."""

    energy_wh: int
    price_micro_per_kwh: int
    seller: int | None = None
    energy_kind: str | None = None


def placed_bid(party: int, counter: int, conditions: Sequence[PlacedCondition]) -> list[PlacedOrder]:
    """The rows of a bid with conditions, in the order of its liking, under counters from ``counter`` on."""
    bid_wh = max(one.energy_wh for one in conditions)
    return [
        PlacedOrder(
            party=party,
            counter=counter + choice,
            side=0,
            quantity_wh=one.energy_wh,
            price_micro_per_kwh=one.price_micro_per_kwh,
            wanted=Wanted(choice, kinds_wanted(one.energy_kind), 0 if one.seller is None else one.seller + 1, bid_wh),
        )
        for choice, one in enumerate(conditions)
    ]


class AttachedOrders(NamedTuple):
    """Orders beside a batch. The batch says rows and rows_root; attachment travels."""

    rows: int
    rows_root: bytes
    attachment: bytes


class EncodedOrders(NamedTuple):
    """An attachment, its columns not decoded. seed: 32 bytes; columns: in the order of ``COLUMNS``, then maybe ``WANTED_COLUMNS``."""

    seed: bytes
    columns: Sequence[bytes]


def attach_orders(seed: bytes, orders: Sequence[PlacedOrder]) -> AttachedOrders:
    """Salt (32 bytes ``seed``) and encode orders in their order. EncodingError for none, too many, or a value out of its width."""
    if not 1 <= len(orders) <= ROWS_MAX:
        raise EncodingError(f"a batch of orders has 1 to {ROWS_MAX} rows, not {len(orders)}")
    has_wants = any(order.wanted != NOTHING for order in orders)
    numbers = [(*order[:-1], *order.wanted) if has_wants else order[:-1] for order in orders]
    try:
        rows = [_ROW.pack(*order[:-1]) + (_WANTED.pack(*order.wanted) if has_wants else b"") for order in orders]
    except struct.error as error:
        raise EncodingError(f"an order of a batch: {error}") from None
    columns = [encode_column(column) for column in zip(*numbers, strict=True)]
    return AttachedOrders(len(orders), merkle.salted_root(seed, rows), join_orders(seed, columns))


def join_orders(seed: bytes, columns: Sequence[bytes]) -> bytes:
    """The attachment of encoded columns. seed: 32 bytes; columns: as of ``EncodedOrders``."""
    return cbor.encode({"columns": list(columns), "seed": seed})


def split_orders(attachment: bytes) -> EncodedOrders:
    """Seed and encoded columns of a batch's attachment. EncodingError for any other form."""
    value = cbor.decode(attachment, items_max=ATTACHMENT_ITEMS_MAX)
    return EncodedOrders(**check_fields("attachment", value, _ATTACHMENT))
