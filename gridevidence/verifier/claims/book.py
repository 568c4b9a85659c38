"""Claim 14, only with a book: the price that follows from all orders of the area in the slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from gridevidence.layout import (
    ALL_OR_NONE,
    ARRIVED_BOOK_ROW,
    BLOCK_ROUNDS_MAX,
    BOOK,
    BOOK_BYTES_MAX,
    BOOK_ROW,
    BOOK_TYPE,
    PLACED_BOOK_ROW,
    PLACED_TERMS,
    SIDES,
    TIMED_BOOK_ROW,
    TIMED_TERMS,
    WANTED_BOOK_ROW,
    WANTED_TERMS,
)
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, Halt, hold, same
from gridevidence.verifier.bundle import Order
from gridevidence.verifier.cbor import decode
from gridevidence.verifier.claims.fills import fill_of, trade_of
from gridevidence.verifier.contract import Cleared
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.shapes import conform, known_version
from gridevidence.verifier.trees import root_of_leaves


class BookRow(NamedTuple):
    """An order of the anonymous book."""

    rank: int
    side: int
    quantity_wh: int
    limit: int
    filled_wh: int
    more: tuple[int, ...] = ()
    """Where orders rank as they came the rank before which it was withdrawn; what the contract asks of orders."""


def check_book(of: Examination) -> str:
    """14: the book is the clearing's; price, volume and every fill follow from it by the contract's rule."""
    rows, cleared, contract = _book_rows(of), of.cleared, of.known_contract()
    if cleared is None or contract.clear is None:
        raise Halt(CANNOT_BE_DECIDED, "book: the bundle has no clearing")
    layout = ARRIVED_BOOK_ROW if contract.ranks_by_arrival else BOOK_ROW
    layouts = {WANTED_TERMS: WANTED_BOOK_ROW, PLACED_TERMS: PLACED_BOOK_ROW, TIMED_TERMS: TIMED_BOOK_ROW}
    layout = layouts.get(contract.order_terms, layout)
    hold(all(len(row) == layout.size for row in rows), "a row of the book has another length than such a row")
    orders = [BookRow(*values[:5])._replace(more=values[5:]) for values in map(layout.unpack, rows)]
    hold(all(order.rank == rank for rank, order in enumerate(orders)), "the book is not in rank order")
    if contract.order_terms == TIMED_TERMS:
        came = sorted(order.more[0] for order in orders)
        hold(came == list(range(len(orders))), "the orders of the book did not come one after the other")
    sides = len(SIDES) if contract.trades_in_pairs else 2 * ALL_OR_NONE
    hold(all(order.side < sides and order.quantity_wh > 0 for order in orders), "an order has no side or no quantity")
    due = _clear_rounds(contract.clear, orders, of.bundle.rules.row.value["terms"])
    stated = cleared.volume_wh, cleared.price if cleared.has_price else None, cleared.trades
    same("the clearing's volume, price and trades", stated, (*due[:2], len(due.trades)))
    hold(due.filled_wh == [order.filled_wh for order in orders], "the rule gives other fills than the book states")
    terms = [(*order[1:5], *(order.more if contract.order_terms else ())) for order in orders]
    fills = [fill_of(order.fill.row) for order in of.bundle.orders]
    known: Counter[tuple[int, ...]] = Counter(terms)
    own: Counter[tuple[int, ...]] = Counter((*fill[2:6], *fill.asked) for fill in fills)
    what = "Price, volume"
    if contract.trades_in_pairs:
        what, are_shown = "Volume, every trade", any(order.trades for order in of.bundle.orders)
        trades = _trades_by_rank(due, len(orders))
        known = Counter(
            (*own_terms, *_come_to(own_terms[0], own_trades, are_shown))
            for own_terms, own_trades in zip(terms, trades, strict=True)
        )
        own = Counter(_own_order(order) for order in of.bundle.orders)
    hold(own <= known, "an order of the party does not stand in the book with its fill")
    return f"{what} and every fill follow from all orders of the slot ({len(orders)}) by the auction's rule."


def _clear_rounds(clear: Callable[..., Cleared], orders: list[BookRow], terms: dict[str, Any]) -> Cleared:
    """The outcome of all orders in rank order; of those that are all or none and lack energy the half that lacks most goes, and again."""
    left, rounds, filled_wh = orders, 0, [0] * len(orders)
    while True:
        due = clear([(one.side % ALL_OR_NONE, one.quantity_wh, one.limit, *one.more) for one in left], terms)
        rounds += 1
        lacking = [
            (one.quantity_wh - got, one.rank)
            for one, got in zip(left, due.filled_wh, strict=True)
            if one.side >= ALL_OR_NONE and got < one.quantity_wh
        ]
        if not lacking:
            break
        most = sorted(lacking, reverse=True)[: (len(lacking) + 1) // 2]
        out = {rank for _, rank in most}
        left = [one for one in left if (one.rank not in out if rounds < BLOCK_ROUNDS_MAX else one.side < ALL_OR_NONE)]
    for one, got in zip(left, due.filled_wh, strict=True):
        filled_wh[one.rank] = got
    return due._replace(filled_wh=filled_wh)


def _trades_by_rank(due: Cleared, orders: int) -> list[list[tuple[int, int, int]]]:
    """Energy, price and fee of each trade of each order; a sell's fee is its buyer's."""
    found: list[list[tuple[int, int, int]]] = [[] for _ in range(orders)]
    for trade in due.trades:
        told = (trade.energy_wh, trade.price_micro_per_kwh, trade.fee_micro_per_kwh)
        found[trade.buy].append(told)
        found[trade.sell].append(told)
    return found


def _come_to(side: int, trades: list[tuple[int, int, int]], are_shown: bool) -> tuple[int, ...]:
    """The amount of an order's trades and, of a buy, their fees; behind both they themselves, ascending, where bundles of its party show them."""
    shown = sorted(trades) if are_shown else []
    fee_nano = 0 if side else sum(energy_wh * fee for energy_wh, _, fee in trades)
    amount_nano = sum(energy_wh * price for energy_wh, price, _ in trades)
    return (amount_nano, fee_nano, *(value for trade in shown for value in trade))


