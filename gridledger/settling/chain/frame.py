"""Settled slots of a ledger as a dataset without energies: who is billed in them, and by which contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from gridcore.envelope import decode_transaction
from gridcore.errors import UsageError, broken, excerpt
from gridcore.genesis import IMPORTED
from gridcore.registry.area import AREA
from gridcore.transactions.interval_import import IntervalImport
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.reading import BilledThere, billed_there
from gridledger.settling.dataset import Counts, Dataset, EstimateTerms, FileRules, InvoiceTerms
from gridledger.settling.files.grid import CELLS_MAX
from gridledger.settling.files.orders import no_orders
from gridledger.settling.files.stamps import Zone
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import Int64, chunks
from ledger.leaves.intervals import DAY_S, INTERVALS, day_of_slot
from ledger.leaves.progress import PROGRESS
from ledger.leaves.runs import RUNS
from ledger.registry.bodies import in_force
from ledger.registry.calendars import must_calendar
from ledger.store.reader import LedgerReader


class Scope(NamedTuple):
    """Of what documents are made: a zone, all its areas or one of them (its name), by the blocks up to a height."""

    zone: str
    height: int
    area: str | None = None


def files_scope(reader: LedgerReader) -> Scope:
    """All of a ledger that ``settle files`` has made."""
    return Scope(ZONE_NAME, reader.height)


def settled_slots(reader: LedgerReader, scope: Scope) -> Int64:
    """The starts of the slots of a zone up to the last one that the blocks of a scope have settled, UTC seconds, ascending without a gap; and as far as files
    had come by then, where ledger time goes on behind them to the dates of runs (``[runs]``). Those in which nobody is billed are among them, and have no run.
    """
    chain, timeline = CHAIN.must(reader), reader.registry.zone(scope.zone).timeline
    end_s = PROGRESS.must(reader, scope.zone).run_slot_start_s
    if chain.clock == IMPORTED and timeline.run_calendar is not None:
        end_s = min(end_s, _brought_until_s(reader, scope, end_s))
    starts = range(timeline.first_slot_start_s, end_s, chain.slot_s)
    count, beyond = 0, len(starts)  # initial runs are made slot by slot, so the heights of their blocks ascend
    while count < beyond:
        middle = (count + beyond) // 2
        ran = ((at, RUNS.load(reader, starts[at], scope.zone)) for at in range(middle, beyond))
        at, made = next(((at, made) for at, made in ran if made is not None), (beyond, None))
        count, beyond = (at + 1, beyond) if made is not None and made.runs[0][1] <= scope.height else (count, middle)
    return np.array(starts[:count], dtype=np.int64)


def is_any_settled(reader: LedgerReader, scope: Scope, slot_start_s: Int64) -> bool:
    """Whether the blocks of a scope have settled one of some slots: in some of them nobody may have been billed."""
    found = (RUNS.load(reader, start_s, scope.zone) for start_s in slot_start_s.tolist())
    return any(made is not None and made.runs[0][1] <= scope.height for made in found)


def _brought_until_s(reader: LedgerReader, scope: Scope, settled_until_s: int) -> int:
    """Where the last slot ends that the imports of a scope's blocks have said anything of, UTC seconds; of settled slots. Its first slot's start: nothing came."""
    zone, slot_s = reader.registry.zone(scope.zone), CHAIN.must(reader).slot_s
    first_s, until_s = zone.timeline.first_slot_start_s, zone.timeline.first_slot_start_s
    for day_s in range(day_of_slot(settled_until_s - slot_s), day_of_slot(first_s) - 1, -DAY_S):
        leaves = (INTERVALS.load(reader, day_s, scope.zone, chunk) for chunk, _, _ in chunks(len(zone)))
        imports = dict.fromkeys(name for leaf in leaves if leaf is not None for name in leaf.imports)
        for name in imports:
            decided = reader.transaction(name) or broken(f"import {name.hex()} stands in a block")
            if decided.height <= scope.height:
                content = IntervalImport.decode(decode_transaction(decided.wire))
                until_s = max(until_s, content.first_slot_s + content.slots * slot_s)
        if until_s > first_s:
            return until_s
    return first_s


def timezone_of(reader: LedgerReader, scope: Scope) -> str:
    """The time zone of a scope's months: of its areas as the last settled slot has them. UsageError where they have several, or none is there yet."""
    areas = reader.registry.zone(scope.zone).areas if scope.area is None else [scope.area]
    starts = settled_slots(reader, scope)
    at_s = int(starts[-1]) if len(starts) else 0
    found: dict[str, str] = {}
    for area in areas:
        registered = in_force(reader, AREA, area, at_s, scope.height)
        if registered is not None:
            found.setdefault(must_calendar(reader, registered.record.calendar, scope.height).tz, area)
    if not found:
        raise UsageError(f"zone {scope.zone}: no slot of {' and '.join(areas)} is settled by block {scope.height}")
    if len(found) > 1:
        several = ", ".join(f"{area} has those of {name}" for name, area in found.items())
        raise UsageError(f"the areas of zone {scope.zone} have months of their own ({several}); name one with --area")
    return known_timezone(found)


