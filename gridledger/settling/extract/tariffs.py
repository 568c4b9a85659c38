"""What parties are charged by the month, as ``[[tariff.component]]`` and ``[invoice]`` of ``rules.toml`` have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gridcore.errors import UsageError
from gridledger.settling.chain.reactive import reactive_of_point
from gridledger.settling.chain.tariffs import named_tariffs
from gridledger.settling.dataset import Dataset, InvoiceTerms, PartyTariff, ReactiveRow, parties_of
from gridledger.settling.extract.series import Keys, key_of
from gridledger.settling.files.reactive import NAME as REACTIVE
from gridledger.settling.files.tariffs import Market, check_tariff
from ledger.registry.entries import ENTRIES_MAX
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS
from settlement.errors import SettlementError
from settlement.tariffs import components_of
from settlement.tariffs.components import KW_CONTRACTED, Component, NamedDay
from settlement.tariffs.named_days import common_days
from settlement.tariffs.registered import in_order
from settlement.tariffs.tables import tables_of


class _Drawn(NamedTuple):
    """Components of all parties. series: keys of prices.csv; notes: lines for a person, of what is not among them."""

    components: Sequence[Component]
    series: Collection[str]
    notes: Sequence[str]


def with_tariffs(reader: LedgerReader, dataset: Dataset, keys: Keys) -> Dataset:
    """A dataset with what its parties are charged by their tariffs, by the newest block, and the series that they name.

    keys: of prices.csv, to which those of these series are added. What no folder says is a line of its notes.
    """
    dataset = dataset._replace(reactive=_reactive(reader, dataset))
    tariffs = named_tariffs(reader, dataset)
    if not tariffs:
        return dataset
    drawn = _drawn(reader, dataset, _merged(dataset, tariffs), keys)
    terms = _common_terms(tariffs)
    return dataset._replace(
        rules=dataset.rules._replace(tariff=drawn.components, invoice=terms),
        tariff_series=[rows for rows in keys.rows if rows.key in drawn.series],
        notes=[
            *dataset.notes,
            *drawn.notes,
            *_notes_of_parties(dataset, tariffs),
            *_notes_of_terms(tariffs, terms),
            *_notes_of_reactive(dataset, drawn.components),
            *_notes_of_year(reader, dataset, drawn.components),
        ],
    )


def _reactive(reader: LedgerReader, dataset: Dataset) -> list[ReactiveRow]:
    """Reactive energies in the slots of a dataset, whoever asks for them: rules that are tried may. UsageError for more of a point than a file takes."""
    first_s, end_s = _ends_s(dataset)
    found: list[ReactiveRow] = []
    for name in (point.point for point in dataset.points if not point.is_border):
        rows = reactive_of_point(reader, name, reader.height)
        own = [row for row in rows if row.from_s < end_s and row.until_s > first_s]
        if len(own) > ENTRIES_MAX:
            words = f"point {name} has {len(own)} spans of reactive energy, {REACTIVE} takes {ENTRIES_MAX} of a point"
            raise UsageError(f"{words}; name fewer days")
        found += own
    return found


def _ends_s(dataset: Dataset) -> tuple[int, int]:
    """Where the first slot begins and the last one ends, UTC seconds."""
    return int(dataset.slot_start_s[0]), int(dataset.slot_start_s[-1]) + dataset.slot_s


def _drawn(reader: LedgerReader, dataset: Dataset, merged: Sequence[Component], keys: Keys) -> _Drawn:
    """Those that a folder says, by keys of prices.csv in place of the names of series."""
    key_by_name, notes = {"": ""}, list[str]()
    for one in merged:
        name = one.price_series
        if name not in key_by_name:
            try:
                key_by_name[name] = keys.of_series(reader, name, (key_of(name), name))
            except UsageError as error:
                notes.append(f"the tariff component {one.name} is left out: {error}")
    priced = [one for one in merged if one.price_series in key_by_name]
    kinds = {kind.kind for kind in CONTRACTS[dataset.rules.contract].line_kinds} | {one.name for one in priced}
    found: list[Component] = []
    for one in priced:
        shared = tuple(kind for kind in one.of if kind in kinds)
        if one.of and not shared:
            notes.append(f"the tariff component {one.name} is left out: there are no lines {', '.join(one.of)} here")
            continue
        found.append(one._replace(price_series=key_by_name[one.price_series], of=shared))
    series = {*key_by_name.values()} - {""}
    try:
        days = _common_days(dataset, found)
        found = [one._replace(named_days=days) if one.day_kinds else one for one in found]
        _check(dataset, found, days)
    except (SettlementError, UsageError) as error:
        words = f"the components of tariffs are left out, rules.toml cannot say them: {error}"
        return _Drawn((), series, [*notes, words])
    return _Drawn(found, series, notes)


def _common_days(dataset: Dataset, components: Sequence[Component]) -> Sequence[NamedDay]:
    """What one ``[tariff.days]`` says for all of them."""
    first_s, last_s = int(dataset.slot_start_s[0]), int(dataset.slot_start_s[-1])
    return common_days(components, _day_of(dataset, first_s), _day_of(dataset, last_s))


def _check(dataset: Dataset, components: Sequence[Component], days: Sequence[NamedDay]) -> None:
    """SettlementError or UsageError where no ``rules.toml`` says some components."""
    contract = CONTRACTS[dataset.rules.contract]
    market = Market(contract, dataset.rules.terms, dataset.orders, dataset.slot_start_s)
    components_of(tables_of(components), [kind.kind for kind in contract.line_kinds], days)
    check_tariff(components, market, dataset.points)


def _merged(dataset: Dataset, tariffs: Mapping[str, PartyTariff]) -> Sequence[Component]:
    """The entries of all parties, by rates of tax, each once with those who pay it; nobody is named where all do."""
    first_day = _day_of(dataset, int(dataset.slot_start_s[0]))
    entries: dict[tuple[object, ...], Component] = {}
    payers: dict[tuple[object, ...], dict[str, int]] = {}
    for party in sorted(tariffs, key=str.encode):
        for one in (part for component in tariffs[party].components for part in component.by_own_rate()):
            begun = one._replace(from_day=None) if one.from_day == first_day else one
            said = tuple(value for key, value in begun._asdict().items() if key != "contracted_w")
            entries.setdefault(said, begun)
            payers.setdefault(said, {})[party] = one.contracted_w.get(party, 0)
    everybody = parties_of(dataset.points)
    return in_order(
        [
            entry._replace(
                parties=() if payers[said].keys() == everybody else tuple(payers[said]),
                contracted_w=payers[said] if entry.base == KW_CONTRACTED else {},
            )
            for said, entry in entries.items()
        ]
    )


def _terms_of(tariff: PartyTariff) -> InvoiceTerms:
    """By which a party's invoices are made: as of its first day, with the rates of tax of later ones."""
    later = tuple(after for before, after in pairwise(tariff.rates) if after.tax_ppm != before.tax_ppm)
    return tariff.terms[0].terms._replace(later_rates=later)


