"""What the last runs of a zone's slots settled with, as a dataset: points, energies, prices, keys, orders and agreements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import UsageError, broken
from gridcore.genesis import IMPORTED
from gridcore.quality import ABSENT_QUALITY, CODE_MASK, ESTIMATED, MISSING
from gridcore.registry.area import AREA
from gridcore.run_names import INITIAL
from gridledger.settling.chain.frame import Scope, known_timezone, settled_slots
from gridledger.settling.dataset import Counts, Dataset, EstimateTerms, FileRules, InputFile, InvoiceTerms
from gridledger.settling.extract.agreements import AgreementFacts
from gridledger.settling.extract.balance import with_balance
from gridledger.settling.extract.borders import borders_of
from gridledger.settling.extract.orders import orders_of
from gridledger.settling.extract.points import PointFacts
from gridledger.settling.extract.prices import PriceFacts, Stated
from gridledger.settling.extract.series import Keys
from gridledger.settling.extract.tariffs import with_tariffs
from gridledger.settling.files.stamps import Zone as LocalTime
from gridledger.settling.files.stamps import to_iso
from ledger.area_balances import known_rows
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import Int64
from ledger.registry.calendars import must_calendar
from ledger.registry.zones import Zone
from ledger.runs import SettledRows, find_run_of_zone, load_rows
from ledger.store.reader import LedgerReader

STATE: Final = "ledger.state"
"""Stands among the inputs for the ledger, by its state root."""
ENERGIES_MAX: Final = 1 << 25
"""Slots x points of a folder."""


class Span(NamedTuple):
    """Which slots: from ``from_s`` on, before ``until_s``, UTC seconds; None: the first one that there is, all that are settled."""

    from_s: int | None = None
    until_s: int | None = None


class _Energies(NamedTuple):
    """int64[slots, rows] both, and the code of quality of each, uint8[slots, rows]."""

    import_wh: NDArray[np.int64]
    export_wh: NDArray[np.int64]
    quality: NDArray[np.uint8]


class _Rows(NamedTuple):
    """Rows of a zone, and which of them are borders, bool[rows]."""

    rows: Int64
    is_border: NDArray[np.bool_]


class _Facts(NamedTuple):
    """What slots say of some rows of a zone, and the one contract that settled them. corrected: how many slots have later runs than the initial one."""

    points: PointFacts
    prices: PriceFacts
    agreements: AgreementFacts
    energies: _Energies
    contract: str
    corrected: int


def dataset_of_zone(reader: LedgerReader, zone: Zone, areas: Sequence[str], span: Span) -> Dataset:
    """What some areas of a zone settled with, as far as the last runs know it. UsageError, one line, for what no folder says.

    A point for which nobody is billed in any of these slots is left out unless it is a border; where nobody is billed in some of them, of one point or of
    all, its energies there are missing.
    """
    slots = _slots(reader, zone, span)
    chosen = [number for number, area in enumerate(zone.areas) if area in areas]
    area_of_row = reader.zone_at(zone, int(slots[-1]), reader.height).area
    rows = np.flatnonzero(np.isin(area_of_row, chosen))
    if len(rows) * len(slots) > ENERGIES_MAX:
        raise UsageError(f"{len(slots)} slots of {len(rows)} points are above {ENERGIES_MAX} energies; name fewer days")
    borders = borders_of(reader, zone, areas, rows, slots)
    facts = _facts(reader, zone, chosen, _Rows(rows, borders.mask(len(rows))), slots)
    points, energies = facts.points, facts.energies
    billed = points.billed()
    own, timezone = rows[billed], _timezone(reader, areas, int(slots[0]))
    of_billed = points.rows(own)
    with_points = {point.area for point in (*of_billed, *borders.points)}
    names = [points.name(row) for row in own.tolist()]
    stated = facts.prices.stated(names, own, with_points, LocalTime(timezone))
    if not len(own):
        raise UsageError(f"nobody is billed in {', '.join(areas)} {_span_words(slots)}; name other slots or areas")
    agreed = facts.agreements.found(slots)
    placed = sorted(
        zip([*of_billed, *borders.points], [*billed.tolist(), *borders.places], strict=True),
        key=lambda one: one[0].point.encode(),
    )
    places = [place for _, place in placed]
    quality = energies.quality[:, places]
    missing, estimated = (int((quality == code).sum()) for code in (MISSING, ESTIMATED))
    dataset = Dataset(
        slot_start_s=slots,
        slot_s=CHAIN.must(reader).slot_s,
        timezone=timezone,
        points=[point for point, _ in placed],
        import_wh=energies.import_wh[:, places],
        export_wh=energies.export_wh[:, places],
        quality=quality,
        series=stated.series,
        keys=points.keys(own, stated.terms),
        orders=orders_of(reader, zone, chosen, slots, of_billed),
        rules=_rules(reader, zone, facts.contract, stated),
        inputs=[InputFile(STATE, reader.state_root(), 0)],
        counts=Counts(quality.size - missing, missing, estimated),
        notes=[
            *_notes_of_slots(reader, slots, quality, facts.corrected),
            *points.notes(own, len(slots)),
            *borders.notes,
        ],
        agreements=agreed.agreements,
        references=agreed.references,
    )
    keys = Keys(slots, stated.prices.keys(), agreed.references)
    return with_balance(reader, with_tariffs(reader, dataset, keys), areas, keys)


def _facts(reader: LedgerReader, zone: Zone, areas: Sequence[int], of: _Rows, slots: Int64) -> _Facts:
    """Read the last run of every slot; nobody is billed in one without. areas: numbers. UsageError where no slot has one, or contracts change."""
    rows, shape = of.rows, (len(slots), len(of.rows))
    import_wh, export_wh = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    energies = _Energies(import_wh, export_wh, np.full(shape, MISSING, dtype=np.uint8))
    points, prices = PointFacts(reader, zone, rows), PriceFacts(reader, zone, areas, rows)
    agreements, contracts, corrected = AgreementFacts(reader, rows), dict[str, int](), 0
    for at, slot_start_s in enumerate(slots.tolist()):
        leaf = find_run_of_zone(reader, zone.name, slot_start_s, None)
        if leaf is None:
            continue
        in_force = reader.zone_at(zone, slot_start_s, leaf.as_of_height)
        contracts.setdefault(leaf.contract, slot_start_s)
        corrected += leaf.run != INITIAL
        points.note(leaf, in_force)
        prices.note(leaf, in_force)
        agreements.note(slot_start_s, in_force)
        settled, is_billed = load_rows(reader, leaf, rows), in_force.party[rows] >= 0
        is_known = (is_billed & (settled.quality != ABSENT_QUALITY)) | (of.is_border & known_rows(settled))
        _note_energies(settled, is_known, energies, at)
    if not contracts:
        raise UsageError(f"nobody is billed {_span_words(slots)}; name other slots")
    contract, *others = contracts
    if others:
        since = to_iso(contracts[others[0]])
        raise UsageError(f"from {since} on {others[0]} settles, before {contract}; name days of one of them")
    return _Facts(points, prices, agreements, energies, contract, corrected)


def _span_words(slots: Int64) -> str:
    return f"from {to_iso(int(slots[0]))} to {to_iso(int(slots[-1]))}"


def _notes_of_slots(reader: LedgerReader, slots: Int64, quality: NDArray[np.uint8], corrected: int) -> Iterator[str]:
    """Lines of runs that a folder has not, and of slots at the end that nobody has measured."""
    if corrected:
        words = f"{corrected} of {len(slots)} slots were settled again"
        yield f"{words}: a folder has one run, with what the last one says, and no credit notes"
    measured = np.flatnonzero(~np.isin(quality, (MISSING, ESTIMATED)).all(axis=1))
    behind = slots[int(measured[-1]) + 1 if len(measured) else 0 :]
    if len(behind) and CHAIN.must(reader).clock != IMPORTED:
        begin = to_iso(int(behind[0]))
        where = f"the last {len(behind)} slots, from {begin} on: --until {begin} leaves them out"
        yield f"nothing was measured in {where if len(measured) else 'these slots'}"


def _rules(reader: LedgerReader, zone: Zone, contract: str, stated: Stated) -> FileRules:
    return FileRules(
        prices=stated.prices,
        contract=contract,
        terms=stated.terms,
        gate_before_start_s=zone.timeline.gate_before_start_s,
        metering_deadline_s=zone.timeline.metering_deadline_s,
        invoice=InvoiceTerms(CHAIN.must(reader).currency),
        estimate=EstimateTerms(),
        later_prices=stated.later,
    )


def _slots(reader: LedgerReader, zone: Zone, span: Span) -> Int64:
    """int64[n]: where the slots of a span start, of those that documents are made of."""
    settled = settled_slots(reader, Scope(zone.name, reader.height))
    if not len(settled):
        raise UsageError(f"zone {zone.name} has no settled slot yet")
    is_wanted = settled >= (settled[0] if span.from_s is None else span.from_s)
    if span.until_s is not None:
        is_wanted &= settled < span.until_s
    slots: Int64 = settled[is_wanted]
    if not len(slots):
        words = f"its settled slots start from {to_iso(int(settled[0]))} to {to_iso(int(settled[-1]))}"
        raise UsageError(f"zone {zone.name} has no settled slot in that span; {words}")
    return slots


def _note_energies(settled: SettledRows, is_known: NDArray[np.bool_], energies: _Energies, at: int) -> None:
    """Into the row ``at`` of the columns: what a run settled with, where it is known."""
    for name in ("import_wh", "export_wh"):
        getattr(energies, name)[at] = np.where(is_known, settled.columns[name], 0)
    energies.quality[at] = np.where(is_known, settled.quality & CODE_MASK, MISSING)


def _timezone(reader: LedgerReader, areas: Sequence[str], first_s: int) -> str:
    """The time zone that areas have in common."""
    found: dict[str, str] = {}
    for area in areas:
        record = reader.in_force(AREA, area, first_s) or broken(f"area {area} is in force")
        found.setdefault(must_calendar(reader, record.calendar, reader.height).tz, area)
    if len(found) > 1:
        words = " and ".join(f"{area} of {tz}" for tz, area in found.items())
        raise UsageError(f"the areas {words} have months of their own; extract areas of one time zone")
    return known_timezone(found)
