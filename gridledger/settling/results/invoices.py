"""The documents of each party and month: ``invoices.csv``, ``invoice_lines.csv`` and ``invoice_taxes.csv``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.results.party_lines import Kind, Rows, exact_sums
from gridledger.tables.columns import utf8
from gridledger.tables.files import write_rows
from settlement.contract_kit_1 import Int64Column
from settlement.invoicing.documents import Document, InvoiceLine, documents

INVOICES: Final = "invoices.csv"
INVOICE_LINES: Final = "invoice_lines.csv"
INVOICE_TAXES: Final = "invoice_taxes.csv"


class InvoiceRow(NamedTuple):
    """A document. net, tax, gross: whole quanta; rounding: nano. The first of a party and month is its invoice."""

    party: str
    month: str
    currency: str
    net: int
    tax: int
    gross: int
    rounding: int


class InvoiceLineRow(NamedTuple):
    """A line of a document. run: of the document; energy_wh, amount_nano: exact, what the run adds; amount: in quanta, what the document adds.

    tax_ppm: the rate of its tax, "" where none is paid on it.
    """

    party: str
    month: str
    run: str
    line_kind: str
    energy_wh: int
    amount_nano: int
    amount: int
    tax_ppm: int | str


class InvoiceTaxRow(NamedTuple):
    """What of a document one rate is paid on, in quanta; of all rates the taxes come to the document's."""

    party: str
    month: str
    run: str
    tax_ppm: int
    taxed: int
    tax: int


class MonthSums(NamedTuple):
    """What a party's lines of a run come to: by month, and in it by kind; Python integers."""

    energy_wh: Sequence[Sequence[int]]
    amount_nano: Sequence[Sequence[int]]


class Whole(NamedTuple):
    """What a month comes to after some runs: by the place of each kind, exact; document: the one invoice that it would be, None of nothing."""

    energy_wh: Sequence[int]
    amount_nano: Sequence[int]
    document: Document | None


class Issued(NamedTuple):
    """A document with its party, month and run."""

    party: str
    month: str
    run: str
    document: Document


