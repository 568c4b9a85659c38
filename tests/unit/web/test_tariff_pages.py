"""Tariffs as people read them: each price with the time for which it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridweb.access import Role
from gridweb.pages.tariffs import _spans
from tests.unit.web.household_world import NEIGHBOUR, PARTY, PRICES, household, household_world
from tests.unit.web.web_world import World

LEVY = "levy_micro_per_kwh"


def entry(from_s: int, levy: int, height: int = 1) -> dict[str, Any]:
    return {"from_s": from_s, "recorded_height": height, "value": {"prices": {**PRICES, LEVY: levy}, "terms": {}}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Rules whose levy changes twice, once for an entry that was corrected before it held."""
    world = household_world(tmp_path)
    name = world.node.answers["areas"]["areas"][0]["rules"]["id"]
    entries = [entry(0, 40_000), entry(1_000, 50_000), entry(1_000, 60_000, 2), entry(2_000, 60_000, 3)]
    world.node.answers[f"registry/rules/{name}"] = {"entries": entries}
    return world


async def test_a_price_is_one_span_until_it_changes_and_a_corrected_entry_never_held(world: World) -> None:
    table = await (await world.browser(Role.UTILITY).get("/api/v1/areas/A1/tariff")).get_json()
    spans = [row[1:4] for row in table["rows"] if row[0] == LEVY]
    assert spans == [[40_000, None, 1_000], [60_000, 1_000, None]]
    others = [row for row in table["rows"] if row[0] != LEVY]
    assert len(others) == len(PRICES) - 1
    assert {(row[2], row[3]) for row in others} == {(None, None)}


async def test_a_household_reads_its_own_tariff_in_words_and_no_neighbours(world: World) -> None:
    browser = household(world)
    page = await browser.text(f"/households/{PARTY}/tariff")
    assert LEVY not in page
    assert "0.0600" in page
    assert (await browser.get(f"/households/{NEIGHBOUR}/tariff")).status_code == 403
    assert (await browser.get("/tariffs")).status_code == 403
    assert (await world.browser(Role.REGULATOR).get("/tariffs")).status_code == 200


@given(st.lists(st.tuples(st.integers(1, 100), st.one_of(st.none(), st.integers(0, 2))), min_size=1, max_size=8))
def test_spans_of_a_price_follow_one_another_and_tell_every_instant(changes: list[tuple[int, int | None]]) -> None:
    at = 0
    held: list[tuple[dict[str, Any], str]] = []
    for step, price in changes:
        held.append(({"from_s": at, "value": {"prices": {} if price is None else {"p": price}}}, "past"))
        at += step
    spans = _spans("p", held)
    for time_s in range(at + 1):
        (told, *_) = [held_entry for held_entry, _ in held if held_entry["from_s"] <= time_s][-1:]
        expected = told["value"]["prices"].get("p")
        found = [span[1] for span in spans if (span[2] or 0) <= time_s and (span[3] is None or time_s < span[3])]
        assert found == ([] if expected is None else [expected])
