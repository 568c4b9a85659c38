"""How fresh pages say they are: one rule, said by every page, and nothing that was shown is dropped when its source goes away."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from gridcore.genesis import BLOCK_TIME, HEARTBEAT_S
from gridledger import serving
from gridledger.serving import probe
from gridweb import source as source_module
from gridweb.access import Role
from gridweb.freshness import GRACE_S, QUIET_S, SIMULATED, News, Pulse, freshness_of
from gridweb.health import Outage
from gridweb.source import SourceAway
from tests.conftest import REPOSITORY
from tests.unit.web.household_world import fill_day, household, household_world
from tests.unit.web.test_utility_pages import BLOCK, utility_world
from tests.unit.web.web_world import NOW_S, World, make_world
from tests.waiting import until

SLOT_S = 900
NEWS = News(7, NOW_S, NOW_S + 10)
DAY = "2024-06-21"
"""That of the household."""
BOUNDARY_S = NOW_S + 900
"""The next one after the ledger time of NEWS."""
DAY_S = 86_400


class Area(NamedTuple):
    """An area with so many meters that are read from then on."""

    meters: int
    first_slot_start_s: int


AREAS = (Area(7, NOW_S),)


@pytest.mark.parametrize(
    ("clock", "now_s", "pulse", "late_s"),
    [
        (BLOCK_TIME, NOW_S, Pulse.CURRENT, 0),
        (BLOCK_TIME, BOUNDARY_S + GRACE_S, Pulse.CURRENT, 0),
        (BLOCK_TIME, BOUNDARY_S + GRACE_S + 1, Pulse.LATE, 1),
        (SIMULATED, NOW_S + QUIET_S, Pulse.CURRENT, 0),
        (SIMULATED, NOW_S + QUIET_S + 30, Pulse.RESTING, 30),
        ("imported", NOW_S + 10**6, Pulse.RESTING, 0),
    ],
)
def test_what_is_expected_next_follows_from_the_clock_of_the_chain(
    clock: str, now_s: int, pulse: Pulse, late_s: int
) -> None:
    found = freshness_of(NEWS, clock, SLOT_S, now_s, [], AREAS)
    assert (found.pulse, found.late_s, found.as_of_s) == (pulse, late_s, NOW_S)
    assert found.overdue_s == (late_s if clock == BLOCK_TIME else 0)
    away = freshness_of(
        NEWS, clock, SLOT_S, now_s, [Outage("node", NOW_S - 3, "gone"), Outage("broker", 5, "gone")], AREAS
    )
    assert (away.pulse, away.since_s) == (Pulse.STANDING, NOW_S - 3)
    assert freshness_of(NEWS, clock, SLOT_S, now_s, [Outage("broker", 5, "gone")], AREAS).pulse is pulse


@pytest.mark.parametrize("slot_s", [300, 900, 1800, 3600])
@pytest.mark.parametrize("areas", [(), (Area(0, NOW_S - DAY_S),), (Area(7, NOW_S + 2 * DAY_S),)])
def test_a_chain_on_which_nobody_sends_yet_is_current_from_heartbeat_to_heartbeat(
    slot_s: int, areas: tuple[Area, ...]
) -> None:
    for beat_s in range(NOW_S, NOW_S + DAY_S, HEARTBEAT_S + 1):
        last_s = beat_s + HEARTBEAT_S + 3  # a moment before the next one is seen
        assert freshness_of(News(7, beat_s, beat_s), BLOCK_TIME, slot_s, last_s, [], areas).pulse is Pulse.CURRENT
        gone_s = beat_s + HEARTBEAT_S + GRACE_S + 1
        assert freshness_of(News(7, beat_s, beat_s), BLOCK_TIME, slot_s, gone_s, [], areas).pulse is Pulse.LATE


def test_readings_of_the_first_slot_s_start_are_waited_for() -> None:
    for areas in ((Area(0, NOW_S), Area(7, BOUNDARY_S)), None):
        found = freshness_of(NEWS, BLOCK_TIME, SLOT_S, BOUNDARY_S + GRACE_S + 1, [], areas)
        assert (found.pulse, found.expected_s) == (Pulse.LATE, BOUNDARY_S + GRACE_S)


def stream_of(page: str) -> str:
    """What the line under the bar calls itself."""
    found = re.search(r'<span class="stream-on">(.*?)<span class="stream-off">', page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


async def test_a_page_is_live_only_while_there_is_something_new(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    browser = world.browser(Role.UTILITY)
    for path in ("/overview", "/fragments/status"):
        assert stream_of(await browser.text(path)) == "✓ live"
    assert "✓</span> all 1 in time" in await browser.text("/overview/part/ledger")
    world.clock.advance_to(world.clock.now_s() + 40)  # the agent stands, and so does the clock of the simulation
    for path in ("/overview", "/fragments/status"):
        assert stream_of(await browser.text(path)) == "○ nothing new since 2027-01-15 16:00:00"
    assert "○</span> all 1 were in time at 2027-01-15 16:00" in await browser.text("/overview/part/ledger")
    world.node.clock = BLOCK_TIME
    world.clock.advance_to(world.clock.now_s() + 1_000)
    world.progress.newest = world.progress.height = world.node.height = 8
    await browser.text("/fragments/status")
    said = stream_of(await browser.text("/fragments/status"))
    assert said == "▲ nothing new since 2027-01-15 16:17:20, expected by 2027-01-15 16:16:00"


async def test_a_stalled_ledger_is_a_banner_a_metric_and_not_ready(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    browser = world.browser(Role.UTILITY)
    assert (await browser.get("/readyz")).status_code == 200
    assert "gridledger_web_is_current 1" in await browser.text("/metrics")
    world.node.stall = "disk"
    world.progress.newest = world.progress.height = world.node.height = 8
    world.node.answers["blocks/8"] = {**BLOCK, "height": 8}
    ready = await browser.get("/readyz")
    assert ready.status_code == 503
    answer = await ready.get_json()
    assert (answer["parts"]["blocks"]["ready"], answer["parts"]["node"]["ready"]) == (False, True)
    assert answer["news"]["pulse"] == "standing"
    page = await browser.text("/overview")
    assert "The ledger makes no blocks since 2027-01-15 16:00" in page
    assert stream_of(page).startswith("✕ stands still since")
    metrics = await browser.text("/metrics")
    assert ("gridledger_web_is_current 0" in metrics, "gridledger_web_parts_away 1" in metrics) == (True, True)
    world.node.stall = ""
    world.progress.newest = world.progress.height = world.node.height = 9
    assert (await browser.get("/readyz")).status_code == 200


AWAY = [("node", "/overview"), ("node", "/quality"), ("series", "/overview"), ("series", "/quality")]


@pytest.mark.parametrize(("part", "path"), AWAY)
async def test_a_page_that_loses_its_source_keeps_what_it_showed_and_says_since_when(
    part: str, path: str, tmp_path: Path
) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    browser = world.browser(Role.UTILITY)
    before = figures_of(await browser.text(path))
    lose(world, part)
    page = await browser.text(path)
    assert figures_of(page) == before
    assert "What stands here is as it was at 2027-01-15 16:00:00 Asia/Shanghai" in page
    assert "This needs" not in page


@pytest.mark.parametrize("part", ["node", "series"])
@pytest.mark.parametrize(
    "page", [f"?day={DAY}", f"/statement?day={DAY}", f"/month?month={DAY[:7]}", f"/year?year={DAY[:4]}"]
)
async def test_a_household_keeps_its_prices_and_panels_while_a_source_is_away(
    part: str, page: str, tmp_path: Path
) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    browser, path = household(world), f"/households/H001{page}"
    before = main_of(await browser.text(path))
    assert "What stands here is as it was" not in before
    lose(world, part)
    after = main_of(await browser.text(path))
    assert "What stands here is as it was at 2027-01-15 16:00:00" in after
    assert after.endswith(before)


def main_of(page: str) -> str:
    """The words of a page between bar and foot."""
    text = page.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def figures_of(page: str) -> list[str]:
    """Key figures and titles of a page; of the gateways it cannot be said that they are in time any more."""
    found = re.findall(r"<(?:dd|h1|h2|caption|th)[^>]*>.*?</(?:dd|h1|h2|caption|th)>", page, re.DOTALL)
    return [one for one in found if "in time" not in one]


def lose(world: World, part: str) -> None:
    """Take the node, or the store of time series, away; what is kept of the node is of an older height."""
    world.node.away = part == "node"
    world.series.away = part == "series"
    world.progress.newest += part == "node"
    world.clock.advance_to(world.clock.now_s() + 7)


async def test_a_node_that_hangs_is_away_for_all_who_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "LOOK_S", 0.01)
    world, never = make_world(tmp_path), asyncio.Event()

    async def hang(*_: object, **__: object) -> bytes:
        await never.wait()
        return b""

    monkeypatch.setattr(world.node, "fetch_bytes", hang)
    monkeypatch.setattr(world.node, "status", hang)
    waiting = asyncio.ensure_future(world.site.source.query("x"))
    await asyncio.sleep(0)
    await world.site.source.look()
    with pytest.raises(SourceAway, match="has not answered"):
        await waiting
    assert [outage.name for outage in world.site.source.outages()] == ["node"]


async def test_open_pages_are_told_that_nothing_new_comes_though_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "PROBE_EVERY_S", 0.01)
    world, stop = make_world(tmp_path), asyncio.Event()
    told: list[None] = []
    monkeypatch.setattr(world.site.feed, "publish_status", lambda: told.append(None))
    await world.site.source.status()
    probing = asyncio.create_task(probe(world.site.source, stop, world.site.feed))
    await until(lambda: len(told) == 1)
    world.clock.advance_to(world.clock.now_s() + 3 * QUIET_S)
    await until(lambda: len(told) == 2)
    stop.set()
    await probing


async def test_the_alert_rules_name_metrics_of_the_pages_that_there_are(tmp_path: Path) -> None:
    rules = (REPOSITORY / "deploy" / "gridledger-alerts.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"gridledger_web_\w+", rules))
    metrics = await make_world(tmp_path).browser().text("/metrics")
    assert named
    assert sorted(name for name in named if f"\n{name} " not in metrics) == []
