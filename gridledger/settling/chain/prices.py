"""Prices that vary as the chain has them: price series, and rules that name them, for all, for an area, or for a point of its own supplier."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import GridError, broken
from gridcore.master_data import Listed, Named
from gridcore.registry.price_series import PRICE_SERIES, SPANS_MAX, PriceSeries
from gridcore.registry.rules import RULES, Rules
from gridcore.sm3 import sm3
from gridledger.settling.dataset import Dataset, SeriesRows
from ledger.leaves.columns import Int64
from ledger.leaves.intervals import DAY_S
from ledger.registry.bodies import open_entity
from ledger.store.ledger import Ledger

WHOLE: Final = "files"
"""Name of the rules that hold where nothing else is said."""
ENTRIES_MAX: Final = 60
"""Entries of one series with prices: an entity keeps 64."""


class Scope(NamedTuple):
    """For what some prices are: an area, a point, or (both None) all."""

    area: str | None = None
    point: str | None = None

    @property
    def words(self) -> str:
        """How a message names it."""
        return f"point {self.point}" if self.point else f"area {self.area}" if self.area else "all"

    @property
    def rules(self) -> str:
        """The name of its rules: the same in every dataset."""
        return WHOLE if self == Scope() else _named(WHOLE, *map(str, self))


def scopes_of(dataset: Dataset) -> Mapping[Scope, Mapping[str, Int64]]:
    """Of each scope that has rules: the prices that vary, by key int64[slots], a wider scope's where it says none itself."""
    said: dict[Scope, list[SeriesRows]] = {}
    for rows in dataset.series:
        said.setdefault(Scope(rows.area, rows.point), []).append(rows)
    whole = _laid_over(dataset, {}, said.get(Scope(), ()))
    scopes = {Scope(): whole}
    areas = {scope.area: _laid_over(dataset, whole, rows) for scope, rows in said.items() if scope.area is not None}
    scopes |= {Scope(area=area): columns for area, columns in areas.items()}
    area_of = {point.point: point.area for point in dataset.points}
    for scope, own in said.items():
        if scope.point is not None:
            scopes[scope] = _laid_over(dataset, areas.get(area_of[scope.point], whole), own)
    return scopes


def rules_of_area(dataset: Dataset, area: str) -> str:
    """The name of an area's rules."""
    return Scope(area=area).rules if area in _named_areas(dataset) else WHOLE


def points_with_prices(dataset: Dataset) -> Collection[str]:
    """The points that have prices of their own."""
    return {rows.point for rows in dataset.series if rows.point is not None}


def rules_of_point(point: str, with_prices: Collection[str]) -> str | None:
    """The name of a point's own rules, None where its area's hold. with_prices: ``points_with_prices``."""
    return Scope(point=point).rules if point in with_prices else None


def rules_rows(dataset: Dataset) -> Iterator[Listed]:
    """The rules of each scope, behind the series that they name."""
    own = dataset.rules
    for scope, columns in scopes_of(dataset).items():
        series = {key: series_name(scope, key) for key in sorted(columns)}
        for key, name in series.items():
            yield from series_rows(dataset, name, columns[key])
        yield Named(RULES, scope.rules, Rules(own.prices, own.terms, series=series or None))
        for later in own.later_prices:
            yield Named(RULES, scope.rules, Rules(later.prices, own.terms, series=series or None), later.from_s)


def series_name(scope: Scope, key: str) -> str:
    """The name of the series of a scope's price: the same in every dataset."""
    return _named(key.removesuffix("_price_micro_per_kwh").removesuffix("_micro_per_kwh"), *map(str, scope))


def other_series_name(word: str, key: str) -> str:
    """The name of a series that no rules name, after the key of prices.csv: the same in every dataset."""
    return _named(word, key)


def _named(word: str, *parts: str) -> str:
    return f"{word[:40]}-{sm3('/'.join(parts).encode()).hex()[:12]}"


def _named_areas(dataset: Dataset) -> Sequence[str]:
    return list(dict.fromkeys(rows.area for rows in dataset.series if rows.area is not None))


def _laid_over(dataset: Dataset, wider: Mapping[str, Int64], own: Sequence[SeriesRows]) -> dict[str, Int64]:
    """Columns of a wider scope with what a scope says itself."""
    columns = dict(wider)
    for rows in own:
        before = columns.get(rows.key, dataset.rules.price_column(rows.key, dataset.slot_start_s))
        columns[rows.key] = _stepped(rows, dataset.slot_start_s, before)
    return columns


def _stepped(rows: SeriesRows, slot_start_s: Int64, before: Int64) -> Int64:
    """The price of each slot: that of the newest start, ``before`` where there is none yet."""
    place = np.searchsorted(rows.start_s, slot_start_s, side="right") - 1
    stepped: Int64 = np.where(place >= 0, rows.price_micro_per_kwh[place], before)
    return stepped


def series_rows(dataset: Dataset, name: str, column: Int64) -> Iterator[Listed]:
    """The entries of a series of the dataset's slots, in the longest spans in which it is constant. GridError where it takes more entries than there may be."""
    first_s, slot_s = int(dataset.slot_start_s[0]), dataset.slot_s
    changes_s = (np.flatnonzero(np.diff(column)) + 1) * slot_s
    span_s = math.gcd(DAY_S, *changes_s.tolist())
    prices = column[:: span_s // slot_s]
    if len(prices) > SPANS_MAX * ENTRIES_MAX:
        raise GridError(
            f"prices.csv: a price has {len(prices)} values; a ledger takes {SPANS_MAX * ENTRIES_MAX}: settle fewer slots"
        )
    # Rules may name only what has begun: an entry of 1970, which says nothing of any slot.
    yield Named(PRICE_SERIES, name, PriceSeries.of(span_s, prices[:1].tolist()))
    for first in range(0, len(prices), SPANS_MAX):
        part = prices[first : first + SPANS_MAX].tolist()
        yield Named(PRICE_SERIES, name, PriceSeries.of(span_s, part), first_s + first * span_s)


def known_prices(ledger: Ledger, name: str, slot_start_s: Int64, behind: Int64) -> Int64:
    """int64[slots]: what a series says, ``behind`` plus 1 where it says nothing."""
    found = open_entity(ledger, PRICE_SERIES, name) or broken(f"series {name} is registered")
    known = behind + 1
    for entry in found.leaf.entries:
        record = found.open(ledger, entry).record
        prices = np.frombuffer(record.prices, dtype="<i8")
        place = (slot_start_s - entry.from_s) // record.slot_s
        is_said = (place >= 0) & (place < len(prices))
        known[is_said] = prices[place[is_said]]
    return known
