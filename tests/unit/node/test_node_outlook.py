"""A node says when nothing goes on, and a month before something runs out: ready, status, metrics, ``node status``."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gridcore.master_data import Named
from gridcore.registry.calendar import Calendar
from gridcore.registry.rules import RULES, Rules
from gridledger.cli import main
from ledger.client import Shortage
from ledger.engines import embedded
from ledger.engines.base import STALLS
from ledger.outlook import shortages
from ledger.store.files import Files
from ledger.store.room import RESERVE_BYTES
from tests.waiting import until
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import DAY_S, FIRST_S, PRICES, START_S, TERMS
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.feeders import ON_BLOCK_TIME
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.nodes import running_node
from tests.worlds.two_areas import TWO_AREAS

LONG = replace(TWO_AREAS, calendar=Calendar(days=[0, START_S + 40 * DAY_S], months=[0], tz="UTC", tz_version="1"))
GIB = 1 << 30


async def asked(url: str, path: str) -> tuple[int, Mapping[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(url + path)
        return answer.status_code, answer.json()


async def gauges(url: str) -> dict[str, int]:
    async with httpx.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"{url}/metrics")).text.splitlines()
    pairs = (line.removeprefix("gridledger_node_").split(" ") for line in lines if "{" not in line and line[0] != "#")
    return {name: int(value) for name, value in pairs}


async def test_a_node_whose_disk_has_only_the_reserve_says_so_and_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path, LONG) as node:
        assert (await asked(node.url, "/readyz"))[0] == 200
        monkeypatch.setattr(Files, "free_bytes", lambda *_: RESERVE_BYTES - 1)
        sender = node.sender()
        (answer,) = await node.client().submit([sender.clock(START_S + 10)])
        assert answer.name == "NODE_BUSY"
        status, problem = await asked(node.url, "/readyz")
        assert (status, problem["detail"]) == (503, STALLS["disk"])
        assert (await node.client().status()).stall == "disk"
        assert (await gauges(node.url))["stalled"] == 1
        assert await asyncio.to_thread(main, ["node", "status", "--url", node.url]) == 1
        monkeypatch.setattr(Files, "free_bytes", lambda *_: GIB)
        (answer,) = await node.client().submit([sender.clock(START_S + 20)])
        assert answer.name == "ACCEPTED"
        assert (await asked(node.url, "/readyz"))[0] == 200


async def test_a_block_that_does_not_come_to_an_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, reached = threading.Event(), threading.Event()

    def hold(_files: Files, point: str) -> None:
        if point == "block_applied":
            reached.set()
            held.wait(20)

    monkeypatch.setattr(embedded, "SLOW_S", 0.05)
    async with running_node(tmp_path, LONG) as node:
        monkeypatch.setattr(UnsyncedFiles, "reach", hold)
        submitting = asyncio.create_task(node.client().submit([node.sender().clock(START_S + 10)]))
        await until(reached.is_set)
        async with httpx.AsyncClient(trust_env=False) as http:

            async def is_told() -> bool:
                answer = await http.get(f"{node.url}/readyz")
                return answer.status_code == 503 and answer.json()["detail"] == STALLS["block"]

            await until(is_told)
        held.set()
        assert [answer.name for answer in await submitting] == ["ACCEPTED"]
        assert (await asked(node.url, "/readyz"))[0] == 200


async def test_a_calendar_that_ends_within_a_month_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_node(tmp_path, LONG) as node:
        sender = node.sender()
        assert (await node.client().status()).shortages == ()
        assert (await gauges(node.url))["calendar_days_left"] == 40
        for day in range(1, 12):
            assert [answer.name for answer in await node.client().submit([sender.clock(START_S + day * DAY_S)])] == [
                "ACCEPTED"
            ]
        assert (await node.client().status()).shortages == (Shortage("calendar", "c", 29),)
        assert (await gauges(node.url))["calendar_days_left"] == 29
        words = ["node", "status", "--url", node.url, "--json"]
        assert await asyncio.to_thread(main, words) == 0
        assert json.loads(capsys.readouterr().out)["shortages"] == [
            {"kind": "calendar", "subject": "c", "days_left": 29}
        ]


def test_a_disk_that_is_full_within_a_month_is_foreseen_by_the_rate_of_the_newest_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(ON_BLOCK_TIME.start_s)
    with closing(open_ledger(tmp_path, ON_BLOCK_TIME, clock=clock)) as ledger:
        monkeypatch.setattr(Files, "free_bytes", lambda *_: RESERVE_BYTES + GIB)
        decide(ledger, [])
        assert ledger.room() == (RESERVE_BYTES + GIB, None), "no rate is known yet"
        for _ in range(30):
            clock.advance_to(clock.now_s() + DAY_S)
            decide(ledger, [])
        assert ledger.room().days_left is not None
        assert [found for found in shortages(ledger) if found.kind == "disk"] == []
        used = sum(path.stat().st_size for path in tmp_path.iterdir())
        monkeypatch.setattr(Files, "free_bytes", lambda *_: RESERVE_BYTES + used // 3)
        (foreseen,) = [found for found in shortages(ledger) if found.kind == "disk"]
        assert 8 <= foreseen.days_left <= 11, "a third of what 31 days have filled"
        monkeypatch.setattr(Files, "free_bytes", lambda *_: 0)
        assert ledger.room().days_left == 0


def test_a_calendar_that_is_over_has_no_days_left(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path, TWO_AREAS)) as ledger:
        sender = TWO_AREAS.sender()
        for day in range(1, 4):
            assert decide(ledger, [sender.clock(START_S + day * DAY_S)]) == [0]
        assert ledger.ledger_time_s > FIRST_S
        assert shortages(ledger)[0] == ("calendar", "c", 0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, None)], []),
        ([(0, START_S + 40 * DAY_S)], []),
        ([(0, START_S + 20 * DAY_S)], [("prices", "r", 20)]),
        ([(0, START_S + 20 * DAY_S), (START_S + 20 * DAY_S, START_S + 50 * DAY_S)], []),
        ([(0, START_S + 20 * DAY_S), (START_S + 20 * DAY_S, START_S + 25 * DAY_S)], [("prices", "r", 25)]),
        ([(0, START_S + 20 * DAY_S), (START_S + 22 * DAY_S, None)], [("prices", "r", 20)]),
        ([(0, START_S - DAY_S)], [("prices", "r", 0)]),
    ],
    ids=["for good", "long", "soon", "followed", "followed for a few days", "with a gap", "over"],
)
def test_prices_whose_published_time_ends_within_a_month_are_told_unless_others_follow(
    tmp_path: Path, rows: list[tuple[int, int | None]], expected: list[tuple[str, str, int]]
) -> None:
    published = [Named(RULES, "r", Rules(PRICES, TERMS, until_s), from_s) for from_s, until_s in rows]
    with closing(open_ledger(tmp_path, replace(LONG, rules=published))) as ledger:
        assert [found for found in shortages(ledger) if found.kind == "prices"] == expected
