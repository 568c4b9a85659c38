"""What market partners receive from the parties of a folder, netted by local day and by month: each supplier, offtaker and grid operator by itself.

A contract knows one account ``supplier``; who is behind it is whom a point names in the slot, as the run saw it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridledger.settling.partners import PARTNER_ACCOUNTS, Partners
from gridledger.settling.results.balance_book import BalanceDay
from gridledger.settling.results.charge_partners import OfMonth
from gridledger.settling.results.party_lines import Signed, exact_sums
from gridledger.tables.columns import Places
from gridledger.tables.files import write_rows
from settlement.contract_kit_1 import Int64Column

PARTNERS: Final = "partners.csv"
PARTNER_MONTHS: Final = "partner_months.csv"


class PartnerRow(NamedTuple):
    """What a partner receives of a run for a local day; below zero: pays.

    entry: its id, the same on every machine: run, date, account, partner, kind. kind: day (lines of the contract), charge (of the tariff), or one of a balance.
    partner: ``partners.unassigned`` where the points name nobody.
    """

    entry: str
    date: str
    run: str
    kind: str
    account: str
    partner: str
    received_nano: int


class PartnerMonthRow(NamedTuple):
    """What a partner receives for a local month by all runs together. entry: its id: month, account, partner."""

    entry: str
    month: str
    account: str
    partner: str
    received_nano: int


class OfDay(NamedTuple):
    """What is netted into one amount. day: ``date.toordinal``."""

    day: int
    account: str
    partner: str


def received(parts: Sequence[Signed], day: Int64Column, named: Sequence[Partners]) -> dict[OfDay, int]:
    """What lines of a party bring whoever is behind ``PARTNER_ACCOUNTS``, nano, exact at any size.

    day: int64[slots], of each slot of the lines, ascending; named: what ``Signed.partners`` are places in, the first one of nobody.
    """
    starts = _starts_of_days(day)
    days = day[starts].tolist()
    found: dict[OfDay, int] = defaultdict(int)
    for part in parts:
        for line in part.lines:
            if line.account not in PARTNER_ACCOUNTS:
                continue
            names = [partners.on(line.account) for partners in named]
            for name, amount_nano in _by_name(line.amount_nano, part.partners, names):
                of_points = exact_sums(amount_nano.reshape(day.size, -1).T, starts)
                for of_day, nano in zip(days, of_points.sum(axis=0).tolist(), strict=True):
                    found[OfDay(of_day, line.account, name)] += part.sign * nano
    return found


class PartnerBook:
    """What every run brings every partner. day: int64[slots], of each slot of the folder; named: as of ``received``."""

    def __init__(self, day: Int64Column, named: Sequence[Partners]) -> None:
        self._day, self._named = day, named
        self._sums: dict[tuple[str, str, OfDay], int] = defaultdict(int)

    def add_lines(self, run: str, slots: Places, parts: Sequence[Signed]) -> None:
        """The contract's lines of a party, and whom their rows name. ``slots``: of which slots the lines are."""
        if slots.size:
            self._add(run, "day", received(parts, self._day[slots], self._named))

    def add_charges(self, run: str, first_slot: Places, of_partners: Mapping[OfMonth, int]) -> None:
        """What partners get of what the tariff charges a party; ``first_slot``: of each month."""
        days = self._day[first_slot].tolist()
        self._add(
            run,
            "charge",
            {OfDay(days[month], account, name): nano for (month, account, name), nano in of_partners.items()},
        )

    def add_balance(self, days: Iterable[BalanceDay]) -> None:
        """What those who answer for the balances of areas receive, below zero where they pay, by the account on the other side."""
        for one in days:
            of_day = OfDay(date.fromisoformat(one.date).toordinal(), one.account, one.who)
            self._add(one.run, one.kind, {of_day: -one.owed_nano})

    def write(self, out: Path) -> None:
        """Make ``partners.csv`` and ``partner_months.csv``."""
        rows = self.rows()
        write_rows(out / PARTNERS, PartnerRow._fields, rows)
        write_rows(out / PARTNER_MONTHS, PartnerMonthRow._fields, month_rows(rows))

    def rows(self) -> list[PartnerRow]:
        """The rows of ``partners.csv``, by date, then by id; none of what nets to 0."""
        return sorted(self._rows(), key=lambda row: (row.date, row.entry))

    def _add(self, run: str, kind: str, sums: Mapping[OfDay, int]) -> None:
        for of_day, nano in sums.items():
            self._sums[run, kind, of_day] += nano

    def _rows(self) -> Iterator[PartnerRow]:
        for (run, kind, (day, account, partner)), nano in self._sums.items():
            if nano:
                when = date.fromordinal(day).isoformat()
                entry = f"{run}/{when}/{account}/{partner}/{kind}"
                yield PartnerRow(entry, when, run, kind, account, partner, nano)


def month_rows(rows: Iterable[PartnerRow]) -> list[PartnerMonthRow]:
    """The rows of ``partner_months.csv``, by id; none of what nets to 0."""
    months: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows:
        months[row.date[:7], row.account, row.partner] += row.received_nano
    return sorted(PartnerMonthRow("/".join(key), *key, nano) for key, nano in months.items() if nano)


def _by_name(
    amount_nano: Int64Column, partners: NDArray[np.int32] | None, names: Sequence[str]
) -> Iterator[tuple[str, Int64Column]]:
    """The amounts of rows by whom they name: of each name all rows, 0 where a row names somebody else."""
    if partners is None or len(set(names)) == 1:
        yield names[0], amount_nano
        return
    distinct = list(dict.fromkeys(names))
    name_of_place = np.array([distinct.index(name) for name in names], dtype=np.int32)
    name_of_row = name_of_place[partners]
    for place in np.unique(name_of_row).tolist():
        yield distinct[place], np.where(name_of_row == place, amount_nano, 0)


def _starts_of_days(day: Int64Column) -> Places:
    return np.flatnonzero(np.diff(day, prepend=day[0] - 1))
