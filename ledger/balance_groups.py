"""What the settled points of an area come to by balance responsible party: each direction of a point is of the party that it names for it."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from gridcore.registry.point import POINT
from ledger.leaves.run import RunLeaf
from ledger.registry.areas import Area
from ledger.registry.bodies import in_force
from ledger.runs import load_rows
from ledger.store.reader import LedgerReader


class GroupSums(NamedTuple):
    """A balance group in a slot, Wh. group: the balance responsible party, "" for points that name none."""

    group: str
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int


def sums_by_group(reader: LedgerReader, area: Area, leaf: RunLeaf) -> list[GroupSums]:
    """The groups of an area, as it was in the slot of a run, by the bytes of their names.

    What is imported and bought counts for the party of the import, what is exported and sold for that of the export.
    """
    taken: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    given: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    rows = load_rows(reader, leaf, area.settling)
    columns = (rows.columns[name].tolist() for name in ("import_wh", "export_wh", "bought_wh", "sold_wh"))
    for row, import_wh, export_wh, bought_wh, sold_wh in zip(rows.rows.tolist(), *columns, strict=True):
        point = in_force(reader, POINT, area.zone.points[row], leaf.slot_start_s, leaf.as_of_height)
        importing = "" if point is None else point.record.balance_responsible_import or ""
        exporting = "" if point is None else point.record.balance_responsible_export or ""
        for sums, energy_wh in ((taken[importing], (import_wh, bought_wh)), (given[exporting], (export_wh, sold_wh))):
            sums[:] = (before + more for before, more in zip(sums, energy_wh, strict=True))
    groups = sorted({*taken, *given}, key=str.encode)
    return [GroupSums(one, taken[one][0], given[one][0], taken[one][1], given[one][1]) for one in groups]
