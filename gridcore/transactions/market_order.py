"""market/order: a party offers to buy or sell energy of one slot (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.forms import NAME, Form, choice, integer, octets, text
from gridcore.registry.point import ENERGY_KINDS, RENEWABLE
from gridcore.transactions.content import check_fields, check_no_attachment

SIDES: Final = ("buy", "sell")
NONCE_BYTES: Final = 16
ALL_OR_NONE: Final = "all_or_none"
"""The one condition that an order may have."""
CONDITIONS_MAX: Final = 4
"""Of a bid, joined by OR."""
COUNTER_MAX: Final = 16
"""Of a party's orders in one slot, those that were withdrawn among them."""
COUNTERS: Final = Form(
    f"1 to {COUNTER_MAX} whole numbers from 1 to {COUNTER_MAX}, ascending",
    lambda value: (
        isinstance(value, list)
        and 1 <= len(value) <= COUNTER_MAX
        and all(type(counter) is int and 1 <= counter <= COUNTER_MAX for counter in value)
        and value == sorted(set(value))
    ),
)
"""Some orders of a party in one slot."""
QUANTITY_WH_MAX: Final = 10**8
LIMIT_MICRO_PER_KWH_MAX: Final = 10**9
ASKED: Final[Mapping[str, Form]] = {"energy_kind": choice(*ENERGY_KINDS, RENEWABLE), "seller": NAME}
"""What a condition may ask for, whether of an order or of a profile; all of it optional."""
ASKED_OPTIONAL: Final = frozenset(ASKED)
_CONDITION: Final[Mapping[str, Form]] = {**ASKED, "energy_wh": integer(), "price_micro_per_kwh": integer()}
_IDENTITY: Final[Mapping[str, Form]] = {
    "counter": integer(),
    "nonce": octets(NONCE_BYTES),
    "slot_start_s": integer(),
}
_BODY: Final[Mapping[str, Form]] = {
    "area": text(1, 64),
    "condition": choice(ALL_OR_NONE),
    "conditions": Form(
        f"1 to {CONDITIONS_MAX} conditions", lambda value: isinstance(value, list) and 1 <= len(value) <= CONDITIONS_MAX
    ),
    "last_price_micro_per_kwh": integer(),
    "price_micro_per_kwh": integer(),
    "quantity_wh": integer(),
    "replaces": COUNTERS,
    "side": choice(*SIDES),
    "steps": integer(2, COUNTER_MAX),
}
_OPTIONAL: Final = frozenset({"condition", "conditions", "last_price_micro_per_kwh", "replaces", "steps"})


class Condition(NamedTuple):
    """One of the conditions of a bid: so much at most, up to this limit, of one seller (a party) and kind of energy; None: of any."""

    energy_wh: int
    price_micro_per_kwh: int
    seller: str | None = None
    energy_kind: str | None = None

    @property
    def value(self) -> Mapping[str, Any]:
        """As the body has it."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class LimitOrder(NamedTuple):
    """One order as books have it; condition: of a bid that has several, None of any other order."""

    counter: int
    quantity_wh: int
    price_micro_per_kwh: int
    condition: Condition | None = None


def ramp(quantity_wh: int, first: int, last: int, steps: int) -> list[tuple[int, int]]:
    """The parts of a price ramp, Wh and limit each. first, last: limits, micro per kWh; steps: 2 to COUNTER_MAX."""
    return [
        (
            quantity_wh * (step + 1) // steps - quantity_wh * step // steps,
            first + (last - first) * step // (steps - 1),
        )
        for step in range(steps)
    ]


@dataclass(frozen=True, kw_only=True)
class MarketOrder:
    """An order of the party that signs.

    counter: tells the party's orders of one slot apart, from 1; nonce: 16 random bytes, so that nobody who guesses what an
    order says finds its transaction id; price_micro_per_kwh: its limit; replaces: counters of the party's orders in the slot
    that are withdrawn as this one is taken, ascending; side: "buy" or "sell"; slot_start_s: UTC seconds. A price ramp: its quantity
    in ``steps`` equal parts, 2 to COUNTER_MAX, with limits evenly from its price to last_price_micro_per_kwh; else 1 and None. all_or_none: it is
    filled as a whole or not at all; no ramp is. conditions: of a bid, in the order of its liking, joined by OR: its quantity is the largest of
    theirs, its price the highest.
    """

    kind: ClassVar[str] = "market/order"

    area: str
    counter: int
    nonce: bytes
    price_micro_per_kwh: int
    quantity_wh: int
    side: str
    slot_start_s: int
    replaces: Sequence[int] = ()
    last_price_micro_per_kwh: int | None = None
    steps: int = 1
    all_or_none: bool = False
    conditions: Sequence[Condition] = ()

    def limit_orders(self) -> list[LimitOrder]:
        """What stands in the book, under counters from its own on: one order, or one a step or a condition."""
        if self.conditions:
            return [
                LimitOrder(self.counter + place, wanted.energy_wh, wanted.price_micro_per_kwh, wanted)
                for place, wanted in enumerate(self.conditions)
            ]
        steps, first, last = self.steps, self.price_micro_per_kwh, self.last_price_micro_per_kwh
        if last is None:
            return [LimitOrder(self.counter, self.quantity_wh, first)]
        parts = ramp(self.quantity_wh, first, last, steps)
        return [LimitOrder(self.counter + step, *part) for step, part in enumerate(parts)]

    def identity(self) -> Mapping[str, Any]:
        """See Content."""
        return {"counter": self.counter, "nonce": self.nonce, "slot_start_s": self.slot_start_s}

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        body: dict[str, Any] = {
            "area": self.area,
            "price_micro_per_kwh": self.price_micro_per_kwh,
            "quantity_wh": self.quantity_wh,
            "side": self.side,
        }
        if self.replaces:
            body["replaces"] = list(self.replaces)
        if self.last_price_micro_per_kwh is not None:
            body |= {"last_price_micro_per_kwh": self.last_price_micro_per_kwh, "steps": self.steps}
        if self.all_or_none:
            body["condition"] = ALL_OR_NONE
        if self.conditions:
            body["conditions"] = [wanted.value for wanted in self.conditions]
        return body

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, _IDENTITY)
        body = check_fields(cls.kind, transaction.body, _BODY, _OPTIONAL)
        if ("steps" in body) != ("last_price_micro_per_kwh" in body):
            raise EncodingError(f"{cls.kind}: a ramp has steps and last_price_micro_per_kwh")
        if "steps" in body and "condition" in body:
            raise EncodingError(f"{cls.kind}: a ramp has no condition")
        said = {name: value for name, value in body.items() if not name.startswith("condition")}
        conditions = _conditions(cls.kind, body)
        return cls(**identity, **said, all_or_none="condition" in body, conditions=conditions)


def _conditions(kind: str, body: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Those of a body; EncodingError where it is no bid, or does not say of itself what follows from them."""
    if "conditions" not in body:
        return ()
    wanted = tuple(
        Condition(**check_fields(f"{kind}: condition", one, _CONDITION, ASKED_OPTIONAL)) for one in body["conditions"]
    )
    if body["side"] != "buy" or "steps" in body or "condition" in body:
        raise EncodingError(f"{kind}: an order with conditions buys, and is neither a ramp nor all or none")
    stated = body["quantity_wh"], body["price_micro_per_kwh"]
    if stated != (max(one.energy_wh for one in wanted), max(one.price_micro_per_kwh for one in wanted)):
        raise EncodingError(
            f"{kind}: quantity and price are the largest energy and the highest limit of the conditions"
        )
    return wanted
