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
from gridcore.registry.zone import ZONE
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.reading import billed_points, read_runs
from gridledger.settling.dataset import Counts, Dataset, EstimateTerms, FileRules, InputFile, InvoiceTerms, PointRow
from gridledger.settling.files.orders import no_orders
from ledger.leaves.chain import CHAIN
from ledger.leaves.progress import PROGRESS
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
    """All but the energies."""
    chain, zone = CHAIN.must(reader), reader.registry.zone(ZONE_NAME)
    first_s, end_s = zone.timeline.first_slot_start_s, PROGRESS.must(reader, ZONE_NAME).run_slot_start_s
    rules = reader.in_force(RULES, ZONE_NAME, first_s) or broken("the rules of the files are in force")
    terms = reader.in_force(ZONE, ZONE_NAME, first_s) or broken("the zone of the files is in force")
    points = [_point(reader, name, first_s, data) for name in sorted(zone.points, key=str.encode)]
    areas = [reader.in_force(AREA, name, first_s) or broken("every area is in force") for name in zone.areas]
    if rules.series or any(area.rules != ZONE_NAME for area in areas):
        raise _not_read_back(data, "prices that vary")
    starts = np.arange(first_s, end_s, chain.slot_s)
    shape = len(starts), len(points)
    nothing = np.zeros(shape, dtype=np.int64)
    return Dataset(
        slot_start_s=starts,
        slot_s=chain.slot_s,
        timezone=UTC,
        points=points,
        import_wh=nothing,
        export_wh=nothing,
        quality=np.zeros(shape, dtype=np.uint8),
        series=(),
        keys=(),
        orders=no_orders(),
        rules=FileRules(
            prices=rules.prices,
            contract=terms.contract,
            terms=rules.terms,
            gate_before_start_s=0,
            metering_deadline_s=0,
            invoice=InvoiceTerms(chain.currency),
            estimate=EstimateTerms(),
        ),
        inputs=[InputFile(STATE, reader.state_root(), 0)],
        counts=Counts(0, 0, 0),
    )


def _point(reader: LedgerReader, name: str, at_s: int, data: Path) -> PointRow:
    found = reader.in_force(POINT, name, at_s) or broken("every point of the files is in force")
    if found.rules is not None:
        raise _not_read_back(data, "points with prices of their own")
    point = PointRow(name, found.party or broken("every point of the files is billed"), found.area)
    if len(billed_points(reader, [point])) > 1:
        raise _not_read_back(data, "points for which somebody else is billed from a time on")
    return point


def _not_read_back(data: Path, what: str) -> UsageError:
    return UsageError(f"--from {data.parent}: has {what}; name the folder of files in place of --from")
