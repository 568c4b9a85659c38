"""The page of what the pages rest on, as table, CSV and JSON, with the node there and away."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gridweb.access import Role
from gridweb.health import STALLS
from gridweb.i18n import speaking
from gridweb.reasons import said
from ledger.client import NodeRefused, Shortage
from tests.unit.web.web_world import make_world


async def test_condition_names_every_part_and_an_away_node_with_its_reason(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    utility = world.browser(Role.UTILITY)
    assert "the ledger node" in await utility.text("/condition")
    world.node.away = True
    world.progress.newest += 1
    page = await utility.text("/condition")
    assert "no node answers there" in page
    rows = (await (await utility.get("/api/v1/condition")).get_json())["rows"]
    assert [row[:2] for row in rows] == [
        ["node", "away"],
        ["news", "standing"],
    ]  # of the store nothing was asked: nothing is said


async def test_condition_is_not_for_households_and_sends_strangers_to_sign_in(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    assert (await world.browser(Role.HOUSEHOLD, "H001").get("/condition")).status_code == 403
    stranger = await world.browser().get("/condition")
    assert (stranger.status_code, stranger.headers["Location"]) == (303, "/sign-in?next=/condition")
    assert (await world.browser().get("/api/v1/condition")).status_code == 401


async def test_condition_says_that_gateways_hold_receipts_of_another_history(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    utility = world.browser(Role.UTILITY)
    assert "another history" not in await utility.text("/condition")
    world.node.disputed_by = 2
    world.progress.newest += 1
    assert "2 gateways hold receipts of another history" in await utility.text("/condition")
    rows = (await (await utility.get("/api/v1/condition")).get_json())["rows"]
    assert rows[-1][:2] == ["history", "disputed"]


async def test_condition_says_what_holds_the_node_up_and_what_runs_out(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    utility = world.browser(Role.UTILITY)
    world.node.stall = "disk"
    world.node.shortages = (Shortage("calendar", "shanghai", 12), Shortage("disk", "", 3))
    page = await utility.text("/condition")
    assert "the disk takes no writes" in page
    assert "shanghai: 12 days left" in page
    rows = (await (await utility.get("/api/v1/condition")).get_json())["rows"]
    assert [row[:2] for row in rows if row[0] != "node"] == [
        ["blocks", "stands_still"],
        ["news", "standing"],
        ["calendar", "runs_out"],
        ["disk", "runs_out"],
    ]


async def test_condition_says_why_in_the_language_of_the_reader_and_when_by_the_local_clock(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    chinese = world.browser(Role.UTILITY, language="zh_CN")
    english = await world.browser(Role.UTILITY).text("/condition")
    assert re.search(r"the next one by \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?!Z)", english)
    world.node.stall, world.node.disputed_by = "disk", 2
    world.node.shortages = (Shortage("calendar", "shanghai", 12),)
    page = await chinese.text("/condition")
    for words in ("the disk takes", "hold receipts", "days left", "the next one by", "s late"):
        assert words not in page
    world.node.away = True
    world.progress.newest += 1
    page = await chinese.text("/condition")
    assert "http://127.0.0.1:1" in page
    assert "no node answers" not in page


def test_a_reason_that_nobody_knows_is_shown_as_it_is() -> None:
    with speaking("zh_CN"):
        assert said("something new") == "something new"
        for reason in (
            *STALLS.values(),
            "it has not answered for 3 s",
            "s.db: disk full; check its disk, owner and size_mib_max",
        ):
            assert said(reason) != reason


NODE_REASONS = (
    "month 2027-02: area a-1 has no settled slot of it; it has 2027-01",
    "month 2027-02: area a-1 has no settled slot of it; none is settled yet",
    "zone z-1: mid_market_rate/1 and p2p_call_auction/1 have settled slots of one month; documents are made of one contract's",
    "month 2027-01: price series spot says no price of the slot that starts at 2027-01-15T16:00+08:00, by which component night of p-1 is charged; register it",
    "this ledger began with the snapshot of height 9, and payments of that time are in blocks before; take a ledger that has them (gridledger node restore, from an archive)",
    "is of chain a, these pages are of b",
    "issue 3 is of another block 7 than the node's",
    "no area 'a-9' on this chain",
    "no party 'p-9' in area 'a-1'",
    "no party 'p-9'",
    "no tariff 'home' is registered",
)


@pytest.mark.parametrize("reason", NODE_REASONS)
def test_what_the_node_says_is_the_same_line_in_english_and_a_chinese_one_in_chinese(reason: str) -> None:
    with speaking("en"):
        assert said(reason) == reason
    with speaking("zh_CN"):
        chinese = said(reason)
    assert re.search("[\u4e00-\u9fff]", chinese)
    assert "settled" not in chinese


async def test_a_page_that_is_not_there_says_so_in_chinese_with_the_code_and_what_nobody_knows_as_it_is(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)

    def refused(detail: str) -> Callable[..., object]:
        def answer(**_asked: object) -> object:
            raise NodeRefused("GET: refused", 404, detail)

        return answer

    browser = world.browser(Role.UTILITY, language="zh_CN")
    world.node.answers["registry/party/p-9"] = refused("no party 'p-9' is registered")
    known = await (await browser.get("/registry/party/p-9")).get_data(as_text=True)
    world.node.answers["registry/party/p-9"] = refused("something new")
    unknown = await (await browser.get("/registry/party/p-9")).get_data(as_text=True)
    assert ["404 not-found: 未登记 party“p-9”" in known, "404 not-found: something new" in unknown] == [True, True]
