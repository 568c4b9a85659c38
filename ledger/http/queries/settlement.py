"""Settled slots: lines and postings, positions, statements of a day, balances, evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, Final

import numpy as np

from gridcore.errors import broken
from gridcore.node_interface import API, CBOR_TYPE
from gridcore.registry.point import POINT
from gridcore.serving.openapi import TEXT, TEXT_OR_NULL, WHOLE, WHOLE_OR_NULL, Json, object_of
from gridcore.serving.problems import Problem
from gridevidence.sources import EvidenceError, EvidenceNotYetError
from ledger.contract import Billed, DayTotal, Positions
from ledger.evidence import build_bundle, build_row_bundle
from ledger.http import parameters
from ledger.http.queries.answers import plain, settling_page, window
from ledger.http.roles import OWN_ROWS, PARTY_ITSELF, READERS, Scope
from ledger.http.route import Query, Schema
from ledger.http.view import LedgerView
from ledger.leaves.accounts import ACCOUNTS, NO_ACCOUNTS
from ledger.leaves.balance import BALANCE
from ledger.leaves.columns import Int64, UInt8, chunks_of, split_row
from ledger.leaves.money import join_amount
from ledger.leaves.progress import PROGRESS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS, RunsLeaf
from ledger.registry.areas import Area
from ledger.registry.bodies import open_entity
from ledger.run_due import WantedRun, due_s_of, next_run, queued_s, why_not_made
from ledger.runs import (
    SettledRows,
    area_result,
    find_run,
    find_runs,
    lines_of,
    lines_of_runs,
    load_rows,
    load_rows_of,
    load_together,
    run_words,
    slots_brought,
)


def run(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, run_name: str | None, start: int) -> Json:
    """A settlement run: its leaf and the area's part in it, and of one page of settling rows how many are estimated, totals,
    statement lines and postings.

    Counter-accounts in ``postings`` sum up the page; of one party there are its own lines and no postings of others.
    """
    party = scope.party
    area, leaf = _settled(view, area_id, slot_start_s, run_name)
    own, following = settling_page(area, party, start)
    rows, billed = load_rows(view.reader, leaf, own), area.billed(own)
    lines = lines_of(view.reader, view.contracts, area, leaf, rows)
    answer: Json = {"area": area.id, "slot_start_s": slot_start_s, "run": leaf.run, "estimated": rows.estimated}
    if scope.reads_all:
        answer["result"] = {**plain(RUN.encode(leaf)), **_area_result(view, area, leaf)}
    answer["parties"] = [total._asdict() for total in view.statements.slot_totals(rows.positions, billed)]
    answer["lines"] = [line._asdict() for line in view.statements.lines(lines, billed)]
    postings = view.statements.postings(lines, billed)
    shown = [*postings.parties, *postings.accounts] if party is None else postings.parties
    answer["postings"] = [posting._asdict() for posting in shown]
    return {**answer, "next": following}


def runs(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int) -> Json:
    """The runs of a slot, the last one at the end, and of each how many settling rows it has, how many it estimates, what they pay."""
    view.check_slot("slot", slot_start_s)
    found = RUNS.load(view.reader, slot_start_s, view.area(area_id).zone.name) or RunsLeaf([])
    zone, slot_end_s = view.area(area_id).zone, slot_start_s + view.slot_s
    timeline = zone.timeline
    shown = []
    for name, height in found.runs:
        made_s = view.reader.header(height).ledger_time_s
        dates = {"height": height, "made_s": made_s, "due_s": due_s_of(timeline, slot_end_s, name, made_s)}
        shown.append(_run_of(view, scope, area_id, slot_start_s, name) | dates)
    waits_until_s = queued_s(timeline, PROGRESS.must(view.reader, zone.name).corrections, slot_start_s)
    names = [name for name, _ in found.runs]
    coming = next_run(timeline, slot_end_s, view.reader.ledger_time_s, names, waits_until_s)
    return {
        "area": area_id,
        "slot_start_s": slot_start_s,
        "runs": shown,
        "next_run": None if coming is None else coming._asdict(),
    }


def runs_of_day(view: LedgerView, scope: Scope, area_id: str, day_start_s: int) -> Json:
    """The runs of every settled slot of a local day, by slot, as ``runs`` says of each."""
    area = view.area(area_id)
    day_end_s, slots = view.day_slots(area, day_start_s)
    rows = area.settling if scope.party is None else area.settling_rows_of(scope.party)
    brought = slots_brought(view.reader, area.zone.name, slots, rows)
    found = [runs(view, scope, area_id, slot_start_s) for slot_start_s in brought]
    settled = [{key: one[key] for key in ("slot_start_s", "runs", "next_run")} for one in found if one["runs"]]
    progress = PROGRESS.must(view.reader, view.area(area_id).zone.name)
    own = progress.immaterial if scope.reads_all else ()
    not_made = [change._asdict() for change in own if day_start_s <= change.slot_start_s < day_end_s]
    return {
        "area": area_id,
        "day_start_s": day_start_s,
        "day_end_s": day_end_s,
        "slots_expected": len(slots),
        "slots": settled,
        "immaterial": not_made,
    }


def _run_of(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, run_name: str) -> Json:
    area, leaf = _settled(view, area_id, slot_start_s, run_name)
    own = area.settling if scope.party is None else area.settling_rows_of(scope.party)
    rows = load_rows(view.reader, leaf, own)
    return {
        "run": run_name,
        "rows": len(own),
        "estimated": rows.estimated,
        "measured": rows.measured,
        "pays_nano": sum(rows.columns["pays_nano"].tolist()),
    }


def _area_result(view: LedgerView, area: Area, leaf: RunLeaf) -> Json:
    result = area_result(view.reader, leaf, area.number)
    return {
        "area": area.id,
        "accounts": dict(result.accounts_nano),
        "price_micro_per_kwh": result.price_micro_per_kwh,
        "rules": result.rules.hex(),
        "sums": dict(result.sums),
        "volume_wh": result.volume_wh,
    }


def _settled(view: LedgerView, area_id: str, slot_start_s: int, run_name: str | None) -> tuple[Area, RunLeaf]:
    """An area as it was in a settled slot, and the run. Problem 404 where there is no such run."""
    view.check_slot("slot", slot_start_s)
    leaf = find_run(view.reader, view.area(area_id), slot_start_s, run_name)
    if leaf is None:
        why = _why_not_made(view, view.area(area_id), slot_start_s, run_name)
        raise Problem("not-found", f"no {run_words(run_name)} of slot {slot_start_s} in area {area_id!r} yet: {why}")
    return view.area(area_id, slot_start_s, leaf.as_of_height), leaf


def _why_not_made(view: LedgerView, area: Area, slot_start_s: int, run_name: str | None) -> str:
    found = RUNS.load(view.reader, slot_start_s, area.zone.name) or RunsLeaf([])
    wanted = WantedRun(slot_start_s, view.slot_s, run_name, [name for name, _ in found.runs])
    return why_not_made(area.zone.timeline, wanted, view.reader.ledger_time_s)


def positions(
    view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, run_name: str | None, start: int
) -> Json:
    """What a run came to, point by point, as columns of equal length: primary Wh, traded energy, money, quality bytes."""
    area, leaf = _settled(view, area_id, slot_start_s, run_name)
    rows, following = settling_page(area, scope.party, start)
    found, billed = load_rows(view.reader, leaf, rows), area.billed(rows)
    metered, codes = view.meters(area, scope.party)
    meters = dict(zip(metered.tolist(), codes, strict=True))
    return {
        "area": area.id,
        "slot_start_s": slot_start_s,
        "run": leaf.run,
        "parties": [row.party for row in billed],
        "points": [row.point for row in billed],
        "meters": [meters[row] for row in rows.tolist()],
        **{name: column.tolist() for name, column in found.positions._asdict().items()},
        "quality": _told(view, area_id, rows, leaf, found.quality).tolist(),
        "next": following,
    }


def _told(view: LedgerView, area_id: str, rows: Int64, leaf: RunLeaf, quality: UInt8) -> UInt8:
    """The quality of energies that some rows of an area have in a run, by the meters that hang there when the slot ends."""
    end_s, height = leaf.slot_start_s + view.slot_s, leaf.as_of_height
    of_block = height + 1  # a run settles with what its own block answers for
    return view.told_quality(view.area(area_id, end_s, height), rows, quality, end_s, of_block)


def day(view: LedgerView, scope: Scope, area_id: str, day_start_s: int, run_name: str | None, start: int) -> Json:
    """A local day's statements: energy, money and saving of each point, over the slots of the day that have the run, by itself the last.

    Of one party there are the lines of each slot too, and its points are those that were billed to it then. Slots go on being settled while
    pages are asked for, so each page says how many it sums up. Of all, parties are those of the day's first settled slot.
    """
    day_end_s, slots = view.day_slots(view.area(area_id), day_start_s)
    settled = find_runs(view.reader, view.area(area_id), slots, run_name)
    if not settled:
        raise Problem("not-found", f"no {run_words(run_name)} of any slot of day {day_start_s} in area {area_id!r} yet")
    if scope.party is None:
        area = view.area(area_id, settled[0].slot_start_s, settled[0].as_of_height)
        rows, following = settling_page(area, None, start)
        positions = (found.positions for found in load_rows_of(view.reader, settled, rows))
        totals, lines = view.statements.day_totals(positions, area.billed(rows)), list[Json]()
    else:
        (totals, lines), following = _day_of_party(view, area_id, settled, scope.party), None
    return {
        "area": area_id,
        "day_start_s": day_start_s,
        "day_end_s": day_end_s,
        "run": run_name,
        "slots_expected": len(slots),
        "slots_settled": len(settled),
        "statements": [total._asdict() for total in totals],
        "slots": lines,
        "next": following,
    }


def as_billed(
    view: LedgerView, area_id: str, settled: Sequence[RunLeaf], party: str | None
) -> Iterator[tuple[Area, Sequence[RunLeaf], Int64]]:
    """The runs of some slots with the area and its settling rows as they were in them, of one party those that were billed to it then.

    Problem 404 for a party that has none in any of them.
    """
    has_rows = party is None
    for area, leaves in view.between_changes(area_id, settled):
        rows = area.settling if party is None else area.settling_rows_of(party)
        has_rows = has_rows or bool(len(rows))
        yield area, leaves, rows
    if not has_rows:
        raise Problem("not-found", f"no party {party!r} in area {area_id!r}")


def _day_of_party(
    view: LedgerView, area_id: str, settled: Sequence[RunLeaf], party: str
) -> tuple[Sequence[DayTotal], list[Json]]:
    """The sums of a party's points over some settled slots, by the points' names as bytes, and the lines of each slot."""
    sums, lines = dict[str, DayTotal](), list[Json]()
    for area, leaves, rows in as_billed(view, area_id, settled, party):
        if not len(rows):
            lines += [{"slot_start_s": leaf.slot_start_s, "run": leaf.run, "lines": []} for leaf in leaves]
            continue
        load_together(view.reader, leaves, area, rows)
        loaded, billed = [(leaf, load_rows(view.reader, leaf, rows)) for leaf in leaves], area.billed(rows)
        for total in view.statements.day_totals((of_slot.positions for _, of_slot in loaded), billed):
            before = sums.get(total.point)
            sums[total.point] = total if before is None else before.plus(total)
        lines += _lines_by_slot(view, area, loaded, billed)
    return [sums[point] for point in sorted(sums, key=str.encode)], lines


def _lines_by_slot(
    view: LedgerView, area: Area, loaded: Iterable[tuple[RunLeaf, SettledRows]], billed: Sequence[Billed]
) -> Iterator[Json]:
    """The lines of some points in some settled slots, made together and told slot by slot."""
    for _, of_contract in groupby(loaded, key=lambda one: one[0].contract):
        runs = list(of_contract)
        lines = lines_of_runs(view.reader, view.contracts, area, runs)
        shown = iter(view.statements.lines(lines, [*billed] * len(runs)))
        kinds_of_row = np.add.reduce([line.energy_wh != 0 for line in lines], dtype=np.int64)
        counts = kinds_of_row.reshape(len(runs), len(billed)).sum(axis=1).tolist()
        for (leaf, _), count in zip(runs, counts, strict=True):
            own = [line._asdict() for line in islice(shown, count)]
            yield {"slot_start_s": leaf.slot_start_s, "run": leaf.run, "lines": own}


def accounts(view: LedgerView, scope: Scope, area_id: str, start: int) -> Json:
    """Net of each counter-account (what it has received) and of each point (what it owes), in nano; a party sees its own.

    A point that is billed to nobody any more keeps its balance, and is shown with the party that it was billed to last. A party is not told the
    balance of a point that was billed to another one too: it has what that one left.
    """
    hidden: set[str] = set()
    with view.reader.frozen():
        area = view.area(area_id)
        if scope.party is None:
            owing = _owing(view, area)
            first, end, following = window(len(owing), start)
            rows, received = owing[first:end], _received(view, area)
        else:
            (rows, following), received = settling_page(area, scope.party, start), []
            if not scope.reads_all:
                hidden = view.shared_points_of(scope.party)
        shown = [
            (_billed(view, area, row), owes_nano)
            for row, owes_nano in zip(rows.tolist(), owed_nano(view, area, rows), strict=True)
        ]
    balances = [
        {**billed._asdict(), "owes_nano": None if billed.point in hidden else owes_nano} for billed, owes_nano in shown
    ]
    return {"area": area.id, "accounts": received, "balances": balances, "next": following}


def account_sums(view: LedgerView) -> Json:
    """Both sides of each area's book, in nano: what its accounts have received, and what its points owe together."""
    with view.reader.frozen():
        return {"areas": [_account_sums(view, view.area(area_id)) for area_id in view.area_ids]}


