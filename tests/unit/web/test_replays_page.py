"""Runs made again beside the pages: who may ask for one, what is said of it while it works and of what came out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore.errors import GridError
from gridweb.access import Role
from gridweb.jobs import KEPT_OF_ONE_MAX, KEPT_S
from gridweb.replays import Made, Progress, Replays, RunWanted
from tests.unit.web.household_world import START_S, household, household_world
from tests.unit.web.web_world import Browser, World

FORM = {"area": "A1", "slot": str(START_S), "run": "correction-1"}
MADE = Made(
    zone="z-1",
    run="correction-1",
    run_id="aa" * 32,
    height=9,
    as_of_height=8,
    state_root="bb" * 32,
    contract="p2p_call_auction/1",
    contract_pin="cc" * 32,
    points=2,
    rows_root="dd" * 32,
    received_nano={"grid": 1_000_000_000},
    compared=3,
    differing=(),
    differing_total=0,
)


class Work:
    """What makes runs again: it waits until a test lets it go, and then gives ``made`` or raises."""

    def __init__(self) -> None:
        self.asked: list[RunWanted] = []
        self.may_end = asyncio.Event()
        self.made: Made | GridError = MADE

    async def __call__(self, wanted: RunWanted, show: Callable[[Progress], None]) -> Made:
        self.asked.append(wanted)
        show(Progress("rerun", 4, 9))
        await self.may_end.wait()
        if isinstance(self.made, GridError):
            raise self.made
        return self.made


def replay_world(folder: Path, work: Work) -> World:
    """A site whose slot has two runs, which ``work`` makes again."""
    world = household_world(folder)
    world.app.extensions["gridweb"] = replace(world.site, replays=Replays(world.clock, work))
    runs: list[dict[str, Any]] = [{"run": "initial", "height": 4}, {"run": "correction-1", "height": 9}]
    world.node.answers |= {
        f"areas/A1/slots/{START_S}/runs": {"runs": runs, "next_run": None},
        f"areas/A1/slots/{START_S}/run": {"result": {"rows_root": MADE.rows_root}},
        "blocks/8": {"state_root": MADE.state_root},
    }
    return world


async def shown(browser: Browser, state: str) -> str:
    """The list, once it has this word in it."""
    for _ in range(1_000):
        page = await browser.text("/replays/list")
        if state in page:
            return page
        await asyncio.sleep(0)
    raise AssertionError(page)


async def test_a_run_is_made_again_beside_the_pages_and_what_came_out_is_compared_with_the_node(tmp_path: Path) -> None:
    work = Work()
    browser = replay_world(tmp_path, work).browser(Role.REGULATOR)
    assert "correction-1" in await browser.text(f"/replays?area=A1&slot={START_S}&run=correction-1")
    assert (await browser.post("/replays", FORM)).status_code == 303
    page = await shown(browser, "block 4 of 9")
    assert 'hx-get="/replays/list"' in page
    work.may_end.set()
    page = await shown(browser, "3 of 3 leaves")
    assert work.asked == [RunWanted("A1", START_S, "correction-1", 9)]
    assert "NOT THE SAME" not in page
    assert 'hx-get="/replays/list"' not in page
    assert "1.000000" in page


@pytest.mark.parametrize(
    "changes",
    [{"rows_root": "ee" * 32}, {"state_root": "ee" * 32}, {"differing": ("run/x",), "differing_total": 1}],
    ids=["rows", "state", "leaves"],
)
async def test_what_is_not_the_same_is_said_loudly(tmp_path: Path, changes: dict[str, Any]) -> None:
    work = Work()
    work.made = replace(MADE, **changes)
    work.may_end.set()
    browser = replay_world(tmp_path, work).browser(Role.REGULATOR)
    await browser.post("/replays", FORM)
    assert "NOT THE SAME" in await shown(browser, "leaves")


async def test_a_run_that_cannot_be_made_again_says_why_in_one_line(tmp_path: Path) -> None:
    work = Work()
    work.made = GridError("archive: ends with block 3")
    work.may_end.set()
    browser = replay_world(tmp_path, work).browser(Role.REGULATOR)
    await browser.post("/replays", FORM)
    assert "archive: ends with block 3" in await shown(browser, "failed")


async def test_one_works_at_a_time_is_seen_by_its_owner_alone_and_can_be_stopped(tmp_path: Path) -> None:
    work = Work()
    world = replay_world(tmp_path, work)
    browser, other = world.browser(Role.REGULATOR), world.browser(Role.UTILITY)
    await browser.post("/replays", FORM)
    page = await shown(browser, "block 4 of 9")
    assert (await other.post("/replays", FORM)).status_code == 503
    assert "block 4 of 9" not in await other.text("/replays/list")
    (stop,) = re.findall(r'action="(/replays/\w+/stop)"', page)
    assert (await other.post(stop)).status_code == 404
    assert (await browser.post(stop)).status_code == 303
    assert "block 4 of 9" not in await browser.text("/replays/list")
    await asyncio.sleep(0)
    assert (await other.post("/replays", FORM)).status_code == 303


async def test_a_person_keeps_the_newest_ones_for_a_day(tmp_path: Path) -> None:
    work = Work()
    work.may_end.set()
    world = replay_world(tmp_path, work)
    browser = world.browser(Role.REGULATOR)
    for _ in range(KEPT_OF_ONE_MAX + 1):
        assert (await browser.post("/replays", FORM)).status_code == 303
        await shown(browser, "leaves")
        await asyncio.sleep(0)
    assert (await browser.text("/replays/list")).count("/stop") == KEPT_OF_ONE_MAX
    world.clock.advance_to(world.clock.now_s() + KEPT_S + 1)
    a_day_later = world.browser(Role.REGULATOR)
    assert (await a_day_later.text("/replays/list")).count("/stop") == 0


async def test_a_site_without_a_copy_says_so_and_gives_the_command(tmp_path: Path) -> None:
    world = replay_world(tmp_path, Work())
    world.app.extensions["gridweb"] = replace(world.site, replays=None)
    browser = world.browser(Role.REGULATOR)
    page = await browser.text(f"/replays?area=A1&slot={START_S}")
    assert "has no copy" in page
    assert "gridledger settle replay" in page
    assert (await browser.post("/replays", FORM)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"run": "final"}, 404),
        ({"slot": "1"}, 404),
        ({"slot": "x"}, 400),
        ({"slot": "9" * 40}, 404),
        ({"area": "A9"}, 404),
    ],
)
async def test_a_run_that_there_is_not_is_not_begun(tmp_path: Path, changes: dict[str, str], status: int) -> None:
    work = Work()
    browser = replay_world(tmp_path, work).browser(Role.REGULATOR)
    assert (await browser.post("/replays", FORM | changes)).status_code == status
    assert work.asked == []


async def test_a_household_makes_nothing_again(tmp_path: Path) -> None:
    world = replay_world(tmp_path, Work())
    assert (await household(world).get("/replays")).status_code == 403
    assert (await household(world).post("/replays", FORM)).status_code == 403
