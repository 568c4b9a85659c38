"""What every run of some slots is to every party: the contract's lines, the tariff's charges, and the documents of each month.

All of it follows from the runs and the tariffs of a ledger, so that it can be made again by whoever has that ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.dataset import Dataset, InvoiceTerms, PartyTariff
from gridledger.settling.partners import NOBODY, Partners
from gridledger.settling.results.invoices import Invoices, Issued, LineSum, RatedKind, SlotRates, month_sums
from gridledger.settling.results.months import months_of
from gridledger.settling.results.party_lines import Kind, Rows, Signed, merged, rows_of
from gridledger.settling.results.sheets import Sheet, Sheets, lines_of
from gridledger.settling.results.tariff_lines import (
    Added,
    Charging,
    MonthTotals,
    UsedOfYear,
    added_charges,
    chargings,
    rows_of_charges,
    uncharged,
    used_of_year,
)
from gridledger.settling.run_columns import RunColumns
from gridledger.settling.uncharged_components import Uncharged
from gridledger.tables.columns import Places, utf8
from ledger.contract import LineKindLike
from settlement.catalogue import CONTRACTS
from settlement.tariffs.taxes import rate_on

NOTHING_USED: Final[UsedOfYear] = {}


class OfRun(NamedTuple):
    """A run, what held before it (None of a first run), and the slots that a later run has."""

    name: str
    sheet: Sheet
    before: Sheet | None
    superseded: Places


class Billed(NamedTuple):
    """What a run is to a party. parts: the contract's lines, of a correction also those before it; rows: they and the charges, as lines of statements."""

    parts: Sequence[Signed]
    charges: Added
    rows: Rows


