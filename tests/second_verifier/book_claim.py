"""Claim 14: the order book."""

from tests.second_verifier.auction import Bid, clear
from tests.second_verifier.case import Case, UnsureError, require
from tests.second_verifier.contracts import UNIT
from tests.second_verifier.encoding import MalformedError, as_array, as_bytes, as_int, as_map, as_word, decode
from tests.second_verifier.rows import BookRow, read_book_row
from tests.second_verifier.trees import root, salted_hash

_MAX_BYTES = 64 << 20
_MOST_ROWS = 1 << 26


def _read_book(data: bytes) -> tuple[list[bytes], list[bytes]]:
    if len(data) > _MAX_BYTES:
        raise MalformedError("more than 64 MiB")
    fields = as_map(decode(data, longest_array=_MOST_ROWS), "book salts type version")
    as_word(fields["type"], "gridledger-book")
    as_int(fields["version"], 2, 2)
    rows = [as_bytes(row) for row in as_array(fields["book"], 0, _MOST_ROWS)]
    return rows, [as_bytes(salt, 16) for salt in as_array(fields["salts"], 0, _MOST_ROWS)]


def _rows(case: Case, data: bytes) -> list[bytes]:
    """The rows of the area's book; UnsureError where the file does not hold them."""
    cleared = case.cleared
    if cleared is None or case.contract is None:
        raise UnsureError("book: the bundle has no clearing of a known contract")
    try:
        rows, salts = _read_book(data)
    except MalformedError as wrong:
        raise UnsureError(f"book: {wrong}") from None
    if not len(rows) == len(salts) == cleared.orders:
        raise UnsureError("book: not as many rows and salts as orders")
    if root([salted_hash(salt, row) for salt, row in zip(salts, rows, strict=True)]) != cleared.book_root:
        raise UnsureError("book: not that of this slot and area")
    if cleared.rules != case.bundle.rules.row.digest:
        raise UnsureError("book: the slot was cleared by other rules than it was settled by")
    return rows


def _require_party(case: Case, book: list[BookRow]) -> None:
    """Each filled order of the party has a row of its own."""
    rows = [(row.side, row.quantity_wh, row.price_micro_per_kwh, row.filled_wh) for row in book]
    for fill in case.fills:
        wanted = (fill.side, fill.quantity_wh, fill.price_micro_per_kwh, fill.filled_wh)
        require(wanted in rows, "a filled order of the party is not in the book")
        rows.remove(wanted)


def check_book(case: Case) -> None:
    """Claim 14; nothing without a book."""
    if case.book is None:
        return
    rows = _rows(case, case.book)
    require(all(len(row) == 29 for row in rows), "a row that is no book row")
    book = [read_book_row(row) for row in rows]
    require(all(row.side in (0, 1) and row.quantity_wh > 0 for row in book), "an order of no side or quantity")
    require([row.rank for row in book] == list(range(len(book))), "the ranks are not 0, 1, 2 ...")
    reference = as_int(case.rules.terms["reference_price" + UNIT])
    outcome = clear([Bid(row.side, row.quantity_wh, row.price_micro_per_kwh) for row in book], reference)
    require(outcome.filled_wh == tuple(row.filled_wh for row in book), "a fill does not follow from the orders")
    cleared = case.cleared
    stated = (cleared.volume_wh, cleared.price_micro_per_kwh) if cleared else None
    require((outcome.volume_wh, outcome.price_micro_per_kwh) == stated, "price or volume do not follow from the orders")
    _require_party(case, book)
