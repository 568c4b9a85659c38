"""What the report shows, taken from the folder, its runs and its documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import CODE_MASK, ESTIMATED, MISSING, SUSPECT
from gridledger.settling.dataset import Dataset, PartyTariff
from gridledger.settling.report.figures import (
    Bar,
    ComponentFigures,
    DocumentFigures,
    Figures,
    KindFigures,
    PointFigures,
)
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.invoices import Invoices, Issued
from gridledger.settling.results.months import Months
from gridledger.settling.results.sheets import Grid, Sheets
from gridledger.settling.validation_marks import MarkedRow
from gridledger.tables.columns import Places
from settlement.catalogue import CATALOGUE, contract_pin
from settlement.contract_kit_1 import Int64Column

_DAYS_MAX: Final = 62
"""With more days than this the bars are months."""
_ENERGIES: Final = ("import_wh", "export_wh", "bought_wh")


def figures_of(billing: Billing, issued: Sequence[Issued], root: bytes, marked: Sequence[MarkedRow]) -> Figures:
    """The figures of a settled folder; ``root``: its results_root; ``marked``: energies that are hardly meant."""
    dataset, months, sheets, points_of_party = billing.dataset, billing.months, billing.sheets, billing.points_of_party
    rules = dataset.rules
    import_wh, export_wh, shared_wh = (sheets.last(name) for name in _ENERGIES)
    zone = ZoneInfo(dataset.timezone)
    ends = (int(dataset.slot_start_s[0]), int(dataset.slot_start_s[-1]) + dataset.slot_s)
    first, last = (datetime.fromtimestamp(at_s, zone).strftime("%Y-%m-%d %H:%M") for at_s in ends)
    counts = dataset.counts
    return Figures(
        first_slot=first,
        last_slot_end=last,
        timezone=dataset.timezone,
        slots=dataset.slot_start_s.size,
        points=len({point.point for point in dataset.points}),
        parties=len(points_of_party),
        readings=counts.readings,
        missing=counts.missing,
        estimated=counts.estimated,
        import_wh=int(import_wh.sum()),
        export_wh=int(export_wh.sum()),
        shared_wh=int(shared_wh.sum()),
        bars=_bars(months, [import_wh, shared_wh, export_wh]),
        documents=_documents(months, sheets, points_of_party, issued),
        kinds=_kinds(billing.invoices, issued),
        exceptions=_exceptions(dataset, sheets.last_quality(), import_wh + export_wh),
        currency=rules.invoice.currency,
        quantum_nano=rules.invoice.quantum_nano,
        tax_ppm=rules.invoice.tax_ppm,
        later_rates=[(date.fromordinal(one.day).isoformat(), one.tax_ppm) for one in rules.invoice.later_rates],
        rounding=rules.invoice.rounding,
        contract=rules.contract,
        contract_pin=contract_pin(rules.contract).hex(),
        vocabulary=CATALOGUE[rules.contract].vocabulary,
        prices=rules.prices,
        later_prices=[
            (datetime.fromtimestamp(later.from_s, zone).strftime("%Y-%m-%d"), later.prices)
            for later in rules.later_prices
        ],
        terms=rules.terms,
        estimate=rules.estimate.method,
        series=sorted({series.key for series in dataset.series}),
        components=_components(billing.tariffs.values()),
        uncharged=billing.uncharged(),
        inputs=[(file.name, file.rows, file.sm3.hex()) for file in dataset.inputs],
        results_root=root.hex(),
        unusual=dataset.unusual,
        marked=[(datetime.fromtimestamp(row.slot_start_s, zone).strftime("%Y-%m-%d %H:%M"), row) for row in marked],
    )


def _components(tariffs: Iterable[PartyTariff]) -> list[ComponentFigures]:
    """Each entry once, by rates of tax, whatever its parties have contracted."""
    found: dict[tuple[object, ...], ComponentFigures] = {}
    for tariff in tariffs:
        for one in (part for component in tariff.components for part in component.by_own_rate()):
            times = one.months, one.windows, one.weekdays, one.day_kinds, one.named_days
            listed = map(tuple, (*times, one.steps, one.of, one.levels, one.place_levels))
            key = (
                one.name,
                one.account,
                one.base,
                one.price,
                one.peak_of,
                one.steps_per,
                one.price_series,
                one.highest_level,
                one.user_level,
                one.covers,
                one.power_factor_standard,
                one.is_taxed,
                one.tax_ppm,
                one.from_day,
                one.until_day,
                *listed,
            )
            known = found.get(key, ComponentFigures(one, 0))
            found[key] = known._replace(parties=known.parties + 1)
    return list(found.values())


def _bars(months: Months, grids: Sequence[Grid]) -> list[Bar]:
    """Sums by local day, of long times by month."""
    day = months.calendar.day
    by_day = int(day[-1] - day[0]) < _DAYS_MAX
    starts = _starts(day if by_day else months.calendar.month)
    names = [date.fromordinal(int(day[at])).strftime("%m-%d" if by_day else "%Y-%m") for at in starts]
    sums = (np.add.reduceat(grid.sum(axis=1), starts).tolist() for grid in grids)
    return [Bar(name, *of_bar) for name, *of_bar in zip(names, *sums, strict=True)]


def _documents(
    months: Months, sheets: Sheets, points_of_party: Mapping[str, Places], issued: Sequence[Issued]
) -> list[DocumentFigures]:
    """The documents, with the energies of the first runs, of which the invoices are."""
    starts = _starts(months.calendar.month)
    of_month = [
        np.add.reduceat(sheets.last(name, until=sheets.names[0]), starts, axis=0)
        for name in ("import_wh", "export_wh", "bought_wh")
    ]
    found: list[DocumentFigures] = []
    for one in issued:
        month, points = months.names.index(one.month), points_of_party[one.party]
        import_wh, export_wh, shared_wh = (int(grid[month, points].sum()) for grid in of_month)
        found.append(
            DocumentFigures(
                party=one.party,
                month=one.month,
                run=one.run,
                import_wh=import_wh,
                export_wh=export_wh,
                shared_wh=shared_wh,
                net=one.document.net,
                tax=one.document.tax,
                gross=one.document.gross,
            )
        )
    return found


def _kinds(invoices: Invoices, issued: Sequence[Issued]) -> list[KindFigures]:
    """Each kind that there are lines of."""
    rows = [
        KindFigures(
            kind.line_kind,
            kind.account,
            invoices.energy_wh(kind),
            sum(one.document.amount_of(kind.line_kind) for one in issued),
        )
        for kind in invoices.kinds
    ]
    return [row for row in rows if row.energy_wh or row.amount]


def _exceptions(dataset: Dataset, quality: NDArray[np.uint8], energy_wh: Grid) -> list[PointFigures]:
    """Points with intervals that were not measured, those with most energy in them first."""
    codes = quality & CODE_MASK
    counts = [(codes == code).sum(axis=0).tolist() for code in (MISSING, ESTIMATED, SUSPECT)]
    at_stake = np.where(np.isin(codes, (MISSING, ESTIMATED, SUSPECT)), energy_wh, 0).sum(axis=0).tolist()
    rows = [
        PointFigures(point.point, point.party, *of_point)
        for point, *of_point in zip(dataset.points, *counts, at_stake, strict=True)
    ]
    return sorted(
        (row for row in rows if row.missing or row.estimated or row.suspect),
        key=lambda row: (-row.energy_wh, -row.missing, row.point),
    )


def _starts(column: Int64Column) -> Places:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.diff(column, prepend=column[0] - 1))
