"""The registry's columns follow what blocks register: the same as if all were read again from nothing."""

from __future__ import annotations

import pytest

from gridcore.codes import Code
from ledger.registry import entries
from ledger.registry.columns import read_columns
from ledger.registry.columns_file import encode_columns
from ledger.registry.in_force import Registry
from tests.simulation.generated_world import World
from tests.simulation.generator import BlockMaker
from tests.worlds.keys import is_cheaply_signed
from tests.worlds.ledgers import MemoryLedger

SEEDS, BLOCKS = range(12), 40


@pytest.mark.parametrize("seed", SEEDS)
def test_columns_after_any_registrations_are_those_of_the_state_read_from_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a million points one registration read all of them again: 28 s in which no block was made."""
    monkeypatch.setattr(entries, "ENTRIES_MAX", 3 if seed % 2 else entries.ENTRIES_MAX)
    world = World(seed)
    maker, ledger = BlockMaker(world), MemoryLedger(world.consortium.genesis, is_cheaply_signed)
    maker.hands = {name: name for name in world.consortium.signers}
    state, registered = ledger.state, 0
    assert state.registry is not None
    monkeypatch.setattr(Registry, "from_state", lambda *_: pytest.fail("everything was read again"))
    for block in range(BLOCKS):
        maker.now_s = ledger.ledger_time_s if world.simulated else world.time_s + 60 * block
        applied = ledger.apply([maker.registration() for _ in range(3 + block % 3)], maker.now_s)
        registered += sum(result.code == Code.ACCEPTED for result in applied.results)
        if block % 2:
            assert list(encode_columns(state.registry.columns)) == list(encode_columns(read_columns(state))), (
                f"block {block}"
            )
    assert registered > 1
