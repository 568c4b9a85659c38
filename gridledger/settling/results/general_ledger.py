"""An export for a bookkeeper: what parties owe accounts, netted by local day, and each document's tax and rounding (日清月结)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.results.balance_book import BalanceBook, BalanceIssued
from gridledger.settling.results.invoices import Issued
from gridledger.settling.results.party_lines import Sides, exact_sums
from gridledger.settling.results.payments import PaymentRow
from gridledger.tables.columns import Places
from gridledger.tables.files import write_rows
from settlement.contract_kit_1 import Int64Column

TAX_ACCOUNT: Final = "tax"
ROUNDING_ACCOUNT: Final = "rounding"


class EntryRow(NamedTuple):
    """An entry: amount_nano > 0 is owed by one account to the other. date: a local day, of tax and rounding the month's last one.

    entry: its id, the same on every machine: run, date, party, counter-account, kind. kind: day (lines of the contract), charge (of
    the tariff), tax, rounding, payment, or one of a balance (``settlement.area_balance.KINDS``), whose documents' tax and rounding have their
    area before the counter-account in the id. A payment is of no run (empty), and its id is that of its transaction.
    """

    entry: str
    date: str
    run: str
    kind: str
    debit_account: str
    credit_account: str
    amount_nano: int


class GeneralLedger:
    """The entries of every run and party."""

    def __init__(self, day: Int64Column) -> None:
        self._day = day
        self._rows: list[EntryRow] = []

    def add(self, run: str, kind: str, party: str, slots: Places, sides: Sides, accounts: Sequence[str]) -> None:
        """What a party owes its counter-accounts, by slot; one entry a day and account with what is left of it."""
        if not slots.size:
            return
        day = self._day[slots]
        starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
        of_day = exact_sums(sides.debit_nano, starts) - exact_sums(sides.credit_nano, starts)
        for account, amounts in zip(accounts, of_day.tolist(), strict=True):
            for start, amount in zip(starts.tolist(), amounts, strict=True):
                if amount:
                    self._enter(run, kind, date.fromordinal(int(day[start])).isoformat(), party, account, amount)

    def add_document(self, issued: Issued, last_day: int, quantum_nano: int) -> None:
        """The tax and the rounding of a document."""
        when = date.fromordinal(last_day).isoformat()
        if issued.document.tax:
            tax_nano = issued.document.tax * quantum_nano
            self._enter(issued.run, "tax", when, issued.party, TAX_ACCOUNT, tax_nano)
        if issued.document.rounding_nano:
            nano = issued.document.rounding_nano
            self._enter(issued.run, "rounding", when, issued.party, ROUNDING_ACCOUNT, nano)

    def add_balance(self, book: BalanceBook, issued: Sequence[BalanceIssued], last_day: Mapping[str, int]) -> None:
        """What balances of areas post by day, also of those without documents, and the tax and rounding of documents; last_day: of each month."""
        for one in book.days:
            if one.owed_nano:
                self._enter(one.run, one.kind, one.date, one.who, one.account, one.owed_nano)
        for (party, month, area), run, document, terms in issued:
            when = date.fromordinal(last_day[month]).isoformat()
            tax_nano = document.tax * terms.quantum_nano
            for account, nano in ((TAX_ACCOUNT, tax_nano), (ROUNDING_ACCOUNT, document.rounding_nano)):
                if nano:
                    self._enter(run, account, when, party, account, nano, area=f"{area}/")

    def add_payment(self, payment: PaymentRow) -> None:
        """A payment, by itself."""
        sides = _sides(payment.party, payment.account, payment.owed_nano)
        entry = f"payment/{payment.transaction}"
        self._rows.append(EntryRow(entry, payment.date, "", "payment", *sides, payment.amount_nano))

    def write(self, out: Path) -> None:
        """Make ``general_ledger.csv``, by date, then by party."""
        rows = sorted(self._rows, key=lambda row: (row.date, row.entry))
        write_rows(out / "general_ledger.csv", EntryRow._fields, rows)

    def _enter(
        self, run: str, kind: str, when: str, party: str, account: str, owed_nano: int, *, area: str = ""
    ) -> None:
        entry = f"{run}/{when}/{party}/{area}{account}/{kind}"
        self._rows.append(entry_of(entry, when, run, kind, party, account, owed_nano))


def entry_of(entry: str, when: str, run: str, kind: str, party: str, account: str, owed_nano: int) -> EntryRow:
    """An entry of what a party owes an account more; below 0: less."""
    return EntryRow(entry, when, run, kind, *_sides(party, account, owed_nano), abs(owed_nano))


def _sides(party: str, account: str, owed_nano: int) -> tuple[str, str]:
    """Debit and credit of what a party owes an account more; below 0: less."""
    return (party, account) if owed_nano > 0 else (account, party)
