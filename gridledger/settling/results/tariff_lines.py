"""The lines of a tariff's components: of each month what they come to after a run, less what they came to before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import GridError
from gridledger.settling.dataset import Dataset, PartyTariff
from gridledger.settling.partners import Partners
from gridledger.settling.results.charge_partners import ChargedRows, OfMonth, is_of_partner, partners_of_charge
from gridledger.settling.results.months import Months
from gridledger.settling.results.party_lines import Kind, Rows, Sides
from gridledger.settling.results.reactive import Lacking, reactive_of
from gridledger.settling.results.sheets import Grid, Sheets
from gridledger.settling.uncharged_components import Uncharged
from gridledger.tables.columns import Flags, Places
from settlement.contract_kit_1 import Int64Column, check_int64
from settlement.tariffs.charges import (
    Charge,
    LevelUsage,
    NoLevelError,
    NoPriceError,
    PointUsage,
    Tariff,
    Usage,
    used_before,
)
from settlement.tariffs.components import OF_POINT
from settlement.tariffs.holding import Holding

MonthTotals = Sequence[Mapping[str, int]]
"""Of each month the nano-currency of each kind of line."""


class SignedCharge(NamedTuple):
    """A charge that counts (sign 1) or is taken back (-1)."""

    sign: int
    charge: Charge


UsedOfYear = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Wh that a party used in a year before some months, by party, by the name of a component with steps of a year, and by month (``2026-01``)."""


class Charging(NamedTuple):
    """What a party is charged after a run, and what of. is_billed: bool[slots]; billed_nano: the contract's lines of all runs so far.

    used_wh: of components with steps of a year, by name, from the year's begin to the begin of each month; of_partners: of its charges on accounts
    of partners, what each of them gets; lacking: months without a power factor.
    """

    run: str
    party: str
    usage: Usage
    is_billed: Flags
    billed_nano: MonthTotals
    used_wh: Mapping[str, Sequence[int]]
    charges: Sequence[Charge]
    of_partners: Mapping[OfMonth, int]
    lacking: Sequence[Lacking] = ()


class Added(NamedTuple):
    """What a run adds to what a party is charged; of_partners: and to what partners get of it."""

    charges: Sequence[SignedCharge] = ()
    of_partners: Mapping[OfMonth, int] = {}


class _Party(NamedTuple):
    """A party that is charged. tariff: as registered; charging: its components on the calendar of the slots; points: the places of its points."""

    name: str
    tariff: PartyTariff
    charging: Tariff
    points: Places


def chargings(
    tariffs: Mapping[str, PartyTariff],
    months: Months,
    sheets: Sheets,
    points_of_party: Mapping[str, Places],
    billed_nano: Callable[[str, str], MonthTotals],
    partners: Sequence[Partners],
    used_before_wh: UsedOfYear,
) -> Iterator[Charging]:
    """What each party whose tariff has components is charged after each run: by run, then by party.

    ``billed_nano``: what a run adds to the contract's lines of a party, by run and party; partners: as of ``Billing``; used_before_wh: before the first of these months. What was used in months before another one
    is what their last runs say, whichever run is charged. GridError for a slot of which a price series says no price.
    """
    holding = Holding(months.calendar)
    parties = [
        _Party(name, one, Tariff(one.components, holding, one.prices, one.rates), points_of_party[name])
        for name, one in tariffs.items()
        if one.components
    ]
    if not parties:
        return
    used_wh = _used_before_months(used_of_year(tariffs, months, sheets, points_of_party), used_before_wh, months)
    billed: dict[str, list[dict[str, int]]] = {party.name: [{} for _ in months.names] for party in parties}
    for run in sheets.names:
        import_wh, export_wh, traded_wh = _energies(sheets, run)
        is_billed, whom = sheets.is_billed(run), sheets.last_partners(run)
        for party in parties:
            own, so_far, used = party.points, billed[party.name], used_wh.get(party.name, {})
            of_points = Usage(import_wh[:, own], export_wh[:, own], traded_wh[:, own])
            rows = ChargedRows(of_points, is_billed[:, own], whom[:, own], partners)
            reactive = reactive_of(party.tariff, own, sheets.dataset, months, rows.is_billed)
            usage = _usage_of(party, rows, sheets.dataset)._replace(reactive=reactive.of_month)
            has_point = np.any(rows.is_billed, axis=1)
            _add_to_months(so_far, billed_nano(run, party.name))
            try:
                charges = party.charging.charges(party.name, usage, so_far, has_point, used)
            except (NoPriceError, NoLevelError) as error:
                raise GridError(_unpriced(error, party, rows, sheets.dataset)) from None
            yield Charging(
                run=run,
                party=party.name,
                usage=usage,
                is_billed=has_point,
                billed_nano=[dict(of_month) for of_month in so_far],
                used_wh=used,
                charges=charges,
                of_partners=_of_partners(charges, party.charging, holding, rows),
                lacking=reactive.lacking,
            )


