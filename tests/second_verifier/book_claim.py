"""Claim 14: the order book."""

from dataclasses import replace

from tests.second_verifier.auction import Bid, Outcome, Terms, clear
from tests.second_verifier.case import Case, UnsureError, require
from tests.second_verifier.contracts import auction_terms
from tests.second_verifier.encoding import MalformedError, as_array, as_bytes, as_int, as_map, as_word, decode
from tests.second_verifier.paired import Pair
from tests.second_verifier.rows import BookRow, Fill, read_book_row, read_trade
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


def _require_party(case: Case, book: list[BookRow], pairs: list[Pair] | None) -> None:
    """Each filled order of the party has a row of its own."""
    are_shown = any(order.trades for order in case.bundle.orders)
    rows = [(*_terms(row), *_come_to(pairs, row.rank, shown=are_shown)) for row in book]
    for fill, order in zip(case.fills, case.bundle.orders, strict=True):
        read = map(read_trade, [shown.row for shown in order.trades])
        trades = sorted((one.energy_wh, one.price_micro_per_kwh, one.fee_micro_per_kwh or 0) for one in read)
        money = () if pairs is None else (fill.amount_nano, fill.fee_nano or 0, trades)
        wanted = (*_terms(fill), *money)
        require(wanted in rows, "a filled order of the party is not in the book")
        rows.remove(wanted)


def _terms(row: BookRow | Fill) -> tuple[object, ...]:
    return row.side, row.quantity_wh, row.price_micro_per_kwh, row.filled_wh, row.all_or_none, row.wanted


def _come_to(pairs: list[Pair] | None, rank: int, *, shown: bool) -> tuple[object, ...]:
    """The amount of a rank's trades, and they themselves where the bundle shows its party's; nothing with one price for all."""
    if pairs is None:
        return ()
    own = [
        (pair.energy_wh, pair.price_micro_per_kwh, pair.fee_micro_per_kwh)
        for pair in pairs
        if rank in (pair.buy, pair.sell)
    ]
    fees = sum(pair.energy_wh * pair.fee_micro_per_kwh for pair in pairs if rank == pair.buy)
    return sum(energy * price for energy, price, _ in own), fees, sorted(own) if shown else []


def _bid(row: BookRow) -> Bid:
    return Bid(row.side, row.quantity_wh, row.price_micro_per_kwh, *row.wanted)


def _clear(book: list[BookRow], terms: Terms) -> Outcome:
    """The auction; orders that are all or none and do not get all leave, half of them at a time, all of them after 32 times."""
    left, rounds = list(book), 0
    while True:
        outcome = clear([_bid(row) for row in left], terms)
        rounds += 1
        got = {row.rank: wh for row, wh in zip(left, outcome.filled_wh, strict=True)}
        short = [row for row in left if row.all_or_none and got[row.rank] < row.quantity_wh]
        if not short:
            return replace(outcome, filled_wh=tuple(got.get(row.rank, 0) for row in book))
        short.sort(key=lambda row: (row.quantity_wh - got[row.rank], row.rank))
        leaving = short[len(short) // 2 :] if rounds < 32 else [row for row in left if row.all_or_none]
        left = [row for row in left if row not in leaving]


def check_book(case: Case) -> None:
    """Claim 14; nothing without a book."""
    if case.book is None:
        return
    rows = _rows(case, case.book)
    contract = case.contract
    size = 33 if contract and contract.ranks_by_arrival else 29
    asks_one = contract is not None and (contract.has_fees or contract.asks_arrival)
    size = 45 if contract and contract.asks_orders else 33 if asks_one else size
    require(all(len(row) == size for row in rows), "a row that is no book row")
    book = [read_book_row(row, size, by_arrival=bool(contract and contract.ranks_by_arrival)) for row in rows]
    require(all(row.side in (0, 1) and row.quantity_wh > 0 for row in book), "an order of no side or quantity")
    require([row.rank for row in book] == list(range(len(book))), "the ranks are not 0, 1, 2 ...")
    if contract is not None and contract.asks_arrival:
        require(sorted(row.wanted[0] for row in book) == list(range(len(book))), "orders that came at one time")
    if case.contract is not None and case.contract.matching is not None:
        require(not any(row.all_or_none for row in book), "an order that is all or none where orders trade in pairs")
        _require_pairs(case, book, case.contract.matching(book, case.rules))
        return
    outcome = _clear(book, auction_terms(case.rules))
    require(outcome.filled_wh == tuple(row.filled_wh for row in book), "a fill does not follow from the orders")
    cleared = case.cleared
    stated = (cleared.volume_wh, cleared.price_micro_per_kwh) if cleared else None
    require((outcome.volume_wh, outcome.price_micro_per_kwh) == stated, "price or volume do not follow from the orders")
    _require_party(case, book, None)


def _require_pairs(case: Case, book: list[BookRow], pairs: list[Pair]) -> None:
    """What the trades of the whole book come to is what the clearing and the book say."""
    filled = {row.rank: 0 for row in book}
    for pair in pairs:
        filled[pair.buy] += pair.energy_wh
        filled[pair.sell] += pair.energy_wh
    require(all(filled[row.rank] == row.filled_wh for row in book), "a fill does not follow from the orders")
    cleared = case.cleared
    stated = (cleared.volume_wh, cleared.trades) if cleared else None
    require((sum(pair.energy_wh for pair in pairs), len(pairs)) == stated, "the trades are not those of the clearing")
    price = case.contract.buyers_price(book) if case.contract and case.contract.buyers_price else None
    require(price in (None, cleared.price_micro_per_kwh if cleared else None), "not the price of the buyers")
    _require_party(case, book, pairs)
