"""A node whose clock is out of ledger time's reach says so, and accepts it where it has the key and a synchronised clock."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from gridcore.clock import WallClock
from gridcore.serving.asgi import open_socket, url_of
from gridcore.sm.keystore import ITERATIONS_MIN, encode_private_key
from gridcore.transactions.reading_batch import ClockState
from gridledger.cli import main
from ledger.engines.base import STALLS
from ledger.engines.embedded import EmbeddedEngine
from ledger.engines.timekeeper import LOOKS, Timekeeper
from ledger.http.dispatcher import Node
from ledger.http.server import Door, serve_node
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.waiting import until
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import key
from tests.worlds.ledgers import open_ledger
from tests.worlds.two_areas import TWO_AREAS

ON_BLOCK_TIME = replace(TWO_AREAS, clock="block", start_s=FIRST_S - 60)
AWAY_S = 5_000
NODE_TOML = """
data_dir = "ledger"
[clock_key]
signer = "clock"
uri = "file:clock.pem"
password = "file:clock.password"
"""


async def test_while_time_stands_the_node_is_not_ready_and_says_why_once(tmp_path: Path) -> None:
    clock, bound = ManualClock(FIRST_S), open_socket("127.0.0.1", 0)
    url = url_of(bound)
    stop, ready = asyncio.Event(), asyncio.Event()
    with closing(open_ledger(tmp_path, ON_BLOCK_TIME, clock=clock)) as ledger, capture_logs() as logs:
        ledger.make_block([])
        async with EmbeddedEngine(ledger, tick_s=0.001) as engine, httpx.AsyncClient(trust_env=False) as http:
            node = Node(ledger, engine, CONTRACTS, statements, WallClock(), "0.0-test", stop)
            serving = asyncio.create_task(serve_node(node, Door(bound), ready=lambda _: ready.set()))
            await ready.wait()
            assert (await http.get(f"{url}/readyz")).status_code == 200
            clock.advance_to(FIRST_S + AWAY_S)
            await until(lambda: engine.stands_s == AWAY_S)
            answer = await http.get(f"{url}/readyz")
            assert (answer.status_code, answer.json()["detail"]) == (
                503, STALLS["clock"],
            )  # fmt: skip
            metrics = (await http.get(f"{url}/metrics")).text
            assert f"gridledger_node_ledger_time_stands_seconds {AWAY_S}\n" in metrics
            clock.set_wrong(FIRST_S + 60)
            await until(lambda: engine.stands_s == 0)
            assert (await http.get(f"{url}/readyz")).status_code == 200
            stop.set()
            await serving
    said = [line["event"] for line in logs if line["event"].startswith("ledger_time")]
    assert said == ["ledger_time_stands", "ledger_time_moves"]


async def test_a_node_with_a_synchronised_clock_and_a_key_accepts_it_and_one_without_does_not(tmp_path: Path) -> None:
    clock, state = ManualClock(FIRST_S), ClockState(0, "unsynced")
    looks = 0

    def look() -> ClockState:
        nonlocal looks
        looks += 1
        return state

    with closing(open_ledger(tmp_path, ON_BLOCK_TIME, clock=clock)) as ledger:
        ledger.make_block([])
        async with EmbeddedEngine(ledger, tick_s=0.001) as engine:
            keeper = Timekeeper(engine, ledger.chain, "clock", key("clock"), clock, look, look_s=0.001)
            keeping = asyncio.create_task(keeper.run())
            clock.advance_to(FIRST_S + AWAY_S)
            await until(lambda: looks > 2 * LOOKS)
            assert engine.stands_s == AWAY_S
            state = ClockState(0, "synced")
            await until(lambda: ledger.ledger_time_s > FIRST_S + AWAY_S - 900)
            keeping.cancel()
        assert engine.stands_s == 0


async def test_an_operator_accepts_the_clock_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock, bound = ManualClock(WallClock().now_s() - AWAY_S), open_socket("127.0.0.1", 0)
    stop, ready, url = asyncio.Event(), asyncio.Event(), url_of(bound)
    (tmp_path / "clock.pem").write_bytes(encode_private_key(key("clock"), b"word", iterations=ITERATIONS_MIN))
    (tmp_path / "clock.password").write_text("word\n")
    (tmp_path / "clock.password").chmod(0o600)
    (tmp_path / "node.toml").write_text(NODE_TOML)
    founded = replace(ON_BLOCK_TIME, start_s=clock.now_s() - 60)
    with closing(open_ledger(tmp_path / "ledger", founded, clock=clock)) as ledger:
        ledger.make_block([])
        async with EmbeddedEngine(ledger, tick_s=0.001) as engine:
            node = Node(ledger, engine, CONTRACTS, statements, WallClock(), "0.0-test", stop)
            serving = asyncio.create_task(serve_node(node, Door(bound), ready=lambda _: ready.set()))
            await ready.wait()
            accept = ["node", "accept-clock", "--config", str(tmp_path / "node.toml"), "--url", url]
            assert await asyncio.to_thread(main, accept) == 1, "there is nothing to accept"
            clock.advance_to(WallClock().now_s() + 60)
            await until(lambda: engine.stands_s > 0)
            assert await asyncio.to_thread(main, accept) == 0
            await until(lambda: engine.stands_s == 0)
            stop.set()
            await serving
    assert "NOTHING_TO_ACCEPT" in (said := capsys.readouterr().out)
    assert "ACCEPTED" in said
