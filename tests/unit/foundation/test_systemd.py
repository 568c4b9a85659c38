"""What systemd hears of a process."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcore.serving.systemd import told_to_systemd


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """systemd's socket, and where it is."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(30)
        yield path, listening


async def test_a_service_is_ready_turns_and_stops(manager: tuple[str, socket.socket]) -> None:
    path, listening = manager
    environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000", "WATCHDOG_PID": str(os.getpid())}
    async with told_to_systemd(environ):
        assert listening.recv(64) == b"READY=1"
        assert await asyncio.to_thread(listening.recv, 64) == b"WATCHDOG=1"
        assert await asyncio.to_thread(listening.recv, 64) == b"WATCHDOG=1"
    said = b""
    while said != b"STOPPING=1":
        said = listening.recv(64)


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
async def test_without_a_watchdog_of_its_own_it_only_begins_and_ends(
    manager: tuple[str, socket.socket], watchdog: dict[str, str]
) -> None:
    path, listening = manager
    async with told_to_systemd({"NOTIFY_SOCKET": path, **watchdog}):
        await asyncio.sleep(0)
    assert [listening.recv(64), listening.recv(64)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("address", ["", "vsock:2:1", "/nobody/listens/here"])
async def test_outside_of_systemd_nothing_happens(address: str) -> None:
    async with told_to_systemd({"NOTIFY_SOCKET": address}):
        pass
