"""The registry's pages: which entry is in force, what each changed, and what is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridcore.registry.entities import ENTITIES
from gridweb.access import Role
from gridweb.pages.registry import KIND_TITLES, TEXT_SHOWN_MAX, table_of_history
from tests.unit.web.web_world import NOW_S, World, make_world

OLD, WRONG, RIGHT, LATER = (
    {"area": "a-1", "role": "load"},
    {"area": "a-1", "role": "load", "party": "p-1"},
    {"area": "a-1", "role": "load", "party": "p-2"},
    {"area": "a-1", "role": "household"},
)


def entry(from_s: int, height: int, value: dict[str, Any]) -> dict[str, Any]:
    """An entry of the node's answer."""
    return {"from_s": from_s, "recorded_height": height, "value": value}


ENTRIES = [entry(0, 0, OLD), entry(NOW_S, 3, WRONG), entry(NOW_S, 5, RIGHT), entry(NOW_S + 900, 4, LATER)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A node with two points, one of them changed, corrected and about to change again."""
    world = make_world(tmp_path)
    answers = world.node.answers
    answers |= {f"registry/{kind}": {"kind": kind, "names": [], "next": None} for kind in ENTITIES}
    answers["registry/pending"] = {"pending": []}
    answers["registry/point"] |= {"names": ["P-1", "Q-1"]}
    answers["registry/party"] |= {"names": ["p-1"], "next": 20_000}
    answers["registry/point/P-1"] = {"kind": "point", "name": "P-1", "row": 0, "entries": ENTRIES}
    return world


def test_every_kind_of_entity_has_words() -> None:
    assert KIND_TITLES.keys() == ENTITIES.keys()


def test_a_history_says_what_each_entry_changed_the_latest_first_and_which_one_is_in_force() -> None:
    table = table_of_history(ENTRIES, NOW_S, "UTC")
    assert [tuple(row) for row in table.rows] == [
        (4, NOW_S + 900, "future", "party", "p-2", None),
        (4, NOW_S + 900, "future", "role", "load", "household"),
        (5, NOW_S, "in_force", "party", "p-1", "p-2"),
        (3, NOW_S, "corrected", "party", None, "p-1"),
        (0, 0, "past", "area", None, "a-1"),
        (0, 0, "past", "role", None, "load"),
    ]
    assert [table.link(row) for row in (0, 5)] == ["/blocks/4", None]


def test_before_the_first_entry_counts_nothing_is_in_force() -> None:
    assert [row[2] for row in table_of_history(ENTRIES[3:], NOW_S, "UTC").rows] == ["future", "future"]


async def test_the_kinds_are_counted_as_far_as_one_answer_holds_their_names(world: World) -> None:
    table = await (await world.browser(Role.REGULATOR).get("/api/v1/registry")).get_json()
    counts = dict(table["rows"])
    assert (counts["point"], counts["signer"], counts["party"]) == (2, 0, None)


async def test_names_are_found_by_what_they_contain(world: World) -> None:
    page = await world.browser(Role.UTILITY).text("/registry/point?contains=Q")
    assert 'href="/registry/point/Q-1"' in page
    assert "P-1" not in page


async def test_an_entity_shows_what_is_in_force_and_long_values_are_cut_on_the_page_alone(world: World) -> None:
    long = "x" * (TEXT_SHOWN_MAX + 1)
    world.node.answers["registry/point/P-1"]["entries"] = [entry(0, 0, {"area": long})]
    browser = world.browser(Role.ADMINISTRATOR)
    page = await browser.text("/registry/point/P-1")
    assert "In force now" in page
    assert long not in page
    assert long in await browser.text("/api/v1/registry/point/P-1?format=csv")


async def test_rows_that_wait_for_approval_are_shown_until_their_time_is_over_and_then_said_to_be_over(
    world: World,
) -> None:
    browser = world.browser(Role.ADMINISTRATOR)
    assert "waits for approval" not in await browser.text("/registry")
    rows = [{"key": "zone/z-1", "from_s": NOW_S, "value": {"contract": "c/2"}}]
    one = {"organisation": "util", "approved_by": ["north"], "rows": rows}
    waiting = [
        {**one, "transaction": "ab" * 32, "valid_until_s": NOW_S},
        {**one, "transaction": "cd" * 32, "valid_until_s": NOW_S - 1},
    ]
    world.node.answers["registry/pending"] = {"pending": waiting}
    world.progress.newest += 1
    table = await (await browser.get("/api/v1/registry/pending")).get_json()
    assert [row[1] for row in table["rows"]] == ["waits", "over"]
    assert table["rows"][0][3:] == ["util", "north", "zone/z-1", NOW_S, "contract c/2"]
    assert "waits for approval" in await browser.text("/registry")


@pytest.mark.parametrize("path", ["/registry/nonsense", "/registry/point/none", "/registry/point/a%20b"])
async def test_what_is_not_registered_is_not_found(world: World, path: str) -> None:
    for address in (path, f"/api/v1{path}"):
        assert (await world.browser(Role.UTILITY).get(address)).status_code == 404


async def test_a_household_does_not_open_the_registry(world: World) -> None:
    for path in ("/registry", "/registry/point", "/registry/point/P-1", "/api/v1/registry/point/P-1"):
        assert (await world.browser(Role.HOUSEHOLD, "p-1").get(path)).status_code == 403