def _own_order(order: Order) -> tuple[int, ...]:
    """The same of an order of the party, as the bundle shows it."""
    rows = [trade_of(one.row) for one in order.trades]
    trades = sorted((row.energy_wh, row.price, row.fee) for row in rows)
    fill = fill_of(order.fill.row)
    return (
        *fill[2:6],
        *fill.asked,
        fill.amount_nano or 0,
        fill.fee_nano or 0,
        *(value for trade in trades for value in trade),
    )


def _book_rows(of: Examination) -> list[bytes]:
    """The rows of the book file; "cannot be decided" unless it is the book of the clearing, made by the run's rules."""
    try:
        of.known_contract()
        cleared, data = of.cleared, of.book_data or b""
        if cleared is None:
            raise Halt(CANNOT_BE_DECIDED, "the bundle has no clearing")
        hold(cleared.rules == of.bundle.rules.row.digest, "the slot was cleared by other rules than those of the run")
        hold(len(data) <= BOOK_BYTES_MAX, "the file is too large")
        book = known_version(decode(data, "the file", items_max=BOOK_BYTES_MAX), BOOK_TYPE, "the file")
        conform(book, BOOK, "the file")
        rows, salts = list(book["book"]), book["salts"]
        hold(len(rows) == len(salts) == cleared.orders, f"the file has not {cleared.orders} rows")
        leaves = [salt + row for salt, row in zip(salts, rows, strict=True)]
        hold(root_of_leaves(leaves) == cleared.book_root, "the file is not the book that was cleared")
    except Halt as why:
        raise Halt(CANNOT_BE_DECIDED, f"book: {why.args[1]}; the file is another slot's, or altered") from None
    return rows
