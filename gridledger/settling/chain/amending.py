"""Newer files that say other prices, terms or keys: what the registry of a settled ledger is told, from when on.

What was settled by the old ones is settled again by correction runs. A file that is not there says nothing; one that is there is the whole of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import GridError, broken
from gridcore.master_data import Named
from gridcore.registry.area import AREA
from gridcore.registry.balance_terms import BALANCE_TERMS
from gridcore.registry.grid_connection import GRID_CONNECTION, GridConnection
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.price_series import PRICE_SERIES, SPANS_MAX, PriceSeries
from gridcore.registry.row import Row
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.tariff import TARIFF, Tariff
from gridledger.settling.chain.agreements import column_of
from gridledger.settling.chain.balance import series_of, terms_of
from gridledger.settling.chain.changed_rows import begins_of, changed_rows
from gridledger.settling.chain.founding import IMPORTER, OPERATOR, signer_rows
from gridledger.settling.chain.points import histories_of, keys_of, named_of, party_rows
from gridledger.settling.chain.prices import (
    Scope,
    points_with_prices,
    rules_of_area,
    scopes_of,
    series_name,
)
from gridledger.settling.chain.reactive import reactive_amendments
from gridledger.settling.chain.tariffs import (
    Charged,
    changes_s,
    charged_at,
    last_said_s,
    series_of_component,
    tariff_amendments,
)
from gridledger.settling.chain.until import until_s
from gridledger.settling.dataset import Dataset, PointRow, parties_of
from ledger.leaves.columns import Int64
from ledger.leaves.intervals import DAY_S
from ledger.registry.bodies import open_entity
from ledger.store.ledger import Ledger


def amendments(ledger: Ledger, dataset: Dataset) -> list[Row]:
    """The registry rows that make a ledger's prices, terms and keys those of a dataset, from its first slot on; keys from when they hold.

    GridError for prices that the ledger has and the dataset does not say.
    """
    rows = [
        *_price_rows(ledger, dataset),
        *_area_rows(ledger, dataset),
        *_tariff_series_rows(ledger, dataset),
        *tariff_amendments(ledger, dataset),
        *_party_rows(ledger, dataset),
        *_point_rows(ledger, dataset),
        *_balance_rows(ledger, dataset),
        *_connection_rows(ledger, dataset),
        *reactive_amendments(ledger, dataset),
        *_signer_rows(ledger, dataset),
    ]
    return [row for named in rows for row in named.rows()]


# --------------------------------------------------------------------------------------------------------------- prices


def _price_rows(ledger: Ledger, dataset: Dataset) -> Iterator[Named[Any]]:
    """Series, and behind them the rules that name them."""
    said, first_s = scopes_of(dataset), int(dataset.slot_start_s[0])
    for scope in dict.fromkeys([*_scopes_of_ledger(ledger, dataset), *said]):
        known = ledger.in_force(RULES, scope.rules, first_s)
        if dataset.series and scope not in said:
            raise GridError(
                f"prices.csv: says nothing for {scope.words}, of which the ledger has prices; give them too"
            )
        series = {} if known is None else dict(known.series or {})
        for key, column in said.get(scope, {}).items():
            name = series.setdefault(key, series_name(scope, key))
            yield from _series_rows(ledger, dataset, name, column)
        yield from _rules_rows(ledger, dataset, scope.rules, series)


def _scopes_of_ledger(ledger: Ledger, dataset: Dataset) -> Iterator[Scope]:
    """The scopes of which the ledger has rules in the dataset's first slot."""
    first_s = int(dataset.slot_start_s[0])
    areas = dict.fromkeys(point.area for point in dataset.points)
    possible = [Scope(), *(Scope(area=area) for area in areas), *(Scope(point=point.point) for point in dataset.points)]
    yield from (scope for scope in possible if ledger.in_force(RULES, scope.rules, first_s) is not None)


