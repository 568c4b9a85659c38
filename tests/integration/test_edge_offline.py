"""Three days without network, a disk that is full, one that is read-only: a gateway keeps what it took, and hands it over in order."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import edge.agent
from edge.outbox_file import read_outbox
from gridcore.codes import Code
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S, FakeNode
from tests.unit.edge_agent.test_edge_agent_path import World, running
from tests.waiting import until

SLOTS = 72 * 3600 // SLOT_S
BYTES_PER_BATCH_MAX = 2_000
"""Of three meters, with what SQLite adds."""


async def test_seventy_two_hours_offline_are_handed_over_in_order_while_new_slots_go_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.clock._last_s = None
    world.submitter._node = away = FakeNode(dead=True)
    async with running(world):
        for slot in range(SLOTS):
            await world.node.move_clock(FIRST_S + slot * SLOT_S)
            await until(lambda slot=slot: world.holds(slot + 1, 0))  # type: ignore[misc]  # a default binds the loop's value
        assert away.asked > 1
        assert world.agent._storing.waiting == 0
        files = [tmp_path / f"outbox.sqlite{end}" for end in ("", "-wal")]
        assert sum(path.stat().st_size for path in files) < SLOTS * BYTES_PER_BATCH_MAX + 8 * 1024 * 1024
        world.submitter._node = world.node
        world.submitter.wake()
        for slot in range(SLOTS, SLOTS + 4):  # new ones, while the old ones go
            await world.node.move_clock(FIRST_S + slot * SLOT_S)
            await until(lambda slot=slot: world.is_sampled(FIRST_S + slot * SLOT_S))  # type: ignore[misc]  # the same
        await world.arrived(SLOTS + 4)
    counters = [transaction.identity["counter"] for transaction in world.node.accepted]
    assert counters == list(range(1, SLOTS + 5))
    boundaries = [transaction.body["boundary_s"] for transaction in world.node.accepted]
    assert boundaries == [FIRST_S + slot * SLOT_S for slot in range(SLOTS + 4)]
    assert read_outbox(tmp_path / "outbox.sqlite").progress.gaps == ()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 512 KiB in memory."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(
            f"mount is refused here ({done.stderr.strip()}): run as root, in a machine or container that may mount"
        )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.external
@pytest.mark.parametrize("trouble", ["full", "read-only"])
async def test_disk_that_takes_nothing_costs_nothing_that_was_acknowledged_and_no_sample_within_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(edge.agent, "STORE_RETRY_S", 0.02)
    with small_disk(tmp_path / "disk") as disk:
        world = World(disk)
        world.clock._last_s = None
        world.submitter._node = FakeNode(dead=True)
        filler = disk / "filler"
        async with running(world):
            await world.node.move_clock(FIRST_S)
            await until(lambda: world.holds(1, 0))
            if trouble == "full":
                room = os.statvfs(disk)
                filler.write_bytes(bytes(room.f_bavail * room.f_bsize))
            else:
                world.outbox._connection.execute("PRAGMA query_only = ON")
            with capture_logs() as logs:
                for last in (1, 2, 3):
                    await world.node.move_clock(FIRST_S + last * SLOT_S)
                    await until(lambda last=last: world.holds(1, last))  # type: ignore[misc]  # a default binds the loop's value
            assert "readings_not_stored" in [line["event"] for line in logs]
            if trouble == "full":
                filler.unlink()
            else:
                world.outbox._connection.execute("PRAGMA query_only = OFF")
            await until(lambda: not world.agent._storing.waiting)
            world.submitter._node = world.node
            world.submitter.wake()
            await world.arrived(4)
        boundaries = [transaction.body["boundary_s"] for transaction in world.node.accepted]
        assert boundaries == [FIRST_S + slot * SLOT_S for slot in range(4)]
        assert {receipt.code for receipt in world.node._receipts.values()} == {Code.ACCEPTED}
