"""Claim 8 under conditional_bid/1: what fills say of bids with conditions (docs/spec/contracts.md)."""

from typing import NamedTuple

from tests.second_verifier.case import Case, LieError, require, value_of
from tests.second_verifier.orders import ANY_KIND, ENERGY_KINDS, Limit, Order
from tests.second_verifier.registry import PointOfSupply
from tests.second_verifier.rows import Fill, read_trade


def check_wanted(case: Case) -> None:
    """Each fill repeats what its order asks for; the conditions of an order are one bid and got at most what it buys in all."""
    is_asked = case.contract is not None and case.contract.asks_orders
    has_fees = case.contract is not None and case.contract.has_fees
    sizes = {len(fill.wanted) for fill in case.fills}
    asks_one = has_fees or (case.contract is not None and case.contract.asks_arrival)
    require(sizes <= {4 if is_asked else 1 if asks_one else 0}, "a row of another contract")
    require(all((fill.fee_nano is not None) == has_fees for fill in case.fills), "fees of a contract without, or none")
    for order, fill in zip(case.bundle.orders, case.fills, strict=True):
        _check_points(case, order, fill)
    if not is_asked:
        return
    bids: dict[int, _Bid] = {}
    got: dict[_Bid, int] = {}
    numbers: dict[str | int, int] = {}
    for order, fill in zip(case.bundle.orders, case.fills, strict=True):
        given = order.given(case.slot_start_s, case.bundle.chain.slot_s).get(fill.counter)
        if given is None:
            raise LieError("an order of another counter")
        bid = _Bid(order.transaction.signed, fill.counter - given.choice, given.most_wh)
        require(bool(given.most_wh) or fill.wanted[0] not in bids, "one bid of several orders without conditions")
        require(bids.setdefault(fill.wanted[0], bid) == bid, "one bid of two orders")
        got[bid] = got.get(bid, 0) + (fill.filled_wh if given.most_wh else 0)
        require(not given.most_wh or got[bid] <= given.most_wh, "more than the largest of its conditions")
        _check_wants(given, order, fill, numbers)
    for words in (str, int):
        known = [number for seller, number in numbers.items() if isinstance(seller, words)]
        require(len(set(known)) == len(known), "two sellers under one number")
    several = [(bid.signed, bid.counter) for bid in bids.values() if bid.most_wh]
    require(len(set(several)) == len(several), "one order with two bids")


class _Bid(NamedTuple):
    """What one bid rests on: what is signed, the counter at which it begins, and how much its conditions buy in all, 0 without."""

    signed: bytes
    counter: int
    most_wh: int


def _check_points(case: Case, order: Order, fill: Fill) -> None:
    """A sell is of the kind, an order at the place, of each point of the party that was registered before the order."""
    for opened in (case.bundle.point, *(one.point for one in case.bundle.siblings)):
        entry = next(one for one in opened.entity.entries if one.digest == opened.row.digest)
        if entry.recorded_height > order.transaction.header.height:
            continue
        point = value_of(opened, PointOfSupply)
        if fill.fee_nano is not None:
            require(fill.wanted[0] == point.grid_place, "an order at another place than a point of its party")
        elif len(fill.wanted) == 4 and fill.side == 1 and fill.wanted[2] != 1:
            kinds = 2 ** (ENERGY_KINDS.index(point.energy_kind) + 1) if point.energy_kind else 1
            require(fill.wanted[2] == kinds, "energy of another kind than a point of its party gives")
    require(fill.fee_nano is None or fill.wanted[0] > 0, "a fill of an order that is at no place")


def _check_wants(given: Limit, order: Order, fill: Fill, numbers: dict[str | int, int]) -> None:
    _, choice, kinds, seller = fill.wanted
    require(choice == given.choice, "another condition of the order")
    if fill.side == 1:
        require(kinds.bit_count() == 1 and kinds <= ANY_KIND, "energy of several kinds")
        return
    require(kinds == given.kinds, "other kinds of energy than the order takes")
    require((seller > 0) == bool(given.seller), "a seller that the order does not name, or none")
    if given.seller:
        require(numbers.setdefault(given.seller, seller) == seller, "one seller under two numbers")
        sellers = {read_trade(proof.row).seller[0] for proof in order.trades}
        require(len(sellers) <= 1, "trades with several sellers where one is wanted")
