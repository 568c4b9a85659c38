"""What balances of areas bring into the books of a month: entries by local day, and the documents of whoever answers for losses and imbalances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gridcore.run_names import INITIAL, run_rank
from gridledger.settling.dataset import InvoiceTerms
from gridledger.tables.columns import utf8
from gridledger.tables.files import write_rows
from settlement.area_balance import KINDS, Entry, answering_account, counter_account, pays_nano
from settlement.invoicing.documents import Document, InvoiceLine, LineOf, documents, highest_first

BALANCE_INVOICES: Final = "balance_invoices.csv"
BALANCE_INVOICE_LINES: Final = "balance_invoice_lines.csv"


class BalanceDay(NamedTuple):
    """What a run adds to what somebody owes of a kind for the slots of a local day. date: ISO; who: who answers, or the area's account of those that nobody answers for.

    energy_wh, owed_nano: below 0 where less than before.
    """

    area: str
    run: str
    date: str
    who: str
    kind: str
    energy_wh: int
    owed_nano: int

    @property
    def month(self) -> str:
        """The local one, as ``2026-07``."""
        return self.date[:7]

    @property
    def account(self) -> str:
        """Whom it is owed to."""
        return counter_account(self.area, self.kind)


class BalanceInvoiceRow(NamedTuple):
    """A document for the balance of an area. net, tax, gross: whole quanta; rounding: nano. The first of a party, month and area is its invoice."""

    party: str
    month: str
    area: str
    run: str
    currency: str
    net: int
    tax: int
    gross: int
    rounding: int


class BalanceLineRow(NamedTuple):
    """A line of such a document, of all rates of its tax; party, month and line_kind name it for ``settle explain``, with the area. energy_wh, amount_nano: exact, what the run adds; amount: in quanta, what the document adds."""

    party: str
    month: str
    area: str
    run: str
    line_kind: str
    energy_wh: int
    amount_nano: int
    amount: int


class Answering(NamedTuple):
    """Who answers for what in an area and month."""

    party: str
    month: str
    area: str


class BalanceIssued(NamedTuple):
    """A document, and by which terms it was made."""

    of: Answering
    run: str
    document: Document
    terms: InvoiceTerms


class BalanceSum(NamedTuple):
    """What is added to a kind of line, exact."""

    energy_wh: int = 0
    owed_nano: int = 0

    def plus(self, energy_wh: int, owed_nano: int) -> BalanceSum:
        """With some more."""
        return BalanceSum(self.energy_wh + energy_wh, self.owed_nano + owed_nano)


class RatedLine(NamedTuple):
    """A line of a document, one of each kind and rate of tax. added: exact, by the run; amount: quanta, by the document."""

    of: LineOf
    added: BalanceSum
    amount: int


TermsOf = Callable[[str, str], InvoiceTerms | None]
"""Of a party's invoice of a month, None where nothing says them."""


def balance_days(area: str, entries: Iterable[Entry], timezone: str) -> list[BalanceDay]:
    """The entries of an area netted by run, local day, who answers and kind."""
    zone, sums = ZoneInfo(timezone), defaultdict[tuple[str, str, str, str], list[int]](lambda: [0, 0])
    for entry in entries:
        when = datetime.fromtimestamp(entry.slot_start_s, zone).date().isoformat()
        found = sums[entry.run, when, answering_account(area, entry), entry.kind]
        found[0] += entry.energy_wh
        found[1] += pays_nano(area, entry)
    return [BalanceDay(area, *key, *both) for key, both in sums.items()]


