"""The documents of each party and month: ``invoices.csv``, ``invoice_lines.csv`` and ``invoice_taxes.csv``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.results.months import Months
from gridledger.settling.results.party_lines import Kind, Rows, exact_sums
from gridledger.tables.columns import utf8
from gridledger.tables.files import write_rows
from settlement.contract_kit_1 import Int64Column
from settlement.invoicing.documents import Document, InvoiceLine, LineOf, documents, highest_first

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
    """A line of a document, one of each kind and rate of tax. run: of the document; energy_wh, amount_nano: exact, what the run adds; amount: in quanta, what the document adds.

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


class RatedKind(NamedTuple):
    """A kind of line by its place, at a rate of tax, None for no tax."""

    kind: int
    tax_ppm: int | None


class LineSum(NamedTuple):
    """What some lines come to, exact at any size."""

    energy_wh: int = 0
    amount_nano: int = 0

    def plus(self, energy_wh: int, amount_nano: int) -> LineSum:
        """With some more."""
        return LineSum(self.energy_wh + energy_wh, self.amount_nano + amount_nano)


MonthSums = Sequence[Mapping[RatedKind, LineSum]]
"""What a party's lines of a run come to, by month; no line of nothing."""


class SlotRates(NamedTuple):
    """The rates of a tariff's tax, and the place among them of that of each slot, int64[slots]."""

    rates_ppm: Sequence[int]
    place: Int64Column


class Whole(NamedTuple):
    """What a month comes to after some runs, exact; document: the one invoice that it would be, None of nothing."""

    lines: Mapping[RatedKind, LineSum]
    document: Document | None


class Issued(NamedTuple):
    """A document with its party, month and run."""

    party: str
    month: str
    run: str
    document: Document


def month_sums(rows: Sequence[Rows], months: Months, kinds: int, rates: SlotRates) -> list[dict[RatedKind, LineSum]]:
    """What lines of slots come to by month, in it by kind and the rate of the tariff in the slot, exact at any size."""
    of_rates, month = len(rates.rates_ppm), months.calendar.month
    slot, kind, energy_wh, amount_nano = (
        np.concatenate([getattr(part, name) for part in rows]) for name in ("slot", "kind", "energy_wh", "amount_nano")
    )
    place = (month[slot] * kinds + kind) * of_rates + rates.place[slot]
    order = np.argsort(place, kind="stable")
    place = place[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    sums = [exact_sums(column[order], starts).tolist() for column in (energy_wh, amount_nano)]
    found: list[dict[RatedKind, LineSum]] = [{} for _ in months.names]
    for at, *of_line in zip(place[starts].tolist(), *sums, strict=True):
        of_kind, rate = divmod(at, of_rates)
        if any(of_line):
            found[of_kind // kinds][RatedKind(of_kind % kinds, rates.rates_ppm[rate])] = LineSum(*of_line)
    return found


class Invoices:
    """The sums of every run and party, and the documents that follow from them. terms_of: by party and place of the month."""

    def __init__(
        self,
        months: Sequence[str],
        kinds: Sequence[Kind],
        terms_of: Callable[[str, int], InvoiceTerms],
    ) -> None:
        self.months, self.kinds = months, kinds
        self._terms_of = terms_of
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
        every = (of_month for of_party in self._sums.values() for sums in of_party.values() for of_month in sums)
        return sum(one.energy_wh for of_month in every for of, one in of_month.items() if of.kind == place)

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

    def exact(self, party: str, runs: Sequence[str], month: int) -> Mapping[RatedKind, LineSum]:
        """What a party's lines of some runs come to in a month, by kinds, of one kind the highest rate first."""
        of_party, found = self._sums[party], dict[RatedKind, LineSum]()
        for run in runs:
            for of, one in of_party[run][month].items() if run in of_party else ():
                found[of] = found.get(of, LineSum()).plus(*one)
        return {of: found[of] for of in sorted(found, key=_in_order) if any(found[of])}

    def whole(self, party: str, runs: Sequence[str], month: int) -> Whole:
        """What a party's month comes to after some runs."""
        lines = self.exact(party, runs, month)
        (document,) = self._made(party, month, [lines])
        return Whole(lines, document)

    def _documents(self, party: str, runs: Sequence[str], month: int) -> list[Document | None]:
        exact = [self.exact(party, runs[: place + 1], month) for place in range(len(runs))]
        return self._made(party, month, exact)

    def _made(self, party: str, month: int, exact: Sequence[Mapping[RatedKind, LineSum]]) -> list[Document | None]:
        """The documents of a month that came to these lines, one after the other."""
        states = [
            [
                InvoiceLine(self.kinds[of.kind].line_kind, one.amount_nano, of.tax_ppm)
                for of, one in lines.items()
                if one.amount_nano
            ]
            for lines in exact
        ]
        terms = self._terms_of(party, month)
        return documents(states, quantum_nano=terms.quantum_nano, rounding=terms.rounding)

    def _lines(self, one: Issued) -> Iterator[InvoiceLineRow]:
        sums = self._sums[one.party][one.run][self.months.index(one.month)]
        for of in sorted(sums, key=_in_order):
            energy_wh, nano = sums[of]
            kind = self.kinds[of.kind].line_kind
            amount = one.document.lines.get(LineOf(kind, of.tax_ppm), 0)
            if energy_wh or nano or amount:
                tax_ppm = "" if of.tax_ppm is None else of.tax_ppm
                yield InvoiceLineRow(one.party, one.month, one.run, kind, energy_wh, nano, amount, tax_ppm)


def _in_order(of: RatedKind) -> tuple[int, int]:
    return of.kind, highest_first(of.tax_ppm)


def tax_rows(issued: Iterable[Issued]) -> list[InvoiceTaxRow]:
    """The taxes of documents as rows of ``INVOICE_TAXES``."""
    return [InvoiceTaxRow(one.party, one.month, one.run, *tax) for one in issued for tax in one.document.taxes]