def _account_sums(view: LedgerView, area: Area) -> Json:
    parties = area.in_force.party[area.own]
    owed = owed_nano(view, area, area.own)
    left = [
        row for row, party, owes in zip(area.own.tolist(), parties.tolist(), owed, strict=True) if party < 0 and owes
    ]
    names = {area.registry.parties[party] for party in np.unique(parties[parties >= 0]).tolist()}
    return {
        "area": area.id,
        "accounts": _received(view, area),
        "owes_nano": sum(owed),
        "parties": len(names | {_billed(view, area, row).party for row in left}),
    }


def _owing(view: LedgerView, area: Area) -> Int64:
    """int64[n]: rows that are billed to a party, and those that were and have a balance, ascending."""
    has_balance = np.array([owes_nano != 0 for owes_nano in owed_nano(view, area, area.own)], dtype=bool)
    return np.union1d(area.settling, area.own[has_balance])


def _billed(view: LedgerView, area: Area, row: int) -> Billed:
    """The party that a row is billed to, or was last, and its point."""
    point = area.zone.points[row]
    party = area.party_of(row)
    if party is not None:
        return Billed(party, point)
    opened = open_entity(view.reader, POINT, point) or broken(f"point {point} is registered")
    begun = [entry for entry in opened.leaf.entries if entry.from_s <= view.reader.ledger_time_s]
    known = (opened.open(view.reader, entry).record.party for entry in reversed(begun))
    return Billed(next((name for name in known if name is not None), ""), point)


