"""``validation.csv``: energies of a folder that are hardly meant, by the rules of ``settlement.validation`` (docs/settle-files.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import CODE_MASK, CORRECTED, MEASURED
from gridledger.settling.dataset import Dataset, EnergyGrid
from gridledger.settling.files.stamps import Zone
from settlement.validation import ABSENT, Measured, Rule, marks_of

NAME: Final = "validation.csv"
SIDES: Final = ("import", "export")


class MarkedRow(NamedTuple):
    """A row of ``NAME``. slot_start_s: of the first of ``slots`` slots, UTC seconds; the other columns as of ``settlement.validation.Mark``."""

    area: str
    point: str
    rule: str
    side: str
    slot_start_s: int
    slots: int
    energy_wh: int
    usual_wh: int
    doubtful_wh: int


class JudgedEnergies(NamedTuple):
    """Energies of a dataset's slots and points: int[slots, points]; quality: uint8, bytes of ``gridcore.quality``; is_there: bool, somebody is billed for it."""

    import_wh: EnergyGrid
    export_wh: EnergyGrid
    quality: NDArray[np.uint8]
    is_there: NDArray[np.bool_]


def marked_rows(dataset: Dataset, judged: JudgedEnergies) -> list[MarkedRow]:
    """The marks of all points at which somebody is billed, the most doubtful energy first."""
    names = list(dict.fromkeys(point.point for point in dataset.points if not point.is_border))
    area = {point.point: point.area for point in dataset.points}
    starts = dataset.slot_start_s
    measured = Measured(*_by_point(dataset, judged, names), _days(dataset), dataset.slot_s)
    rows = [
        MarkedRow(
            area=area[names[mark.point]],
            point=names[mark.point],
            rule=mark.rule.value,
            side=SIDES[mark.is_export],
            slot_start_s=int(starts[mark.first]),
            slots=mark.slots,
            energy_wh=mark.energy_wh,
            usual_wh=mark.usual_wh,
            doubtful_wh=mark.doubtful_wh,
        )
        for mark in marks_of(measured, dataset.rules.validation)
    ]
    return sorted(rows, key=lambda row: -row.doubtful_wh)


def marked_in_files(dataset: Dataset) -> list[MarkedRow]:
    """The same of what the files say, before it is settled."""
    is_there = np.ones(dataset.import_wh.shape, dtype=np.bool_)
    return marked_rows(dataset, JudgedEnergies(dataset.import_wh, dataset.export_wh, dataset.quality, is_there))


def counts_by_rule(rows: Sequence[MarkedRow]) -> Mapping[str, int]:
    """How many marks each rule has made."""
    found = Counter(row.rule for row in rows)
    return {rule.value: found[rule.value] for rule in Rule}


def _by_point(
    dataset: Dataset, judged: JudgedEnergies, names: Sequence[str]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """int32[slots, names]: what was measured; a point stands in a dataset once for each who is ever billed there."""
    place = {name: at for at, name in enumerate(names)}
    found = [np.full((len(dataset.slot_start_s), len(names)), ABSENT, dtype=np.int32) for _ in SIDES]
    code = judged.quality & CODE_MASK
    is_told = judged.is_there & ((code == MEASURED) | (code == CORRECTED))
    for column, point in enumerate(dataset.points):
        if not point.is_border:
            at, rows = place[point.point], is_told[:, column]
            for grid, energies in zip(found, (judged.import_wh, judged.export_wh), strict=True):
                grid[rows, at] = energies[rows, column]
    return found[0], found[1]


def _days(dataset: Dataset) -> NDArray[np.int64]:
    """int64[days]: the place of each local day's first slot."""
    starts = dataset.slot_start_s
    midnights = Zone(dataset.timezone).midnights(int(starts[0]), int(starts[-1]))
    places = np.unique(np.searchsorted(starts, midnights))
    return places[places < len(starts)]
