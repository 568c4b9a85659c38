"""Where pages get their data: asked once for many, anew at a new height, and honest about what is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridseries.series import SLOTS, Row
from gridweb import answer_cache
from gridweb import source as source_module
from gridweb.access import Role
from gridweb.source import Source, SourceAway, SourceBusy, SourceMissing, part_of
from ledger.client import NodeBusy, NodeRefused
from tests.unit.web.web_world import DAY_S, FIRST_S, NOW_S, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A site whose node answers one question."""
    world = make_world(tmp_path)
    world.node.answers["x"] = {"n": 1}
    return world


def asked(world: World, path: str) -> int:
    """How often the node was asked for a path."""
    return sum(one == path for one, _ in world.node.asked)


async def test_many_readers_ask_the_node_once(world: World) -> None:
    source = world.site.source
    answers = await asyncio.gather(*(source.cached("x", party="p") for _ in range(20)))
    assert answers == [{"n": 1}] * 20
    assert asked(world, "x") == 1
    await source.cached("x", party="q")
    assert asked(world, "x") == 2


async def test_an_answer_is_asked_for_anew_at_a_new_height_and_after_its_age(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = world.site.source
    await source.cached("x")
    world.progress.newest += 1
    world.node.answers["x"] = {"n": 2}
    assert await source.cached("x") == {"n": 2}
    monkeypatch.setattr(answer_cache, "CACHE_AGE_S_MAX", -1.0)
    await source.cached("x")
    assert asked(world, "x") == 3


async def test_while_a_node_is_away_one_question_waits_for_it_and_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "RETRY_AFTER_S", 0.0)
    source, answer = world.site.source, asyncio.Event()
    world.node.away = True
    assert (await part_of(source.query("x"))).away is not None

    async def hang(path: str, **params: str | int) -> bytes:
        await answer.wait()
        return b"3"

    monkeypatch.setattr(world.node, "fetch_bytes", hang)
    probe = asyncio.ensure_future(source.query("x"))
    await asyncio.sleep(0)
    for _ in range(5):
        assert (await part_of(source.query("x"))).away is not None
    answer.set()
    assert await probe == 3
    assert await source.query("x") == 3


async def test_a_reader_that_gives_up_does_not_take_the_answer_from_the_others(world: World) -> None:
    source = world.site.source
    first, second = (asyncio.ensure_future(source.cached("x")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {"n": 1}
    assert asked(world, "x") == 1


async def test_failures_are_not_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "RETRY_AFTER_S", 0.0)
    source = world.site.source
    world.node.away = True
    with pytest.raises(SourceAway):
        await source.cached("x")
    world.node.away = False
    assert await source.cached("x") == {"n": 1}
    with pytest.raises(SourceMissing, match="no y"):
        await source.cached("y")
    world.node.answers["y"] = b"no json"
    with pytest.raises(SourceBusy, match="no JSON"):
        await source.cached("y")


async def test_the_cache_is_bounded_by_the_size_of_answers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "CACHE_BYTES_MAX", 10_000)
    world.node.answers["x"] = {"text": "y" * 300}
    for number in range(10):
        await world.site.source.cached("x", n=number)
    await world.site.source.cached("x", n=9)
    assert asked(world, "x") == 10
    await world.site.source.cached("x", n=0)  # gave way
    assert asked(world, "x") == 11


async def test_an_away_node_is_left_alone_for_a_moment_and_reported_once(world: World) -> None:
    source = world.site.source
    world.node.away = True
    outages = []
    for _ in range(3):
        with pytest.raises(SourceAway) as away:
            await source.query("x")
        outages.append(away.value.outage)
    assert outages[0] == outages[2]
    assert (outages[0].name, outages[0].since_s) == ("node", world.clock.now_s())
    assert source.outages() == [outages[0]]
    world.node.away = False
    assert (await part_of(source.query("x"))).away is not None  # within RETRY_AFTER_S nobody asks


async def test_the_node_s_return_is_noticed_by_the_next_question(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "RETRY_AFTER_S", 0.0)
    changes: list[None] = []
    world.site.health.on_change = lambda: changes.append(None)
    world.node.away = True
    assert (await part_of(world.site.source.query("x"))).away is not None
    world.node.away = False
    assert (await part_of(world.site.source.query("x"))).value == {"n": 1}
    assert world.site.source.outages() == []
    assert len(changes) == 2


async def test_a_store_that_refuses_writes_is_away_until_they_succeed_however_well_it_is_read(world: World) -> None:
    source, health = world.site.source, world.site.health
    health.report("series", "disk full")
    await source.curves(SLOTS, 0, 900)
    assert [outage.reason for outage in health.outages()] == ["disk full"]
    health.report("series", None)
    world.series.away = True
    for _ in range(2):
        with pytest.raises(SourceAway):
            await source.curves(SLOTS, 900, 1_800)
        assert await source.curves(SLOTS, 0, 900) == []  # as it was read before
    world.series.away = False
    await source.curves(SLOTS, 0, 900)
    assert health.outages() == []


async def test_what_one_reports_another_does_not_take_back_and_a_part_comes_back_once(world: World) -> None:
    source, health = world.site.source, world.site.health
    changes: list[None] = []
    health.on_change = lambda: changes.append(None)
    health.report("node", "no answer within 30 s")
    for _ in range(3):
        assert await source.query("x") == {"n": 1}
        assert [outage.reason for outage in source.outages()] == ["no answer within 30 s"]
    assert len(changes) == 1, "nothing flaps"
    health.report("node", None)
    assert source.outages() == []
    assert len(changes) == 2
    world.node.away = True
    assert (await part_of(source.query("x"))).away is not None
    health.report("node", None)
    assert source.outages() == [], "the projection's word goes for all"
    assert len(changes) == 4


