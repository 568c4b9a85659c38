"""Following a ledger: what was written after a height, and waiting for the next block."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gridcore.observations import Observation, Observations, encode_observations
from ledger.client import NodeRefused, NodeUnreachable
from ledger.http import dispatcher
from ledger.http.queries import blocks
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.nodes import RunningNode, running_node, submit_all, wait_for_waiters
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import one_settled_slot


async def follow(node: RunningNode, after_height: int, wait_s: int = 0) -> Any:
    """What was written after a height."""
    return await node.client("util").query("changes", after_height=after_height, wait_s=wait_s)


async def settled(node: RunningNode) -> Sender:
    """Let the node trade and settle one slot, in six blocks."""
    sender = node.sender()
    await submit_all(node.client(), one_settled_slot(sender))
    assert node.ledger.height == 6
    return sender


async def test_a_settled_slot_is_told_of_write_by_write(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        genesis = (await node.client().status()).header_digest.hex()
        start = {"digest": genesis, "after_digest": genesis}
        assert await follow(node, 0) == {"height": 0, **start, "newest": 0, "changes": []}
        await settled(node)
        answer = await follow(node, 0)
        assert (answer["height"], answer["newest"]) == (6, 6)
        later_s = FIRST_S + SLOT_S
        expected = [
            {"kind": "clearing", "area": "a-1", "at_s": FIRST_S, "height": 2},
            {"kind": "registers", "area": "a-1", "at_s": FIRST_S, "height": 3},
            {"kind": "batch", "gateway": "gw-1", "at_s": FIRST_S, "observations": False, "height": 3},
            {"kind": "registers", "area": "a-1", "at_s": later_s, "height": 5},
            {"kind": "exception", "gateway": "gw-1", "epoch": 1, "counter": 2, "at_s": later_s, "height": 5},
            {"kind": "batch", "gateway": "gw-1", "at_s": later_s, "observations": False, "height": 5},
            *({"kind": "run", "area": area, "at_s": FIRST_S, "run": "initial", "height": 6} for area in ("a-1", "a-2")),
        ]
        assert sorted(answer["changes"], key=str) == sorted(expected, key=str)
        heights = [change["height"] for change in answer["changes"]]
        assert heights == sorted(heights)
        newest = (await node.client("util").query("blocks/6"))["digest"]
        assert (answer["digest"], answer["after_digest"]) == (newest, genesis)
        assert await follow(node, 6) == {
            "height": 6,
            "digest": newest,
            "after_digest": newest,
            "newest": 6,
            "changes": [],
        }


async def test_pages_are_cut_between_heights_and_miss_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        everything = (await follow(node, 0))["changes"]
        for most in (1, 2, 3, 4, 7):
            monkeypatch.setattr(blocks, "CHANGES_MAX", most)
            found: list[Any] = []
            height, digest = 0, (await follow(node, 0))["after_digest"]
            while height < 6:
                answer = await follow(node, height)
                assert answer["newest"] == 6
                assert height < answer["height"] <= 6
                assert answer["after_digest"] == digest
                digest = answer["digest"]
                assert all(height < change["height"] <= answer["height"] for change in answer["changes"])
                found += answer["changes"]
                height = answer["height"]
            assert sorted(found, key=str) == sorted(everything, key=str)


async def test_registers_that_are_written_again_stand_once_at_their_last_write(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        sender = node.sender()
        one, two = (sender.batch("gw-1", FIRST_S, [(number, 5, 5)]) for number in (1, 2))
        await submit_all(node.client(), [[sender.clock(FIRST_S)], [one], [two]])
        told = (await follow(node, 1))["changes"]
        registers = {"kind": "registers", "area": "a-1", "at_s": FIRST_S, "height": 3}
        assert [change for change in told if change["kind"] == "registers"] == [registers]
        assert [change["height"] for change in told if change["kind"] == "batch"] == [3]
        assert registers in (await follow(node, 2))["changes"]


async def test_a_boundary_with_observations_in_one_of_its_batches_is_told_of_once_and_has_some(tmp_path: Path) -> None:
    data = encode_observations(Observations((Observation(1, "32.7.0", 229_400, 40),)))
    async with running_node(tmp_path / "ledger") as node:
        sender = node.sender()
        seen = sender.batch("gw-1", FIRST_S, [(1, 5, 5)], observations=data)
        late = sender.batch("gw-1", FIRST_S, [(2, 5, 5)])
        await submit_all(node.client(), [[sender.clock(FIRST_S)], [seen], [late]])
        for after_height, is_observed in ((0, True), (1, True), (2, False)):
            told = [change for change in (await follow(node, after_height))["changes"] if change["kind"] == "batch"]
            assert told == [
                {"kind": "batch", "gateway": "gw-1", "at_s": FIRST_S, "observations": is_observed, "height": 3}
            ]


async def test_a_follower_of_another_ledger_is_told_so(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        for height in (1, -1):
            with pytest.raises(NodeRefused, match="this ledger has heights 0 to 0; start again") as raised:
                await asyncio.wait_for(follow(node, height, wait_s=20), 10)
            assert raised.value.status == 400
        with pytest.raises(NodeRefused, match="after_height is a whole number"):
            await node.client("util").query("changes")


async def test_who_waits_is_answered_with_the_next_block(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        waiting = [asyncio.create_task(follow(node, 0, wait_s=20)) for _ in range(3)]
        await wait_for_waiters(node.url, 3)
        assert not any(task.done() for task in waiting)
        sender = node.sender()
        await submit_all(node.client(), [[sender.clock(FIRST_S)]])
        for answer in await asyncio.wait_for(asyncio.gather(*waiting), 10):
            assert answer["height"] == 1
            assert answer["changes"] == [], "a gate without orders is not told of"


async def test_who_may_not_follow_is_refused_before_it_waits(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        with pytest.raises(NodeRefused, match="p-1: this is for"):
            await asyncio.wait_for(node.client("p-1").query("changes", after_height=0, wait_s=20), 10)


async def test_more_waiters_than_there_is_room_for_are_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "WAITERS_MAX", {"the clock": 1, "a block": 1})
    async with running_node(tmp_path / "ledger") as node:
        following = asyncio.create_task(follow(node, 0, wait_s=20))
        await wait_for_waiters(node.url, 1)
        with pytest.raises(NodeUnreachable, match="1 requests wait for a block"):
            await follow(node, 0)
        waiting = asyncio.create_task(node.client().wait_clock(FIRST_S, 20))
        await wait_for_waiters(node.url, 2)
        assert not waiting.done(), "a follower keeps nobody out who waits for the clock"
        with pytest.raises(NodeUnreachable, match="1 requests wait for the clock"):
            await node.client().wait_clock(FIRST_S, 5)
        await submit_all(node.client(), [[wire] for wire in node.sender().clocks(FIRST_S + 1)])
        assert (await following)["height"] == 1
        assert await waiting == FIRST_S + 1
        assert (await follow(node, 1))["changes"] == []


async def test_whoever_fills_the_room_for_the_clock_keeps_no_follower_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "WAITERS_MAX", {"the clock": 0, "a block": 1})
    async with running_node(tmp_path / "ledger") as node:
        with pytest.raises(NodeUnreachable, match="0 requests wait for the clock"):
            await node.client().wait_clock(FIRST_S, 5)
        assert (await follow(node, 0))["changes"] == []


async def test_going_down_does_not_wait_for_followers(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        waiting = asyncio.create_task(follow(node, 0, wait_s=20))
        await wait_for_waiters(node.url, 1)
        node.stop.set()
        with pytest.raises(NodeUnreachable):
            await asyncio.wait_for(waiting, 10)
