"""Tariffs as the chain has them: what ``[[tariff.component]]`` says is registered, and what parties are charged is read from the registry."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from gridcore import cbor
from gridcore.errors import GridError, UsageError, broken
from gridcore.master_data import Listed, Named
from gridcore.registry.grid_connection import GRID_CONNECTION
from gridcore.registry.party import CONTRACTED_MAX, PARTY
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.tariff import TARIFF, Tariff
from gridcore.sm3 import sm3
from gridledger.settling.chain.agreements import column_of
from gridledger.settling.chain.changed_rows import begins_of, changed_rows
from gridledger.settling.chain.prices import ENTRIES_MAX, WHOLE, other_series_name, series_rows
from gridledger.settling.chain.reactive import reactive_of_point
from gridledger.settling.chain.until import until_s
from gridledger.settling.chain.ways import ways_of_trades
from gridledger.settling.dataset import Dataset, InvoiceTerms, PartyTariff, TariffFrom, parties_of
from gridledger.settling.results.months import midnight_s
from ledger.leaves.columns import Int64
from ledger.registry.bodies import in_force, in_force_ever, open_entity
from ledger.store.reader import LedgerReader
from settlement.tariffs.charges import SlotPrices
from settlement.tariffs.components import Component
from settlement.tariffs.named_days import row_of_days
from settlement.tariffs.registered import (
    FromDay,
    component_of,
    components_in_force,
    days_of_change,
    fault_of,
    fault_of_names,
    holds_on,
    row_of,
)

SERIES: Final = "tariff"
"""Begins the names of the series that components name."""


class Charged(NamedTuple):
    """What a party's row says of its tariff."""

    tariff: str
    contracted_w: Mapping[str, int] | None


def tariff_rows(dataset: Dataset) -> Iterator[Listed]:
    """The series that components name, then every tariff that parties have: an entry from the beginning, and one from each day on which other components or another rate of tax hold.

    Every party has one, of no component where it is charged nothing: by its terms invoices are made.

    UsageError for more days than a ledger takes, GridError for what else no registry takes.
    """
    for rows in dataset.tariff_series:
        yield from series_rows(dataset, series_of_component(rows.key), column_of(rows, dataset.slot_start_s))
    for name, components in _tariffs(dataset).items():
        entries: list[Named[Tariff]] = []
        for at_s, day in _begins(dataset):
            record = _tariff(dataset, components, day)
            if not entries or record != entries[-1].record:
                entries.append(Named(TARIFF, name, record, at_s))
        if len(entries) > ENTRIES_MAX:
            words = f"they begin and end on {len(entries) - 1} days, a ledger takes {ENTRIES_MAX - 1}; settle fewer months at once"
            raise UsageError(f"rules.toml: [[tariff.component]] and [invoice] later_rates: {words}")
        yield from entries


def charged_at(dataset: Dataset, party: str, at_s: int) -> Charged:
    """What the row of a party says that is in force at a time. GridError where it contracted for more components than a row holds."""
    components = _components_of(dataset, party)
    day = _day_at(dataset, at_s)
    contracted_w = {
        one.name: one.contracted_w[party] for one in components if party in one.contracted_w and holds_on(one, day)
    }
    if len(contracted_w) > CONTRACTED_MAX:
        words = f"{party} has {len(contracted_w)} components at once, a ledger takes {CONTRACTED_MAX}"
        raise GridError(f"rules.toml: [[tariff.component]], contracted_kw: {words}")
    return Charged(_name_of(dataset, components), contracted_w or None)


def series_of_component(key: str) -> str:
    """The name on the chain of the series of a key of prices.csv."""
    return other_series_name(f"{SERIES}-{key}", key)


def changes_s(dataset: Dataset) -> list[int]:
    """When what rows of tariffs and parties say begins to hold, UTC seconds: 0, then local midnights, ascending."""
    return [at_s for at_s, _ in _begins(dataset)]


def last_said_s(dataset: Dataset) -> int:
    """Up to when a dataset says components: its last slot, or where the last ones begin or end, if that is later."""
    return max(int(dataset.slot_start_s[-1]), *changes_s(dataset))