def month_sums(rows: Rows, month: Int64Column, months: int, kinds: int) -> MonthSums:
    """Sums by month and kind, exact at any size. ``month``: of each slot."""
    sums: list[list[list[int]]] = []
    place = month[rows.slot] * kinds + rows.kind
    order = np.argsort(place, kind="stable")
    place = place[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    for column in (rows.energy_wh, rows.amount_nano):
        of_place = [0] * (months * kinds)
        for at, value in zip(place[starts].tolist(), exact_sums(column[order], starts).tolist(), strict=True):
            of_place[at] = value
        sums.append([of_place[start : start + kinds] for start in range(0, len(of_place), kinds)])
    return MonthSums(*sums)


class Invoices:
    """The sums of every run and party, and the documents that follow from them. rates_of, terms_of: by party and place of the month.

    rates_of: at which rate tax is paid on each kind, None for no tax.
    """

    def __init__(
        self,
        months: Sequence[str],
        kinds: Sequence[Kind],
        rates_of: Callable[[str, int], Sequence[int | None]],
        terms_of: Callable[[str, int], InvoiceTerms],
    ) -> None:
        self.months, self.kinds = months, kinds
        self._terms_of = terms_of
        self._rates_of = rates_of
        self._sums: dict[str, dict[str, MonthSums]] = {}

    def add(self, run: str, party: str, sums: MonthSums) -> None:
        """What a party's lines of a run come to."""
        self._sums.setdefault(party, {})[run] = sums

    def issued(self, runs: Sequence[str]) -> Iterator[Issued]:
        """The documents by party and month, and of one month in the order of ``runs``."""
        for party in sorted(self._sums, key=utf8):
            for place, month in enumerate(self.months):
                for run, document in zip(runs, self._documents(party, runs, place), strict=True):
                    if document is not None:
                        yield Issued(party, month, run, document)

    def energy_wh(self, kind: Kind) -> int:
        """What a kind of line comes to over all parties, months and runs."""
        place = self.kinds.index(kind)
        every = (sums for of_party in self._sums.values() for sums in of_party.values())
        return sum(of_month[place] for sums in every for of_month in sums.energy_wh)

    def write(self, out: Path, runs: Sequence[str]) -> list[Issued]:
        """Make all three files; the documents in them."""
        issued = list(self.issued(runs))
        write_rows(out / INVOICES, InvoiceRow._fields, self.rows(issued))
        write_rows(out / INVOICE_LINES, InvoiceLineRow._fields, self.line_rows(issued))
        write_rows(out / INVOICE_TAXES, InvoiceTaxRow._fields, tax_rows(issued))
        return issued

    def rows(self, issued: Iterable[Issued]) -> list[InvoiceRow]:
        """The documents as rows of ``INVOICES``."""
        return [
            InvoiceRow(
                party=one.party,
                month=one.month,
                currency=self._terms_of(one.party, self.months.index(one.month)).currency,
                net=one.document.net,
                tax=one.document.tax,
                gross=one.document.gross,
                rounding=one.document.rounding_nano,
            )
            for one in issued
        ]

    def line_rows(self, issued: Iterable[Issued]) -> list[InvoiceLineRow]:
        """Their lines as rows of ``INVOICE_LINES``."""
        return [row for one in issued for row in self._lines(one)]

    def exact_nano(self, party: str, runs: Sequence[str], month: int) -> Sequence[int]:
        """What a party's lines of some runs come to in a month, by the place of their kind."""
        return self._sum([sums.amount_nano[month] for sums in self._of_runs(party, runs)])

    def whole(self, party: str, runs: Sequence[str], month: int) -> Whole:
        """What a party's month comes to after some runs."""
        energy_wh = self._sum([sums.energy_wh[month] for sums in self._of_runs(party, runs)])
        amount_nano = self.exact_nano(party, runs, month)
        (document,) = self._made(party, month, [amount_nano])
        return Whole(energy_wh, amount_nano, document)

    def _of_runs(self, party: str, runs: Sequence[str]) -> list[MonthSums]:
        of_party = self._sums[party]
        return [of_party[run] for run in runs if run in of_party]

    def _sum(self, of_run: Sequence[Sequence[int]]) -> Sequence[int]:
        """By the place of each kind."""
        return [sum(values) for values in zip(*of_run, strict=True)] or [0] * len(self.kinds)

    def _documents(self, party: str, runs: Sequence[str], month: int) -> list[Document | None]:
        exact = [self.exact_nano(party, runs[: place + 1], month) for place in range(len(runs))]
        return self._made(party, month, exact)

    def _made(self, party: str, month: int, exact_nano: Sequence[Sequence[int]]) -> list[Document | None]:
        """The documents of a month that came to these amounts by kind, one after the other."""
        states: list[list[InvoiceLine]] = []
        rates_ppm = self._rates_of(party, month)
        for total in exact_nano:
            lines = zip(self.kinds, total, rates_ppm, strict=True)
            states.append([InvoiceLine(kind.line_kind, nano, rate) for kind, nano, rate in lines if nano])
        terms = self._terms_of(party, month)
        return documents(states, quantum_nano=terms.quantum_nano, rounding=terms.rounding)

    def _lines(self, one: Issued) -> Iterator[InvoiceLineRow]:
        sums, month = self._sums[one.party][one.run], self.months.index(one.month)
        for place, (kind, rate) in enumerate(zip(self.kinds, self._rates_of(one.party, month), strict=True)):
            energy_wh, nano = sums.energy_wh[month][place], sums.amount_nano[month][place]
            amount = one.document.lines.get(kind.line_kind, 0)
            if energy_wh or nano or amount:
                tax_ppm = "" if rate is None else rate
                yield InvoiceLineRow(one.party, one.month, one.run, kind.line_kind, energy_wh, nano, amount, tax_ppm)


def tax_rows(issued: Iterable[Issued]) -> list[InvoiceTaxRow]:
    """The taxes of documents as rows of ``INVOICE_TAXES``."""
    return [InvoiceTaxRow(one.party, one.month, one.run, *tax) for one in issued for tax in one.document.taxes]
