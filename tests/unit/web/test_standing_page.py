"""``/households/<party>/standing``: the standing rules of a household, and what the page passes on to the node."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.transactions.market_order import MarketOrder
from gridcore.transactions.market_profile import SPAN_S_MAX, MarketProfile, ProfileEnd, ProfilePart
from gridweb.access import Role
from gridweb.pages.standing import END_ANSWERS, RULE_ANSWERS
from tests.unit.web.household_world import PARTY, household
from tests.unit.web.test_orders_page import FIRST_S, market_world, order, post, submission
from tests.unit.web.web_world import NOW_S, World

PAGE = f"/households/{PARTY}/standing"
WEEK_S = 7 * 86_400


def ruled_world(folder: Path, *rules: dict[str, Any]) -> World:
    """The household of the orders' page; it has standing rules."""
    world = market_world(folder)
    world.node.answers["profiles"] = {"party": PARTY, "area": "A1", "profiles": list(rules)}
    return world


def rule(**changes: Any) -> dict[str, Any]:
    """Buy 0.5 kWh up to 0.40 and sell 1.2 kWh from 0.45 for a week, as the node tells it."""
    parts = [
        {"side": "buy", "price_micro_per_kwh": 400_000, "quantities_wh": [0, 500]},
        {"side": "sell", "price_micro_per_kwh": 450_000, "quantities_wh": [1_200]},
    ]
    return {"counter": 2, "slot_start_s": FIRST_S, "end_s": FIRST_S + WEEK_S, "parts": parts} | changes


def preferring(world: World, *, takes: bool = True, known: bool = True) -> World:
    """The same under a contract that takes preferences, or not, in a zone that knows those of standing rules, or not."""
    answer = world.node.answers["areas"]
    answer["contracts"] = [{**contract, "takes_conditions": takes} for contract in answer["contracts"]]
    knows = {"profiles_have_conditions": True} if known else {}
    answer["areas"] = [{**area, "rules": area["rules"] | knows} for area in answer["areas"]]
    return world


def profile(**changes: Any) -> MarketProfile:
    """A rule as the page's script signs it."""
    fields: dict[str, Any] = {"area": "A1", "counter": 1, "end_s": FIRST_S + WEEK_S, "nonce": bytes(16)}
    return MarketProfile(
        **(fields | {"parts": [ProfilePart("buy", 400_000, [500])], "slot_start_s": FIRST_S} | changes)
    )


END = ProfileEnd(area="A1", counter=2, nonce=bytes(16), slot_start_s=FIRST_S)


async def test_each_side_of_a_rule_is_a_row_with_its_largest_energy_and_the_rule_can_be_ended(tmp_path: Path) -> None:
    browser = household(ruled_world(tmp_path, rule(), rule(counter=9, parts=rule()["parts"][:1])))
    page = await browser.text(PAGE)
    table = await (await browser.get(f"/api/v1/households/{PARTY}/standing")).get_json()
    until, name = FIRST_S + WEEK_S, f"{FIRST_S}/2"
    assert table["rows"] == [
        ["buy", 500, 400_000, FIRST_S, until, name],
        ["sell", 1_200, 450_000, FIRST_S, until, name],
        ["buy", 500, 400_000, FIRST_S, until, f"{FIRST_S}/9"],
    ]
    assert re.findall(r'<option value="(\d+/\d+)"', page) == [name, f"{FIRST_S}/9"]


async def test_the_form_says_from_when_and_until_when_at_most_a_rule_may_be(tmp_path: Path) -> None:
    page = await household(ruled_world(tmp_path)).text(PAGE)
    assert "No standing rule orders anything." in page
    (form,) = re.findall(r"<form class=\"signed\".*?</form>", page, re.DOTALL)
    found = {name: int(value) for name, value in re.findall(r'data-(slot|end-max|days-max)="(\d+)"', form)}
    assert (found["slot"], found["days-max"]) == (FIRST_S, 31)
    assert NOW_S + SPAN_S_MAX - 900 < found["end-max"] <= NOW_S + SPAN_S_MAX
    assert found["end-max"] % 900 == 0
    assert re.findall(r'name="(\w+)"', form) == ["buy_quantity", "buy_price", "sell_quantity", "sell_price", "days"]


