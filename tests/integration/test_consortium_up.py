"""``gridledger consortium up``: four nodes on one machine, ready, asked, one lost, and ended with one signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridledger.cli import main
from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_world import MEMBERS, PATIENCE_S, founded
from tests.processes import ready_line
from tests.waiting import wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command, running in the folder of the consortium."""
    command = [sys.executable, "-m", "gridledger", "consortium", "up", ".", "--json"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=founded(tmp_path), stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def status(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """What ``consortium status`` says."""
    capsys.readouterr()
    answer = main(["consortium", "status", str(folder), "--json"])
    return answer, {node["name"]: node for node in json.loads(capsys.readouterr().out)["nodes"]}


def test_nodes_come_up_ready_and_end_with_one_signal(
    tmp_path: Path, up: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "c"
    ready = ready_line(up, PATIENCE_S)
    assert set(ready["nodes"]) == set(MEMBERS)
    # Each node was ready once; the first blocks can hold one up again for a moment.
    wait_until(lambda: status(folder, capsys)[0] == 0, "all ready", PATIENCE_S)
    _, nodes = status(folder, capsys)
    assert {node["signers_power"] for node in nodes.values()} == {4}
    pid = int((folder / "regulator" / "node.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: int((folder / "regulator" / "node.pid").read_text()) != pid, "a new process", PATIENCE_S)
    wait_until(lambda: status(folder, capsys)[0] == 0, "all ready again", PATIENCE_S)
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
    answer, nodes = status(folder, capsys)
    assert answer == 1
    assert not any(node["ready"] for node in nodes.values())
