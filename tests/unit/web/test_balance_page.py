"""The balance of an area: its borders, losses that are open, and what is posted, out of what the node states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridcore.registry.balance_terms import GAIN_PRICE, LOSS_PRICE, SHORTFALL_PRICE, SURPLUS_PRICE
from gridweb.access import Role
from ledger.client import NodeRefused
from tests.unit.web.household_world import DAY_START_S, PARTY, SLOT_S, household, household_world
from tests.unit.web.web_world import World

PATH = f"/api/v1/areas/A1/days/{DAY_START_S}"
TOWN = {"group": "town", "import_wh": 900, "export_wh": 0, "bought_wh": 0, "sold_wh": 0}
PRICES = {LOSS_PRICE: 400_000, GAIN_PRICE: 250_000, SURPLUS_PRICE: 200_000, SHORTFALL_PRICE: 600_000}


def border(point: str, other: str, in_wh: int | None, out_wh: int | None) -> dict[str, Any]:
    return {"point": point, "other_area": other, "in_wh": in_wh, "out_wh": out_wh}


def known(height: int, run: str, *borders: dict[str, Any], has_terms: bool = True) -> dict[str, Any]:
    """What the node states of a slot as of a block."""
    terms = {"loss_responsible": "grid", "prices": PRICES} if has_terms else None
    return {"height": height, "run": run, "groups": [TOWN], "borders": list(borders), "terms": terms}


FEEDER, BRIDGE = border("F-1", "", 700, 0), border("B-1", "A2", 300, 60)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A slot that was corrected when its border came, and one whose border is not known."""
    world = household_world(tmp_path)
    unread = border("B-1", "A2", None, None)
    slots = [
        {
            "slot_start_s": DAY_START_S,
            "known": [known(4, "initial", FEEDER, unread), known(9, "correction-1", FEEDER, BRIDGE)],
        },
        {"slot_start_s": DAY_START_S + SLOT_S, "known": [known(5, "initial", FEEDER, unread)]},
    ]
    world.node.answers[f"areas/A1/days/{DAY_START_S}/balance"] = {"slots": slots}
    return world


async def test_a_slot_has_what_crossed_its_borders_and_what_was_lost_or_nothing_while_that_is_open(
    world: World,
) -> None:
    table = await (await world.browser(Role.UTILITY).get(f"{PATH}/balance")).get_json()
    assert table["rows"] == [
        [DAY_START_S, "correction-1", 1_000, 60, 0, 900, 40, 0, 40 * 400_000, -900 * 600_000],
        [DAY_START_S + SLOT_S, "initial", None, None, 0, 900, None, None, None, -900 * 600_000],
    ]
    borders = await (await world.browser(Role.REGULATOR).get(f"{PATH}/borders")).get_json()
    assert [row[3:] for row in borders["rows"]] == [[300, 60, 240], [None, None, None]]


async def test_entries_name_the_block_that_brought_them_and_accounts_owe_nothing_together(world: World) -> None:
    entries = await (await world.browser(Role.UTILITY).get(f"{PATH}/balance/entries")).get_json()
    assert [(row[1], row[3], row[9]) for row in entries["rows"]] == [
        (4, "shortfall", 900 * 600_000),
        (9, "loss", 40 * 400_000),
        (5, "shortfall", 900 * 600_000),
    ]
    accounts = await (await world.browser(Role.UTILITY).get(f"{PATH}/balance/accounts")).get_json()
    assert sum(row[3] for row in accounts["rows"]) == 0


async def test_a_penalty_of_the_terms_is_an_entry_to_its_own_account(world: World) -> None:
    penalty = {"penalty_ppm": 250_000, "price_micro_per_kwh": 800_000, "sides": "both", "tolerance_ppm": 30_000}
    stated = known(4, "initial", FEEDER)
    slots = [{"slot_start_s": DAY_START_S, "known": [{**stated, "terms": {**stated["terms"], "penalty": penalty}}]}]
    world.node.answers[f"areas/A1/days/{DAY_START_S}/balance"] = {"slots": slots}
    entries = await (await world.browser(Role.UTILITY).get(f"{PATH}/balance/entries")).get_json()
    assert entries["rows"][-1][3:] == ["penalty", "town", 900, 800_000, "town", "A1/penalties", 900 * 200_000]


