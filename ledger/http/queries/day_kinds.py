"""A local day's statement lines summed by their kinds: of an area, of one party, and of each of its parties."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeVar

import numpy as np

from gridcore.node_interface import API
from gridcore.serving.openapi import Json
from ledger.contract import KindTotal, LineLike
from ledger.http import parameters
from ledger.http.queries.answers import window
from ledger.http.queries.settlement import as_billed
from ledger.http.roles import OWN_ROWS, READERS, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.columns import Int64, join_columns
from ledger.leaves.run import RunLeaf
from ledger.registry.areas import Area
from ledger.runs import find_runs, lines_of_runs, load_rows, load_together

LINE_ROWS_MAX: Final = 65_536
"""Rows whose lines are made at once, a few hundred bytes each: a day of a large area has millions."""

K = TypeVar("K")


def kinds(view: LedgerView, scope: Scope, area_id: str, day_start_s: int, run_name: str | None) -> Json:
    """A local day's lines summed by their kinds, in the contract's order, over the slots of the day that have the run, by itself the last.

    Of one party the points are those that were billed to it in each slot. Problem 404 for a party that has none in any of them.
    """
    _, slots = view.day_slots(view.area(area_id), day_start_s)
    settled = find_runs(view.reader, view.area(area_id), slots, run_name)
    sums: dict[str, KindTotal] = {}
    for area, leaves, rows in as_billed(view, area_id, settled, scope.party) if settled else ():
        for _, lines in _lines_together(view, area, leaves, rows):
            _add(sums, ((total.line_kind, total) for total in view.statements.kind_totals(lines)))
    return {
        "area": area_id,
        "day_start_s": day_start_s,
        "run": run_name,
        "slots_expected": len(slots),
        "slots_settled": len(settled),
        "kinds": [total._asdict() for total in sums.values() if total.lines],
    }


def party_kinds(view: LedgerView, area_id: str, day_start_s: int, run_name: str | None, start: int) -> Json:
    """The same for whoever is billed, party by party, for those who keep it: page by page of the zone's rows.

    A party whose points stand on two pages is on both, each time with what these points come to.
    """
    day_end_s, slots = view.day_slots(view.area(area_id), day_start_s)
    settled = find_runs(view.reader, view.area(area_id), slots, run_name)
    spans = list(view.between_changes(area_id, settled))
    billed = np.unique(join_columns(area.settling for area, _ in spans)) if spans else np.zeros(0, dtype=np.int64)
    first, end, following = window(len(billed), start)
    sums: dict[tuple[str, str], KindTotal] = {}
    for area, leaves in spans:
        rows = np.intersect1d(area.settling, billed[first:end], assume_unique=True)
        for of_lines, lines in _lines_together(view, area, leaves, rows):
            numbers, place = np.unique(area.in_force.party[of_lines], return_inverse=True)
            found = view.statements.kind_totals_by(lines, place, len(numbers))
            for number, totals in zip(numbers.tolist(), found, strict=True):
                party = area.registry.parties[number]
                _add(sums, (((party, total.line_kind), total) for total in totals))
    return {
        "area": area_id,
        "day_start_s": day_start_s,
        "day_end_s": day_end_s,
        "run": run_name,
        "slots_expected": len(slots),
        "slots_settled": len(settled),
        "kinds": [{"party": party, **total._asdict()} for (party, _), total in sums.items()],
        "next": following,
    }


def _add(sums: dict[K, KindTotal], totals: Iterable[tuple[K, KindTotal]]) -> None:
    """Add totals to those that stand under the same key."""
    for key, total in totals:
        before = sums.get(key)
        sums[key] = total if before is None else before.plus(total)


def _lines_together(
    view: LedgerView, area: Area, leaves: Sequence[RunLeaf], rows: Int64
) -> Iterator[tuple[Int64, Sequence[LineLike]]]:
    """The lines of rows of an area in some runs between two changes of the registry, part by part: int64[n], the row of each, and they."""
    for together, some in _line_parts(leaves, rows):
        load_together(view.reader, together, area, some)
        runs = [(leaf, load_rows(view.reader, leaf, some)) for leaf in together]
        yield np.tile(some, len(runs)), lines_of_runs(view.reader, view.contracts, area, runs)


def _line_parts(settled: Sequence[RunLeaf], rows: Int64) -> Iterator[tuple[Sequence[RunLeaf], Int64]]:
    """Runs of one contract and rows whose lines are made together: LINE_ROWS_MAX of them, whatever the area's size."""
    for first in range(0, len(rows), LINE_ROWS_MAX):
        some = rows[first : first + LINE_ROWS_MAX]
        slots = LINE_ROWS_MAX // len(some)
        for _, of_contract in groupby(settled, key=lambda leaf: leaf.contract):
            leaves = list(of_contract)
            yield from ((leaves[start : start + slots], some) for start in range(0, len(leaves), slots))


ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/days/<day>/kinds",
        summary="Lines of a local day by kind.",
        access=OWN_ROWS,
        query=kinds,
        parameters=(parameters.AREA, parameters.DAY, parameters.RUN, parameters.PARTY),
    ),
    Query(
        rule=f"{API}/areas/<area>/days/<day>/party-kinds",
        summary="Lines of a local day by party and kind.",
        access=READERS,
        query=party_kinds,
        is_long=True,
        parameters=(parameters.AREA, parameters.DAY, parameters.RUN, parameters.START),
    ),
)