def _common_terms(tariffs: Mapping[str, PartyTariff]) -> InvoiceTerms:
    """By which the invoices of most parties are made."""
    counted = Counter(map(_terms_of, tariffs.values()))
    return max(counted, key=lambda terms: counted[terms])


def _notes_of_parties(dataset: Dataset, tariffs: Mapping[str, PartyTariff]) -> Iterator[str]:
    without = sorted(parties_of(dataset.points) - tariffs.keys(), key=str.encode)
    if without:
        yield f"{len(without)} parties, {without[0]} first, name no tariff: here their invoices go by [invoice]"


def _notes_of_terms(tariffs: Mapping[str, PartyTariff], terms: InvoiceTerms) -> Iterator[str]:
    """Tariffs by whose terms invoices are made otherwise than here."""
    ours, others = _words_of(terms, terms), dict[str, Mapping[str, str]]()
    for tariff in tariffs.values():
        own = _terms_of(tariff)
        said = [(one.tariff, _words_of(own, one.terms)) for one in tariff.terms]
        others |= {name: words for name, words in said if words != ours}
    for name in sorted(others, key=str.encode):
        words = ", ".join(f"{key} {said}, not {ours[key]}" for key, said in others[name].items() if said != ours[key])
        yield f"the tariff {name} has other terms of invoices ({words}) than [invoice], which is one for all parties"


def _words_of(taxed: InvoiceTerms, rounded: InvoiceTerms) -> Mapping[str, str]:
    """What invoices are made by, for a person: the tax with the days from which later rates count, and the rounding."""
    later = [f"{one.tax_ppm} from {date.fromordinal(one.day)} on" for one in taxed.later_rates]
    tax = ", ".join([str(taxed.tax_ppm), *later])
    return {"tax_ppm": tax, "quantum_nano": str(rounded.quantum_nano), "rounding": rounded.rounding}


def _notes_of_reactive(dataset: Dataset, components: Iterable[Component]) -> Iterator[str]:
    """Spans of which the folder lacks slots: a power factor is of a month whose spans and slots are the same."""
    first_s, end_s = _ends_s(dataset)
    cut = [row.point for row in dataset.reactive if row.from_s < first_s or row.until_s > end_s]
    names = sorted({one.name for one in components if one.power_factor_standard}, key=str.encode)
    if cut and names:
        what = f"{len(cut)} spans of reactive energy ({cut[0]} first) reach beyond these slots"
        yield f"{what}: {', '.join(names)} is not charged in their months; name whole spans"


def _notes_of_year(reader: LedgerReader, dataset: Dataset, components: Iterable[Component]) -> Iterator[str]:
    """Components with steps of a year of which the folder lacks slots that the ledger has."""
    first_s = int(dataset.slot_start_s[0])
    begins_s = min(zone.timeline.first_slot_start_s for zone in reader.registry.zones)
    zone = ZoneInfo(dataset.timezone)
    first, before = (datetime.fromtimestamp(at_s, zone).year for at_s in (first_s, first_s - dataset.slot_s))
    names = sorted({one.name for one in components if one.is_of_year}, key=str.encode)
    if names and begins_s < first_s and first == before:
        yield f"steps of a year ({', '.join(names)}) count from the first slot here on, on the ledger from an earlier one of the year"


def _day_of(dataset: Dataset, at_s: int) -> int:
    return datetime.fromtimestamp(at_s, ZoneInfo(dataset.timezone)).toordinal()