def _rules_rows(ledger: Ledger, dataset: Dataset, name: str, series: Mapping[str, str]) -> Iterator[Named[Rules]]:
    """Rules where they are otherwise than a dataset says: from its first slot on, and where its or the ledger's later entries begin."""
    rules, first_s = dataset.rules, int(dataset.slot_start_s[0])
    changes = {first_s, *(later.from_s for later in rules.later_prices)}
    last_s = max(int(dataset.slot_start_s[-1]), *changes)
    end_s = min(until_s(ledger, RULES, name, last_s, ("prices", "terms")).values())

    def wanted(at_s: int, known: Rules | None) -> Rules:
        # where a series says nothing the rules' own price holds: that one stays
        kept = {} if known is None else {key: known.prices[key] for key in series if key in known.prices}
        return Rules({**rules.prices_at(at_s), **kept}, rules.terms, series=series or None)

    times_s = sorted(at_s for at_s in {*begins_of(ledger, RULES, name), *changes} if first_s <= at_s < end_s)
    return changed_rows(ledger, RULES, name, times_s, wanted)


class _Said(NamedTuple):
    """What a series says of some slots. prices: int64[slots], 0 where it says nothing; is_said: bool[slots]."""

    prices: Int64
    is_said: NDArray[np.bool_]


class _Known:
    """A series of the ledger: for each time the prices of the entry in force, though it may have been folded since."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        found = open_entity(ledger, PRICE_SERIES, name)
        self.is_there = found is not None
        self._records: dict[int, PriceSeries] = {}
        if found is not None:
            entries = [*ledger.folded(PRICE_SERIES.key(name), found.leaf), *found.leaf.entries]
            self._records = {entry.from_s: found.open(ledger, entry).record for entry in entries}
        self.starts_s = np.array(sorted(self._records), dtype=np.int64)

    @property
    def end_s(self) -> int:
        """Behind the last price."""
        return max((at_s + len(one.prices) // 8 * one.slot_s for at_s, one in self._records.items()), default=0)

    def said(self, slot_start_s: Int64) -> _Said:
        """What it says of slots."""
        prices, is_said = np.zeros(len(slot_start_s), dtype=np.int64), np.zeros(len(slot_start_s), dtype=np.bool_)
        place = np.searchsorted(self.starts_s, slot_start_s, side="right") - 1
        for number, at_s in enumerate(self.starts_s.tolist()):
            own, record = np.flatnonzero(place == number), self._records[at_s]
            values = np.frombuffer(record.prices, dtype="<i8")
            at = (slot_start_s[own] - at_s) // record.slot_s
            own, at = own[at < len(values)], at[at < len(values)]
            prices[own], is_said[own] = values[at], True
        return _Said(prices, is_said)


def _series_rows(ledger: Ledger, dataset: Dataset, name: str, column: Int64) -> Iterator[Named[PriceSeries]]:
    """Entries that make a series say ``column`` in the dataset's slots, and behind them what it said before."""
    known, slot_s, given_s = _Known(ledger, name), dataset.slot_s, dataset.slot_start_s
    before = known.said(given_s)
    other = np.flatnonzero(~before.is_said | (before.prices != column))
    if not len(other):
        return
    if not known.is_there:
        # Rules may name only what has begun: an entry of 1970, which says nothing of any slot.
        yield Named(PRICE_SERIES, name, PriceSeries.of(slot_s, column[:1].tolist()))
    end_s = int(given_s[-1]) + slot_s
    behind_s = np.arange(end_s, max(end_s, known.end_s), slot_s, dtype=np.int64)
    behind = known.said(behind_s)
    times_s = np.concatenate([given_s, behind_s])[other[0] :]
    prices = np.concatenate([column, behind.prices])[other[0] :]
    is_said = np.concatenate([np.ones(len(column), dtype=np.bool_), behind.is_said])[other[0] :]
    is_other = np.isin(times_s, given_s[other])
    starts = np.unique(np.append(np.flatnonzero(np.isin(times_s, known.starts_s)), 0))
    for first, last in zip(starts.tolist(), [*starts[1:].tolist(), len(times_s)], strict=True):
        silent = np.flatnonzero(~is_said[first:last])
        part = prices[first : first + int(silent[0])] if len(silent) else prices[first:last]
        if is_other[first:last].any():
            yield from _entries(name, int(times_s[first]), slot_s, part)