class Billing:
    """The runs of some slots, and what is made of them party by party. points_of_party: places of points, parties by the bytes of their names.

    partners: what ``RunColumns.partners`` are places in, the first one of nobody; complete when all runs have been read. used_before_wh: in the
    year of the first slot, before its month.
    """

    def __init__(
        self,
        dataset: Dataset,
        runs: Iterable[RunColumns],
        tariffs: Mapping[str, PartyTariff],
        partners: Sequence[Partners] = NOBODY,
        used_before_wh: UsedOfYear = NOTHING_USED,
    ) -> None:
        self.dataset, self.tariffs, self.used_before_wh = dataset, tariffs, used_before_wh
        self.contract = CONTRACTS[dataset.rules.contract]
        self.sheets = Sheets(dataset, self.contract)
        self.sheets.collect(runs)
        self.partners = partners
        self._latest: OfRun | None = None
        self.points_of_party = _points_of_party(dataset)
        self.months = months_of(dataset.slot_start_s, dataset.slot_s, dataset.timezone)
        components = [one for tariff in tariffs.values() for one in tariff.components]
        self.kinds = _kinds([*self.contract.line_kinds], [Kind(one.name, one.account) for one in components])
        self.invoices = Invoices(self.months.names, self.kinds, self._terms_of)

    @cached_property
    def accounts(self) -> Sequence[str]:
        """Whom its lines and charges are booked to, each once."""
        return list(dict.fromkeys([*self.contract.accounts, *(kind.account for kind in self.kinds)]))

    def run(self, name: str) -> OfRun:
        """A run by its name."""
        if self._latest is None or self._latest.name != name:
            sheet = self.sheets.sheet(name)
            before = None if name == self.sheets.names[0] else self.sheets.before(name, sheet)
            self._latest = OfRun(name, sheet, before, self.sheets.slots_with_later(name))
        return self._latest

    def billed(self, run: OfRun, party: str) -> Billed:
        """What a run is to a party; ``invoices`` is told what it comes to."""
        parts = self._parts(run, party)
        charges = self.charges.get((run.name, party), Added())
        of_contract = rows_of(parts, self.kinds, run.sheet.slots)
        rows = merged([*of_contract, rows_of_charges(charges.charges, self.kinds, self.months.first_slot)])
        sums = self._contract_sums(party, of_contract)
        for sign, charge in charges.charges:
            of = RatedKind(self.kinds.index(Kind(charge.name, charge.account)), charge.tax_ppm)
            known = sums[charge.month].get(of, LineSum())
            sums[charge.month][of] = known.plus(sign * charge.energy_wh, sign * charge.amount_nano)
        self.invoices.add(run.name, party, sums)
        return Billed(parts, charges, rows)

    def chargings(self) -> Iterator[Charging]:
        """What parties are charged after each run, and what of: run by run, in the order in which the ledger makes them."""
        of_slots = (self.tariffs, self.months, self.sheets, self.points_of_party)
        return chargings(*of_slots, self._billed_nano, self.partners, self.used_before_wh)

    def used_of_year(self) -> UsedOfYear:
        """What parties used in each month under components with steps of a year."""
        return used_of_year(self.tariffs, self.months, self.sheets, self.points_of_party)

    def uncharged(self) -> Sequence[Uncharged]:
        """Components that are left out since a month has no power factor."""
        return uncharged(self.tariffs, self.months, self.sheets, self.points_of_party)

    def terms(self, issued: Issued) -> InvoiceTerms:
        """By which terms a document was made."""
        return self.terms_in(issued.party, issued.month)

    def terms_in(self, party: str, month: str) -> InvoiceTerms:
        """By which terms documents of a party and month are made."""
        return self.tariffs[party].terms_of(self.months.first_day(month))

    def common_terms(self, party: str, month: str) -> InvoiceTerms:
        """Of a party that has no tariff of its own, where all have the same terms: those of files."""
        return self.tariffs[min(self.tariffs, key=utf8)].terms_of(self.months.first_day(month))

    def contract_rows(self, name: str, party: str) -> Rows:
        """What a run adds to the contract's lines of a party, as lines of statements."""
        run = self.run(name)
        return merged(rows_of(self._parts(run, party), self.kinds, run.sheet.slots))

    @cached_property
    def charges(self) -> Mapping[tuple[str, str], Added]:
        """By run and party, what a run adds to what a party is charged by the components of its tariff."""
        return added_charges(self.chargings())

    def _parts(self, run: OfRun, party: str) -> list[Signed]:
        points = self.points_of_party[party]
        areas = [self.dataset.points[point].area for point in points]
        sheets = [(1, run.sheet)] if run.before is None else [(1, run.sheet), (-1, run.before)]
        return [
            Signed(
                sign,
                lines_of(self.contract, sheet, points, areas),
                sheet.partners[:, points].ravel() if len(self.partners) > 1 else None,
            )
            for sign, sheet in sheets
        ]

    def _billed_nano(self, name: str, party: str) -> MonthTotals:
        """What a run adds to a party's lines of the contract, by month and kind."""
        run = self.run(name)
        found: list[dict[str, int]] = []
        for sums in self._contract_sums(party, rows_of(self._parts(run, party), self.kinds, run.sheet.slots)):
            of_month: dict[str, int] = {}
            for of, one in sums.items():
                kind = self.kinds[of.kind].line_kind
                of_month[kind] = of_month.get(kind, 0) + one.amount_nano
            found.append(of_month)
        return found

    def _contract_sums(self, party: str, rows: Sequence[Rows]) -> list[dict[RatedKind, LineSum]]:
        """What lines of the contract come to by month; the tax on them is the tariff's, that of the day."""
        return month_sums(rows, self.months, len(self.kinds), self._slot_rates(party))

    def _slot_rates(self, party: str) -> SlotRates:
        """The rate of a party's tariff in each slot."""
        day, own = self.months.calendar.day, self.tariffs[party].rates
        begins = [int(day[0]), *(one.day for one in own if int(day[0]) < one.day <= int(day[-1]))]
        from_begins = [rate_on(own, begin) for begin in begins]
        rates_ppm = sorted({*from_begins})
        places = np.array([rates_ppm.index(rate) for rate in from_begins], dtype=np.int64)
        return SlotRates(rates_ppm, places[np.searchsorted(begins, day, side="right") - 1])

    def _terms_of(self, party: str, month: int) -> InvoiceTerms:
        """Of a month's invoice."""
        return self.terms_in(party, self.months.names[month])


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
