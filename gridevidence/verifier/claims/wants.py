"""What the conditions of bids ask for, and whether what they got is that, as far as a bundle tells (docs/spec/contracts.md)."""

from __future__ import annotations

from gridevidence.layout import ENERGY_KINDS
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.bundle import Order
from gridevidence.verifier.claims.fills import Fill, Wants, trade_of
from gridevidence.verifier.conditions import ANY_KIND, kinds_of
from gridevidence.verifier.records import Opened

UNKNOWN_KIND = 1  # bit 0 of a set of kinds: energy of no kind that is known


def hold_wants(orders: tuple[Order, ...], fills: list[Fill], start_s: int, slot_s: int) -> None:
    """Hold that fills say of their orders what these say themselves in the slot from start_s on; that the rows of a bid belong together, got no more
    than it asked for, and that what was wanted of one seller is of one.
    """
    bids: dict[int, list[tuple[Order, Fill]]] = {}
    sellers: dict[str | int, int] = {}
    for order, fill in zip(orders, fills, strict=True):
        wants, what = fill.wants, order.order.what
        if wants is None:
            hold(False, f"the fill of {what} does not say what was wanted")
            continue
        bids.setdefault(wants.bid, []).append((order, fill))
        choice = 0 if order.condition is None else order.condition.choice
        same(f"the choice in the fill of {what}", wants.choice, choice)
        if fill.sells:
            is_one = wants.energy_kinds in (1 << place for place in range(len(ENERGY_KINDS) + 1))
            hold(is_one, f"{what} sells energy of no kind, or of several")
            continue
        _hold_condition(order, wants, sellers)
    for words in (str, int):  # a batch names sellers by numbers: a name and a number may be one seller's
        numbers = [number for seller, number in sellers.items() if isinstance(seller, words)]
        hold(len(set(numbers)) == len(numbers), "sellers of two names have one number")
    for own in bids.values():
        _hold_bid(own, start_s, slot_s)
    # a ramp, a profile and an aggregator's batch give several orders or bids of one transaction, each alone
    ids = [own[0][0].bid for own in bids.values() if own[0][0].condition is not None]
    hold(len(set(ids)) == len(ids), "conditions of one order are of several bids")


def hold_registered(points: list[Opened], orders: tuple[Order, ...], fills: list[Fill]) -> None:
    """Hold that fills claim no kind of energy, and no place in the grid, but those that the party's points are registered with. A point that
    was registered anew behind an order may have been another one at the gate.
    """
    for order, fill in zip(orders, fills, strict=True):
        what, known = order.order.what, order.order.block.height
        hold(fill.place > 0 or fill.fee_nano is None, f"{what} was filled, and stands at no place in the grid")
        for point in points:
            if point.entry.recorded_height > known:
                continue
            name, value = point.entity.name, point.row.value
            if fill.wants is not None and fill.sells and fill.wants.energy_kinds != UNKNOWN_KIND:
                kinds = kinds_of(value["energy_kind"]) if "energy_kind" in value else UNKNOWN_KIND
                same(f"the kind of energy that {what} sells of point {name}", fill.wants.energy_kinds, kinds)
            if fill.fee_nano is not None:
                same(f"the place in the grid of {what} and of point {name}", fill.place, value.get("grid_place", 0))


def _hold_condition(order: Order, wants: Wants, sellers: dict[str | int, int]) -> None:
    """A buy takes what its condition says; without one it takes all."""
    condition, what = order.condition, order.order.what
    kinds, seller = (ANY_KIND, None) if condition is None else (condition.energy_kinds, condition.seller)
    same(f"the kinds of energy that {what} takes", wants.energy_kinds, kinds)
    hold((wants.seller > 0) == (seller is not None), f"{what} wants a seller that its fill has not, or the reverse")
    if seller is not None:
        same(f"the number of the seller that {what} wants", wants.seller, sellers.setdefault(seller, wants.seller))
        partners = {trade_of(one.row).seller for one in order.trades}
        hold(len(partners) <= 1, f"{what} buys from one seller, and has trades with several")


def _hold_bid(own: list[tuple[Order, Fill]], start_s: int, slot_s: int) -> None:
    """Several orders under one number are the conditions of one bid, and got at most its quantity."""
    what, conditions = own[0][0].order.what, [order.condition for order, _ in own]
    are_one = len({order.bid for order, _ in own}) == 1 and (len(own) == 1 or None not in conditions)
    hold(are_one, f"{what} and another order are one bid")
    if conditions[0] is None:
        return
    largest_wh = {order.bid_wh(start_s, slot_s) for order, _ in own}
    hold(len(largest_wh) == 1, f"the conditions of {what} are of several bids")
    got_wh = sum(fill.filled_wh for _, fill in own)
    hold(got_wh <= max(largest_wh), f"the conditions of {what} got more than the largest of them")
