"""Child processes of a demonstration: started again when they die, ended when they must, never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from gridcore.errors import GridError
from gridledger.supervised import Supervised
from tests.demo.demo_run import parent_of, read_pid
from tests.waiting import until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
PATIENCE_S = 20.0


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """``DIR/run``."""
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


async def pid_other_than(run_dir: Path, before: int | None) -> int:
    """The next process id in the pid file."""
    await until(lambda: read_pid(run_dir.parent, "child") not in (None, before))
    pid = read_pid(run_dir.parent, "child")
    assert pid is not None
    return pid


async def test_a_killed_process_is_started_again_and_stop_ends_it(run_dir: Path) -> None:
    child = Supervised("child", SLEEPER, run_dir)
    running = asyncio.create_task(child.run())
    first = await pid_other_than(run_dir, None)
    os.kill(first, signal.SIGKILL)
    second = await pid_other_than(run_dir, first)

    async with asyncio.timeout(PATIENCE_S):
        await child.stop()
        await running

    assert child.restarts == 1
    assert parent_of(second) is None
    assert read_pid(run_dir.parent, "child") is None


async def test_a_paused_process_is_gone_until_it_is_resumed_and_stop_ends_a_paused_one_too(run_dir: Path) -> None:
    child = Supervised("child", SLEEPER, run_dir)
    running = asyncio.create_task(child.run())
    first = await pid_other_than(run_dir, None)

    async with asyncio.timeout(PATIENCE_S):
        await child.pause()
        assert parent_of(first) is None
        child.resume()
        second = await pid_other_than(run_dir, first)
        await child.pause()
        await child.stop()
        await running

    assert parent_of(second) is None
    assert child.restarts == 0, "a process that was paused did not die by itself"


async def test_a_process_that_refuses_to_start_is_an_error_with_its_last_line(run_dir: Path) -> None:
    script = "import sys; print('child: config.toml: unknown key prot', file=sys.stderr); sys.exit(2)"
    child = Supervised("child", [sys.executable, "-c", script], run_dir)

    with pytest.raises(GridError, match=r"child ended with status 2: child: config\.toml: unknown key prot"):
        async with asyncio.timeout(PATIENCE_S):
            await child.run()


async def test_a_stop_while_the_process_is_being_started_again_leaves_nothing_behind(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_process = asyncio.create_subprocess_exec
    starts = 0
    restarting = asyncio.Event()

    async def start_slowly(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        nonlocal starts
        starts += 1
        if starts == 2:
            restarting.set()
            await asyncio.sleep(0.2)
        return await start_process(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_slowly)
    child = Supervised("child", SLEEPER, run_dir)
    running = asyncio.create_task(child.run())
    first = await pid_other_than(run_dir, None)
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        await restarting.wait()

    await child.stop()
    try:
        async with asyncio.timeout(5):
            await running
    finally:
        second = read_pid(run_dir.parent, "child")
        if second is not None and second != first and parent_of(second) == os.getpid():
            os.kill(second, signal.SIGKILL)

    assert second is None or parent_of(second) is None