async def test_a_node_that_cannot_be_followed_answers_pages_and_the_banner_says_what_stands_still(world: World) -> None:
    health = world.site.health
    health.report("node", None)
    health.report("projection", "the node's block 7 is another one")
    for role, party in ((Role.HOUSEHOLD, "H001"), (Role.UTILITY, None)):
        banner = await world.browser(role, party).text("/fragments/status")
        assert "The curves do not follow the ledger since" in banner
        assert "away" not in banner
    rows = (await (await world.browser(Role.UTILITY).get("/api/v1/condition")).get_json())["rows"]
    assert [row[:2] for row in rows] == [
        ["node", "answers"],
        ["blocks", "goes_on"],
        ["projection", "stands_still"],
        ["news", "standing"],
    ]
    ready = await world.browser().get("/readyz")
    assert ready.status_code == 503
    parts = (await ready.get_json())["parts"]
    assert (parts["node"]["ready"], parts["projection"]["ready"]) == (True, False)
    assert [outage.name for outage in health.outages()] == ["projection"]


async def test_what_was_known_of_chain_and_areas_stands_while_the_node_is_away(world: World) -> None:
    source = world.site.source
    before, areas = await source.as_of(), await source.areas()
    world.node.away = True
    world.progress.newest += 3
    after = await source.as_of()
    assert (after.chain, after.height, after.newest) == (before.chain, 7, 10)
    assert await source.areas() == areas
    assert (await source.area("a-1")).tz == "Asia/Shanghai"
    with pytest.raises(SourceMissing, match="no area 'a-9'"):
        await source.area("a-9")


async def test_a_busy_node_costs_a_page_only_the_part_that_it_does_not_answer(world: World) -> None:
    source = world.site.source

    async def busy(*_: object, **__: object) -> bytes:
        raise NodeBusy("http://127.0.0.1:1: …", "256 questions wait already; ask again later")

    world.node.fetch_bytes = busy  # type: ignore[method-assign]
    never = await part_of(source.areas())
    assert never.value is None
    assert never.away is not None
    assert (never.away.name, never.away.since_s) == ("node", NOW_S)
    assert "256 questions" in never.away.reason
    assert source.outages() == [], "it answers: nothing is away"
    del world.node.fetch_bytes
    areas = await source.areas()
    world.node.fetch_bytes = busy  # type: ignore[method-assign]
    world.node.status = busy  # type: ignore[method-assign,assignment]
    world.progress.newest += 1
    assert await source.areas() == areas
    assert (await source.as_of()).chain == "test-0123"


async def test_with_a_busy_node_every_page_is_a_page(world: World) -> None:
    async def busy(*_: object, **__: object) -> bytes:
        raise NodeBusy("http://127.0.0.1:1: …", "256 questions wait already; ask again later")

    world.node.fetch_bytes = busy  # type: ignore[method-assign]
    world.node.status = busy  # type: ignore[method-assign,assignment]
    assert "GridLedger" in await world.browser().text("/sign-in")
    utility = world.browser(Role.UTILITY)
    assert "which is away since" in await utility.text("/blocks/1"), "a part that says so"
    response = await utility.get("/households/H001")
    assert response.status_code == 503, "nothing is known of any household yet"
    assert "Not now" in await response.get_data(as_text=True)


@pytest.mark.parametrize(("status", "says"), [(401, "no signature of web"), (403, "is for"), (200, "not like a node")])
async def test_a_node_that_does_not_take_the_pages_key_or_is_none_leaves_pages_in_words(
    world: World, status: int, says: str
) -> None:
    async def refuse(*_: object, **__: object) -> bytes:
        raise NodeRefused(f"http://127.0.0.1:1: GET /api/v1/areas: {says}", status, says)

    world.node.fetch_bytes = refuse  # type: ignore[method-assign]
    for path in ("/sign-in", "/nothing-here"):
        response = await world.browser().get(path)
        assert "<h1" in await response.get_data(as_text=True), path
        assert response.status_code in (200, 303, 404), path
    response = await world.browser(Role.UTILITY).get("/households/H001")
    assert response.status_code == 503
    assert says in await response.get_data(as_text=True)


async def test_before_the_first_answer_an_away_node_is_an_outage(world: World) -> None:
    world.node.away = True
    for question in (world.site.source.as_of, world.site.source.areas):
        with pytest.raises(SourceAway):
            await question()


async def test_an_away_store_is_an_outage_of_its_own(world: World) -> None:
    source = world.site.source
    row = Row(("a-1",), FIRST_S, (1,) * len(SLOTS.fields))
    await world.series.write(SLOTS, [row])
    assert await source.curves(SLOTS, FIRST_S, FIRST_S + 1, area="a-1") == [row]
    world.series.away = True
    with pytest.raises(SourceAway) as away:
        await source.curves(SLOTS, FIRST_S, FIRST_S + 1)
    assert away.value.dependency == "series"
    world.series.away = False
    assert await source.curves(SLOTS, FIRST_S, FIRST_S + 1) == [row]
    assert source.outages() == []


async def test_an_area_knows_its_days_and_slots(world: World) -> None:
    area = await world.site.source.area("a-1")
    assert area.day_around(FIRST_S + 5) == (FIRST_S, FIRST_S + DAY_S)
    assert list(area.slots_of(FIRST_S)) == list(range(FIRST_S, FIRST_S + DAY_S, 900))
    assert len(area.slots_of(FIRST_S - DAY_S)) == 0  # before the area's first slot
    for instant_s in (FIRST_S - DAY_S - 1, FIRST_S + 2 * DAY_S):
        with pytest.raises(SourceMissing, match="has no day around"):
            area.day_around(instant_s)


def test_a_source_is_for_one_loop(world: World) -> None:
    assert isinstance(world.site.source, Source)
