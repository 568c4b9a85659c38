"""Spikes, zeros for long and new directions among the exceptions of a day, against the meter's own days before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridcore.quality import ESTIMATED, MEASURED, MISSING
from gridseries.series import INTERVALS
from gridweb.access import Role
from gridweb.pages.day_figures import read_day
from gridweb.pages.marks import MARKED_METERS_MAX
from gridweb.pages.stakes import TroubleKind, read_troubles
from gridweb.pages.troubles import NOBODYS, OWN_REASONS, REASONS, REMEDIES, read_exceptions_table
from tests.unit.web.web_world import AREA, CALENDAR, DAY_S, FIRST_S, World, make_world

SLOT_S = 900
DAYS = 8
TODAY_S = FIRST_S
"""The local day that pages show: the world's ledger time is in it."""
BEFORE_S = FIRST_S - (DAYS - 1) * DAY_S
FULL_PRICE = 680_000
METERS = ("M-1", "M-2", "M-3", "F")


def world_of(folder: Path) -> World:
    """Eight days of an area that began before, of which the last one is under way."""
    world = make_world(folder)
    answers = world.node.answers
    installations = [
        {
            "number": number,
            "meter": meter,
            "gateway": "gw-1",
            "party": None if meter == "F" else f"p-{number}",
            "role": "feeder" if meter == "F" else "household",
            "limit_wh": 10_000,
            "trades": False,
        }
        for number, meter in enumerate(METERS, 1)
    ]
    answers["areas"] = {**answers["areas"], "areas": [{**AREA, "first_slot_start_s": BEFORE_S}]}
    answers["areas/a-1/installations"] = {"installations": installations, "next": None}
    answers["calendars/c"] = {**CALENDAR, "days": [BEFORE_S + day * DAY_S for day in range(DAYS + 1)]}
    answers["exceptions"] = {"exceptions": [], "next": None}
    answers["gateways"] = {"gateways": [], "next": None}
    answers["areas/a-1/coverage"] = {"expected": 4, "committed": 4}
    answers["areas/a-1/registers"] = {"registers": [], "next": None}
    return world


async def write(world: World, changes: dict[tuple[str, int], tuple[int | None, int | None, int]]) -> None:
    """200 Wh a slot until 06:00 of the day, but for some slots: import, export and quality by meter and slot of the day."""
    slots = range(-7 * 96, 24)
    rows = [
        INTERVALS.row(("a-1", meter), TODAY_S + slot * SLOT_S, (taken, given, None, None, None, None, quality))
        for meter in METERS
        for slot in slots
        for taken, given, quality in [changes.get((meter, slot), (200, 0, MEASURED))]
    ]
    await world.series.write(INTERVALS, rows)


async def rows_of(world: World) -> list[dict[str, Any]]:
    table = await read_exceptions_table(world.site.source, "a-1", str(TODAY_S), NOBODYS)
    return [dict(zip((column.key for column in table.columns), row, strict=True)) for row in table.rows]


async def test_marks_of_a_day_are_ranked_by_what_they_differ_from_the_days_before(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    changes: dict[tuple[str, int], tuple[int | None, int | None, int]] = {
        ("M-1", 3): (5_000, 0, MEASURED),
        ("M-3", 20): (200, 150, MEASURED),
        ("F", 3): (9_000, 0, MEASURED),
        ("M-2", 5): (5_000, 0, ESTIMATED),
        ("M-2", 6): (None, None, MISSING),
    }
    await write(world, changes | {("M-2", slot): (0, 0, MEASURED) for slot in range(-20, 4)})
    rows = await rows_of(world)
    keys = ("what", "meter", "at_s", "rows", "measured_wh", "usual_wh", "stake_nano", "basis")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("spike", "M-1", TODAY_S + 3 * SLOT_S, 1, 5_000, 200, 4_800 * FULL_PRICE, "history"),
        ("zero_run", "M-2", TODAY_S - 20 * SLOT_S, 24, 0, 4_800, 4_800 * FULL_PRICE, "history"),
        ("new_direction", "M-3", TODAY_S + 20 * SLOT_S, 1, 150, 0, 150 * FULL_PRICE, "history"),
        ("spike", "F", TODAY_S + 3 * SLOT_S, 1, 9_000, 200, 0, "not_billed"),
    ]


async def test_the_page_leads_from_a_mark_to_the_day_of_the_meter_in_both_languages(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    await write(world, {("M-1", 3): (5_000, 0, MEASURED)})
    for language, words in (("en", "far above the meter&#39;s days before"), ("zh_CN", "远高于")):
        text = await world.browser(Role.UTILITY, language=language).text("/quality")
        assert words in text
        assert f'href="/meters/M-1?day={TODAY_S + 3 * SLOT_S}"' in text


@pytest.mark.parametrize(("more", "is_judged"), [(0, True), (1, False)])
async def test_of_more_meters_than_are_compared_it_is_said_that_none_was(
    tmp_path: Path, more: int, is_judged: bool
) -> None:
    world = world_of(tmp_path)
    await write(world, {("M-1", 3): (5_000, 0, MEASURED)})
    area = {**world.node.answers["areas"]["areas"][0], "meters": MARKED_METERS_MAX + more}
    world.node.answers["areas"] = {**world.node.answers["areas"], "areas": [area]}
    table = await read_exceptions_table(world.site.source, "a-1", str(TODAY_S), NOBODYS)
    assert [row[0] for row in table.rows] == (["spike"] if is_judged else [])
    assert ("at most 500 meters" in table.note) is not is_judged
    assert ("Spikes (180 % above what is usual, and 1,000 W)" in table.note) is is_judged


async def test_without_the_time_series_the_other_exceptions_are_shown_and_it_is_said(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.node.answers["exceptions"] = {
        "exceptions": [
            {
                "gateway": "gw-1",
                "counter": 1,
                "boundary_s": TODAY_S + SLOT_S,
                "rows": [{"row": 0, "meter": 9, "code": 82, "name": "ROW_UNKNOWN_METER"}],
            }
        ],
        "next": None,
    }
    days = await read_day(
        world.site.source, [await world.site.source.area("a-1")], None, await world.site.source.as_of()
    )
    world.series.away = True
    troubles = await read_troubles(world.site.source, days, is_day_only=False)
    assert ([one.kind for one in troubles.items], troubles.is_judged) == ([TroubleKind.REFUSED_ROW], False)


def test_each_mark_has_its_reason_and_what_to_do() -> None:
    assert set(OWN_REASONS.values()) <= REASONS.keys()
    assert REASONS.keys() == REMEDIES.keys()
