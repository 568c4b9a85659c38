"""market/order: a party offers to buy or sell energy of one slot (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import Form, choice, integer, octets, text
from gridcore.transactions.content import check_fields, check_no_attachment

SIDES: Final = ("buy", "sell")
NONCE_BYTES: Final = 16
_IDENTITY: Final[Mapping[str, Form]] = {
    "counter": integer(),
    "nonce": octets(NONCE_BYTES),
    "slot_start_s": integer(),
}
_BODY: Final[Mapping[str, Form]] = {
    "area": text(1, 64),
    "price_micro_per_kwh": integer(),
    "quantity_wh": integer(),
    "side": choice(*SIDES),
}


@dataclass(frozen=True, kw_only=True)
class MarketOrder:
    """An order of the party that signs.

    counter: tells the party's orders of one slot apart, from 1; nonce: 16 random bytes, so that nobody who guesses what an
    order says finds its transaction id; price_micro_per_kwh: its limit; side: "buy" or "sell"; slot_start_s: UTC seconds.
    """

    kind: ClassVar[str] = "market/order"

    area: str
    counter: int
    nonce: bytes
    price_micro_per_kwh: int
    quantity_wh: int
    side: str
    slot_start_s: int

    def identity(self) -> Mapping[str, Any]:
        """See Content."""
        return {"counter": self.counter, "nonce": self.nonce, "slot_start_s": self.slot_start_s}

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {
            "area": self.area,
            "price_micro_per_kwh": self.price_micro_per_kwh,
            "quantity_wh": self.quantity_wh,
            "side": self.side,
        }

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, _IDENTITY)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))
