"""A ledger that ``settle files`` has made as a dataset without energies: its points and settled slots, with the rules of its zone."""

from __future__ import annotations

import numpy as np

from gridcore.errors import broken
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES
from gridcore.registry.zone import ZONE
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.reading import billed_points
from gridledger.settling.dataset import Counts, Dataset, EstimateTerms, FileRules, InvoiceTerms, PointRow
from gridledger.settling.files.orders import no_orders
from gridledger.tables.columns import Flags
from ledger.leaves.chain import CHAIN
from ledger.leaves.progress import PROGRESS
from ledger.registry.calendars import must_calendar
from ledger.store.reader import LedgerReader


def frame_of_ledger(reader: LedgerReader) -> Dataset:
    """All slots that are settled, and a point for each who is ever billed there; the rules are those of the first slot."""
    chain, zone = CHAIN.must(reader), reader.registry.zone(ZONE_NAME)
    first_s, end_s = zone.timeline.first_slot_start_s, PROGRESS.must(reader, ZONE_NAME).run_slot_start_s
    rules = reader.in_force(RULES, ZONE_NAME, first_s) or broken("the rules of the files are in force")
    terms = reader.in_force(ZONE, ZONE_NAME, first_s) or broken("the zone of the files is in force")
    points = billed_points(reader, [_point(reader, name, first_s) for name in sorted(zone.points, key=str.encode)])
    starts = np.arange(first_s, end_s, chain.slot_s)
    nothing = np.zeros((len(starts), len(points)), dtype=np.int64)
    return Dataset(
        slot_start_s=starts,
        slot_s=chain.slot_s,
        timezone=must_calendar(reader, ZONE_NAME, reader.height).tz,
        points=points,
        import_wh=nothing,
        export_wh=nothing,
        quality=np.zeros(nothing.shape, dtype=np.uint8),
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
        inputs=(),
        counts=Counts(0, 0, 0),
    )


def some_slots(frame: Dataset, at: Flags) -> Dataset:
    """Of a frame the slots that are marked."""
    return frame._replace(
        slot_start_s=frame.slot_start_s[at],
        import_wh=frame.import_wh[at],
        export_wh=frame.export_wh[at],
        quality=frame.quality[at],
    )


def _point(reader: LedgerReader, name: str, at_s: int) -> PointRow:
    found = reader.in_force(POINT, name, at_s) or broken("every point of the files is in force")
    return PointRow(name, found.party or broken("every point of the files is billed"), found.area)
