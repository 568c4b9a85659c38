"""Claim 14, only with a book: the price that follows from all orders of the area in the slot."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from gridevidence.layout import BOOK, BOOK_BYTES_MAX, BOOK_ROW, BOOK_TYPE, FILL_ROW
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, Halt, hold, same
from gridevidence.verifier.cbor import decode
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


def check_book(of: Examination) -> str:
    """14: the book is the clearing's; price, volume and every fill follow from it by the contract's rule."""
    rows, cleared, contract = _book_rows(of), of.cleared, of.known_contract()
    if cleared is None or contract.clear is None:
        raise Halt(CANNOT_BE_DECIDED, "book: the bundle has no clearing")
    hold(all(len(row) == BOOK_ROW.size for row in rows), "a row of the book has another length than such a row")
    orders = [BookRow(*BOOK_ROW.unpack(row)) for row in rows]
    hold(all(order.rank == rank for rank, order in enumerate(orders)), "the book is not in rank order")
    hold(all(order.side <= 1 and order.quantity_wh > 0 for order in orders), "an order has no side or no quantity")
    due = contract.clear([order[1:4] for order in orders], of.bundle.rules.row.value["terms"])
    same("the clearing's volume and price", (cleared.volume_wh, cleared.price), due[:2])
    hold(due.filled_wh == [order.filled_wh for order in orders], "the rule gives other fills than the book states")
    own = Counter(FILL_ROW.unpack(order.fill.row)[2:] for order in of.bundle.orders)
    hold(
        own <= Counter(order[1:] for order in orders), "an order of the party does not stand in the book with its fill"
    )
    return f"Price, volume and every fill follow from all orders of the slot ({len(orders)}) by the auction's rule."


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
