"""The balances of the areas of a ledger's month, as its books have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gridcore.registry.balance_terms import BALANCE_TERMS
from gridledger.settling.area_slots import slot_histories
from gridledger.settling.chain import named_terms
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset
from gridledger.settling.documents import Books
from gridledger.settling.results.balance_book import BalanceBook, BalanceDay, TermsOf, balance_days
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.months import months_of
from ledger.registry.bodies import open_entity
from settlement.area_balance import SlotHistory, area_balance


def balance_book(books: Books, billing: Billing) -> BalanceBook:
    """What balances post in the slots of a billing, by the blocks up to the height of the books."""
    if ZONE_NAME in books.reader.registry.zone_place:
        return BalanceBook(list(_days(books, billing.dataset)), billing.common_terms)
    return registered_balance_book(books, billing.dataset)


def registered_balance_book(books: Books, frame: Dataset) -> BalanceBook:
    """The same of the slots of a frame, with or without points: who answers is invoiced by the tariff that his own row names."""
    days = list(_days(books, frame))
    return BalanceBook(days, _terms_of(books, frame, {day.who for day in days}))


def areas_of(books: Books) -> list[str]:
    """The areas that have terms of a balance: no other one has entries."""
    scope = books.scope
    areas = books.reader.registry.zone(scope.zone).areas if scope.area is None else [scope.area]
    return [area for area in areas if open_entity(books.reader, BALANCE_TERMS, area) is not None]


def month_histories(books: Books, frame: Dataset, area: str) -> Iterable[SlotHistory]:
    """What was known of each slot of a frame by the height of the books."""
    starts = frame.slot_start_s
    found = slot_histories(books.reader, area, int(starts[0]), int(starts[-1]) + frame.slot_s)
    return [one for one in (up_to(history, books.scope.height) for history in found) if one.known]


def up_to(history: SlotHistory, height: int) -> SlotHistory:
    """What was known of a slot by a block."""
    return history._replace(known=[known for known in history.known if known.height <= height])


def _days(books: Books, frame: Dataset) -> Iterator[BalanceDay]:
    for area in areas_of(books):
        entries = area_balance(area, month_histories(books, frame, area)).entries
        yield from balance_days(area, entries, frame.timezone)


def _terms_of(books: Books, frame: Dataset, parties: Iterable[str]) -> TermsOf:
    found = named_terms(books.reader, frame, parties, books.scope.height)
    months = months_of(frame.slot_start_s, frame.slot_s, frame.timezone)
    return lambda party, month: found[party].terms_of(months.first_day(month)) if party in found else None