def _used_before_months(
    used_wh: UsedOfYear, before_wh: UsedOfYear, months: Months
) -> Mapping[str, Mapping[str, Sequence[int]]]:
    """What parties used from the year's begin to the begin of each month, by party and component. before_wh: in months before these."""
    first_month, found = int(months.calendar.month_of_year[0]), dict[str, Mapping[str, Sequence[int]]]()
    for party, of_names in used_wh.items():
        before = {name: sum(of.values()) for name, of in before_wh.get(party, {}).items()}
        found[party] = {
            name: used_before([*of.values()], first_month, before.get(name, 0)) for name, of in of_names.items()
        }
    return found


def _add_to_months(sums_nano: Sequence[dict[str, int]], more_nano: MonthTotals) -> None:
    """Add to sums by month and kind."""
    for of_month, more in zip(sums_nano, more_nano, strict=True):
        for kind, nano in more.items():
            of_month[kind] = of_month.get(kind, 0) + nano


def _usage_of(party: _Party, rows: ChargedRows, dataset: Dataset) -> Usage:
    """What a party took and gave, and of it what a component asks for: at each level, at each point, on each way from a seller."""
    own, levels = rows.usage, _levels(party.tariff, party.points, dataset)
    return Usage(
        import_wh=own.import_wh.sum(axis=1),
        export_wh=own.export_wh.sum(axis=1),
        traded_wh=own.traded_wh.sum(axis=1),
        at_level=_at_level(levels, (own.import_wh, own.export_wh, own.traded_wh), rows.is_billed),
        at_point=_at_point(party.tariff, party.points, dataset, own.import_wh, rows.is_billed),
        ways=party.tariff.ways,
    )


def uncharged(
    tariffs: Mapping[str, PartyTariff], months: Months, sheets: Sheets, points_of_party: Mapping[str, Places]
) -> list[Uncharged]:
    """Components that the last runs leave out since a month has no power factor, by party, month and component."""
    asking = [party for party, one in tariffs.items() if any(part.power_factor_standard for part in one.components)]
    if not asking or not sheets.names:
        return []
    found, holding, is_billed = list[Uncharged](), Holding(months.calendar), sheets.is_billed(sheets.names[-1])
    for party in asking:
        points = points_of_party[party]
        billed = is_billed[:, points]
        components = [one for one in tariffs[party].components if one.power_factor_standard]
        for month, point, reason in reactive_of(tariffs[party], points, sheets.dataset, months, billed).lacking:
            here = np.any(billed, axis=1) & (months.calendar.month == month)
            names = dict.fromkeys(one.name for one in components if (holding.of(one) & here).any())
            found += [Uncharged(party, months.names[month], name, point, reason) for name in names]
    return found


