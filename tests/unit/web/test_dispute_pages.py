"""Pages of disputes: everybody's for readers, its own for a household; nothing is signed, the command is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridweb.access import Role
from gridweb.pages.disputes import STATUS_STATES, STATUS_TITLES
from tests.unit.web.household_world import NEIGHBOUR, PARTY, START_S, household, household_world
from tests.unit.web.web_world import World

OWN, OTHER = "ab" * 32, "cd" * 32


def dispute(name: str, party: str, status: str = "open", **changes: Any) -> dict[str, Any]:
    """What the node says of a dispute."""
    return {
        "dispute": name,
        "party": party,
        "point": f"P-{party}",
        "slot_start_s": START_S,
        "zone": "z-1",
        "run": "initial",
        "line_kind": "levy",
        "ground": "reading",
        "amount_nano": -1_500_000_000,
        "statement": "12" * 32,
        "opened_s": START_S + 3_600,
        "opened_height": 7,
        "answer_by_s": START_S + 867_600,
        "status": status,
        "is_closed": status in ("agreed", "upheld", "dismissed", "withdrawn"),
        "steps": [],
        "later_runs": [],
        **changes,
    }


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A site whose node knows a dispute of the household and one of its neighbour."""
    world = household_world(tmp_path)
    step = {"outcome": "rejected", "signer": "util", "time_s": START_S + 7_200, "height": 9, "statement": "34" * 32}
    found = [
        dispute(OTHER, NEIGHBOUR, "rejected", steps=[step], amount_nano=9),
        dispute(OWN, PARTY, later_runs=["correction-1"]),
    ]
    world.node.answers["disputes"] = {"disputes": found, "next": None}
    world.node.answers |= {f"disputes/{one['dispute']}": one for one in found}
    return world


async def test_a_reader_sees_all_disputes_the_largest_first_with_what_is_frozen(world: World) -> None:
    browser = world.browser(Role.REGULATOR)
    table = await (await browser.get("/api/v1/disputes")).get_json()
    assert [row[0] for row in table["rows"]] == [OWN, OTHER]
    assert table["totals"][6] == -1_500_000_000 + 9
    page = await browser.text("/disputes")
    assert f'href="/disputes/{OWN}"' in page


async def test_a_household_sees_its_own_disputes_alone(world: World) -> None:
    browser = household(world)
    table = await (await browser.get(f"/api/v1/households/{PARTY}/disputes")).get_json()
    assert [row[0] for row in table["rows"]] == [OWN]
    assert (await browser.get("/disputes")).status_code == 403
    assert (await browser.get(f"/disputes/{OTHER}")).status_code == 403
    assert (await browser.get(f"/households/{NEIGHBOUR}/disputes")).status_code == 403


async def test_the_page_of_a_dispute_says_who_acts_next_and_what_was_corrected(world: World) -> None:
    own = await household(world).text(f"/disputes/{OWN}")
    assert f"gridledger dispute answer {OWN}" in own
    assert f"gridledger dispute withdraw {OWN}" in own
    assert "correction 1" in own
    rejected = await world.browser(Role.REGULATOR).text(f"/disputes/{OTHER}")
    assert f"gridledger dispute decide {OTHER}" in rejected
    assert "dispute answer" not in rejected


@pytest.mark.parametrize("status", STATUS_TITLES)
async def test_every_status_has_a_sign_and_what_is_over_asks_for_nothing(world: World, status: str) -> None:
    assert status in STATUS_STATES
    answer = dispute(OWN, PARTY, status)
    world.node.answers[f"disputes/{OWN}"] = answer
    page = await household(world).text(f"/disputes/{OWN}")
    assert ("gridledger dispute" in page) is not answer["is_closed"]


async def test_what_is_no_dispute_is_not_found(world: World) -> None:
    assert (await world.browser(Role.REGULATOR).get("/disputes/xyz")).status_code == 404
