"""Imbalance by balance group: sums of what the node states, exchanges of schedules, and a group that nobody answers for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gridweb.access import Role
from tests.unit.web.household_world import DAY_START_S, SLOT_S, household, household_world
from tests.unit.web.web_world import World

PATH = f"/api/v1/areas/A1/days/{DAY_START_S}"


def group(name: str, import_wh: int, export_wh: int, bought_wh: int = 0, sold_wh: int = 0) -> dict[str, Any]:
    """A group of a slot, as the node states it."""
    energies = {"import_wh": import_wh, "export_wh": export_wh, "bought_wh": bought_wh, "sold_wh": sold_wh}
    return {"group": name, **energies}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A day with two settled slots and three groups, one of them nobody's."""
    world = household_world(tmp_path)
    first = [group("sun", 0, 900, sold_wh=700), group("town", 1_000, 0, bought_wh=700), group("", 50, 0)]
    second = [group("sun", 0, 100, sold_wh=300), group("town", 400, 0, bought_wh=300)]
    slots = [
        {"slot_start_s": DAY_START_S, "run": "initial", "groups": first},
        {"slot_start_s": DAY_START_S + SLOT_S, "run": "initial", "groups": second},
    ]
    world.node.answers[f"areas/A1/days/{DAY_START_S}/balance-groups"] = {"slots": slots}
    return world


async def test_a_group_s_imbalance_is_metered_less_traded_and_sums_are_those_of_the_rows(world: World) -> None:
    table = await (await world.browser(Role.UTILITY).get(f"{PATH}/imbalance")).get_json()
    assert table["rows"] == [
        ["", 1, 50, 0, 0, -50, 0, 50],
        ["sun", 2, 0, 1_000, 1_000, 0, 200, 200],
        ["town", 2, 1_400, 0, -1_000, -400, 0, 400],
    ]
    assert table["totals"][2:] == [1_450, 1_000, 0, -450, 200, 650]


async def test_trades_between_groups_are_exchanges_of_their_schedules(world: World) -> None:
    table = await (await world.browser(Role.REGULATOR).get(f"{PATH}/exchanges")).get_json()
    assert table["rows"] == [[DAY_START_S, "sun", "town", 700], [DAY_START_S + SLOT_S, "sun", "town", 300]]
    slots = await (await world.browser(Role.REGULATOR).get(f"{PATH}/imbalance/slots")).get_json()
    assert [row[-1] for row in slots["rows"]] == [-50, 200, -300, -200, -100]


async def test_the_page_names_a_group_without_a_party_in_words(world: World) -> None:
    page = await world.browser(Role.UTILITY).text(f"/imbalance?area=A1&day={DAY_START_S}")
    assert "no party named" in page
    assert "Schedule exchanges between balance groups" in page


async def test_a_day_without_a_run_has_no_rows(tmp_path: Path) -> None:
    browser = household_world(tmp_path).browser(Role.UTILITY)
    assert (await (await browser.get(f"{PATH}/imbalance")).get_json())["rows"] == []


async def test_imbalances_are_not_for_a_household(world: World) -> None:
    assert (await household(world).get("/imbalance")).status_code == 403


async def test_a_month_is_made_beside_the_pages_with_a_file_for_each_day_as_the_day_itself_has_it(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    form = {"content": "exchanges", "area": "A1", "month": "2024-06", "format": "csv"}
    assert (await browser.post("/exports", form)).status_code == 303
    (job,) = world.site.exports.of("utility-x")
    assert job.task is not None
    await job.task
    answer = await browser.get(f"/exports/{job.job}/file")
    with zipfile.ZipFile(io.BytesIO(await answer.get_data(as_text=False))) as file:
        held = {name: file.read(name).decode() for name in file.namelist()}
    day = await browser.text(f"{PATH}/exchanges?format=csv")
    assert len(day.splitlines()) == 3
    assert [name for name, text in held.items() if text == day] == ["A1-2024-06-21.csv"]
    assert len(held) == job.total
    await world.site.exports.close()
