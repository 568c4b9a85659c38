"""The real engine takes a home of ours, and is started again when it was killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

from gridcore.serving.ports import HOST, free_port
from gridcore.validator import Validator
from ledger.engines.cometbft.home import (
    ONE_MACHINE,
    HomeConfig,
    engine_genesis,
    has_voted,
    make_keys,
    write_home,
)
from ledger.engines.cometbft.process import EngineProcess
from ledger.engines.cometbft.program import find_engine
from tests.external import NEEDS_COMETBFT
from tests.waiting import until

pytestmark = NEEDS_COMETBFT


def test_engine_reads_our_keys_as_we_do(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)

    def say(what: str) -> str:
        command = [str(find_engine()), what, f"--home={tmp_path}"]
        return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode().strip()

    (validator,) = json.loads(engine_genesis("c", 0, [Validator("a", "a", b"", 1, keys.consensus_key)]))["validators"]
    assert say("show-node-id") == keys.node_id
    assert json.loads(say("show-validator")) == validator["pub_key"]


async def test_killed_engine_is_started_again_and_ends_with_the_node(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    genesis = json.loads(engine_genesis("c", 1_767_225_600, [Validator("a", "a", b"", 1, keys.consensus_key)]))
    genesis["consensus_params"]["abci"]["vote_extensions_enable_height"] = "0"  # the engine's own example makes none
    config = HomeConfig("a", tmp_path / "abci.sock", free_port(), HOST, free_port(), [], ONE_MACHINE)
    write_home(tmp_path, json.dumps(genesis).encode(), config)
    path = tmp_path / "config" / "config.toml"
    path.write_text(path.read_text().replace(f'"unix://{config.abci}"', '"kvstore"'))
    engine = EngineProcess(find_engine(), tmp_path)
    running = asyncio.create_task(engine.run())
    await until(lambda: has_voted(tmp_path))
    first = engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: engine.pid not in (None, first))
    await engine.stop()
    await asyncio.wait_for(running, 10)
    assert engine.restarts == 1