def _begins(dataset: Dataset) -> list[tuple[int, int | None]]:
    """When other components, or another rate of tax, hold: from the beginning (no day), then from each day of change on.

    A ledger's time begins with 1970: of the days that have begun by then, the last one holds from the beginning.
    """
    zone, rates = ZoneInfo(dataset.timezone), dataset.rules.invoice.later_rates
    begins: dict[int, int | None] = {0: None}
    for day in sorted({*days_of_change(dataset.rules.tariff), *(one.day for one in rates)}):
        begins[max(midnight_s(day, zone), 0)] = day
    return list(begins.items())


def _day_at(dataset: Dataset, at_s: int) -> int | None:
    """The last day of change that has begun at a time; None before the first one."""
    return [day for from_s, day in _begins(dataset) if from_s <= at_s][-1]


def _tariff(dataset: Dataset, components: Sequence[Component], day: int | None) -> Tariff:
    """GridError for what no registry takes."""
    terms = dataset.rules.invoice
    held = [one for one in components if holds_on(one, day)]
    days = row_of_days({named for one in held for named in one.named_days})
    rows = [row_of(_on_chain(one)) for one in held]
    tax_ppm = terms.tax_ppm if day is None else terms.rate_on(day)
    tariff = Tariff(rows, terms.quantum_nano, terms.rounding, tax_ppm, days)
    if words := fault_of(tariff):
        raise GridError(f"rules.toml: [[tariff.component]]: a ledger does not take them: {words}")
    return tariff


def _on_chain(component: Component) -> Component:
    """With the name that its series has on the chain."""
    key = component.price_series
    return component._replace(price_series=series_of_component(key)) if key else component


def _tariffs(dataset: Dataset) -> dict[str, Sequence[Component]]:
    """The components of each tariff by its name: parties that are charged the same have one."""
    found: dict[str, Sequence[Component]] = {}
    for party in sorted(parties_of(dataset.points)):
        components = _components_of(dataset, party)
        found[_name_of(dataset, components)] = components
    return found


def _components_of(dataset: Dataset, party: str) -> list[Component]:
    return [one for one in dataset.rules.tariff if not one.parties or party in one.parties]


def _name_of(dataset: Dataset, components: Sequence[Component]) -> str:
    """The name of a tariff: the same in every dataset whose components have these names and days, and the parties where they tell entries apart."""
    if len(components) == len(dataset.rules.tariff):
        return WHOLE
    named = Counter((one.name, one.from_day) for one in dataset.rules.tariff)
    entries = [
        [one.name, one.from_day or 0, *(sorted(one.parties) if named[one.name, one.from_day] > 1 else ())]
        for one in components
    ]
    return f"{WHOLE}-{sm3(cbor.encode(entries)).hex()[:12]}"


# -------------------------------------------------------------------------------------------------- out of the registry


def tariffs_of_ledger(reader: LedgerReader, dataset: Dataset, height: int | None = None) -> dict[str, PartyTariff]:
    """What each party of a ledger's slots is charged by the month, and by which terms it is invoiced, by its name.

    GridError for a party that names no tariff in these slots.
    """
    found = named_tariffs(reader, dataset, height)
    for party in sorted(parties_of(dataset.points)):
        if party not in found:
            raise _without_terms(party)
    return found


def named_tariffs(reader: LedgerReader, dataset: Dataset, height: int | None = None) -> dict[str, PartyTariff]:
    """The same of the parties that name a tariff in these slots, by what blocks up to a height say, by itself the newest.

    An entry holds from the first local day on that begins with it or behind it. Who is charged by them needs their ways besides (``with_ways``).
    """
    days, until = _Days(dataset), reader.height if height is None else height
    prices_of = cache(lambda name: _slot_prices(reader, name, dataset.slot_start_s, until))
    points_of = defaultdict[str, list[str]](list)
    for point in dataset.points:
        points_of[point.party].append(point.point)
    found: dict[str, PartyTariff] = {}
    for party in sorted(parties_of(dataset.points)):
        said = list(_said_of(reader, party, days, until))
        terms = [TariffFrom(one.day, _terms(dataset, one.tariff), one.name) for one in said if one.tariff is not None]
        if terms:
            components = components_in_force(party, said)
            series = {one.price_series for one in components if one.price_series}
            prices = {name: prices_of(name) for name in sorted(series)}
            levels = _levels(reader, points_of[party], until) if any(one.levels for one in components) else {}
            found[party] = PartyTariff(components, terms, prices, levels)
            if any(one.power_factor_standard for one in components):
                reactive = {point: reactive_of_point(reader, point, until) for point in points_of[party]}
                found[party] = found[party]._replace(reactive=reactive)
    return found


