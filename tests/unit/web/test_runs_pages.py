"""The page of settlement runs: what was corrected, and that sums are sums of what is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridweb.access import Role
from gridweb.pages.stakes import TroubleKind, immaterial_changes, ranked
from gridweb.pages.troubles import NOT_MATERIAL, REMEDIES, reason_of
from tests.unit.web.household_world import DAY_START_S, SLOT_S, household, household_world
from tests.unit.web.web_world import World


def run(name: str, height: int, pays_nano: int, estimated: int = 0) -> dict[str, Any]:
    return {
        "run": name,
        "height": height,
        "made_s": DAY_START_S + 3_600,
        "due_s": DAY_START_S + 1_800 if name == "initial" else None,
        "rows": 3,
        "estimated": estimated,
        "measured": 3 - estimated,
        "pays_nano": pays_nano,
    }


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A day of which two slots are settled, one of them twice."""
    world = household_world(tmp_path)
    slots = [
        {
            "slot_start_s": DAY_START_S,
            "runs": [run("initial", 5, 1_000, estimated=1), run("final", 7, 1_000, estimated=1)],
            "next_run": {"run_type": "dispute", "due_s": None, "has_changed": False},
        },
        {
            "slot_start_s": DAY_START_S + SLOT_S,
            "runs": [run("initial", 6, 2_000, estimated=1), run("correction-1", 9, 2_500)],
            "next_run": {"run_type": "correction", "due_s": DAY_START_S + 86_400, "has_changed": True},
        },
    ]
    not_made = [{"slot_start_s": DAY_START_S, "change_nano": 7, "time_s": DAY_START_S + 90_000}]
    answer = {"slots_expected": 96, "slots": slots, "immaterial": not_made}
    world.node.answers[f"areas/A1/days/{DAY_START_S}/runs"] = answer
    return world


async def test_pages_of_a_section_share_a_bar_that_keeps_the_area_and_says_where_one_is(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    page = await browser.text(f"/runs?area=A1&day={DAY_START_S}")
    bar = re.search(r'<nav class="section".*?</nav>', page, re.DOTALL)
    assert bar is not None
    assert re.findall(r'href="([^"]+)" aria-current="page"', bar[0]) == ["/runs?area=A1"]
    assert {"/documents?area=A1", "/payments?area=A1", "/tariffs?area=A1"} <= set(re.findall(r'href="([^"]+)"', bar[0]))
    assert '<a href="/runs" aria-current="true">' in page
    assert 'class="section"' not in await browser.text("/interface")


async def test_the_difference_is_what_later_runs_have_posted_and_sums_are_those_of_the_rows(world: World) -> None:
    table = await (await world.browser(Role.REGULATOR).get(f"/api/v1/areas/A1/runs?day={DAY_START_S}")).get_json()
    assert [row[0] for row in table["rows"]] == [DAY_START_S, DAY_START_S + SLOT_S]
    columns = [column["key"] for column in table["columns"]]
    rows = [dict(zip(columns, row, strict=True)) for row in table["rows"]]
    assert [row["difference_nano"] for row in rows] == [0, 500]
    totals = dict(zip(columns, table["totals"], strict=True))
    assert [totals[key] for key in ("first_nano", "last_nano", "difference_nano")] == [3_000, 3_500, 500]
    assert [(row["estimated_first"], row["estimated_last"]) for row in rows] == [(1, 1), (1, 0)]
    assert [row["measured_ppm"] for row in rows] == [666_666, 1_000_000]
    assert totals["measured_ppm"] is None
    assert [(row["next_run"], row["next_due_s"]) for row in rows] == [
        ("dispute", None),
        ("changed", DAY_START_S + 86_400),
    ]


async def test_the_page_says_how_many_slots_were_corrected_and_leads_to_each(world: World) -> None:
    page = await world.browser(Role.UTILITY).text(f"/runs?area=A1&day={DAY_START_S}")
    assert f'href="/slots/A1/{DAY_START_S + SLOT_S}"' in page
    assert "2 of 96" in page
    assert re.search(r"Changed, not settled again yet</dt><dd>1<", page)
    assert "settled again: something has changed" in page
    assert "correction 1" in page


async def test_the_page_names_final_runs_what_comes_next_and_dispute_runs_that_were_not_made(world: World) -> None:
    page = await world.browser(Role.UTILITY).text(f"/runs?area=A1&day={DAY_START_S}")
    assert "final run" in page
    assert "dispute run, if a change is material" in page
    assert "no dispute run was made" in page
    address = f"/api/v1/areas/A1/runs/immaterial?day={DAY_START_S}"
    table = await (await world.browser(Role.REGULATOR).get(address)).get_json()
    assert table["rows"] == [[DAY_START_S, 7, DAY_START_S + 90_000]]
    assert (await household(world).get(address)).status_code == 403


async def test_the_worklist_has_changes_that_made_no_dispute_run_with_what_they_would_have_changed(
    world: World,
) -> None:
    later_s = DAY_START_S + 90_000
    changes = [[DAY_START_S, 700, later_s], [DAY_START_S + SLOT_S, 900, later_s], [DAY_START_S - SLOT_S, 5, later_s]]
    world.node.answers["areas/A1/progress"] = {"area": "A1", "immaterial": changes}
    source, area = world.site.source, await world.site.source.area("A1")
    assert await immaterial_changes(source, area, DAY_START_S, later_s) == [], "a zone without a calendar has none"
    dated = replace(area, rules={**area.rules, "run_calendar": {}})
    found = ranked(await immaterial_changes(source, dated, DAY_START_S, later_s))
    assert [(one.kind, one.at_s, one.stake_nano) for one in found] == [
        (TroubleKind.IMMATERIAL_CHANGE, DAY_START_S + SLOT_S, 900),
        (TroubleKind.IMMATERIAL_CHANGE, DAY_START_S, 700),
    ]
    assert {reason_of(one) for one in found} == {NOT_MATERIAL}
    assert NOT_MATERIAL in REMEDIES


async def test_runs_of_everybody_are_not_for_a_household(world: World) -> None:
    assert (await household(world).get("/runs")).status_code == 403
    assert (await household(world).get("/api/v1/areas/A1/runs")).status_code == 403
