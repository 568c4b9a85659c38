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
from gridcore.transactions.market_order import ASKED, ASKED_OPTIONAL, CONDITIONS_MAX, COUNTER_MAX, NONCE_BYTES, SIDES

BUY: Final = SIDES[0]
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
_QUANTITIES: Final = Form(
    f"1 to {QUANTITIES_MAX} quantities of 4 bytes",
    lambda value: (
        isinstance(value, bytes)
        and 1 <= len(value) // _QUANTITY.size <= QUANTITIES_MAX
        and len(value) % _QUANTITY.size == 0
    ),
)
_PART: Final[Mapping[str, Form]] = {
    "price_micro_per_kwh": integer(),
    "quantities_wh": _QUANTITIES,
    "side": choice(*SIDES),
}
_BID: Final[Mapping[str, Form]] = {
    "conditions": Form(
        f"1 to {CONDITIONS_MAX} conditions", lambda value: isinstance(value, list) and 1 <= len(value) <= CONDITIONS_MAX
    ),
    "side": choice(BUY),
}
_CONDITION: Final[Mapping[str, Form]] = {**ASKED, "price_micro_per_kwh": integer(), "quantities_wh": _QUANTITIES}


class ProfilePart(NamedTuple):
    """side: "buy" or "sell"; price_micro_per_kwh: the limit in every slot; quantities_wh: of the first slot, the second ... and
    from the beginning again, 0 where there is no order.
    """

    side: str
    price_micro_per_kwh: int
    quantities_wh: Sequence[int]

    @property
    def value(self) -> Mapping[str, Any]:
        """As the body has it."""
        return {**self._asdict(), "quantities_wh": _packed(self.quantities_wh)}

    def orders(self) -> list[ProfileOrder]:
        """The one that it gives."""
        return [ProfileOrder(*self)]


class ProfileCondition(NamedTuple):
    """One of the conditions of a part that prefers something: its limit and quantities as of a ``ProfilePart``, one seller (a party) and kind of
    energy; None: of any.
    """

    price_micro_per_kwh: int
    quantities_wh: Sequence[int]
    seller: str | None = None
    energy_kind: str | None = None

    @property
    def value(self) -> Mapping[str, Any]:
        """As the body has it."""
        said = {name: value for name, value in self._asdict().items() if value is not None}
        return {**said, "quantities_wh": _packed(self.quantities_wh)}


class ProfileBid(NamedTuple):
    """A part that buys by conditions, in the order of its liking, joined by OR: what it buys in a slot is at most the largest of their quantities
    there.
    """

    conditions: Sequence[ProfileCondition]

    @property
    def value(self) -> Mapping[str, Any]:
        """As the body has it."""
        return {"conditions": [wanted.value for wanted in self.conditions], "side": BUY}

    def orders(self) -> list[ProfileOrder]:
        """One a condition."""
        return [
            ProfileOrder(BUY, wanted.price_micro_per_kwh, wanted.quantities_wh, choice, wanted)
            for choice, wanted in enumerate(self.conditions)
        ]


class ProfileOrder(NamedTuple):
    """What a profile orders under one counter. choice: the place of its condition, 0 of an order that is none; condition: None there."""

    side: str
    price_micro_per_kwh: int
    quantities_wh: Sequence[int]
    choice: int = 0
    condition: ProfileCondition | None = None


@dataclass(frozen=True, kw_only=True)
class MarketProfile:
    """Orders of the party that signs for each slot from slot_start_s to before end_s, UTC seconds.

    counter: of the first part's order in each slot, the next part has the next one, and of a part with conditions each of them has one; nonce:
    16 random bytes, as of an order.
    """

    kind: ClassVar[str] = "market/profile"

    area: str
    counter: int
    end_s: int
    nonce: bytes
    parts: Sequence[ProfilePart | ProfileBid]
    slot_start_s: int

    @property
    def has_conditions(self) -> bool:
        """Whether a part of it prefers something."""
        return any(isinstance(part, ProfileBid) for part in self.parts)

    def orders(self) -> list[ProfileOrder]:
        """What it orders in each slot, under counters from its own on."""
        return [order for part in self.parts for order in part.orders()]

    def identity(self) -> Mapping[str, Any]:
        """See Content."""
        return {"counter": self.counter, "nonce": self.nonce, "slot_start_s": self.slot_start_s}

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"area": self.area, "end_s": self.end_s, "parts": [part.value for part in self.parts]}

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


def _part(kind: str, value: Any) -> ProfilePart | ProfileBid:
    where = f"{kind}: a part"
    if isinstance(value, dict) and "conditions" in value:
        conditions = check_fields(where, value, _BID)["conditions"]
        return ProfileBid([_condition(where, wanted) for wanted in conditions])
    part = check_fields(where, value, _PART)
    return ProfilePart(part["side"], part["price_micro_per_kwh"], _unpacked(where, part["quantities_wh"]))


def _condition(where: str, value: Any) -> ProfileCondition:
    wanted = check_fields(f"{where}: condition", value, _CONDITION, ASKED_OPTIONAL)
    return ProfileCondition(**{**wanted, "quantities_wh": _unpacked(where, wanted["quantities_wh"])})


def _packed(quantities_wh: Sequence[int]) -> bytes:
    return b"".join(map(_QUANTITY.pack, quantities_wh))


def _unpacked(where: str, data: bytes) -> list[int]:
    quantities_wh = [quantity for (quantity,) in _QUANTITY.iter_unpack(data)]
    if not any(quantities_wh):
        raise EncodingError(f"{where}: quantities_wh are not all 0")
    return quantities_wh