def owed_nano(view: LedgerView, area: Area, rows: Int64) -> list[int]:
    """What the points of some rows of an area's zone owe, in nano."""
    chunks = {chunk: BALANCE.load(view.reader, area.zone.name, chunk) for chunk in set(chunks_of(rows).tolist())}
    owed = {chunk: None if balance is None else balance.owes_nano() for chunk, balance in chunks.items()}
    found = ((owed[chunk], at) for chunk, at in map(split_row, rows.tolist()))
    return [0 if part is None or at >= len(part) else part[at] for part, at in found]


def _received(view: LedgerView, area: Area) -> list[Json]:
    chunk, at = split_row(area.number)
    received = ACCOUNTS.load(view.reader, area.zone.name, chunk) or NO_ACCOUNTS
    names = view.contracts[view.registered(area)[1].contract].accounts
    return [
        {
            "account": name,
            "received_nano": join_amount(int(received.units[name][at]), int(received.nano[name][at]))
            if name in received.units and at < len(received.units[name])
            else 0,
        }
        for name in dict.fromkeys((*names, *received.units))
    ]


def evidence(
    view: LedgerView, party: str, slot_start_s: int, line_kind: str, run_name: str | None, point: str | None
) -> bytes:
    """The bundle of one bill line (docs/spec/bundle.md), under the newest certified header."""
    which = {"party": party, "slot_start_s": slot_start_s, "line_kind": line_kind, "run": run_name, "point": point}
    return _proved(view, build_bundle, which)


