"""market/cancel: a party withdraws orders of one slot before its gate (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import Form, integer, octets, text
from gridcore.transactions.content import check_fields, check_no_attachment
from gridcore.transactions.market_order import COUNTERS, NONCE_BYTES

_IDENTITY: Final[Mapping[str, Form]] = {
    "nonce": octets(NONCE_BYTES),
    "slot_start_s": integer(),
}
_BODY: Final[Mapping[str, Form]] = {"area": text(1, 64), "counters": COUNTERS}


@dataclass(frozen=True, kw_only=True)
class MarketCancel:
    """Orders that the party that signs withdraws, whoever placed them.

    area: in which they stand; counters: theirs, ascending; nonce: 16 random bytes, as of an order; slot_start_s: UTC seconds.
    """

    kind: ClassVar[str] = "market/cancel"

    area: str
    counters: Sequence[int]
    nonce: bytes
    slot_start_s: int

    def identity(self) -> Mapping[str, Any]:
        """See Content."""
        return {"nonce": self.nonce, "slot_start_s": self.slot_start_s}

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"area": self.area, "counters": list(self.counters)}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, _IDENTITY)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))
