"""Green certificates on the pages: an area's for the utility, a household's own; the node counts them, and says when there is too much to count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gridcore.master_data import Named
from gridcore.registry.calendar import Calendar
from gridcore.registry.point import POINT, Point
from gridledger.settling import area_certificates
from gridweb.access import Role
from ledger.client import NodeRefused
from tests.unit.web.ledger_world import LedgerWorld, ledger_world
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S, Consortium, household, zone

MWH = 1_000_000
JANUARY_S = 1_798_761_600
PATH = "areas/a-1/certificates"


def kind_of(number: int, kind: str | None) -> Named[Point]:
    return Named(POINT, f"P-{number}", Point("a-1", "household", f"p-{number}", energy_kind=kind), 1)


VILLAGE = Consortium(
    zones=[zone(metering_deadline_s=0)],
    calendar=Calendar(days=DAYS, months=[JANUARY_S], tz="UTC", tz_version="1"),
    roles={"reg": ["regulator"], "admin": ["administrator"]},
    meters=[household(number, f"p-{number}", limit_wh=10**7, ratio=100) for number in (1, 2, 3)],
    more=[kind_of(1, "solar"), kind_of(2, "wind"), kind_of(3, "coal")],
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LedgerWorld]:
    """Two slots in which p-1 gave 2.3 MWh of sun, p-2 0.4 MWh of wind, p-3 5 MWh of coal."""
    async with ledger_world(tmp_path, consortium=VILLAGE, is_settled=False) as world:
        end_s, sender = FIRST_S + 2 * SLOT_S, world.sender
        await world.submit(
            [sender.clock(FIRST_S)],
            [sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 0, 0), (3, 0, 0)])],
            [sender.clock(end_s)],
            [sender.batch("gw-1", end_s, [(1, 0, 23_000), (2, 0, 4_000), (3, 0, 50_000)])],
            [sender.clock(end_s + SLOT_S)],
        )
        yield world


async def test_the_node_counts_certificates_and_what_is_carried_of_renewable_kinds_alone(world: LedgerWorld) -> None:
    answer: Any = await world.node.client("reg").query(PATH)
    (sun, wind) = answer["months"]
    assert (sun["party"], sun["energy_wh"], sun["issued"], sun["carry_wh"]) == ("p-1", 2_300_000, 2, 300_000)
    assert (wind["party"], wind["issued"], wind["carry_wh"]) == ("p-2", 0, 400_000)
    assert [one["certificate"].split("/")[1:] for one in answer["certificates"]] == [
        ["a-1", "p-1", "1"],
        ["a-1", "p-1", "2"],
    ]
    first = answer["certificates"][0]
    assert (first["state"], first["month"], first["valid_through"]) == ("valid", "2027-01", "2029-01")
    assert (first["energy_wh"], first["points"], first["first_slot_s"]) == (MWH, 1, FIRST_S)


async def test_a_party_asks_for_its_own_certificates_alone(world: LedgerWorld) -> None:
    own: Any = await world.node.client("p-2").query(PATH)
    assert (own["certificates"], [month["party"] for month in own["months"]]) == ([], ["p-2"])
    with pytest.raises(NodeRefused, match="a party's data is for itself"):
        await world.node.client("p-2").query(PATH, party="p-1")


async def test_more_slots_than_a_node_counts_at_once_are_refused_with_the_command_that_counts_them(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = world.node.client("reg")
    monkeypatch.setattr(area_certificates, "SLOTS_MAX", 3)
    await client.query(PATH)
    monkeypatch.setattr(area_certificates, "SLOTS_MAX", 2)
    with pytest.raises(NodeRefused, match="has 3 settled slots, more than 2: gridledger settle certificates counts"):
        await client.query(PATH)


async def test_the_utility_sees_an_areas_certificates_and_a_household_its_own(world: LedgerWorld) -> None:
    page = await world.web.browser(Role.UTILITY).text("/certificates?area=a-1")
    assert "Valid certificates of 1 MWh: 2" in page
    assert "/a-1/p-1/2" in page
    own = await world.web.browser(Role.HOUSEHOLD, "p-2").text("/households/p-2/certificates")
    assert "No certificate is issued yet" in own
    assert "/a-1/p-1/2" not in own
    for path in ("/certificates", "/households/p-1/certificates"):
        assert (await world.web.browser(Role.HOUSEHOLD, "p-2").get(path)).status_code == 403


async def test_who_gave_nothing_of_a_renewable_kind_reads_why_there_is_nothing(world: LedgerWorld) -> None:
    page = await world.web.browser(Role.HOUSEHOLD, "p-3").text("/households/p-3/certificates")
    assert "No energy of a renewable kind is settled yet" in page


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json", "pdf"])
async def test_certificates_are_to_be_had_as_files(world: LedgerWorld, kind: str) -> None:
    browser = world.web.browser(Role.UTILITY)
    answer = await browser.get(f"/api/v1/areas/a-1/certificates?format={kind}")
    assert answer.status_code == 200
    months = await (await browser.get("/api/v1/households/p-1/certificates/months")).get_json()
    assert months["rows"] == [["2027-01", "2027-01", 2_300_000, 2, 0, 300_000]]