def known_timezone(area_of: Mapping[str, str]) -> str:
    """The only one of some time zones; ``area_of``: an area of each, by its name. UsageError for a name that this machine's table lacks: a ledger

    takes any.
    """
    ((timezone, area),) = area_of.items()
    try:
        Zone(timezone)
    except ValueError:
        words = f"the calendar of area {area} names the time zone {excerpt(timezone)}, which the table of this machine lacks"
        raise UsageError(f"{words}; register the calendar with a name of the IANA table, as Asia/Shanghai") from None
    return timezone


def billed_in(
    reader: LedgerReader, scope: Scope, slot_start_s: Int64, parties: Collection[str] | None = None
) -> BilledThere:
    """Who is billed by the runs of some slots of a scope; of some parties their own points alone."""
    billed = billed_there(reader, scope.zone, slot_start_s, scope.height)
    of_area = [point for point in billed.points if scope.area in (None, point.area)]
    return billed._replace(points=[point for point in of_area if parties is None or point.party in parties])


def frame_of_ledger(reader: LedgerReader, scope: Scope, slot_start_s: Int64, billed: BilledThere) -> Dataset:
    """Some settled slots, and a point for each who is billed there. Of the rules it has the contract and the currency alone.

    UsageError for slots that several contracts have settled, and for too many.
    """
    chain, points = CHAIN.must(reader), billed.points
    if len(billed.contracts) > 1:
        several = " and ".join(billed.contracts)
        raise UsageError(
            f"zone {scope.zone}: {several} have settled slots of one month; documents are made of one contract's"
        )
    if len(points) * len(slot_start_s) > CELLS_MAX:
        size = f"{len(slot_start_s)} slots of {len(points)} points"
        raise UsageError(f"zone {scope.zone}: {size}; at most {CELLS_MAX} at once: name one of its areas with --area")
    nothing = np.zeros((len(slot_start_s), len(points)), dtype=np.int64)
    return Dataset(
        slot_start_s=slot_start_s,
        slot_s=chain.slot_s,
        timezone=timezone_of(reader, scope),
        points=points,
        import_wh=nothing,
        export_wh=nothing,
        quality=np.zeros(nothing.shape, dtype=np.uint8),
        series=(),
        keys=(),
        orders=no_orders(),
        rules=FileRules(
            prices={},
            contract=next(iter(billed.contracts), ""),
            terms={},
            gate_before_start_s=0,
            metering_deadline_s=0,
            invoice=InvoiceTerms(chain.currency),
            estimate=EstimateTerms(),
        ),
        inputs=(),
        counts=Counts(0, 0, 0),
    )