def _entries(name: str, first_s: int, slot_s: int, prices: Int64) -> Iterator[Named[PriceSeries]]:
    """A column of prices as entries, in the longest spans in which it is constant."""
    changes_s = (np.flatnonzero(np.diff(prices)) + 1) * slot_s
    span_s = math.gcd(DAY_S, len(prices) * slot_s, *changes_s.tolist())
    spans = prices[:: span_s // slot_s]
    for first in range(0, len(spans), SPANS_MAX):
        record = PriceSeries.of(span_s, spans[first : first + SPANS_MAX].tolist())
        yield Named(PRICE_SERIES, name, record, first_s + first * span_s)


def _tariff_series_rows(ledger: Ledger, dataset: Dataset) -> Iterator[Named[PriceSeries]]:
    """Prices that components of the tariff name, in the dataset's slots."""
    for rows in dataset.tariff_series:
        column = column_of(rows, dataset.slot_start_s)
        yield from _series_rows(ledger, dataset, series_of_component(rows.key), column)


def _balance_rows(ledger: Ledger, dataset: Dataset) -> Iterator[Named[Any]]:
    """Prices of balances in the dataset's slots, and terms from its first slot on, where they are otherwise than it says."""
    if dataset.balance is None:
        return
    first_s, wanted = int(dataset.slot_start_s[0]), terms_of(dataset.balance)
    for rows in dataset.balance.series:
        yield from _series_rows(ledger, dataset, series_of(rows.key), column_of(rows, dataset.slot_start_s))
    for area in dict.fromkeys(point.area for point in dataset.points):
        if ledger.in_force(BALANCE_TERMS, area, first_s) != wanted:
            yield Named(BALANCE_TERMS, area, wanted, first_s)


# ------------------------------------------------------------------------------------------------------ areas and points


def _area_rows(ledger: Ledger, dataset: Dataset) -> Iterator[Named[Any]]:
    """Areas that have prices of their own from now on."""
    first_s = int(dataset.slot_start_s[0])
    for area in dict.fromkeys(point.area for point in dataset.points):
        found = ledger.in_force(AREA, area, first_s) or broken("every area of the files is in force")
        wanted = found._replace(rules=rules_of_area(dataset, area)) if dataset.series else found
        if wanted != found:
            yield Named(AREA, area, wanted, first_s)


def _party_rows(ledger: Ledger, dataset: Dataset) -> Iterator[Named[Party]]:
    """Who will be billed for a point and is not there yet; and from the first slot on those that are charged by another tariff, or have their
    first orders.
    """
    for point in dataset.points:
        for named in party_rows(dataset, point, dataset.orders.traders, IMPORTER, OPERATOR):
            if named.name not in ledger.registry.party_number:
                yield named
    for party in sorted(parties_of(dataset.points)):
        yield from _changes_of_party(ledger, dataset, party)


def _changes_of_party(ledger: Ledger, dataset: Dataset, party: str) -> Iterator[Named[Party]]:
    """From the first slot on where the party is there: what charges it, and that it trades."""
    begun_s, first_s = begins_of(ledger, PARTY, party), int(dataset.slot_start_s[0])
    if not begun_s:
        return
    end_s = _charged_until_s(ledger, dataset, party)
    changes = [*begun_s, *changes_s(dataset), *([int(end_s)] if end_s < math.inf else [])]

    def wanted(at_s: int, known: Party | None) -> Party:
        found = known or broken("parties of files are in force from the beginning")
        if at_s < end_s:
            found = found._replace(**charged_at(dataset, party, at_s)._asdict())
        return found._replace(trades=True, aggregator=IMPORTER) if party in dataset.orders.traders else found

    times_s = sorted({first_s, *(at_s for at_s in changes if at_s > first_s)})
    yield from changed_rows(ledger, PARTY, party, times_s, wanted)


def _charged_until_s(ledger: Ledger, dataset: Dataset, party: str) -> float:
    """Where what a dataset charges a party ends: where its row changes behind what the dataset says last, or the tariff that it names there. Infinity where none does.

    Rules without the later entries may make a tariff of another name, which does not have them.
    """
    last_s = last_said_s(dataset)
    ends_s = [*until_s(ledger, PARTY, party, last_s, Charged._fields).values()]
    known = ledger.in_force(PARTY, party, last_s)
    if known is not None and known.tariff is not None:
        ends_s += until_s(ledger, TARIFF, known.tariff, last_s, Tariff._fields).values()
    return min(ends_s)


def _connection_rows(ledger: Ledger, dataset: Dataset) -> Iterator[Named[GridConnection]]:
    """Points that are said to be at another voltage level: from the dataset's first slot on, up to what the ledger says behind its last one."""
    first_s, last_s = int(dataset.slot_start_s[0]), int(dataset.slot_start_s[-1])
    for point in dataset.points:
        if point.voltage_level is None:
            continue
        wanted = GridConnection(point.voltage_level)
        end_s = until_s(ledger, GRID_CONNECTION, point.point, last_s, wanted._fields)["voltage_level"]
        later = [at_s for at_s in begins_of(ledger, GRID_CONNECTION, point.point) if first_s < at_s < end_s]
        for at_s in sorted({first_s, *later}):
            before = ledger.in_force(GRID_CONNECTION, point.point, at_s)
            if before != wanted:
                yield Named(GRID_CONNECTION, point.point, wanted, at_s)


def _point_rows(ledger: Ledger, dataset: Dataset) -> Iterator[Named[Point]]:
    """Points with other keys, with prices of their own from now on, for which somebody else is billed, or that name others.

    What the ledger has them name from behind the dataset's last slot on stays; who is billed from behind its last row of the point on, too.
    """
    keys, keys_end_s, with_prices = keys_of(dataset), _keys_until_s(ledger, dataset), points_with_prices(dataset)
    for point in dataset.points:
        stated = dict(histories_of(point, keys.get(point.point, []), with_prices))
        yield from _changes_of_point(ledger, dataset, point, stated, keys_end_s)


def _changes_of_point(
    ledger: Ledger, dataset: Dataset, point: PointRow, stated: Mapping[int, Point], keys_end_s: float
) -> Iterator[Named[Point]]:
    """Of one point. stated: what the dataset says of it, by when it begins to hold, 0: from the beginning; keys_end_s: from when on its keys say nothing."""
    first_s, last_s = int(dataset.slot_start_s[0]), int(dataset.slot_start_s[-1])
    named = {name: who for name, who in named_of(point).items() if who is not None}
    is_moved = any(from_s >= first_s for from_s, _ in point.later)
    if not (dataset.keys or dataset.series or is_moved or named):
        return
    last_row_s = max([last_s, *(from_s for from_s, _ in point.later)])
    ends_s = until_s(ledger, POINT, point.point, last_s, named)
    ends_s |= until_s(ledger, POINT, point.point, last_row_s, ["party"] if is_moved else [])

    def wanted(at_s: int, known: Point | None) -> Point:
        found = known or broken("points of files are in force from the beginning")
        if dataset.keys and at_s < keys_end_s:
            own = stated[max(from_s for from_s in stated if from_s <= at_s)]
            found = found._replace(share_ppm=own.share_ppm, priority=own.priority)
        if at_s < first_s:
            return found
        if dataset.series:
            found = found._replace(rules=stated[0].rules)
        said = {**named, "party": point.party_at(at_s) or None}
        return found._replace(**{name: said[name] for name, end_s in ends_s.items() if at_s < end_s})

    times_s = sorted({*stated, *begins_of(ledger, POINT, point.point), first_s})
    yield from changed_rows(ledger, POINT, point.point, times_s, wanted)


def _keys_until_s(ledger: Ledger, dataset: Dataset) -> float:
    """Where the keys of a dataset end: where the ledger has another key of any point behind its last slot and its last key, as keys of an area go together."""
    last_s = max([int(dataset.slot_start_s[-1]), *(row.valid_from_s or 0 for row in dataset.keys)])
    names = [point.point for point in dataset.points] if dataset.keys else []
    ends_s = [until_s(ledger, POINT, name, last_s, ("share_ppm", "priority")) for name in names]
    return min((end_s for of_point in ends_s for end_s in of_point.values()), default=math.inf)


def _signer_rows(ledger: Ledger, dataset: Dataset) -> Iterator[Named[Any]]:
    """Who has orders of its own by now, from now on."""
    now_s = ledger.ledger_time_s
    importer = ledger.in_force(SIGNER, IMPORTER, now_s)
    if not isinstance(importer, Signer):
        broken("the importer of files is a signer")
    for named in signer_rows(dataset, importer.public_key):
        if ledger.in_force(SIGNER, named.name, now_s) is None:
            yield named._replace(from_s=now_s)