async def test_a_month_has_what_each_who_answers_owes_by_run_and_its_year_is_an_export(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    table = await (await browser.get("/api/v1/areas/A1/balance/month?month=2024-06")).get_json()
    assert table["rows"] == [
        ["grid", "correction-1", "loss", 40, 40 * 400_000, "A1/losses"],
        ["town", "initial", "shortfall", 1_800, 2 * 900 * 600_000, "A1/imbalance"],
    ]
    assert table["totals"][4] == 40 * 400_000 + 2 * 900 * 600_000
    page = await browser.text("/balance/month?area=A1&month=2024-06")
    assert "before rounding and tax" in page
    assert "Nothing is posted" in await browser.text("/balance/month?area=A1&month=2024-07")
    assert (await household(world).get("/balance/month?area=A1")).status_code == 403
    assert (await household(world).get("/households/grid/balance?area=A1")).status_code == 403
    assert "Nothing is posted" in await household(world).text(f"/households/{PARTY}/balance?month=2024-06")
    own = "/api/v1/households/grid/balance?area=A1&month=2024-06"
    assert (await (await browser.get(own)).get_json())["rows"] == table["rows"][:1]
    assert 'href="/households/grid/balance?area=A1&amp;month=2024-06"' in page
    form = {"content": "balances", "area": "A1", "month": "2024-06", "format": "csv"}
    assert (await browser.post("/exports", form)).status_code == 303
    (job,) = world.site.exports.of("utility-x")
    assert job.task is not None
    await job.task
    assert (job.state, job.total, job.file_name) == ("done", 7, "A1-balances-2024.zip")
    await world.site.exports.close()


async def test_the_page_says_of_how_many_slots_a_border_is_not_known(world: World) -> None:
    page = await world.browser(Role.UTILITY).text(f"/balance?area=A1&day={DAY_START_S}")
    assert "Of 1 slots a border is not known" in page
    assert "A1/losses" in page


async def test_the_page_has_the_command_that_explains_an_entry_where_something_is_posted(world: World) -> None:
    address, command = f"/balance?area=A1&day={DAY_START_S}", "gridledger settle explain --data DIR --area A1 --line "
    page = await world.browser(Role.UTILITY).text(address)
    assert f"<code>{command}ACCOUNT/SLOT/KIND</code>" in page
    assert "party (A1/unassigned where it is empty)" in page
    assert "逐步" in await world.browser(Role.UTILITY, language="zh_CN").text(address)
    nothing_posted = f"/balance?area=A1&day={DAY_START_S + 86_400}"
    assert command not in await world.browser(Role.UTILITY).text(nothing_posted)


async def test_without_terms_the_page_says_that_nothing_is_posted(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    slots = [{"slot_start_s": DAY_START_S, "known": [known(4, "initial", FEEDER, has_terms=False)]}]
    world.node.answers[f"areas/A1/days/{DAY_START_S}/balance"] = {"slots": slots}
    page = await world.browser(Role.UTILITY).text(f"/balance?area=A1&day={DAY_START_S}")
    assert "Nothing is posted" in page


async def test_a_day_without_a_run_has_no_rows(tmp_path: Path) -> None:
    browser = household_world(tmp_path).browser(Role.UTILITY)
    assert (await (await browser.get(f"{PATH}/balance")).get_json())["rows"] == []


async def test_a_day_whose_prices_were_folded_is_gone_and_not_said_to_post_nothing(tmp_path: Path) -> None:
    world = household_world(tmp_path)

    def folded(**_: object) -> object:
        raise NodeRefused("GET: folded", 410, "price series spot has folded what it said of the slot")

    world.node.answers[f"areas/A1/days/{DAY_START_S}/balance"] = folded
    assert (await world.browser(Role.UTILITY).get(f"/balance?area=A1&day={DAY_START_S}")).status_code == 410


async def test_balances_are_not_for_a_household(world: World) -> None:
    assert (await household(world).get("/balance")).status_code == 403
