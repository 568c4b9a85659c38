"""The parties of a day ranked by what they traded and did not take or feed in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gridweb.access import Role
from tests.unit.web.household_world import (
    DAY_START_S,
    IMPORT_WH,
    NEIGHBOUR,
    PARTY,
    START_S,
    fill,
    fill_day,
    household,
    household_world,
    settled,
)
from tests.unit.web.web_world import Browser, World

DAY = "2024-06-21"
PATH = f"/api/v1/areas/A1/days/{DAY}/parties"
PAGE = f"/households?area=A1&day={DAY}"
ENERGIES = {"import_wh": 900, "export_wh": 0, "bought_wh": 900, "sold_wh": 0}
MONEY = {"pays_nano": 1, "supplier_only_nano": 2, "saving_nano": 1}


def statement(party: str, not_taken_wh: int, not_fed_in_wh: int) -> dict[str, Any]:
    """The day of a point, as the node states it."""
    return {"party": party, **ENERGIES, **MONEY, "not_taken_wh": not_taken_wh, "not_fed_in_wh": not_fed_in_wh}


def state(world: World, *statements: dict[str, Any]) -> Browser:
    """The clerk's browser, while the node states this of the day."""
    answer = {"slots_expected": 96, "slots_settled": 96, "statements": statements, "next": None}
    world.node.answers[f"areas/A1/days/{DAY_START_S}/statements"] = answer
    return world.browser(Role.UTILITY)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One area of two households."""
    return household_world(tmp_path)


async def deviations(browser: Browser) -> list[list[int | None]]:
    """What was not taken, not fed in, and both, of each row and of the sums."""
    table = await (await browser.get(PATH)).get_json()
    keys = [column["key"] for column in table["columns"]]
    at = keys.index("not_taken_wh")
    assert keys[at : at + 3] == ["not_taken_wh", "not_fed_in_wh", "deviation_wh"]
    return [row[at : at + 3] for row in (*table["rows"], table["totals"])]


async def test_a_party_s_deviation_is_the_sum_of_its_points_and_of_both_directions(world: World) -> None:
    browser = state(world, statement(PARTY, 100, 20), statement(NEIGHBOUR, 0, 7), statement(PARTY, 5, 0))
    assert await deviations(browser) == [[105, 20, 125], [0, 7, 7], [105, 27, 132]]
    assert "deviation_wh" in await browser.text(f"{PATH}?format=csv")


async def test_what_the_node_does_not_say_is_unknown_and_no_zero(world: World) -> None:
    older = {"party": PARTY, **ENERGIES, **MONEY}
    browser = state(world, older, statement(NEIGHBOUR, 0, 7))
    assert await deviations(browser) == [[None] * 3, [0, 7, 7], [None] * 3]
    page = await browser.text(f"{PAGE}&parties-sort=-deviation_wh")
    assert page.index(f"/households/{NEIGHBOUR}?") < page.index(f"/households/{PARTY}?")


@pytest.mark.parametrize(("language", "words"), [("en", "Largest deviation first"), ("zh_CN", "按偏差电量从大到小")])
async def test_the_page_leads_to_the_largest_deviation_first(world: World, language: str, words: str) -> None:
    state(world, statement(PARTY, 3, 0), statement(NEIGHBOUR, 400, 0))
    browser = world.browser(Role.UTILITY, language=language)
    page = await browser.text(PAGE)
    assert words in page
    assert f"{PAGE.replace('&', '&amp;')}&amp;parties-sort=-deviation_wh" in page
    found = await browser.text(f"{PAGE}&parties-sort=-deviation_wh")
    assert found.index(f"/households/{NEIGHBOUR}?day={DAY}") < found.index(f"/households/{PARTY}?day={DAY}")


async def test_the_clerk_is_led_from_a_day_to_the_slot_of_its_largest_deviation(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    statement_page = f"/households/{PARTY}/statement?day={DAY_START_S}"
    await fill_day(world)
    await fill(world, [settled(START_S, bought_wh=IMPORT_WH + 25)])
    assert re.search(
        rf'<a href="/slots/A1/{START_S}">[-0-9:– ]+</a> · 0.025 kWh bought and not taken</p>',
        await world.browser(Role.UTILITY).text(statement_page),
    )
    assert "/slots/" not in await household(world).text(statement_page)