class BalanceBook:
    """The balances of some areas in a folder. terms_of: of those who answer."""

    def __init__(self, days: Sequence[BalanceDay], terms_of: TermsOf) -> None:
        self.days = days
        self._terms_of = terms_of
        self._sums: dict[Answering, dict[str, dict[LineOf, BalanceSum]]] = {}
        for day in days:
            answering = Answering(day.who, day.month, day.area)
            terms = terms_of(day.who, day.month) if _is_party(answering) else None
            rate = None if terms is None else terms.rate_on(date.fromisoformat(day.date).toordinal())
            of_run = self._sums.setdefault(answering, {}).setdefault(day.run, {})
            line = LineOf(day.kind, rate)
            of_run[line] = of_run.get(line, BalanceSum()).plus(day.energy_wh, day.owed_nano)

    def terms_of(self, party: str, month: str) -> InvoiceTerms | None:
        """By which terms who answers is invoiced, None where nothing says them."""
        return self._terms_of(party, month)

    @property
    def parties(self) -> list[str]:
        """Who answers for something."""
        return sorted({of.party for of in self._sums if _is_party(of)}, key=utf8)

    @property
    def without_terms(self) -> list[str]:
        """Parties that answer for something, and of which nothing says how they are invoiced."""
        found = {of.party for of in self._sums if _is_party(of) and self._terms_of(of.party, of.month) is None}
        return sorted(found, key=utf8)

    def at_once(self) -> BalanceBook:
        """The same as if one run had posted all of it: the documents are invoices."""
        return BalanceBook([day._replace(run=INITIAL) for day in self.days], self._terms_of)

    def issued(self) -> list[BalanceIssued]:
        """The documents by party, month and area; of one of these in the order of runs."""
        return [one for of in sorted(self._sums, key=lambda of: tuple(map(utf8, of))) for one in self._of(of)]

    def rows(self, issued: Sequence[BalanceIssued]) -> list[BalanceInvoiceRow]:
        """The documents as rows of ``BALANCE_INVOICES``."""
        return [
            BalanceInvoiceRow(
                *of, run, terms.currency, document.net, document.tax, document.gross, document.rounding_nano
            )
            for of, run, document, terms in issued
        ]

    def line_rows(self, issued: Sequence[BalanceIssued]) -> list[BalanceLineRow]:
        """Their lines as rows of ``BALANCE_INVOICE_LINES``."""
        return [row for one in issued for row in self._lines(one)]

    def write(self, out: Path) -> list[BalanceIssued]:
        """Make both files, where there is a balance; the documents in them."""
        issued = self.issued()
        if self.days:
            write_rows(out / BALANCE_INVOICES, BalanceInvoiceRow._fields, self.rows(issued))
            write_rows(out / BALANCE_INVOICE_LINES, BalanceLineRow._fields, self.line_rows(issued))
        return issued

    def _of(self, of: Answering) -> Iterator[BalanceIssued]:
        terms = self._terms_of(of.party, of.month) if _is_party(of) else None
        if terms is None:
            return
        of_run = self._sums[of]
        runs, states, so_far = sorted(of_run, key=run_rank), list[list[InvoiceLine]](), defaultdict[LineOf, int](int)
        for run in runs:
            for line, added in of_run[run].items():
                so_far[line] += added.owed_nano
            states.append(
                [
                    InvoiceLine(line.line_kind, so_far[line], line.tax_ppm)
                    for line in sorted(so_far, key=_in_order)
                    if so_far[line]
                ]
            )
        made = documents(states, quantum_nano=terms.quantum_nano, rounding=terms.rounding)
        for run, document in zip(runs, made, strict=True):
            if document is not None:
                yield BalanceIssued(of, run, document, terms)

    def lines(self, one: BalanceIssued) -> list[RatedLine]:
        """The lines of a document, by kinds; of one kind the highest rate first."""
        of_run: Mapping[LineOf, BalanceSum] = self._sums[one.of][one.run]
        found = [RatedLine(of, of_run[of], one.document.lines.get(of, 0)) for of in sorted(of_run, key=_in_order)]
        return [line for line in found if any(line.added) or line.amount]

    def _lines(self, one: BalanceIssued) -> Iterator[BalanceLineRow]:
        lines = self.lines(one)
        for kind in dict.fromkeys(line.of.line_kind for line in lines):
            own = [line for line in lines if line.of.line_kind == kind]
            energy_wh, owed_nano = (sum(line.added[at] for line in own) for at in (0, 1))
            yield BalanceLineRow(*one.of, one.run, kind, energy_wh, owed_nano, sum(line.amount for line in own))


def _in_order(line: LineOf) -> tuple[int, int]:
    return KINDS.index(line.line_kind), highest_first(line.tax_ppm)


NO_BALANCE: Final = BalanceBook((), lambda *_: None)
"""Of folders whose areas have no terms of a balance."""


def _is_party(of: Answering) -> bool:
    """Whether somebody answers: accounts of areas have a slash in their names."""
    return "/" not in of.party