def evidence_of_row(view: LedgerView, area_id: str, slot_start_s: int, row: int, run_name: str | None) -> bytes:
    """The same of a row of the zone of an area, whoever is billed for it."""
    which = {"area_id": area_id, "slot_start_s": slot_start_s, "row": row, "run": run_name}
    return _proved(view, build_row_bundle, which)


def _proved(view: LedgerView, build: Callable[..., bytes], which: Mapping[str, Any]) -> bytes:
    view.check_slot("slot_start_s", which["slot_start_s"])
    try:
        return build(view.reader, view.contracts, **which)
    except EvidenceNotYetError as error:
        raise Problem("not-yet", f"{error}; ask again later") from None
    except EvidenceError as error:
        raise Problem("not-found", str(error)) from None


_SUMS: Final = (*Positions._fields, "saving_nano", "not_taken_wh", "not_fed_in_wh")
_DAY: Final = Schema(
    "Day",
    object_of(
        {
            "area": TEXT,
            "run": TEXT_OR_NULL,
            **dict.fromkeys(("day_start_s", "day_end_s", "slots_expected", "slots_settled"), WHOLE),
            "statements": {
                "type": "array",
                "items": object_of({"party": TEXT, "point": TEXT, **dict.fromkeys(_SUMS, WHOLE)}),
            },
            "next": WHOLE_OR_NULL,
        }
    ),
)

