"""The files of statements, book and documents, in one pass over runs and parties; and with them those of a settled folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gridcore.errors import GridError, require
from gridledger.settling.dataset import Dataset, PartyTariff
from gridledger.settling.participants import NAME as PARTICIPANTS
from gridledger.settling.participants import Participant
from gridledger.settling.partners import NOBODY, Partners
from gridledger.settling.report.page import report_page
from gridledger.settling.results.balance_book import NO_BALANCE, BalanceBook, BalanceDay, BalanceIssued
from gridledger.settling.results.billing import Billing, OfRun
from gridledger.settling.results.figures import figures_of
from gridledger.settling.results.general_ledger import GeneralLedger
from gridledger.settling.results.invoices import Issued
from gridledger.settling.results.market_partners import PartnerBook
from gridledger.settling.results.participants import participants_of
from gridledger.settling.results.party_lines import sides_of
from gridledger.settling.results.payments import PaymentRow
from gridledger.settling.results.postings import Postings
from gridledger.settling.results.sample import Sample
from gridledger.settling.results.statements import statement_table
from gridledger.settling.results.tariff_lines import sides_of_charges
from gridledger.settling.run_columns import BillLine, RunColumns
from gridledger.settling.uncharged_components import Uncharged
from gridledger.settling.validation_marks import NAME as MARKED
from gridledger.settling.validation_marks import JudgedEnergies, MarkedRow, marked_rows
from gridledger.tables.columns import Table, utf8
from gridledger.tables.files import write_rows, write_tables
from gridledger.tables.results import COLUMNS, results_root
from settlement.contract_kit_1 import ContractError

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


class Written(NamedTuple):
    """What the files of documents hold. statements, postings: rows; of_balance: documents of balances; sample: a line of a first run that a bundle may prove, None for none."""

    statements: int
    postings: int
    postings_sum_nano: int
    issued: Sequence[Issued]
    of_balance: Sequence[BalanceIssued]
    results_root: bytes
    sample: BillLine | None


class Results(NamedTuple):
    """What the files of a settled folder hold, as of ``Written``. documents: how many; energy_shared_wh: bought, by the last run of each slot.

    marked: energies that are hardly meant; uncharged: components that are left out since a month has no power factor.
    """

    statements: int
    postings: int
    postings_sum_nano: int
    documents: int
    energy_shared_wh: int
    results_root: bytes
    sample: BillLine | None
    marked: Sequence[MarkedRow]
    uncharged: Sequence[Uncharged]


def write_results(
    out: Path,
    dataset: Dataset,
    runs: Iterable[RunColumns],
    tariffs: Mapping[str, PartyTariff],
    progress: Progress | None = None,
    partners: Sequence[Partners] = NOBODY,
    balance: Sequence[BalanceDay] = (),
) -> Results:
    """Make the files of ``out`` that hold what was decided; FileExistsError where one stands there already.

    tariffs: of every party; partners: as of ``Billing``; balance: of all areas.

    GridError for a tariff whose account is a party, and for sums that leave 64 bits.
    """
    billing = Billing(dataset, runs, tariffs, partners)
    written = write_documents(out, billing, progress, balance=BalanceBook(balance, billing.common_terms))
    participants = participants_of(dataset, billing.sheets, billing.points_of_party, written.issued)
    write_rows(out / PARTICIPANTS, Participant._fields, participants)
    marked = _marked(billing)
    write_rows(out / MARKED, MarkedRow._fields, marked)
    figures = figures_of(billing, written.issued, written.results_root, marked)
    (out / "report.html").write_text(report_page(figures), "utf-8")
    return Results(
        statements=written.statements,
        postings=written.postings,
        postings_sum_nano=written.postings_sum_nano,
        documents=len(written.issued),
        energy_shared_wh=figures.shared_wh,
        results_root=written.results_root,
        sample=written.sample,
        marked=marked,
        uncharged=figures.uncharged,
    )


def _marked(billing: Billing) -> Sequence[MarkedRow]:
    """What the last run of each slot was settled with and is hardly meant."""
    sheets = billing.sheets
    if not sheets.names:
        return ()
    energies = sheets.last("import_wh"), sheets.last("export_wh")
    settled = JudgedEnergies(*energies, sheets.last_quality(), sheets.is_billed(sheets.names[-1]))
    return marked_rows(billing.dataset, settled)


def write_documents(
    out: Path,
    billing: Billing,
    progress: Progress | None = None,
    payments: Sequence[PaymentRow] = (),
    balance: BalanceBook = NO_BALANCE,
) -> Written:
    """Make statements, postings, documents, general ledger and receipts of partners of all parties in ``out``. Errors as of ``write_results``.

    payments: which the general ledger has too, also of parties that have no documents; balance: of the areas, whose documents are made too.
    """
    try:
        return _Writer(billing, payments, balance).write(out, progress or _quietly)
    except ContractError as error:
        raise GridError(f"results cannot be written: {error}") from None


class _Writer:
    """The runs of a folder, and what is made of them party by party."""

    def __init__(self, billing: Billing, payments: Sequence[PaymentRow], balance: BalanceBook) -> None:
        self.balance = balance
        self.billing, self.dataset, self.months = billing, billing.dataset, billing.months
        self.accounts = billing.accounts
        parties = {*billing.points_of_party, *(one.party for one in payments)}
        for account in dict.fromkeys([*self.accounts, *(one.account for one in payments)]):
            if account in parties:
                raise GridError(
                    f"{account} is both a party and an account; name the party or the tariff's account otherwise"
                )
        self.postings = Postings(self.dataset.slot_start_s, list(billing.points_of_party), self.accounts)
        self.book = GeneralLedger(self.months.calendar.day)
        for one in payments:
            self.book.add_payment(one)
        self.partners = PartnerBook(self.months.calendar.day, billing.partners)
        self.sample = Sample(self.dataset.slot_start_s, billing.kinds, billing.contract.line_kinds)
        self.statements = 0

    def write(self, out: Path, progress: Progress) -> Written:
        """See ``write_documents``."""
        roots = {
            name: write_tables(out / name, COLUMNS[name], tables)
            for name, tables in (
                ("statements.csv", self._statements(progress)),
                ("postings.csv", self.postings.tables()),
            )
        }
        require(self.postings.sum_nano == 0, "the debits of all postings equal their credits")
        billing = self.billing
        issued = billing.invoices.write(out, billing.sheets.names)
        day = self.months.calendar.day
        last_day = {
            name: int(day[np.flatnonzero(self.months.calendar.month == place)[-1]])
            for place, name in enumerate(self.months.names)
        }
        for one in issued:
            self.book.add_document(one, last_day[one.month], billing.terms(one).quantum_nano)
        of_balance = self.balance.write(out)
        self.book.add_balance(self.balance, of_balance, last_day)
        self.book.write(out)
        self.partners.add_balance(self.balance.days)
        self.partners.write(out)
        return Written(
            statements=self.statements,
            postings=self.postings.count,
            postings_sum_nano=self.postings.sum_nano,
            issued=issued,
            of_balance=of_balance,
            results_root=results_root(roots),
            sample=self.sample.line,
        )

    def _statements(self, progress: Progress) -> Iterator[Table]:
        parties, names = self.billing.points_of_party, sorted(self.billing.sheets.names, key=utf8)
        done, steps = 0, len(names) * len(parties)
        for name in names:
            run = self.billing.run(name)
            for party in parties:
                table = self._of_party(run, party)
                self.statements += table.rows
                yield table
                done += 1
                progress(done, steps)

    def _of_party(self, run: OfRun, party: str) -> Table:
        """A party's rows of a run; its postings, sums and entries are noted on the way."""
        slots = run.sheet.slots
        parts, charges, rows = self.billing.billed(run, party)
        both = [("day", slots, sides_of(parts, self.accounts, slots))]
        if charges.charges:
            sides = sides_of_charges(charges.charges, self.accounts, len(self.months.names))
            both.append(("charge", self.months.first_slot, sides))
        self.partners.add_charges(run.name, self.months.first_slot, charges.of_partners)
        self.partners.add_lines(run.name, slots, parts)
        for kind, at, sides in both:
            self.postings.add(run.name, party, at, sides)
            self.book.add(run.name, kind, party, at, sides, self.accounts)
        if run.before is None:
            self.sample.show(run.name, party, rows, run.superseded)
        return statement_table(run.name, party, rows, self.billing.kinds, self.dataset.slot_start_s)


def _quietly(done: int, steps: int) -> None:
    """Nobody is told."""
