"""A settled ledger read back as a dataset: what its last runs settled with, to be settled again under other rules."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from gridcore.errors import UsageError, broken
from gridcore.quality import CODE_MASK, ESTIMATED, MISSING
from gridcore.registry.area import AREA
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.frame import frame_of_ledger
from gridledger.settling.chain.reading import read_runs
from gridledger.settling.dataset import Counts, Dataset, InputFile
from ledger.store.offline import reading
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS

STATE: Final = "ledger.state"
"""Stands among the inputs for the ledger, by its state root."""
UTC: Final = "UTC"


def dataset_of_ledger(data: Path) -> Dataset:
    """Points, slots and energies of a ledger that ``settle files`` has made, with the rules it has; months are of UTC.

    UsageError where prices vary, or points have rules or keys of their own: what else was in the files is not read back.
    """
    with reading(data, CONTRACTS) as reader:
        frame = _frame(reader, data)
        import_wh, export_wh = np.zeros((2, *frame.quality.shape), dtype=np.int64)
        quality, first_s = frame.quality, int(frame.slot_start_s[0])
        for run in read_runs(reader, frame):
            slot = (run.slot_start_s - first_s) // frame.slot_s
            import_wh[slot, run.rows], export_wh[slot, run.rows] = run.columns["import_wh"], run.columns["export_wh"]
            quality[slot, run.rows] = run.quality
    missing, estimated = (int((quality & CODE_MASK == code).sum()) for code in (MISSING, ESTIMATED))
    counts = Counts(quality.size - missing, missing, estimated)
    return frame._replace(import_wh=import_wh, export_wh=export_wh, counts=counts)


def _frame(reader: LedgerReader, data: Path) -> Dataset:
    """All but the energies; UsageError for what is not read back."""
    frame = frame_of_ledger(reader)
    first_s = int(frame.slot_start_s[0])
    rules = reader.in_force(RULES, ZONE_NAME, first_s) or broken("the rules of the files are in force")
    areas = [reader.in_force(AREA, name, first_s) for name in {point.area for point in frame.points}]
    if rules.series or any(area is None or area.rules != ZONE_NAME for area in areas):
        raise _not_read_back(data, "prices that vary")
    for point in frame.points:
        if (reader.in_force(POINT, point.point, first_s) or broken("every point is in force")).rules is not None:
            raise _not_read_back(data, "points with prices of their own")
    if len({point.point for point in frame.points}) < len(frame.points):
        raise _not_read_back(data, "points for which somebody else is billed from a time on")
    return frame._replace(timezone=UTC, inputs=[InputFile(STATE, reader.state_root(), 0)])


def _not_read_back(data: Path, what: str) -> UsageError:
    return UsageError(f"--from {data.parent}: has {what}; name the folder of files in place of --from")
