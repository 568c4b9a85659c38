"""Borders of areas as ``points.csv`` has them: feeders and exchanges, at which nobody is billed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.registry.point import FEEDER, POINT, Point
from gridledger.settling.dataset import PointRow
from gridledger.settling.files.stamps import to_iso
from ledger.leaves.columns import Int64
from ledger.registry.bodies import open_entity
from ledger.registry.zones import Zone
from ledger.store.reader import LedgerReader


class Borders(NamedTuple):
    """Borders of some areas. places: of each among the rows that were asked for; points: in the same order; notes: lines for a person."""

    places: Sequence[int]
    points: Sequence[PointRow]
    notes: Sequence[str]

    def mask(self, rows: int) -> NDArray[np.bool_]:
        """bool[rows]: which of the rows are borders."""
        found = np.zeros(rows, dtype=np.bool_)
        found[list(self.places)] = True
        return found


class _Said(NamedTuple):
    """What a point says of itself from a time on; other_area: of an exchange; is_border: whether anything crosses there."""

    from_s: int
    is_border: bool
    area: str
    other_area: str | None


def borders_of(reader: LedgerReader, zone: Zone, areas: Sequence[str], rows: Int64, slots: Int64) -> Borders:
    """The borders among some rows of a zone that are borders in the last of some slots, by the newest block.

    An exchange with an area that is not among ``areas`` stands as a feeder: what crosses it is the same.
    """
    first_s, last_s = int(slots[0]), int(slots[-1])
    places, points, notes = list[int](), list[PointRow](), list[str]()
    unbilled = np.flatnonzero(reader.zone_at(zone, last_s, reader.height).party[rows] < 0)
    for place in unbilled.tolist():
        name = zone.points[int(rows[place])]
        said = list(_said_of(reader, name, first_s, last_s))
        if not said or not said[-1].is_border:
            continue
        last, others = said[-1], said[:-1]
        if any(one[1:] != last[1:] for one in others):
            notes.append(
                f"the border {name} is another one from {to_iso(last.from_s)} on: it is left out; name days of one of them"
            )
            continue
        if said[0].from_s > first_s:
            notes.append(f"the border {name} begins at {to_iso(said[0].from_s)}: before, it is missing here")
        other = last.other_area
        if other is not None and other not in areas:
            notes.append(f"the border {name} to {other}, which is not taken, stands as a feeder of {last.area}")
            other = None
        role = FEEDER if other is None else "exchange"
        places.append(place)
        points.append(PointRow(name, "", last.area, role=role, exchange_area=other))
    return Borders(places, points, [*notes, *_seen_from_others(reader, areas, last_s)])


def _said_of(reader: LedgerReader, name: str, first_s: int, last_s: int) -> Iterator[_Said]:
    """What a point says in a span: at its begin, and from each of its entries on."""
    opened = open_entity(reader, POINT, name)
    later = [] if opened is None else [one.from_s for one in opened.leaf.entries if first_s < one.from_s <= last_s]
    for at_s in sorted({first_s, *later}):
        found = reader.in_force(POINT, name, at_s)
        if found is not None:
            yield _said(at_s, found)


def _said(at_s: int, point: Point) -> _Said:
    is_border = point.party is None and (point.role == FEEDER or point.exchange_area is not None)
    return _Said(at_s, is_border, point.area, point.exchange_area)


def _seen_from_others(reader: LedgerReader, areas: Sequence[str], at_s: int) -> Iterator[str]:
    """Borders with the areas that others have registered."""
    registry = reader.registry
    view = registry.at(at_s, reader.height)
    numbers = [registry.area_place[area] for area in areas]
    for point in np.flatnonzero(np.isin(view.exchange_area, numbers)).tolist():
        owner = registry.columns.areas[int(registry.columns.point_area[point])]
        if owner not in areas:
            yield f"the border {registry.columns.points[point]} of {owner} is left out, with whose areas it is an exchange; take {owner} too"
