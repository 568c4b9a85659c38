"""What a filled order rests on: one order, a ramp, a profile, or a row of an aggregator's batch (docs/spec/envelope.md)."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from tests.second_verifier.encoding import (
    Item,
    MalformedError,
    as_array,
    as_bytes,
    as_digest,
    as_int,
    as_map,
    as_name,
    as_text,
    as_time,
    as_word,
)
from tests.second_verifier.proofs import TRANSACTION_KEYS, RowProof, Transaction, as_row_proof, as_transaction

ENERGY_KINDS = "biomass coal gas geothermal hydro nuclear oil solar waste wind".split()
ANY_KIND = 2**11 - 1  # bit 0: of no kind that is known; then one for each of these
_RENEWABLE = "biomass geothermal hydro solar wind".split()


class Limit(NamedTuple):
    """What an order says; side: 0 buys, 1 sells."""

    side: int
    quantity_wh: int
    price_micro_per_kwh: int
    all_or_none: bool = False
    choice: int = 0  # the place of the condition of a bid
    kinds: int = ANY_KIND  # that it takes, a bit each
    seller: str | int = ""  # that it wants: a name, or in a batch a number and 1 more
    most_wh: int = 0  # that its bid buys in all; of an order that is no condition: 0


@dataclass(frozen=True)
class Part:
    """One part of a profile, or one condition of a part. limit: without a quantity; of_bid: the quantities of all conditions of a part that has some."""

    limit: Limit
    quantities_wh: list[int]
    of_bid: list[list[int]]

    def given(self, slot: int) -> Limit:
        """What it orders in the slot of a number."""
        here = [own[slot % len(own)] for own in (self.quantities_wh, *self.of_bid)]
        return self.limit._replace(quantity_wh=here[0], most_wh=max(here[1:], default=0))


@dataclass(frozen=True)
class Profile:
    counter: int
    first_s: int
    end_s: int
    parts: list[Part]


@dataclass(frozen=True)
class PlacedOrder:
    """What an order of an aggregator's batch has beside the others."""

    party: int
    zone: str
    rows_root: bytes
    row: RowProof
    mandate: Item  # an opened entry, read where the registry is known


@dataclass(frozen=True)
class Order:
    """A transaction that gives orders, and the fill of one of them."""

    transaction: Transaction
    area: str
    slot_start_s: int
    limits: dict[int, Limit]  # by counter; none of a profile
    fill: RowProof
    placed: PlacedOrder | None = None
    profile: Profile | None = None
    trades: tuple[RowProof, ...] = ()

    def given(self, slot_start_s: int, slot_s: int) -> dict[int, Limit]:
        """Its orders in a slot, by counter."""
        if self.profile is None:
            return self.limits if self.slot_start_s == slot_start_s else {}
        profile = self.profile
        slots = range(profile.first_s, profile.end_s, slot_s)
        if slot_start_s not in slots:
            return {}
        number = slots.index(slot_start_s)
        return {profile.counter + place: part.given(number) for place, part in enumerate(profile.parts)}

    @property
    def prefers_for_days(self) -> bool:
        """Whether it is a profile of which a part has conditions."""
        return self.profile is not None and any(part.of_bid for part in self.profile.parts)


def as_orders(item: Item) -> tuple[Order, ...]:
    """All of them; trades are shown of each or of none, and not more than 256."""
    orders = tuple(_as_order(order) for order in as_array(item, 0, 16))
    shown = [len(order.trades) for order in orders]
    if any(shown) and not all(shown):
        raise MalformedError("the trades of some orders")
    if sum(shown) > 256:
        raise MalformedError("more trades than a bundle shows")
    return orders


def _as_order(item: Item) -> Order:
    fields = as_map(item, TRANSACTION_KEYS + "fill", "mandate order trades")
    order = _as_order_of({key: value for key, value in fields.items() if key != "trades"})
    if "trades" not in fields:
        return order
    return replace(order, trades=tuple(as_row_proof(one, 32, 40) for one in as_array(fields["trades"], 1, 256)))


def _as_order_of(fields: dict[str, Item]) -> Order:
    if ("order" in fields) != ("mandate" in fields):
        raise MalformedError("a row of a batch without its mandate, or a mandate without a row")
    if "order" in fields:
        return _as_placed(fields)
    transaction = as_transaction(fields, "market/order", "market/profile")
    identity = as_map(transaction.identity, "counter nonce slot_start_s")
    as_bytes(identity["nonce"], 16)
    counter, slot_start_s = as_int(identity["counter"]), as_int(identity["slot_start_s"])
    fill = as_row_proof(fields["fill"], 33, 37, 41, 53, 57)
    if transaction.kind == "market/profile":
        body = as_map(transaction.body, "area end_s parts")
        parts = [own for part in as_array(body["parts"], 1, 16) for own in _as_parts(part)]
        profile = Profile(counter, slot_start_s, as_time(body["end_s"]), parts)
        return Order(transaction, as_text(body["area"]), slot_start_s, {}, fill, profile=profile)
    body = as_map(
        transaction.body,
        "area price_micro_per_kwh quantity_wh side",
        "condition conditions last_price_micro_per_kwh replaces steps",
    )
    if "replaces" in body:
        replaced = [as_int(one, 1, 16) for one in as_array(body["replaces"], 1, 16)]
        if sorted(set(replaced)) != replaced:
            raise MalformedError("counters that do not ascend")
    return Order(transaction, as_text(body["area"]), slot_start_s, _as_limits(counter, body), fill)


