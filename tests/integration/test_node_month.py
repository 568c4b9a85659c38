"""A month of one area, slot by slot: what a node holds in memory is what its caches may hold, whatever has been before."""

from __future__ import annotations

import gc
import resource
from contextlib import closing
from pathlib import Path

import pytest

from ledger import tiles
from ledger.leaves.run import RUN
from ledger.state import state
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S, Consortium, feeder, household
from tests.worlds.ledgers import decide, open_ledger

SLOTS_OF_DAY = DAY_S // SLOT_S
FULL_AFTER_DAYS = 3
GROWTH_KIB_MAX = 3 * 1024
"""The interpreter's own unrest; the leaves of a month are 20 MiB, decoded they are several times that."""
PAGE_KIB = resource.getpagesize() // 1024


def resident_kib() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KIB


@pytest.mark.parametrize("days", [8, pytest.param(30, marks=pytest.mark.soak)])
def test_memory_stays_the_same_from_the_first_days_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(state, "CACHED_BYTES_MAX", 1024 * 1024)
    monkeypatch.setattr(tiles, "CACHED_TILES_MAX", 64)
    meters = [household(1, "p-1"), household(2, "p-2"), feeder(3)]
    consortium = Consortium(start_s=FIRST_S - SLOT_S, meters=meters)
    sender, sizes = consortium.sender(), list[int]()
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        for slot in range(days * SLOTS_OF_DAY):
            boundary_s, shown = FIRST_S + slot * SLOT_S, 100 * slot
            next_s = boundary_s + SLOT_S
            wires = [
                sender.clock(boundary_s),
                sender.batch("gw-1", boundary_s, [(1, shown, 0), (2, 0, shown), (3, shown, shown)]),
                sender.order("p-1", "a-1", "buy", 80, 400_000, next_s),
                sender.order("p-2", "a-1", "sell", 90, 300_000, next_s),
            ]
            assert decide(ledger, wires) == [0] * len(wires)
            if slot % SLOTS_OF_DAY == 0:
                sizes.append(resident_kib())
        settled = ledger.leaf_keys(RUN.prefix)
    assert len(settled) >= days * SLOTS_OF_DAY - 3
    assert max(sizes[FULL_AFTER_DAYS:]) - sizes[FULL_AFTER_DAYS] < GROWTH_KIB_MAX, f"KiB by day: {sizes}"
