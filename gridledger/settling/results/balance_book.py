"""What balances of areas bring into the books of a month: entries by local day, and the documents of whoever answers for losses and imbalances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gridcore.run_names import INITIAL, run_rank
from gridledger.settling.dataset import InvoiceTerms
from gridledger.tables.columns import utf8
from gridledger.tables.files import write_rows
from settlement.area_balance import KINDS, Entry, answering_account, counter_account, pays_nano
from settlement.invoicing.documents import Document, InvoiceLine, documents

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
    """A line of such a document; party, month and line_kind name it for ``settle explain``, with the area. energy_wh, amount_nano: exact, what the run adds; amount: in quanta, what the document adds."""

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


class _Sum(NamedTuple):
    """What a run adds to a kind of line in a month."""

    energy_wh: int = 0
    owed_nano: int = 0


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
        self._sums: dict[Answering, dict[str, dict[str, _Sum]]] = {}
        for day in days:
            of_run = self._sums.setdefault(Answering(day.who, day.month, day.area), {}).setdefault(day.run, {})
            known = of_run.get(day.kind, _Sum())
            of_run[day.kind] = _Sum(known.energy_wh + day.energy_wh, known.owed_nano + day.owed_nano)

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
        runs, states, so_far = sorted(of_run, key=run_rank), list[list[InvoiceLine]](), defaultdict[str, int](int)
        for run in runs:
            for kind, added in of_run[run].items():
                so_far[kind] += added.owed_nano
            states.append([InvoiceLine(kind, so_far[kind], terms.tax_ppm) for kind in KINDS if so_far[kind]])
        made = documents(states, quantum_nano=terms.quantum_nano, rounding=terms.rounding)
        for run, document in zip(runs, made, strict=True):
            if document is not None:
                yield BalanceIssued(of, run, document, terms)

    def _lines(self, one: BalanceIssued) -> Iterator[BalanceLineRow]:
        of_run: Mapping[str, _Sum] = self._sums[one.of][one.run]
        for kind in KINDS:
            added, amount = of_run.get(kind, _Sum()), one.document.lines.get(kind, 0)
            if any(added) or amount:
                yield BalanceLineRow(*one.of, one.run, kind, *added, amount)


NO_BALANCE: Final = BalanceBook((), lambda *_: None)
"""Of folders whose areas have no terms of a balance."""


def _is_party(of: Answering) -> bool:
    """Whether somebody answers: accounts of areas have a slash in their names."""
    return "/" not in of.party