def used_of_year(
    tariffs: Mapping[str, PartyTariff], months: Months, sheets: Sheets, points_of_party: Mapping[str, Places]
) -> dict[str, dict[str, dict[str, int]]]:
    """What parties used in each month under components with steps of a year, as the last run of each slot says."""
    holding, found = Holding(months.calendar), dict[str, dict[str, dict[str, int]]]()
    own = {party: one for party, one in tariffs.items() if any(part.is_of_year for part in one.components)}
    if not own:
        return found
    energies = _energies(sheets, sheets.names[-1])
    is_billed = sheets.is_billed(sheets.names[-1])
    for party, one in own.items():
        points = points_of_party[party]
        usage = Usage(*(energy[:, points].sum(axis=1) for energy in energies))
        of_names = Tariff(one.components, holding).energies_of_year(party, usage, np.any(is_billed[:, points], axis=1))
        found[party] = {name: dict(zip(months.names, of_months, strict=True)) for name, of_months in of_names.items()}
    return found


def _energies(sheets: Sheets, until: str) -> tuple[Grid, Grid, Grid]:
    """What points took and gave after a run, and the part of the import that was traded: what was bought beyond it is no import."""
    import_wh, export_wh, bought_wh = (
        sheets.last(name, until=until) for name in ("import_wh", "export_wh", "bought_wh")
    )
    return import_wh, export_wh, np.minimum(import_wh, bought_wh)


def _of_partners(
    charges: Sequence[Charge], tariff: Tariff, holding: Holding, rows: ChargedRows
) -> Mapping[OfMonth, int]:
    """What partners get of some charges of a party."""
    found = defaultdict[OfMonth, int](int)
    for charge in filter(is_of_partner, charges):
        component = tariff.components[charge.entry]
        day, of_month = holding.calendar.day, holding.of(component) & (holding.calendar.month == charge.month)
        own = of_month & (day >= charge.from_day) & (day < charge.until_day)
        counts = own if own.any() else of_month  # days of a peak that lies in other hours
        for name, nano in partners_of_charge(charge, component, counts, rows):
            found[name] += nano
    return found


def _unpriced(error: NoPriceError | NoLevelError, party: _Party, rows: ChargedRows, dataset: Dataset) -> str:
    """Of what slot energy has no price, by which component who is charged, and what is to be registered."""
    if isinstance(error, NoPriceError):
        return _without_price(error, party.name, dataset)
    levels = _levels(party.tariff, party.points, dataset)
    (at, *_) = np.flatnonzero((levels[error.slot] == error.level) & rows.is_billed[error.slot])
    return _without_level(error, party, dataset.points[int(party.points[at])].point, dataset)


def _without_price(error: NoPriceError, party: str, dataset: Dataset) -> str:
    """Which series says no price, of which slot, and who is charged by it."""
    series, component, start = error.component.price_series, error.component.name, _start(dataset, error.slot)
    return f"price series {series} says no price of the slot that starts at {start}, by which component {component} of {party} is charged; register it"


def _without_level(error: NoLevelError, party: _Party, point: str, dataset: Dataset) -> str:
    """Of which point and slot energy has no price, who is charged by it, and what is to be registered: the level of the point, of a seller's, or another component."""
    component, start, sold = error.component.name, _start(dataset, error.slot), error.sold
    unpriced = point if sold is None else party.tariff.sellers[sold]
    known = (
        f"register grid_connection/{unpriced} with one of {', '.join(level.name for level in error.component.levels)}"
    )
    if not unpriced:
        known = "give it a user_level, which stands in where no point is billed to a seller"
    return (
        f"point {point} in the slot that starts at {start}: {error.words}; by it component {component} of {party.name} is charged: "
        f"{error.remedy or known}"
    )


def _start(dataset: Dataset, slot: int) -> str:
    """When a slot starts, for people."""
    return datetime.fromtimestamp(int(dataset.slot_start_s[slot]), ZoneInfo(dataset.timezone)).isoformat(
        timespec="minutes"
    )


