"""What a node does when it cannot answer: words for clients without internals, and an end when a promise of its own is broken."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gridcore.errors import InvariantError
from gridcore.serving import asgi
from ledger.client import NodeRefused, NodeUnreachable
from ledger.engines.base import EngineStoppedError
from ledger.http.dispatcher import Dispatcher
from ledger.http.view import LedgerView
from ledger.store.errors import GuardError, StoreError, StoreWriteError
from settlement.contract_kit_1 import ContractInvariantError
from tests.waiting import PATIENCE_S
from tests.worlds.consortium import START_S
from tests.worlds.nodes import running_node

SECRET = "/data/state.db: page 7"


@pytest.mark.parametrize(
    ("error", "is_busy", "said"),
    [
        (StoreWriteError(SECRET), True, "disk does not take writes"),
        (EngineStoppedError(SECRET), True, "makes no blocks any more"),
        (StoreError(SECRET), False, "see the node's log"),
        (GuardError(SECRET), False, "see the node's log"),
    ],
)
async def test_only_a_refusing_disk_and_a_stopped_engine_are_busy_and_none_says_where(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    is_busy: bool,
    said: str,
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.setattr(LedgerView, "area_ids", property(fail))
    async with running_node(tmp_path / "ledger") as node:
        with pytest.raises(NodeUnreachable if is_busy else NodeRefused, match=said) as raised:  # 503 and 500
            await node.client("util").query("areas")
        assert "state.db" not in str(raised.value)
    logged = "".join(capsys.readouterr())
    assert ("store_damaged" in logged and SECRET in logged) is not is_busy


@pytest.mark.parametrize("error", [InvariantError, ContractInvariantError])
@pytest.mark.parametrize("place", ["query", "examine"])
async def test_a_broken_promise_in_an_answer_takes_the_node_down(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[BaseException],
    place: str,
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error("two and two are four")

    async def run_until_it_breaks() -> None:
        async with running_node(tmp_path / "ledger") as node:
            monkeypatch.setattr(LedgerView, "area_ids", property(fail))
            monkeypatch.setattr(node.ledger.application, "examine", fail)
            asked: Any = (
                node.client("util").query("areas")
                if place == "query"
                else node.client().submit([node.sender().clock(START_S + 900)])
            )
            with pytest.raises(NodeRefused) as raised:
                await asked
            assert (raised.value.status, node.stop.is_set()) == (500, True)
            assert "four" not in str(raised.value)

    with pytest.raises(error, match="two and two are four"):
        await run_until_it_breaks()
    assert "promise_broken" in "".join(capsys.readouterr())


async def test_questions_that_run_are_finished_before_the_ledger_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question outlasts what answers in the making get, and ends when the node waits for nothing else."""
    running, server_is_gone, ledger_is_closed = threading.Event(), threading.Event(), threading.Event()
    finished_before_the_ledger_closed: list[bool] = []
    close_door = Dispatcher.close

    def linger(*_: object, **__: object) -> dict[str, Any]:
        running.set()
        server_is_gone.wait(PATIENCE_S)
        finished_before_the_ledger_closed.append(not ledger_is_closed.wait(0.2))
        return {}

    async def say_and_close(door: Dispatcher) -> None:
        server_is_gone.set()
        await close_door(door)

    monkeypatch.setattr(LedgerView, "area_ids", property(linger))
    monkeypatch.setattr(Dispatcher, "close", say_and_close)
    monkeypatch.setattr(asgi, "GRACE_S", 0.05)
    async with running_node(tmp_path / "ledger") as node:
        asking = asyncio.create_task(node.client("util").query("areas"))
        await asyncio.to_thread(running.wait, PATIENCE_S)
        close_ledger = node.ledger.close

        def close_and_say() -> None:
            ledger_is_closed.set()
            close_ledger()

        monkeypatch.setattr(node.ledger, "close", close_and_say)
    with contextlib.suppress(NodeUnreachable):
        await asking
    assert ledger_is_closed.is_set()
    assert finished_before_the_ledger_closed == [True]
