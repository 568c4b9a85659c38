"""Clears the book of the benchmark ``clear`` by a program from PyPI: best seconds of some rounds, and the energy that was traded.

Runs in an environment of that program's own, without GridLedger; docs/contracts.md, "Beside other programs", has the commands.

    python benchmarks/peers.py assume|pymarket_equilibrium|pymarket_huang|pymarket_muda ORDERS
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

SEED = 20260101
ROUNDS = 2


class Round(NamedTuple):
    """One clearing."""

    seconds: float
    volume_wh: float


Work = Callable[[], Round]


class Book(NamedTuple):
    """Prices and quantities of bids, then of offers."""

    bids: list[int]
    bid_wh: list[int]
    offers: list[int]
    offer_wh: list[int]


def make_book(orders: int) -> Book:
    """The book of benchmarks/clear.py."""
    random = np.random.default_rng(SEED + orders)
    half = orders // 2
    bids, bid_wh = random.integers(3000, 8001, half), random.integers(1, 1001, half)
    offers, offer_wh = random.integers(2000, 7001, half), random.integers(1, 1001, half)
    return Book(bids.tolist(), bid_wh.tolist(), offers.tolist(), offer_wh.tolist())


def assume(orders: int) -> Work:
    """assume-framework: PayAsClearRole, one uniform price."""
    role = object.__new__(import_module("assume.markets.clearing_algorithms.simple").PayAsClearRole)
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=UTC)
    bids, bid_wh, offers, offer_wh = make_book(orders)

    def work() -> Round:
        common = {"start_time": start, "end_time": end, "only_hours": None}
        book = [
            {**common, "price": price, "volume": -wh, "bid_id": f"b{row}"}
            for row, (price, wh) in enumerate(zip(bids, bid_wh, strict=True))
        ]
        book += [
            {**common, "price": price, "volume": wh, "bid_id": f"o{row}"}
            for row, (price, wh) in enumerate(zip(offers, offer_wh, strict=True))
        ]
        began = time.perf_counter()
        accepted = role.clear(book, [(start, end, None)])[0]
        seconds = time.perf_counter() - began
        return Round(seconds, sum(order["accepted_volume"] for order in accepted if order["volume"] > 0))

    return work


def _pymarket_book(orders: int) -> Any:
    bids, bid_wh, offers, offer_wh = make_book(orders)
    book = import_module("pymarket").BidManager()
    for row, (price, wh) in enumerate(zip(bids, bid_wh, strict=True)):
        book.add_bid(wh, price, row, True)
    for row, (price, wh) in enumerate(zip(offers, offer_wh, strict=True), start=len(bids)):
        book.add_bid(wh, price, row, False)
    return book.get_df()


def pymarket_equilibrium(orders: int) -> Work:
    """PyMarket: the crossing of both curves, price and volume alone."""
    curves, book = import_module("pymarket.bids.demand_curves"), _pymarket_book(orders)

    def work() -> Round:
        began = time.perf_counter()
        demand, supply = curves.demand_curve_from_bids(book)[0], curves.supply_curve_from_bids(book)[0]
        volume_wh = curves.intersect_stepwise(demand, supply)[0]
        return Round(time.perf_counter() - began, volume_wh)

    return work


def _pymarket_auction(orders: int, make: Callable[[Any], Any]) -> Work:
    book = _pymarket_book(orders)

    def work() -> Round:
        auction = make(book.copy())
        began = time.perf_counter()
        trades = auction.run()[0].get_df()
        seconds = time.perf_counter() - began
        return Round(seconds, trades.quantity.sum() / 2 if len(trades) else 0)

    return work


def pymarket_huang(orders: int) -> Work:
    """PyMarket: Huang's auction, which gives up one trade to be truthful."""
    return _pymarket_auction(orders, import_module("pymarket.mechanisms").HuangAuction)


def pymarket_muda(orders: int) -> Work:
    """PyMarket: MUDA, seed 1."""
    auction = import_module("pymarket.mechanisms").MudaAuction
    return _pymarket_auction(orders, lambda book: auction(book, r=np.random.RandomState(1)))


CASES = {case.__name__: case for case in (assume, pymarket_equilibrium, pymarket_huang, pymarket_muda)}


def main() -> None:
    """One line for the case and the number of orders."""
    if len(sys.argv) != 3 or sys.argv[1] not in CASES or not sys.argv[2].isdigit():
        sys.exit(f"peers.py {'|'.join(CASES)} ORDERS")
    work = CASES[sys.argv[1]](int(sys.argv[2]))
    rounds = [work() for _ in range(ROUNDS)]
    seconds = min(one.seconds for one in rounds)
    sys.stdout.write(f"{sys.argv[1]} {sys.argv[2]} orders: {seconds:.4f} s, {rounds[0].volume_wh:.0f} Wh\n")


if __name__ == "__main__":
    main()