def _levels(tariff: PartyTariff, points: Places, dataset: Dataset) -> NDArray[np.str_]:
    """The voltage level of each of a party's points in each slot, [slots, points]: "" where none is known; no slot where no component asks for it."""
    if not any(one.levels for one in tariff.components):
        return np.zeros((0, len(points)), dtype=np.str_)
    columns = []
    for place in points.tolist():
        said = tariff.levels.get(dataset.points[place].point, ())
        names = np.array(["", *(level for _, level in said)])
        columns.append(names[np.searchsorted([from_s for from_s, _ in said], dataset.slot_start_s, side="right")])
    return np.stack(columns, axis=1)


def _at_level(
    levels: NDArray[np.str_], energies: Sequence[Grid], is_billed: NDArray[np.bool_]
) -> dict[str, LevelUsage]:
    """What a party took and gave at each level. energies: import, export and what was bought, [slots, points], as the others."""
    found: dict[str, LevelUsage] = {}
    for level in np.unique(levels).tolist():
        there = levels == level
        usage = Usage(*(np.where(there, energy, 0).sum(axis=1) for energy in energies))
        found[level] = LevelUsage(usage, np.any(there & is_billed, axis=1))
    return found


def _at_point(
    tariff: PartyTariff, points: Places, dataset: Dataset, import_wh: Grid, is_billed: Flags
) -> dict[str, PointUsage]:
    """What each of a party's points took, [slots, points]; none where no component asks for it. A point may stand at several places."""
    if all(one.peak_of != OF_POINT for one in tariff.components):
        return {}
    names = [dataset.points[place].point for place in points.tolist()]
    found: dict[str, PointUsage] = {}
    for name in dict.fromkeys(names):
        there = np.array([other == name for other in names])
        found[name] = PointUsage(import_wh[:, there].sum(axis=1), np.any(is_billed[:, there], axis=1))
    return found


def added_charges(found: Iterable[Charging]) -> Mapping[tuple[str, str], Added]:
    """What each run adds to what a party is charged, by the run's and the party's name."""
    added: dict[tuple[str, str], Added] = {}
    before: dict[str, Charging] = {}
    for one in found:
        earlier = before.get(one.party)
        known, given = (earlier.charges, earlier.of_partners) if earlier else ((), {})
        signed = [
            *(SignedCharge(1, charge) for charge in one.charges if charge not in known),
            *(SignedCharge(-1, charge) for charge in known if charge not in one.charges),
        ]
        changed = {key: one.of_partners.get(key, 0) - given.get(key, 0) for key in {*one.of_partners, *given}}
        added[one.run, one.party] = Added(signed, changed)
        before[one.party] = one
    return added


def rows_of_charges(charges: Sequence[SignedCharge], kinds: Sequence[Kind], first_slot: Places) -> Rows:
    """The charges as rows at their months' first slots."""
    each = [charge for _, charge in charges]
    return Rows(
        slot=first_slot[[charge.month for charge in each]] if each else _column([]),
        kind=_column([kinds.index(Kind(charge.name, charge.account)) for charge in each]),
        is_priced=np.array([charge.price_micro_per_kwh is not None for charge in each], dtype=np.bool_),
        price_micro_per_kwh=_column([charge.price_micro_per_kwh or 0 for charge in each]),
        energy_wh=_column([sign * charge.energy_wh for sign, charge in charges]),
        amount_nano=_column([sign * check_int64(charge.amount_nano, charge.name) for sign, charge in charges]),
    )


def sides_of_charges(charges: Sequence[SignedCharge], accounts: Sequence[str], months: int) -> Sides:
    """Both sides of the book behind the charges, by account and month."""
    sides = Sides(*(np.zeros((len(accounts), months), dtype=np.int64) for _ in Sides._fields))
    for sign, charge in charges:
        side = sides.debit_nano if charge.amount_nano > 0 else sides.credit_nano
        side[accounts.index(charge.account), charge.month] += sign * abs(charge.amount_nano)
    return sides


def _column(values: Sequence[int]) -> Int64Column:
    return np.array(values, dtype=np.int64)
