"""Traders of one's own: a function says what homes want, and is asked once a slot before anything is settled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from gridcore.errors import UsageError
from gridcore.transactions.market_order import LIMIT_MICRO_PER_KWH_MAX, QUANTITY_WH_MAX, SIDES
from ledger.contract import Contract
from simulators.grid.households import OrderIntent, orders_of_slot
from simulators.grid.world import World

Traders = Callable[[World, int], Sequence[OrderIntent]]
"""What homes want in a slot of a world: at most one order of each."""


def orders_ahead(traders: Traders, world: World, contract: Contract) -> Callable[[int], Sequence[OrderIntent]]:
    """The orders of a slot, by its number: traders of one's own are asked for all slots now. UsageError as ``orders_by`` says."""
    if traders is orders_of_slot:
        return partial(orders_of_slot, world)
    check_has_orders(traders, contract)
    return [orders_by(traders, world, slot, world.traders) for slot in range(world.slots)].__getitem__


def check_has_orders(traders: Traders, contract: Contract) -> None:
    """UsageError for traders of one's own where the contract takes no orders."""
    if traders is not orders_of_slot and not contract.takes_orders:
        raise UsageError(f"traders: the contract {contract.contract_id} takes no orders; leave traders out")


def orders_by(traders: Traders, world: World, slot: int, known: Collection[str]) -> Sequence[OrderIntent]:
    """What ``traders`` say of a slot, all of it also where they yield one after the other. UsageError naming the slot for what is no list of
    orders, a second order of a home, one who is not of ``known``, or what no order can hold.
    """
    said: object = traders(world, slot)
    if not isinstance(said, Iterable):
        raise UsageError(f"traders: slot {slot}: gave {said!r}; give a list of OrderIntent, an empty one for no orders")
    orders = list(said)
    seen: set[str] = set()
    for order in orders:
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
    return orders


def _check_whole(what: str, number: object, low: int, high: int) -> None:
    if type(number) is not int or not low <= number <= high:
        raise UsageError(f"{what} {number!r}: must be a whole number (int) from {low} to {high}")
