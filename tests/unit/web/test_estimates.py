"""Estimates on the worklist and on a slot's page: by which method, against what was measured, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.quality import CORRECTED, ESTIMATED, MEASURED, MISSING, SUSPECT, quality_words
from gridweb.pages.estimates import Estimate, Method, estimates_of, estimates_table, held_by_method, method_of
from gridweb.pages.troubles import NOBODYS, REMEDIES, read_exceptions_table
from tests.unit.web.ledger_world import ledger_world
from tests.unit.web.test_utility_ledger import FULL_PRICE, rows_of
from tests.worlds.consortium import FIRST_S, SLOT_S

INTERPOLATED, LATE = (
    next(byte for byte in range(256) if quality_words(byte) == words)
    for words in (("estimated", ("interpolated",)), ("measured", ("late",)))
)


@pytest.mark.parametrize(
    ("quality", "of_meters", "of_files"),
    [
        (MEASURED, None, None),
        (CORRECTED, None, None),
        (LATE, None, None),
        (SUSPECT, None, None),
        (ESTIMATED, Method.OPEN, Method.FILES),
        (INTERPOLATED, Method.PROFILE, Method.FILES),
        (MISSING, None, Method.NOTHING),
    ],
)
def test_the_quality_of_a_row_names_the_method_of_its_estimate(
    quality: int, of_meters: Method | None, of_files: Method | None
) -> None:
    assert [method_of(quality, clock) for clock in ("block", "simulated", "imported")] == [
        of_meters,
        of_meters,
        of_files,
    ]


class Row(NamedTuple):
    point: int
    import_wh: int
    export_wh: int
    pays_nano: int
    quality: int


def pages_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """As the node gives them, two rows a page."""
    return [
        {
            "parties": [f"p-{row.point}" for row in part],
            "points": [f"P-{row.point}" for row in part],
            "meters": [f"M-{row.point}" for row in part],
            **{
                name: [getattr(row, name) for row in part]
                for name in ("import_wh", "export_wh", "pays_nano", "quality")
            },
        }
        for part in (rows[first : first + 2] for first in range(0, len(rows), 2))
    ]


QUALITIES = st.sampled_from([MEASURED, ESTIMATED, INTERPOLATED, CORRECTED])
VALUES = st.tuples(st.integers(0, 999), st.integers(0, 999), st.integers(-999, 999), QUALITIES)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=7))
def test_estimates_are_those_of_a_search_row_by_row(drawn: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
    runs = [[Row(at, *both[run]) for at, both in enumerate(drawn)] for run in (0, 1)]
    expected: list[Estimate] = []
    for first, last in zip(*runs, strict=True):
        if last.quality in (ESTIMATED, INTERPOLATED):
            method = Method.PROFILE if last.quality == INTERPOLATED else Method.OPEN
            expected.append(
                Estimate(f"p-{last.point}", f"M-{last.point}", method, (last.import_wh, last.export_wh), None, None)
            )
        elif first.quality in (ESTIMATED, INTERPOLATED):
            method = Method.PROFILE if first.quality == INTERPOLATED else Method.OPEN
            told = last.import_wh, last.export_wh
            change = last.pays_nano - first.pays_nano
            expected.append(
                Estimate(
                    f"p-{first.point}", f"M-{first.point}", method, (first.import_wh, first.export_wh), told, change
                )
            )
    found = estimates_of(pages_of(runs[0]), pages_of(runs[1]), "block")
    assert found == expected
    held = held_by_method(pages_of(runs[1]), "block")
    for one in held:
        own = [row for row in runs[1] if method_of(row.quality, "block") is one.method]
        others = [row for row in runs[1] if method_of(row.quality, "block") is None]
        assert (one.points, one.estimated_wh) == (len(own), sum(row.import_wh + row.export_wh for row in own))
        assert one.measured_wh == sum(row.import_wh + row.export_wh for row in others)
    assert sum(one.points for one in held) == sum(row.quality in (ESTIMATED, INTERPOLATED) for row in runs[1])


async def test_the_worklist_names_the_method_and_what_to_do_and_the_table_what_was_measured_in_the_end(
    tmp_path: Path,
) -> None:
    async with ledger_world(tmp_path) as world:
        rows = rows_of(await read_exceptions_table(world.source, "a-2", "2027-01-15", NOBODYS))
        (before,) = rows_of(await estimates_table(world.source, "a-2", FIRST_S))
        for boundary_s, shown in ((FIRST_S, 1_000), (FIRST_S + SLOT_S, 1_700)):
            await world.submit([world.sender.batch("gw-2", boundary_s, [(5, shown, 0)])])
        (after,) = rows_of(await estimates_table(world.source, "a-2", FIRST_S))
    (slot,) = (row for row in rows if row["what"] == "estimated_slot")
    assert (slot["method"], slot["rows"], slot["estimated_wh"], slot["measured_wh"]) == ("estimate_open", 1, 0, 0)
    assert slot["reason"] == slot["to_do"] == "estimate_open"
    assert REMEDIES["estimate_open"] == "wait for the next register, or approve what the meter showed"
    assert {row["method"] for row in rows if row["what"] != "estimated_slot"} == {None}
    known = ("method", "estimated_import_wh", "measured_import_wh", "change_nano", "to_do")
    assert [before[key] for key in known] == ["estimate_open", 0, None, None, "estimate_open"]
    assert [after[key] for key in known] == ["estimate_open", 0, 700, 700 * FULL_PRICE, "superseded"]
