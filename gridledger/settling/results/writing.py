"""All files of a settled folder, in one pass over its runs and parties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gridcore.errors import GridError, require
from gridledger.settling.dataset import Dataset, InvoiceTerms, PartyTariff
from gridledger.settling.participants import NAME as PARTICIPANTS
from gridledger.settling.participants import Participant
from gridledger.settling.report.page import report_page
from gridledger.settling.results.figures import figures_of
from gridledger.settling.results.general_ledger import GeneralLedger
from gridledger.settling.results.invoices import Invoices, MonthSums, month_sums
from gridledger.settling.results.months import months_of
from gridledger.settling.results.participants import participants_of
from gridledger.settling.results.party_lines import Kind, Signed, merged, rows_of, sides_of
from gridledger.settling.results.postings import Postings
from gridledger.settling.results.sample import Sample
from gridledger.settling.results.sheets import Sheet, Sheets, lines_of
from gridledger.settling.results.statements import statement_table
from gridledger.settling.results.tariff_lines import (
    MonthTotals,
    SignedCharge,
    rows_of_charges,
    sides_of_charges,
    signed_charges,
)
from gridledger.settling.runs import BillLine, RunColumns
from gridledger.tables.columns import Places, Table, utf8
from gridledger.tables.files import write_rows, write_tables
from gridledger.tables.results import COLUMNS, results_root
from ledger.contract import LineKindLike
from settlement.catalogue import CONTRACTS
from settlement.contract_kit_1 import ContractError

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


class Results(NamedTuple):
    """What the files hold. statements, postings, documents: rows; energy_shared_wh: bought, by the last run of each slot.

    sample: a line of a first run that a bundle may prove, None where there is none.
    """

    statements: int
    postings: int
    postings_sum_nano: int
    documents: int
    energy_shared_wh: int
    results_root: bytes
    sample: BillLine | None


def write_results(
    out: Path,
    dataset: Dataset,
    runs: Iterable[RunColumns],
    tariffs: Mapping[str, PartyTariff],
    progress: Progress | None = None,
) -> Results:
    """Make the files of ``out`` that hold what was decided; FileExistsError where one stands there already.

    tariffs: of the parties that have one; the others' invoices are by the terms of the dataset.

    GridError for a tariff whose account is a party, and for sums that leave 64 bits.
    """
    try:
        return _Writer(dataset, runs, tariffs).write(out, progress or _quietly)
    except ContractError as error:
        raise GridError(f"results cannot be written: {error}") from None


class _OfRun(NamedTuple):
    """A run, what held before it (None of a first run), and the slots that a later run has."""

    name: str
    sheet: Sheet
    before: Sheet | None
    superseded: Places


class _Writer:
    """The runs of a folder, and what is made of them party by party."""

    def __init__(self, dataset: Dataset, runs: Iterable[RunColumns], tariffs: Mapping[str, PartyTariff]) -> None:
        self.dataset, self.tariffs = dataset, tariffs
        self.contract = CONTRACTS[dataset.rules.contract]
        self.sheets = Sheets(dataset, self.contract)
        self.sheets.collect(runs)
        self._latest: _OfRun | None = None
        self.points_of_party = _points_of_party(dataset)
        self.months = months_of(dataset)
        components = [one for tariff in tariffs.values() for one in tariff.components]
        self.kinds = _kinds([*self.contract.line_kinds], [Kind(one.name, one.account) for one in components])
        untaxed = {one.name for one in components if not one.is_taxed}
        self.accounts = list(dict.fromkeys([*self.contract.accounts, *(kind.account for kind in self.kinds)]))
        for account in self.accounts:
            if account in self.points_of_party:
                raise GridError(
                    f"{account} is both a party and an account; name the party or the tariff's account otherwise"
                )
        self.postings = Postings(dataset.slot_start_s, list(self.points_of_party), self.accounts)
        is_taxed = [kind.line_kind not in untaxed for kind in self.kinds]
        self.invoices = Invoices(self.months.names, self.kinds, is_taxed, self._terms_of)
        self.book = GeneralLedger(self.months.calendar.day)
        self.sample = Sample(dataset.slot_start_s, self.kinds, self.contract.line_kinds)
        self.statements = 0
        self.charges: Mapping[tuple[str, str], Sequence[SignedCharge]] = signed_charges(
            tariffs, self.months, self.sheets, self.points_of_party, self._billed
        )

    def write(self, out: Path, progress: Progress) -> Results:
        """See ``write_results``."""
        roots = {
            name: write_tables(out / name, COLUMNS[name], tables)
            for name, tables in (
                ("statements.csv", self._statements(progress)),
                ("postings.csv", self.postings.tables()),
            )
        }
        require(self.postings.sum_nano == 0, "the debits of all postings equal their credits")
        issued = self.invoices.write(out, self.sheets.names)
        day = self.months.calendar.day
        last_day = {
            name: int(day[np.flatnonzero(self.months.calendar.month == place)[-1]])
            for place, name in enumerate(self.months.names)
        }
        for one in issued:
            self.book.add_document(one, last_day[one.month], self.dataset.rules.invoice.quantum_nano)
        self.book.write(out)
        participants = participants_of(self.dataset, self.sheets, self.points_of_party, issued)
        write_rows(out / PARTICIPANTS, Participant._fields, participants)
        root = results_root(roots)
        figures = figures_of(self.dataset, self.months, self.sheets, self.points_of_party, self.invoices, issued, root)
        (out / "report.html").write_text(report_page(figures), "utf-8")
        return Results(
            statements=self.statements,
            postings=self.postings.count,
            postings_sum_nano=self.postings.sum_nano,
            documents=len(issued),
            energy_shared_wh=figures.shared_wh,
            results_root=root,
            sample=self.sample.line,
        )

    def _terms_of(self, party: str, month: int) -> InvoiceTerms:
        """Of a month's invoice."""
        tariff, first_slot = self.tariffs.get(party), self.months.first_slot[month]
        invoice = self.dataset.rules.invoice
        return invoice if tariff is None else tariff.terms_of(int(self.months.calendar.day[first_slot]))

    def _statements(self, progress: Progress) -> Iterator[Table]:
        names = sorted(self.sheets.names, key=utf8)
        done, steps = 0, len(names) * len(self.points_of_party)
        for name in names:
            run = self._run(name)
            for party in self.points_of_party:
                table = self._of_party(run, party)
                self.statements += table.rows
                yield table
                done += 1
                progress(done, steps)

    def _run(self, name: str) -> _OfRun:
        if self._latest is None or self._latest.name != name:
            sheet = self.sheets.sheet(name)
            before = None if name == self.sheets.names[0] else self.sheets.before(name, sheet)
            self._latest = _OfRun(name, sheet, before, self.sheets.slots_with_later(name))
        return self._latest

    def _parts(self, run: _OfRun, party: str) -> list[Signed]:
        """The contract's lines of a party, and of a correction those before it."""
        points = self.points_of_party[party]
        areas = [self.dataset.points[point].area for point in points]
        parts = [Signed(1, lines_of(self.contract, run.sheet, points, areas))]
        if run.before is not None:
            parts.append(Signed(-1, lines_of(self.contract, run.before, points, areas)))
        return parts

    def _of_party(self, run: _OfRun, party: str) -> Table:
        """A party's rows of a run; its postings, sums and entries are noted on the way."""
        parts, slots = self._parts(run, party), run.sheet.slots
        charges = self.charges.get((run.name, party), [])
        rows = merged(
            [*rows_of(parts, self.kinds, slots), rows_of_charges(charges, self.kinds, self.months.first_slot)]
        )
        both = [("day", slots, sides_of(parts, self.accounts, slots))]
        if charges:
            sides = sides_of_charges(charges, self.accounts, len(self.months.names))
            both.append(("charge", self.months.first_slot, sides))
        for kind, at, sides in both:
            self.postings.add(run.name, party, at, sides)
            self.book.add(run.name, kind, party, at, sides, self.accounts)
        if run.before is None:
            self.sample.show(run.name, party, rows, run.superseded)
        month = self.months.calendar.month
        self.invoices.add(run.name, party, month_sums(rows, month, len(self.months.names), len(self.kinds)))
        return statement_table(run.name, party, rows, self.kinds, self.dataset.slot_start_s)

    def _billed(self, name: str, party: str) -> MonthTotals:
        """What a run adds to a party's lines of the contract, by month and kind."""
        run = self._run(name)
        rows = merged(rows_of(self._parts(run, party), self.kinds, run.sheet.slots))
        sums: MonthSums = month_sums(rows, self.months.calendar.month, len(self.months.names), len(self.kinds))
        names = [kind.line_kind for kind in self.kinds]
        return [dict(zip(names, of_month, strict=True)) for of_month in sums.amount_nano]


def _points_of_party(dataset: Dataset) -> Mapping[str, Places]:
    """The places of each party's points, parties by the bytes of their names."""
    found: dict[str, list[int]] = {}
    for place, point in enumerate(dataset.points):
        found.setdefault(point.party, []).append(place)
    return {party: np.array(found[party], dtype=np.intp) for party in sorted(found, key=utf8)}


def _kinds(of_contract: Sequence[LineKindLike], of_tariff: Sequence[Kind]) -> list[Kind]:
    """Every kind of line once, by the bytes of its name."""
    kinds = {*(Kind(kind.kind, kind.account) for kind in of_contract), *of_tariff}
    return sorted(kinds, key=lambda kind: utf8(kind.line_kind))


def _quietly(done: int, steps: int) -> None:
    """Nobody is told."""