async def test_the_conditions_of_a_rule_are_rows_in_the_order_of_its_liking_in_words(tmp_path: Path) -> None:
    sun = {"price_micro_per_kwh": 450_000, "quantities_wh": [800], "seller": "H002", "energy_kind": "solar"}
    anything = {"price_micro_per_kwh": 400_000, "quantities_wh": [0, 500]}
    parts = [{"side": "buy", "conditions": [sun, anything]}, rule()["parts"][1]]
    browser = household(preferring(ruled_world(tmp_path, rule(parts=parts))))
    table = await (await browser.get(f"/api/v1/households/{PARTY}/standing")).get_json()
    ends = [FIRST_S, FIRST_S + WEEK_S, f"{FIRST_S}/2"]
    assert table["rows"] == [
        ["buy", 800, 450_000, 1, "solar", "H002", *ends],
        ["buy", 500, 400_000, 2, None, None, *ends],
        ["sell", 1_200, 450_000, None, None, None, *ends],
    ]
    page = await browser.text(PAGE)
    assert ("Sun" in page, page.count(f'<option value="{FIRST_S}/2"')) == (True, 1)


@pytest.mark.parametrize(("takes", "known"), [(True, True), (True, False), (False, True)])
async def test_the_form_has_fields_for_preferences_where_contract_and_zone_take_them(
    tmp_path: Path, takes: bool, known: bool
) -> None:
    page = await household(preferring(ruled_world(tmp_path), takes=takes, known=known)).text(PAGE)
    (form,) = re.findall(r"<form class=\"signed\".*?</form>", page, re.DOTALL)
    found = [name for name in re.findall(r'name="(\w+)"', form) if name in ("kind", "seller", "other")]
    assert found == (["kind", "seller", "other"] if takes and known else [])


@pytest.mark.parametrize("code", [Code.ACCEPTED, Code.PROFILE_TOO_LONG, Code.TOO_MANY_PROFILES])
async def test_a_signed_rule_is_passed_on_byte_by_byte(tmp_path: Path, code: Code) -> None:
    world = ruled_world(tmp_path)
    world.node.submit_code = code
    body = submission(profile())
    answer = await (await post(household(world), body, PAGE)).get_json()
    assert world.node.submitted == cbor.decode(body)
    assert (answer["is_taken"], answer["words"]) == (code is Code.ACCEPTED, RULE_ANSWERS[code])


@pytest.mark.parametrize("code", [Code.ACCEPTED, Code.NO_SUCH_ORDER])
async def test_the_signed_end_of_a_rule_is_passed_on(tmp_path: Path, code: Code) -> None:
    world = ruled_world(tmp_path, rule())
    world.node.submit_code = code
    answer = await (await post(household(world), submission(END), f"{PAGE}/ended")).get_json()
    assert (answer["is_taken"], answer["words"]) == (code is Code.ACCEPTED, END_ANSWERS[code])


@pytest.mark.parametrize(
    ("content", "path"), [(order(), PAGE), (END, PAGE), (profile(), f"{PAGE}/ended")], ids=["order", "end", "rule"]
)
async def test_what_is_of_another_kind_is_not_passed_on(
    tmp_path: Path, content: MarketOrder | MarketProfile | ProfileEnd, path: str
) -> None:
    world = ruled_world(tmp_path)
    assert (await post(household(world), submission(content), path)).status_code == 400
    assert world.node.submitted == []


async def test_a_clerk_sees_the_rules_and_has_no_form_and_a_neighbour_sees_nothing(tmp_path: Path) -> None:
    world = ruled_world(tmp_path, rule())
    page = await world.browser(Role.UTILITY).text(PAGE)
    assert "0.4500" in page
    assert 'class="signed"' not in page
    assert (await post(world.browser(Role.UTILITY), submission(profile()), PAGE)).status_code == 403
    for path in (PAGE, f"/api/v1{PAGE}"):
        assert (await household(world, party="H002").get(path)).status_code == 403
