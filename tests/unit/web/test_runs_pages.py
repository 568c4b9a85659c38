"""The page of settlement runs: what was corrected, and that sums are sums of what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridweb.access import Role
from tests.unit.web.household_world import DAY_START_S, SLOT_S, household, household_world
from tests.unit.web.web_world import World


def run(name: str, height: int, pays_nano: int, estimated: int = 0) -> dict[str, Any]:
    return {"run": name, "height": height, "rows": 3, "estimated": estimated, "pays_nano": pays_nano}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A day of which two slots are settled, one of them twice."""
    world = household_world(tmp_path)
    slots = [
        {"slot_start_s": DAY_START_S, "runs": [run("initial", 5, 1_000)]},
        {
            "slot_start_s": DAY_START_S + SLOT_S,
            "runs": [run("initial", 6, 2_000, estimated=1), run("correction-1", 9, 2_500)],
        },
    ]
    world.node.answers[f"areas/A1/days/{DAY_START_S}/runs"] = {"slots_expected": 96, "slots": slots}
    return world


async def test_the_difference_is_what_later_runs_have_posted_and_sums_are_those_of_the_rows(world: World) -> None:
    table = await (await world.browser(Role.REGULATOR).get(f"/api/v1/areas/A1/runs?day={DAY_START_S}")).get_json()
    assert [row[0] for row in table["rows"]] == [DAY_START_S, DAY_START_S + SLOT_S]
    assert [row[8] for row in table["rows"]] == [0, 500]
    assert table["totals"][6:] == [3_000, 3_500, 500]
    assert [row[4:6] for row in table["rows"]] == [[0, 0], [1, 0]]


async def test_the_page_says_how_many_slots_were_corrected_and_leads_to_each(world: World) -> None:
    page = await world.browser(Role.UTILITY).text(f"/runs?area=A1&day={DAY_START_S}")
    assert f'href="/slots/A1/{DAY_START_S + SLOT_S}"' in page
    assert "2 of 96" in page
    assert "correction 1" in page


async def test_runs_of_everybody_are_not_for_a_household(world: World) -> None:
    assert (await household(world).get("/runs")).status_code == 403
    assert (await household(world).get("/api/v1/areas/A1/runs")).status_code == 403
