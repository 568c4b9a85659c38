"""The feed of events: what open pages are told, and what they get that come back after a break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from gridcore.serving.problems import Problem
from gridweb.access import Role
from gridweb.feed import BACKLOG_MAX, LISTENERS_MAX, LISTENERS_OF_ONE_MAX, Feed
from tests.unit.web.web_world import make_world
from tests.waiting import until

PATIENCE_S = 30.0


async def take(stream: AsyncIterator[bytes], count: int) -> list[str]:
    """The next pieces of a stream."""
    async with asyncio.timeout(PATIENCE_S):
        return [(await anext(stream)).decode() for _ in range(count)]


def feed_of(stop: asyncio.Event | None = None, **options: float) -> Feed:
    """A feed with silent heartbeats."""
    return Feed(stop or asyncio.Event(), heartbeat_s=options.get("heartbeat_s", 3600.0), first_id=10)


async def test_events_reach_everybody_in_order_with_their_ids() -> None:
    feed = feed_of()
    first, second = feed.open(None), feed.open(None)
    for stream in (first, second):
        assert await take(stream, 1) == ["retry: 2000\n\n"]
    waiting = asyncio.create_task(take(first, 2))
    await asyncio.sleep(0)
    feed.publish_slots([("a-1", 900), ("a-2", 900)])
    told = ['id: 10\nevent: slot\ndata: {"area":"a-1","slot_start_s":900}\n\n']
    told += ['id: 11\nevent: slot\ndata: {"area":"a-2","slot_start_s":900}\n\n']
    assert await waiting == told
    assert await take(second, 2) == told


async def test_a_stream_goes_on_behind_the_last_event_that_was_seen() -> None:
    feed = feed_of()
    for slot_start_s in range(5):
        feed.publish("slot", {"slot_start_s": slot_start_s})
    _, third, fourth = await take(feed.open(12), 3)
    assert third.startswith("id: 13\n")
    assert fourth.startswith("id: 14\n")


@pytest.mark.parametrize("last_id", [3, 99_999])
async def test_who_missed_more_than_is_kept_or_comes_from_an_earlier_process_starts_anew(last_id: int) -> None:
    feed = feed_of()
    for number in range(BACKLOG_MAX + 10):
        feed.publish("slot", {"slot_start_s": number})
    newest = 10 + BACKLOG_MAX + 10 - 1
    assert (await take(feed.open(last_id), 2))[1] == f"id: {newest}\nevent: reset\ndata: {{}}\n\n"


async def test_a_silent_stream_shows_that_it_lives() -> None:
    stream = feed_of(heartbeat_s=0.001).open(None)
    assert (await take(stream, 3))[1:] == ["event: beat\ndata: {}\n\n"] * 2


async def test_streams_end_when_the_process_stops_and_are_counted() -> None:
    stop = asyncio.Event()
    feed = feed_of(stop)
    streams = [feed.open(None) for _ in range(3)]
    for stream in streams:
        await take(stream, 1)
    assert feed.listeners == 3
    rests = [asyncio.create_task(take(stream, 1)) for stream in streams]
    await asyncio.sleep(0)
    stop.set()
    for outcome in await asyncio.gather(*rests, return_exceptions=True):
        assert isinstance(outcome, StopAsyncIteration | RuntimeError)
    assert feed.listeners == 0


async def test_a_reader_that_leaves_is_not_counted_any_more() -> None:
    feed = feed_of()
    stream = feed.open(None)
    await take(stream, 1)
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert feed.listeners == 0


async def test_more_listeners_than_the_bound_are_asked_to_come_back() -> None:
    feed = feed_of()
    streams = [feed.open(None, f"user-{number}") for number in range(LISTENERS_MAX)]
    for stream in streams:
        await take(stream, 1)
    with pytest.raises(Problem, match=f"{LISTENERS_MAX} event streams are open already"):
        feed.open(None, "another")


async def test_one_user_does_not_take_the_streams_of_the_others() -> None:
    feed = feed_of()
    streams = [feed.open(None, "anna") for _ in range(LISTENERS_OF_ONE_MAX)]
    for stream in streams:
        await take(stream, 1)
    with pytest.raises(Problem, match="of yours"):
        feed.open(None, "anna")
    await take(feed.open(None, "berta"), 1)
    await streams[0].aclose()  # type: ignore[attr-defined]  # it is a generator
    await take(feed.open(None, "anna"), 1)


async def take_all(feed: Feed, who: str) -> list[AsyncIterator[bytes]]:
    """As many streams as one user gets."""
    streams: list[AsyncIterator[bytes]] = []
    with suppress(Problem):
        while True:
            streams.append(feed.open(None, who))
            await take(streams[-1], 1)
    return streams


async def test_users_who_take_all_they_can_leave_streams_to_those_who_come_later() -> None:
    feed = feed_of()
    streams = [stream for number in range(10) for stream in await take_all(feed, f"user-{number}")]
    assert len(streams) == feed.listeners > LISTENERS_MAX // 2
    assert await take(feed.open(None, "another"), 1) == ["retry: 2000\n\n"]


async def test_streams_asked_for_all_at_once_are_no_more_than_one_by_one() -> None:
    feed = feed_of()
    streams = [feed.open(None, "anna") for _ in range(2 * LISTENERS_OF_ONE_MAX)]  # none of them has begun
    first = [(await take(stream, 1))[0] for stream in streams]
    assert first == ["retry: 2000\n\n"] * LISTENERS_OF_ONE_MAX + ["retry: 30000\n\n"] * LISTENERS_OF_ONE_MAX
    assert feed.listeners == LISTENERS_OF_ONE_MAX


async def test_a_stream_ends_with_the_session_that_it_rests_on() -> None:
    feed, standing = feed_of(), {"anna", "berta"}
    streams = [feed.open(None, who, stands=partial(standing.__contains__, who)) for who in ("anna", "berta")]
    for stream in streams:
        await take(stream, 1)
    waiting = [asyncio.create_task(take(stream, 1)) for stream in streams]
    await asyncio.sleep(0)
    standing.remove("anna")
    feed.look_again()
    with pytest.raises((StopAsyncIteration, RuntimeError)):
        await waiting[0]
    feed.publish_status()
    assert await waiting[1] == ["id: 10\nevent: status\ndata: {}\n\n"]
    assert feed.listeners == 1


async def test_a_session_that_ends_by_itself_or_beside_the_pages_ends_its_stream_with_the_next_heartbeat() -> None:
    stands = [True]
    stream = feed_of(heartbeat_s=0.001).open(None, stands=lambda: stands[0])
    await take(stream, 2)
    stands.clear()
    stands.append(False)
    with pytest.raises((StopAsyncIteration, RuntimeError)):
        await take(stream, 2)


async def test_signing_out_ends_the_streams_of_this_browser_and_no_others(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    leaving, staying = world.browser(Role.UTILITY), world.browser(Role.UTILITY)
    async with leaving.client.request("/events") as stream, staying.client.request("/events") as other:
        for connection in (stream, other):
            await connection.send_complete()
            assert await connection.receive() == b"retry: 2000\n\n"
        assert world.site.feed.listeners == 2
        assert (await leaving.post("/sign-out")).status_code == 303
        await until(lambda: world.site.feed.listeners == 1)
        world.site.feed.publish_status()
        assert (await other.receive()).startswith(b"id: ")
        await other.disconnect()


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_browser_resumes_over_http(tmp_path: Path, by: str) -> None:
    world = make_world(tmp_path)
    for slot_start_s in (0, 900, 1800):
        world.site.feed.publish("slot", {"area": "a-1", "slot_start_s": slot_start_s})
    world.site.stop.set()
    options = {"headers": {"Last-Event-ID": "1"}} if by == "header" else {"query_string": {"after": "1"}}
    response = await world.browser(Role.UTILITY).get("/events", **options)
    text = await response.get_data(as_text=True)
    assert response.content_type == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert [line for line in text.splitlines() if line.startswith("id:")] == ["id: 2", "id: 3"]


@pytest.mark.parametrize("last", ["-1", "x", "9" * 400, "²"])
async def test_an_id_that_is_none_is_a_new_listener(tmp_path: Path, last: str) -> None:
    world = make_world(tmp_path)
    world.site.feed.publish("slot", {"area": "a-1", "slot_start_s": 0})
    world.site.stop.set()
    response = await world.browser(Role.UTILITY).get("/events", query_string={"after": last})
    assert "id:" not in await response.get_data(as_text=True)


async def test_what_happens_while_a_page_is_on_its_way_is_told_when_it_listens(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.site.feed.publish_status()
    utility = world.browser(Role.UTILITY)
    page = await (await utility.get("/condition")).get_data(as_text=True)
    heard = page.split('data-heard="', 1)[1].split('"', 1)[0]
    world.site.health.report("node", "it has gone away")
    world.site.feed.publish_status()
    world.site.stop.set()
    text = await (await utility.get("/events", query_string={"after": heard})).get_data(as_text=True)
    assert [line for line in text.splitlines() if line.startswith("event:")] == ["event: status"]
    assert int(heard) == world.site.feed.newest_id - 1