def _as_limits(counter: int, body: dict[str, Item]) -> dict[int, Limit]:
    """The one order of a body, or those of its ramp."""
    side, whole_wh = _as_side(body["side"]), as_int(body["quantity_wh"])
    first = as_int(body["price_micro_per_kwh"])
    if ("steps" in body) != ("last_price_micro_per_kwh" in body):
        raise MalformedError("half a ramp")
    is_whole = "condition" in body
    if is_whole and (as_word(body["condition"], "all_or_none") and "steps" in body):
        raise MalformedError("a ramp with a condition")
    if "conditions" in body:
        if side or is_whole or "steps" in body:
            raise MalformedError("conditions of an order that sells, is a ramp or all or none")
        limits = [_as_condition(place, one) for place, one in enumerate(as_array(body["conditions"], 1, 4))]
        if (whole_wh, first) != (
            max(one.quantity_wh for one in limits),
            max(one.price_micro_per_kwh for one in limits),
        ):
            raise MalformedError("an order that is not as its conditions say")
        return {counter + place: one._replace(most_wh=whole_wh) for place, one in enumerate(limits)}
    if "steps" not in body:
        return {counter: Limit(side, whole_wh, first, is_whole)}
    steps, last = as_int(body["steps"], 2, 16), as_int(body["last_price_micro_per_kwh"])
    upto = [whole_wh * step // steps for step in range(steps + 1)]
    return {
        counter + step: Limit(side, upto[step + 1] - upto[step], first + (last - first) * step // (steps - 1))
        for step in range(steps)
    }


def _as_condition(place: int, item: Item) -> Limit:
    fields = as_map(item, "energy_wh price_micro_per_kwh", "energy_kind seller")
    return _as_asked(place, fields)._replace(quantity_wh=as_int(fields["energy_wh"]))


def _as_asked(place: int, fields: dict[str, Item]) -> Limit:
    """What a condition says but for its energy."""
    kinds, seller = ANY_KIND, ""
    if "energy_kind" in fields:
        word = as_word(fields["energy_kind"], " ".join([*ENERGY_KINDS, "renewable"]))
        wanted = _RENEWABLE if word == "renewable" else [word]
        kinds = sum(2 ** (ENERGY_KINDS.index(kind) + 1) for kind in wanted)
    if "seller" in fields:
        seller = as_name(fields["seller"])
    return Limit(0, 0, as_int(fields["price_micro_per_kwh"]), choice=place, kinds=kinds, seller=seller)


def _as_parts(item: Item) -> list[Part]:
    """A part of a profile as it is, or each of its conditions."""
    if not isinstance(item, dict) or "conditions" not in item:
        part = as_map(item, "price_micro_per_kwh quantities_wh side")
        limit = Limit(_as_side(part["side"]), 0, as_int(part["price_micro_per_kwh"]))
        return [Part(limit, _as_quantities(part["quantities_wh"]), [])]
    part = as_map(item, "conditions side")
    if _as_side(part["side"]):
        raise MalformedError("conditions of a part that sells")
    conditions = [
        as_map(one, "price_micro_per_kwh quantities_wh", "energy_kind seller")
        for one in as_array(part["conditions"], 1, 4)
    ]
    of_bid = [_as_quantities(one["quantities_wh"]) for one in conditions]
    return [Part(_as_asked(place, one), of_bid[place], of_bid) for place, one in enumerate(conditions)]


def _as_quantities(item: Item) -> list[int]:
    data = as_bytes(item)
    if len(data) % 4 or not 1 <= len(data) // 4 <= 672 or not any(data):
        raise MalformedError("quantities of a profile")
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def _as_side(item: Item) -> int:
    return ("buy", "sell").index(as_word(item, "buy sell"))


def _as_placed(fields: dict[str, Item]) -> Order:
    transaction = as_transaction(fields, "market/order_batch")
    identity = as_map(transaction.identity, "client_id valid_until_s")
    as_bytes(identity["client_id"], 16)
    as_int(identity["valid_until_s"])
    body = as_map(transaction.body, "rows rows_root slot_start_s zone")
    as_int(body["rows"], 1, 16_384)
    row = as_row_proof(fields["order"], 25, 40)
    numbers = [int.from_bytes(row.row[at : at + 4], "little") for at in (0, 4)]
    wide = [int.from_bytes(row.row[at : at + 8], "little", signed=True) for at in (9, 17)]
    limit = _as_wanted(Limit(row.row[8], wide[0], wide[1]), row.row[25:])
    return Order(
        transaction=transaction,
        area="",
        slot_start_s=as_int(body["slot_start_s"]),
        limits={numbers[1]: limit},
        fill=as_row_proof(fields["fill"], 33, 37, 41, 53, 57),
        placed=PlacedOrder(numbers[0], as_name(body["zone"]), as_digest(body["rows_root"]), row, fields["mandate"]),
    )


def _as_wanted(limit: Limit, more: bytes) -> Limit:
    """A row of a batch with what stands behind its limit: what it wants as a condition of a bid, and how much that bid buys in all."""
    if not any(more):
        return limit
    choice, kinds, seller = more[0], int.from_bytes(more[1:3], "little"), int.from_bytes(more[3:7], "little")
    most_wh = int.from_bytes(more[7:15], "little", signed=True)
    if limit.side or choice > 3 or not 1 <= kinds <= ANY_KIND or not 1 <= limit.quantity_wh <= most_wh:
        raise MalformedError("a row of a batch that is no condition of a bid")
    return limit._replace(choice=choice, kinds=kinds, seller=seller or "", most_wh=most_wh)
