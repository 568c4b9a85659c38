"""Traders of one's own: a function of world and slot says what homes want, or one that is told what the gate before came to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from gridcore.errors import UsageError
from gridcore.transactions.market_order import LIMIT_MICRO_PER_KWH_MAX, QUANTITY_WH_MAX, SIDES
from gridledger.settling.dataset import ClearedGate
from ledger.contract import Contract
from simulators.grid.gates import Fill, Gate
from simulators.grid.households import OrderIntent, orders_of_slot
from simulators.grid.world import World

Told = Callable[[int, Gate | None], Sequence[OrderIntent]]
"""What homes want in a slot, by its number and what the gate of the slot before it came to (None for slot 0); called once for each slot, in their order."""


class Adaptive(NamedTuple):
    """Traders that learn from the market. begin: called with the world before the first slot; what it gives may keep a state."""

    begin: Callable[[World], Told]


OrdersOf = Callable[[World, int], Sequence[OrderIntent]]
"""What homes want in a slot of a world, whatever any gate came to."""
Traders = OrdersOf | Adaptive
"""At most one order of each home in a slot."""


class TradersError(Exception):
    """An ``OSError`` that traders raised, on its way out: it is no fault of a file or a connection of ours. error: as they raised it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


class Homes(NamedTuple):
    """Whom to ask for the orders of a slot. is_told: whether the gate before it is to be told; else the orders depend on no gate."""

    ask: Told
    is_told: bool


@contextmanager
def raised_by_traders() -> Iterator[None]:
    """What is called here are traders: an ``OSError`` leaves as ``TradersError``."""
    try:
        yield
    except OSError as error:
        raise TradersError(error) from None


def homes_of(traders: Traders, world: World, contract: Contract) -> Homes:
    """Whom to ask. Traders that depend on no gate are asked for all slots now: UsageError as ``orders_in`` says, and where the contract takes no orders."""
    if traders is orders_of_slot:
        return Homes(lambda slot, _: orders_of_slot(world, slot), is_told=False)
    check_has_orders(traders, contract)
    if isinstance(traders, Adaptive):
        return told_homes(traders, world)
    ahead = [orders_in(traders(world, slot), slot, world.traders) for slot in range(world.slots)]
    return Homes(lambda slot, _: ahead[slot], is_told=False)


def told_homes(traders: Adaptive, world: World) -> Homes:
    """The homes of adaptive traders, which begin now."""
    told = traders.begin(world)
    return Homes(lambda slot, gate: orders_in(told(slot, gate), slot, world.traders), is_told=True)


def check_has_orders(traders: Traders, contract: Contract) -> None:
    """UsageError for traders of one's own where the contract takes no orders."""
    if traders is not orders_of_slot and not contract.takes_orders:
        raise UsageError(f"traders: the contract {contract.contract_id} takes no orders; leave traders out")


def gate_of(world: World, cleared: ClearedGate) -> Gate:
    """What homes are told of a gate."""
    fills: dict[str, Fill] = {}
    for area, orders in cleared.orders.items():
        price = cleared.price_micro_per_kwh[area] or 0
        for order in orders:
            filled_wh, amount_nano = order.filled_wh or 0, order.amount_nano
            intent = OrderIntent(order.party, order.side, order.quantity_wh, order.price_micro_per_kwh)
            fills[order.party] = Fill(intent, filled_wh, filled_wh * price if amount_nano is None else amount_nano)
    in_order = {party: fills[party] for party in world.traders if party in fills}
    return Gate(cleared.slot, {area: cleared.price_micro_per_kwh[area] for area in world.areas}, in_order)


def check_goes_on(said: Sequence[OrderIntent], gate: Gate) -> None:
    """UsageError where traders say something else of a slot than its gate has: they must, where a run goes on."""
    if set(said) != {fill.order for fill in gate.fills.values()}:
        what = "they do not order what the ledger has of it"
        why = "where a run goes on they are asked again, and must depend on world, slots and gates alone"
        raise UsageError(f"traders: slot {gate.slot}: {what}; {why}")


def orders_in(said: object, slot: int, known: Collection[str]) -> Sequence[OrderIntent]:
    """What traders said of a slot, also where they yield one after the other: no more is asked for behind what is wrong. UsageError naming the slot for
    what is no list of orders, a second order of a home, one who is not of ``known``, or what no order can hold.
    """
    if not isinstance(said, Iterable):
        raise UsageError(f"traders: slot {slot}: gave {said!r}; give a list of OrderIntent, an empty one for no orders")
    orders: list[OrderIntent] = []
    seen: set[str] = set()
    for order in said:
        if not isinstance(order, OrderIntent):
            raise UsageError(f"traders: slot {slot}: gave {order!r} among its orders; each is an OrderIntent")
        where = f"traders: slot {slot}: {order.party}"
        if order.party not in known:
            who = f"who does is {min(known)} to {max(known)}" if known else "nobody does"
            raise UsageError(f"{where} places no orders here; {who}")
        if order.party in seen:
            raise UsageError(f"{where} has two orders; give one at most")
        seen.add(order.party)
        if order.side not in SIDES:
            raise UsageError(f"{where}: side {order.side!r} is neither 'buy' nor 'sell'")
        _check_whole(f"{where}: quantity_wh", order.quantity_wh, 1, QUANTITY_WH_MAX)
        limit = LIMIT_MICRO_PER_KWH_MAX
        _check_whole(f"{where}: price_micro_per_kwh", order.price_micro_per_kwh, -limit, limit)
        orders.append(order)
    return orders


def _check_whole(what: str, number: object, low: int, high: int) -> None:
    if type(number) is not int or not low <= number <= high:
        raise UsageError(f"{what} {number!r}: must be a whole number (int) from {low} to {high}")
