"""What the settled points of an area come to by balance responsible party: each direction of a point is of the party that it names for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

from gridcore.registry.point import POINT
from ledger.leaves.columns import Int64
from ledger.leaves.run import RunLeaf
from ledger.registry.areas import Area
from ledger.registry.bodies import OPENED_TOGETHER_MAX, in_force
from ledger.registry.zones import ZoneInForce
from ledger.runs import SettledRows, load_rows, load_rows_of
from ledger.store.reader import LedgerReader


class GroupSums(NamedTuple):
    """A balance group in a slot, Wh. group: the balance responsible party, "" for points that name none."""

    group: str
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int


class _Groups(NamedTuple):
    """Whom the settling rows of an area name. names: by the bytes; importing, exporting: int64[n], of each row a place in ``names``."""

    names: Sequence[str]
    importing: Int64
    exporting: Int64


@dataclass
class GroupsOfSlots:
    """The groups of settled slots. Between two changes of the registry all slots of an area are of one: whom its points name is looked up once."""

    reader: LedgerReader
    _known: tuple[ZoneInForce, int, _Groups] | None = None

    def sums(self, area: Area, leaf: RunLeaf, rows: SettledRows | None = None) -> list[GroupSums]:
        """The groups of an area in the slot of a run, by the bytes of their names; ``area``: as it was in that slot; ``rows``: its settling
        rows in the run, where they have been read.

        What is imported and bought counts for the party of the import, what is exported and sold for that of the export.
        """
        if self._known is None or self._known[0] is not area.in_force or self._known[1] != area.number:
            self._known = (area.in_force, area.number, _groups_of(self.reader, area, leaf))
        return _sums(self._known[2], (load_rows(self.reader, leaf, area.settling) if rows is None else rows).columns)


def sums_by_group(reader: LedgerReader, slots: Iterable[tuple[Area, RunLeaf]]) -> Iterator[list[GroupSums]]:
    """The groups of an area in some slots; ``slots``: the area as it was in the slot of each run."""
    groups = GroupsOfSlots(reader)
    for _, of_one_registry in groupby(slots, key=lambda slot: id(slot[0].in_force)):
        together = list(of_one_registry)
        rows = load_rows_of(reader, [leaf for _, leaf in together], together[0][0].settling)
        yield from (groups.sums(area, leaf, found) for (area, leaf), found in zip(together, rows, strict=True))


def _groups_of(reader: LedgerReader, area: Area, leaf: RunLeaf) -> _Groups:
    points = [area.zone.points[row] for row in area.settling.tolist()]
    importing, exporting = [], []
    for start in range(0, len(points), OPENED_TOGETHER_MAX):
        some = points[start : start + OPENED_TOGETHER_MAX]
        reader.opened.open_together(reader, POINT, some)
        for point in some:
            found = in_force(reader, POINT, point, leaf.slot_start_s, leaf.as_of_height)
            importing.append("" if found is None else found.record.balance_responsible_import or "")
            exporting.append("" if found is None else found.record.balance_responsible_export or "")
    names = sorted({*importing, *exporting}, key=str.encode)
    place = {name: at for at, name in enumerate(names)}
    return _Groups(names, *(np.array([place[name] for name in of], dtype=np.int64) for of in (importing, exporting)))


def _sums(groups: _Groups, columns: Mapping[str, Int64]) -> list[GroupSums]:
    sums = []
    for name, of_row in (
        ("import_wh", groups.importing),
        ("export_wh", groups.exporting),
        ("bought_wh", groups.importing),
        ("sold_wh", groups.exporting),
    ):
        of_group = np.zeros(len(groups.names), dtype=np.int64)
        np.add.at(of_group, of_row, columns[name])
        sums.append(of_group.tolist())
    return [GroupSums(*one) for one in zip(groups.names, *sums, strict=True)]
