"""The first line of the overview, and the status board."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridweb.access import Role
from gridweb.health import Outage
from gridweb.i18n import speaking
from gridweb.pages import needs
from gridweb.pages.needs import needs_of_node
from gridweb.pages.scope import Scope
from gridweb.source import Source, SourceBusy
from ledger.client import Shortage
from tests.unit.web.ledger_world import LedgerWorld, ledger_world
from tests.unit.web.web_world import FakeNode, make_world


async def first_lines(world: LedgerWorld, path: str = "/overview") -> str:
    """The part of the overview that says what needs a person."""
    page = await world.web.browser(Role.UTILITY).text(path)
    assert page.index('class="needs"') < page.index('class="headline"')
    return page.partition('class="needs"')[2].partition("</section>")[0]


async def test_the_overview_begins_with_what_needs_a_person_the_urgent_first(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        said = await first_lines(world)
    assert said.index("Silent gateways: 1, with 1 meters") < said.index("Exceptions of the day: ")
    assert 'href="/gateways/gw-2"' in said


async def test_an_area_in_which_all_is_well_says_that_nothing_needs_a_person(tmp_path: Path) -> None:
    async with ledger_world(tmp_path, is_settled=False) as world:
        said = await first_lines(world, "/overview?area=a-1")
    assert "Nothing needs a person" in said


async def test_a_node_that_is_too_busy_to_say_what_waits_is_what_needs_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(source: Source, scope: Scope) -> list[needs.Need]:
        raise SourceBusy(Outage("node", scope.as_of.ledger_time_s, "answers others first"))

    monkeypatch.setattr(needs, "READERS", (busy, busy))
    async with ledger_world(tmp_path, is_settled=False) as world:
        said = await first_lines(world, "/overview?area=a-1")
    assert "Nothing needs a person" not in said
    assert said.count("the ledger node: answers others first") == 1


async def test_what_the_node_says_itself_needs_a_person_but_not_the_end_of_a_simulation() -> None:
    node = FakeNode(disputed_by=2, shortages=(Shortage("calendar", "shanghai", 12), Shortage("disk", "", 0)))
    with speaking("en"):
        real = needs_of_node(await node.status(), has_end=False)
        simulated = needs_of_node(await node.status(), has_end=True)
    assert [(need.state, need.text) for need in real] == [
        ("bad", "Gateways that hold receipts of another history: 2"),
        ("warn", "Runs out in 12 days: a calendar shanghai"),
        ("bad", "Runs out in 0 days: the disk of the ledger node"),
    ]
    assert simulated == real[:1]


async def test_the_board_names_versions_lag_certificates_disks_and_clocks(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        page = await world.web.browser(Role.UTILITY).text("/condition")
        part = await world.web.browser(Role.UTILITY, language="zh_CN").text("/condition/part")
    for said in (
        "Versions",
        "How far",
        "Certificates",
        "Disks",
        "Clocks",
        "Newest block with a certificate",
        "MiB free",
    ):
        assert said in page
    assert "最新已认证区块" in part


async def test_the_board_stands_without_the_node(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.node.away = True
    page = await world.browser(Role.UTILITY).text("/condition")
    assert "MiB free" in page
    assert "Newest block with a certificate" not in page
