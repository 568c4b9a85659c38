"""market/profile and market/profile_end: a party's standing rule, orders for many slots signed once (docs/spec/envelope.md)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.forms import INSTANT, Form, choice, integer, octets, text
from gridcore.transactions.content import check_fields, check_no_attachment
from gridcore.transactions.market_order import COUNTER_MAX, NONCE_BYTES, SIDES

SPAN_S_MAX: Final = 31 * 86_400
"""How far ahead of ledger time a profile may end."""
QUANTITIES_MAX: Final = 672
"""Of one part: a week of quarter hours."""
_QUANTITY: Final = struct.Struct("<I")
_IDENTITY: Final[Mapping[str, Form]] = {
    "counter": integer(),
    "nonce": octets(NONCE_BYTES),
    "slot_start_s": integer(),
}
_BODY: Final[Mapping[str, Form]] = {
    "area": text(1, 64),
    "end_s": INSTANT,
    "parts": Form(
        f"an array of 1 to {COUNTER_MAX} maps",
        lambda value: isinstance(value, list) and 1 <= len(value) <= COUNTER_MAX,
    ),
}
_PART: Final[Mapping[str, Form]] = {
    "price_micro_per_kwh": integer(),
    "quantities_wh": Form(
        f"1 to {QUANTITIES_MAX} quantities of 4 bytes",
        lambda value: (
            isinstance(value, bytes)
            and 1 <= len(value) // _QUANTITY.size <= QUANTITIES_MAX
            and len(value) % _QUANTITY.size == 0
        ),
    ),
    "side": choice(*SIDES),
}


class ProfilePart(NamedTuple):
    """side: "buy" or "sell"; price_micro_per_kwh: the limit in every slot; quantities_wh: of the first slot, the second ... and
    from the beginning again, 0 where there is no order.
    """

    side: str
    price_micro_per_kwh: int
    quantities_wh: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class MarketProfile:
    """Orders of the party that signs for each slot from slot_start_s to before end_s, UTC seconds.

    counter: of the first part's order in each slot, the next part has the next one; nonce: 16 random bytes, as of an order.
    """

    kind: ClassVar[str] = "market/profile"

    area: str
    counter: int
    end_s: int
    nonce: bytes
    parts: Sequence[ProfilePart]
    slot_start_s: int

    def identity(self) -> Mapping[str, Any]:
        """See Content."""
        return {"counter": self.counter, "nonce": self.nonce, "slot_start_s": self.slot_start_s}

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        parts = [
            {**part._asdict(), "quantities_wh": b"".join(map(_QUANTITY.pack, part.quantities_wh))}
            for part in self.parts
        ]
        return {"area": self.area, "end_s": self.end_s, "parts": parts}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, _IDENTITY)
        body = check_fields(cls.kind, transaction.body, _BODY)
        return cls(**identity, **{**body, "parts": [_part(cls.kind, part) for part in body["parts"]]})


@dataclass(frozen=True, kw_only=True)
class ProfileEnd:
    """A profile of the party that signs gives no more orders. counter, slot_start_s: the profile's."""

    kind: ClassVar[str] = "market/profile_end"

    area: str
    counter: int
    nonce: bytes
    slot_start_s: int

    def identity(self) -> Mapping[str, Any]:
        """See Content."""
        return {"counter": self.counter, "nonce": self.nonce, "slot_start_s": self.slot_start_s}

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"area": self.area}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, _IDENTITY)
        return cls(**identity, **check_fields(cls.kind, transaction.body, {"area": _BODY["area"]}))


def _part(kind: str, value: Any) -> ProfilePart:
    part = check_fields(f"{kind}: a part", value, _PART)
    quantities_wh = [quantity for (quantity,) in _QUANTITY.iter_unpack(part["quantities_wh"])]
    if not any(quantities_wh):
        raise EncodingError(f"{kind}: a part: quantities_wh are not all 0")
    return ProfilePart(part["side"], part["price_micro_per_kwh"], quantities_wh)