def with_ways(
    reader: LedgerReader, dataset: Dataset, tariffs: Mapping[str, PartyTariff], height: int | None = None
) -> Mapping[str, PartyTariff]:
    """Tariffs by which parties are charged, with the ways of trades for those of whom a component asks for them; blocks as of ``named_tariffs``."""
    asking = [party for party, one in tariffs.items() if any(component.covers for component in one.components)]
    if not asking:
        return tariffs
    zone, _ = reader.registry.zone_of_area(dataset.points[0].area) or broken("every point is of an area")
    until = reader.height if height is None else height
    levels_of = cache(lambda point: _levels(reader, [point], until)[point])
    found = ways_of_trades(reader, zone, dataset.slot_start_s, asking, levels_of, until)
    with_them = {party: tariffs[party]._replace(ways=one.ways, sellers=one.sellers) for party, one in found.items()}
    return {**tariffs, **with_them}


def named_terms(reader: LedgerReader, dataset: Dataset, parties: Iterable[str], height: int) -> dict[str, PartyTariff]:
    """By which terms those of some parties are invoiced that name a tariff in these slots, whether they have points or not; nothing is charged by it."""
    days = _Days(dataset)
    found: dict[str, PartyTariff] = {}
    for party in sorted(set(parties)):
        said = _said_of(reader, party, days, height)
        terms = [TariffFrom(one.day, _terms(dataset, one.tariff), one.name) for one in said if one.tariff is not None]
        if terms:
            found[party] = PartyTariff((), terms)
    return found


def _levels(reader: LedgerReader, points: Sequence[str], height: int) -> dict[str, Sequence[tuple[int, str]]]:
    """The voltage level of each point from each of some times on, by blocks up to a height; none where nothing is registered."""
    found: dict[str, Sequence[tuple[int, str]]] = {}
    for point in points:
        opened = open_entity(reader, GRID_CONNECTION, point)
        times_s = sorted({entry.from_s for entry in opened.leaf.entries}) if opened is not None else ()
        said = [(at_s, in_force(reader, GRID_CONNECTION, point, at_s, height)) for at_s in times_s]
        found[point] = [(at_s, one.record.voltage_level) for at_s, one in said if one is not None]
    return found


def _slot_prices(reader: LedgerReader, name: str, slot_start_s: Int64, height: int) -> SlotPrices:
    """What a price series says of slots, by blocks up to a height, though entries may have been folded since."""
    said: list[int | None] = []
    for start_s in slot_start_s.tolist():
        found = in_force_ever(reader, PRICE_SERIES, name, start_s, height)
        said.append(None if found is None else found.record.price_at(found.entry.from_s, start_s))
    prices: Int64 = np.array([price or 0 for price in said], dtype=np.int64)
    return SlotPrices(prices, np.array([price is not None for price in said], dtype=np.bool_))


def _without_terms(party: str) -> GridError:
    """Of a ledger that ``settle files`` made before it registered the terms of all invoices."""
    return GridError(
        f"{party}: the ledger does not say how it is invoiced; settle its files anew, into an empty folder"
    )


class _Days:
    """The local days of a dataset's slots, and where each begins."""

    def __init__(self, dataset: Dataset) -> None:
        zone = ZoneInfo(dataset.timezone)
        first, last = (datetime.fromtimestamp(int(dataset.slot_start_s[at]), zone).toordinal() for at in (0, -1))
        self.first = first
        self.begins_s: Int64 = np.array([midnight_s(day, zone) for day in range(first, last + 1)], dtype=np.int64)

    def from_on(self, at_s: int) -> int:
        """The first of the days that begins at ``at_s`` or later; the one behind the last where none does."""
        return self.first + int(np.searchsorted(self.begins_s, at_s))


