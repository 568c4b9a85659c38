"""The reactive energy of a party's months: what spans of its points tell, or which point keeps a month from having a power factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.dataset import Dataset, PartyTariff, ReactiveRow
from gridledger.settling.results.months import Months
from gridledger.settling.uncharged_components import NOT_THERE, PARTIAL
from gridledger.tables.columns import Flags, Places
from settlement.tariffs.power_factor import ReactiveMonth


class Lacking(NamedTuple):
    """Why a month has no power factor. month: its place; point: the first that lacks something; reason: as of ``Uncharged``."""

    month: int
    point: str
    reason: str


class PartyReactive(NamedTuple):
    """By the place of a month what is known of it; and why others lack it."""

    of_month: Mapping[int, ReactiveMonth]
    lacking: Sequence[Lacking]


NOTHING: Final = PartyReactive({}, ())


def reactive_of(
    tariff: PartyTariff, points: Places, dataset: Dataset, months: Months, is_billed: Flags
) -> PartyReactive:
    """Month by month, where a component asks for it. points: places of the party's; is_billed: bool[slots, its points].

    A month counts where the spans of each point in it are exactly the slots in which the point is billed to the party: no less, since missing is never
    zero, and no more, since nobody says how much of a span was the party's.
    """
    if not any(one.power_factor_standard for one in tariff.components):
        return NOTHING
    names = [dataset.points[place].point for place in points.tolist()]
    billed = {name: np.zeros(len(dataset.slot_start_s), dtype=np.bool_) for name in names}
    for at, name in enumerate(names):  # a point stands at several places where it was billed to others in between
        billed[name] |= is_billed[:, at]
    found, lacking = dict[int, ReactiveMonth](), list[Lacking]()
    for month in range(len(months.names)):
        slots = np.flatnonzero(months.calendar.month == month)
        own = {name: slots[of_point[slots]] for name, of_point in billed.items()}
        parts = {
            name: _in_slots(tariff.reactive.get(name, ()), dataset, slots, of_point)
            for name, of_point in own.items()
            if len(of_point)
        }
        lacks = [Lacking(month, name, part) for name, part in parts.items() if isinstance(part, str)]
        lacking += lacks[:1]
        if parts and not lacks:
            sums = [part for part in parts.values() if isinstance(part, ReactiveMonth)]
            found[month] = ReactiveMonth(*map(sum, zip(*sums, strict=True)))
    return PartyReactive(found, lacking)


def spans_in(rows: Sequence[ReactiveRow], dataset: Dataset, slots: Places) -> list[ReactiveRow]:
    """Those that reach into the slots of a month."""
    begins_s, ends_s = int(dataset.slot_start_s[slots[0]]), int(dataset.slot_start_s[slots[-1]]) + dataset.slot_s
    return [row for row in rows if row.from_s < ends_s and row.until_s > begins_s]


def _in_slots(rows: Sequence[ReactiveRow], dataset: Dataset, slots: Places, own: Places) -> ReactiveMonth | str:
    """The sum of the spans in a month's slots, if they are exactly the slots of ``own``; else the reason that they tell nothing."""
    within = spans_in(rows, dataset, slots)
    starts_s = dataset.slot_start_s[own]
    inside = [row for row in within if ((starts_s >= row.from_s) & (starts_s < row.until_s)).any()]
    if not inside:
        return NOT_THERE
    if sum(row.until_s - row.from_s for row in inside) != len(own) * dataset.slot_s:
        return PARTIAL
    told_s = [np.arange(row.from_s, row.until_s, dataset.slot_s) for row in inside]
    if not np.array_equal(np.sort(np.concatenate(told_s)), starts_s):
        return PARTIAL
    return ReactiveMonth(sum(row.reactive_varh for row in inside), sum(row.returned_varh for row in inside))