_RUN: Final = object_of(
    {
        "run": TEXT,
        "due_s": WHOLE_OR_NULL,
        **dict.fromkeys(("height", "made_s", "rows", "estimated", "measured", "pays_nano"), WHOLE),
    }
)
_NEXT_RUN: Final = {
    **object_of({"run_type": TEXT, "due_s": WHOLE_OR_NULL, "has_changed": {"type": "boolean"}}),
    "type": ["object", "null"],
}
_RUNS: Final = Schema(
    "Runs",
    object_of({"area": TEXT, "slot_start_s": WHOLE, "runs": {"type": "array", "items": _RUN}, "next_run": _NEXT_RUN}),
)

ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/slots/<slot>/runs",
        summary="The settlement runs of a slot.",
        access=OWN_ROWS,
        query=runs,
        parameters=(parameters.AREA, parameters.SLOT, parameters.PARTY),
        schema=_RUNS,
    ),
    Query(
        rule=f"{API}/areas/<area>/slots/<slot>/run",
        summary="Statement lines and postings.",
        access=OWN_ROWS,
        query=run,
        parameters=(parameters.AREA, parameters.SLOT, parameters.RUN, parameters.PARTY, parameters.START),
    ),
    Query(
        rule=f"{API}/areas/<area>/slots/<slot>/positions",
        summary="Energy and money, point by point.",
        access=OWN_ROWS,
        query=positions,
        parameters=(parameters.AREA, parameters.SLOT, parameters.RUN, parameters.PARTY, parameters.START),
    ),
    Query(
        rule=f"{API}/areas/<area>/days/<day>/statements",
        summary="Totals of a local day.",
        access=OWN_ROWS,
        query=day,
        parameters=(parameters.AREA, parameters.DAY, parameters.RUN, parameters.PARTY, parameters.START),
        schema=_DAY,
    ),
    Query(
        rule=f"{API}/areas/<area>/days/<day>/runs",
        summary="The settlement runs of a local day.",
        access=OWN_ROWS,
        query=runs_of_day,
        parameters=(parameters.AREA, parameters.DAY, parameters.PARTY),
    ),
    Query(
        rule=f"{API}/accounts",
        summary="Net of accounts and parties.",
        access=OWN_ROWS,
        query=accounts,
        parameters=(parameters.OF_AREA, parameters.START),
    ),
    Query(
        rule=f"{API}/accounts/sums",
        summary="Both sides of each area's book.",
        access=READERS,
        query=account_sums,
    ),
    Query(
        rule=f"{API}/evidence",
        summary="The bundle (.evd) of one bill line.",
        access=PARTY_ITSELF,
        query=evidence,
        is_long=True,
        parameters=parameters.OF_LINE,
        content=CBOR_TYPE,
    ),
    Query(
        rule=f"{API}/evidence/row",
        summary="The bundle (.evd) of a row of a settled zone.",
        access=READERS,
        query=evidence_of_row,
        is_long=True,
        parameters=parameters.OF_ROW,
        content=CBOR_TYPE,
    ),
)
