"""The documents of a month for the balance of an area, as a node answers them: of whoever answers for losses or a balance group.

What was answered is kept as long as nothing changes from which it follows: a year of balances needs the documents of every month before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gridledger.settling.answered_months import (
    PARTIES_AT_ONCE,
    KeptAnswers,
    RunsMade,
    is_changed_between,
    months_of_area,
    runs_made,
    told,
)
from gridledger.settling.balance_books import registered_balance_book
from gridledger.settling.chain import Scope, frame_of_ledger
from gridledger.settling.chain.reading import BilledThere
from gridledger.settling.documents import Books
from gridledger.settling.month_documents import slots_of_month
from gridledger.settling.results.balance_book import BalanceBook
from ledger.area_balances import AreaBalances
from ledger.http.documents import AreaMonth, DocumentLine, MonthDocument
from ledger.leaves.columns import Int64
from ledger.store.reader import LedgerReader
from settlement.area_balance import counter_account

LINES_KEPT_MAX: Final = 1 << 16
"""Lines of all documents that are kept, about 400 bytes each; a month and who answers count as one each."""


class _Asked(NamedTuple):
    """A month that was made. height: of the last block that counts; None for the newest, whichever that is."""

    area: str
    month: str
    height: int | None


class _Made(NamedTuple):
    """All documents of a month, and what they follow from: the runs of its slots in each zone on which they rest, and the registry up to a height.

    parties: who answers, by name.
    """

    runs: Sequence[RunsMade]
    height: int
    slots_expected: int
    slots_settled: int
    parties: Sequence[str]
    without_tariff: Sequence[str]
    documents: Sequence[MonthDocument]

    @property
    def lines(self) -> int:
        """How much room it takes."""
        return 1 + len(self.parties) + sum(1 + len(document.lines) for document in self.documents)


class AreaBalanceDocuments:
    """The documents of balances of one node (``ledger.http.documents.Documents``). Callable from several threads."""

    def __init__(self) -> None:
        self._kept = KeptAnswers[_Asked, _Made]()

    def __call__(
        self, reader: LedgerReader, area: str, month: str, *, party: str | None, start: int, height: int | None = None
    ) -> AreaMonth:
        """Of one party, or of PARTIES_AT_ONCE from the ``start``-th on, as of a block that is there, by itself the newest.

        Of a party that answers for nothing there is none. UsageError for a month without settled slots.
        """
        scope, zone, area_number, months = months_of_area(reader, area, month, height)
        balances = AreaBalances(reader, area, zone, area_number)
        asked, slots = _Asked(area, month, height), months[month]
        made = self._kept.find(asked)
        if made is None or not _holds(balances, scope, slots, made):
            made = _made(balances, scope, month, slots)
        self._kept.keep(asked, made._replace(height=scope.height), lines_max=LINES_KEPT_MAX)
        return _part(made, scope.height, party, start)


def _part(made: _Made, height: int, party: str | None, start: int) -> AreaMonth:
    """What is told of one party, or of the next ones."""
    end = start + PARTIES_AT_ONCE
    shown = set(made.parties[start:end] if party is None else [party])
    return AreaMonth(
        height=height,
        slots_expected=made.slots_expected,
        slots_settled=made.slots_settled,
        documents=[one for one in made.documents if one.party in shown],
        disputed=(),
        without_tariff=[name for name in made.without_tariff if name in shown],
        following=end if party is None and end < len(made.parties) else None,
    )


def _holds(balances: AreaBalances, scope: Scope, slot_start_s: Int64, made: _Made) -> bool:
    """Whether nothing has changed from which documents follow."""
    if is_changed_between(balances.reader, made.height, scope.height):
        return False
    return made.runs == _runs_of(balances, scope.height, slot_start_s)


def _runs_of(balances: AreaBalances, height: int, slot_start_s: Int64) -> list[RunsMade]:
    """The runs of some slots by a block, zone by zone: the area's own and those on the other side of its borders."""
    return [runs_made(balances.reader, zone.name, height, slot_start_s) for zone in balances.zones()]


def _made(balances: AreaBalances, scope: Scope, month: str, slot_start_s: Int64) -> _Made:
    """The documents, and what they follow from."""
    reader = balances.reader
    runs = _runs_of(balances, scope.height, slot_start_s)
    frame = frame_of_ledger(reader, scope, slot_start_s, BilledThere((), ()))
    book = registered_balance_book(Books(reader, scope, month, is_of_files=False), frame)
    return _Made(
        runs=runs,
        height=scope.height,
        slots_expected=slots_of_month(reader, scope, month),
        slots_settled=len(slot_start_s),
        parties=book.parties,
        without_tariff=book.without_terms,
        documents=list(_documents(book)),
    )


def _documents(book: BalanceBook) -> Iterator[MonthDocument]:
    for issued in book.issued():
        lines = [
            DocumentLine(
                line.of.line_kind,
                counter_account(issued.of.area, line.of.line_kind),
                line.added.energy_wh,
                line.added.owed_nano,
                line.amount,
                line.of.tax_ppm,
            )
            for line in book.lines(issued)
        ]
        yield told(issued.of.party, issued.run, issued.document, issued.terms, lines)
