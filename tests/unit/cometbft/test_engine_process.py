"""The engine's process is kept alive within limits, ended when the node ends, and its death is one line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ledger.engines.cometbft import process as module
from ledger.engines.cometbft.home import HomeConfig, make_keys, may_vote, write_home
from ledger.engines.cometbft.process import LOG_NAME, EngineLostError, EngineProcess
from tests.waiting import until


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Path:
    """A new engine's home."""
    make_keys(tmp_path)
    return tmp_path


def stand_in(folder: Path, script: str) -> Path:
    """A program that is started as the engine is."""
    program = folder / "engine"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


async def test_engine_whose_port_is_taken_is_told_of_with_the_keys_that_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILURES_MAX", 1)
    line = "ERROR: failed to start node: listen tcp 127.0.0.1:26657: bind: address already in use"
    engine = EngineProcess(stand_in(tmp_path, f"echo '{line}'; exit 1"), tmp_path)
    with pytest.raises(
        EngineLostError, match=r"127.0.0.1:26657: bind: address already in use. It is rpc_port under \[engine\]"
    ):
        await engine.run()


async def test_engine_that_dies_at_once_is_given_up_with_the_error_that_it_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILURES_MAX", 3)
    line = '{"_msg":"failed to load or gen file","err":"genesis.json: no such file","level":"error"}'
    engine = EngineProcess(stand_in(tmp_path, f"echo '{line}'; exit 1"), tmp_path, restart_s_min=0.01)
    with pytest.raises(EngineLostError, match=r"died 3 times in a row, status 1: failed to load .*genesis\.json"):
        await engine.run()
    assert engine.restarts == 2


async def test_panic_is_said_by_its_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAILURES_MAX", 1)
    script = "echo 'panic: app hash mismatch'; echo; echo 'goroutine 1 [running]:'; exit 2"
    engine = EngineProcess(stand_in(tmp_path, script), tmp_path)
    with pytest.raises(EngineLostError, match="status 2: panic: app hash mismatch"):
        await engine.run()


async def test_another_node_with_the_same_key_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAILURES_MAX", 1)
    script = "echo 'panic: failed to start consensus state: found signature from the same key in past blocks'; exit 2"
    engine = EngineProcess(stand_in(tmp_path, script), tmp_path)
    with pytest.raises(EngineLostError, match="Another node votes with this validator's key"):
        await engine.run()


async def test_engine_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S_MAX", 0.2)
    engine = EngineProcess(stand_in(tmp_path, "trap '' TERM; echo up; while :; do sleep 0.05; done"), tmp_path)
    running = asyncio.create_task(engine.run())
    await until((tmp_path / LOG_NAME).exists)
    await engine.stop()
    await asyncio.wait_for(running, 10)
    assert engine.pid is None


async def test_log_is_kept_within_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_BYTES_MAX", 20_000)
    monkeypatch.setattr(module, "FAILURES_MAX", 1)
    engine = EngineProcess(stand_in(tmp_path, "yes abcdefgh | head -c 200000; exit 1"), tmp_path)
    with pytest.raises(EngineLostError):
        await engine.run()
    sizes = [(tmp_path / name).stat().st_size for name in (LOG_NAME, f"{LOG_NAME}.old")]
    assert sum(sizes) <= 2 * (20_000 + 65_536)


@pytest.mark.parametrize("trap", ["'exit 0'", "''"], ids=["listens", "does not listen"])
async def test_home_whose_disk_was_lost_votes_beyond_where_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr(module, "STOP_S_MAX", 0.2)
    (tmp_path / "data" / "priv_validator_state.json").unlink()
    write_home(tmp_path, b"{}", HomeConfig("a", tmp_path / "abci.sock", 1, "127.0.0.1", 2, []))
    assert not may_vote(tmp_path)
    known: list[tuple[int, int]] = []
    script = f"trap {trap} TERM; echo started; while :; do sleep 0.02; done"
    engine = EngineProcess(stand_in(tmp_path, script), tmp_path, position=lambda: known[0] if known else None)
    running = asyncio.create_task(engine.run())
    await until((tmp_path / LOG_NAME).exists)
    assert not may_vote(tmp_path)
    known.append((47, 1))
    await until(lambda: may_vote(tmp_path))
    state = json.loads((tmp_path / "data" / "priv_validator_state.json").read_text())
    assert state == {"height": "47", "round": 2, "step": 3}
    await until(lambda: (tmp_path / LOG_NAME).read_text().count("started") == 2)
    await engine.stop()
    await running