def _said_of(reader: LedgerReader, party: str, days: _Days, height: int) -> Iterator[FromDay]:
    """What a party is charged by, from each day on which that changes, as of a height."""
    before: FromDay | None = None
    for day in sorted({days.from_on(at_s) for at_s in _instants(reader, party)} | {days.first}):
        place = day - days.first
        if place == len(days.begins_s):
            return
        at_s = int(days.begins_s[place])
        of_party = in_force(reader, PARTY, party, at_s, height)
        name = "" if of_party is None else of_party.record.tariff or ""
        tariff = in_force(reader, TARIFF, name, at_s, height) if name else None
        contracted_w = {} if of_party is None else of_party.record.contracted_w or {}
        one = FromDay(day, None if tariff is None else tariff.record, contracted_w, name)
        if before is None or one[1:] != before[1:]:
            yield one
        before = one


def _instants(reader: LedgerReader, party: str) -> set[int]:
    """When entries of a party, and of the tariffs that they name, begin to hold."""
    opened = open_entity(reader, PARTY, party)
    tariffs = [open_entity(reader, TARIFF, name) for name in _named_by(reader, party)]
    return {entry.from_s for one in (opened, *tariffs) if one is not None for entry in one.leaf.entries}


def _named_by(reader: LedgerReader, party: str) -> set[str]:
    """The tariffs that a party ever had."""
    opened = open_entity(reader, PARTY, party)
    if opened is None:
        return set()
    records = [opened.open(reader, entry).record for entry in opened.leaf.entries]
    return {record.tariff for record in records if record.tariff is not None}


def _terms(dataset: Dataset, tariff: Tariff) -> InvoiceTerms:
    currency = dataset.rules.invoice.currency
    return InvoiceTerms(currency, tariff.tax_ppm, tariff.quantum_nano, tariff.rounding)


# ------------------------------------------------------------------------------------------------------- newer files


def check_tariff(reader: LedgerReader, dataset: Dataset) -> None:
    """GridError where a name of the ledger's components has another account, base or tax flag, or invoices another quantum or no terms."""
    parties = sorted(parties_of(dataset.points))
    named = {party: _named_by(reader, party) for party in parties if party in reader.registry.party_number}
    if without := [party for party, names in named.items() if not names]:
        raise _without_terms(without[0])
    names = set().union(*named.values())
    opened = [one for name in sorted(names) if (one := open_entity(reader, TARIFF, name)) is not None]
    known = [one.open(reader, entry).record for one in opened for entry in one.leaf.entries]
    components = [component_of(row, {}) for tariff in known for row in tariff.components]
    if words := fault_of_names([*components, *dataset.rules.tariff]):
        raise GridError(f"rules.toml: [[tariff.component]] {words}")
    for tariff in known:
        ours, theirs = tariff.quantum_nano, dataset.rules.invoice.quantum_nano
        if ours != theirs:
            raise GridError(
                f"rules.toml: [invoice] quantum_nano: the ledger has {ours}, not {theirs}; it does not change afterwards"
            )


def tariff_amendments(reader: LedgerReader, dataset: Dataset) -> Iterator[Named[Tariff]]:
    """Entries that make the ledger's tariffs those of newer files, from their first slot on, up to what the ledger says behind their last one."""
    first_s = int(dataset.slot_start_s[0])
    for name, components in _tariffs(dataset).items():
        begun_s = begins_of(reader, TARIFF, name)
        end_s = min(until_s(reader, TARIFF, name, last_said_s(dataset), Tariff._fields).values())
        made = None
        if not begun_s:  # parties may name only what has begun
            made = _tariff(dataset, components, _day_at(dataset, first_s))
            yield Named(TARIFF, name, made)
        times_s = sorted({first_s, *(at for at in [*begun_s, *changes_s(dataset)] if first_s < at < end_s)})
        yield from changed_rows(reader, TARIFF, name, times_s, partial(_tariff_at, dataset, components), before=made)


def _tariff_at(dataset: Dataset, components: Sequence[Component], at_s: int, _: Tariff | None) -> Tariff:
    """What a dataset has a tariff be at a time, whatever it is."""
    return _tariff(dataset, components, _day_at(dataset, at_s))
