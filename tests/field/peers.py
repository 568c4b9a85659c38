"""Other people's clients and servers for the field tests, in an environment of their own (requirements-peers.lock).

They need versions of libraries that the project does not use, so they run as programs: ``tests/field/peer_programs``. The
environment is made once, under the user's cache folder. Where it cannot be made, tests skip with the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gridcore.sm3 import sm3

PROGRAMS = Path(__file__).parent / "peer_programs"
LOCK = Path(__file__).resolve().parents[2] / "requirements-peers.lock"
PROGRAM_S_MAX = 60.0
INSTALL_S_MAX = 300.0


def peers_python() -> Path:
    """The interpreter of the peers' environment; pytest.skip with the command where it cannot be made."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridledger"
    folder = cache / f"peers-{sm3(LOCK.read_bytes() + sys.version.encode()).hex()[:16]}"
    python, is_ready = folder / "bin" / "python", folder / "ready"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "peers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not is_ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCK)]
            try:
                for command in ([sys.executable, "-m", "venv", str(folder)], install):
                    subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S_MAX)
            except (subprocess.SubprocessError, OSError):
                pytest.skip(f"peers of the field tests are missing: pip install --require-hashes -r {LOCK.name}")
            is_ready.touch()
    return python


async def ask_peer(program: str, *arguments: str) -> Any:
    """Run a peer program to its end; what it prints last is JSON."""
    process = await asyncio.create_subprocess_exec(
        str(peers_python()),
        str(PROGRAMS / f"{program}.py"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PROGRAM_S_MAX):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out.decode().splitlines()[-1])


@asynccontextmanager
async def serving(command: list[str]) -> AsyncIterator[str]:
    """Run a server beside the block; yields the line by which it says that it listens, and where."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(PROGRAM_S_MAX):
            line = (await process.stdout.readline()).decode().strip()
        assert line, f"{command[-1]} ended as soon as it was started"
        yield line
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def peer_server(program: str, *arguments: str) -> list[str]:
    """The command of a peer program that serves."""
    return [str(peers_python()), str(PROGRAMS / f"{program}.py"), *arguments]
