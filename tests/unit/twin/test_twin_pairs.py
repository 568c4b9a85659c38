"""The slow twin beside the ledger in slots whose orders trade in pairs: every code, every root, and trades that there must be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gridcore import cbor
from tests.twin.twin import Twin
from tests.worlds.consortium import FIRST_S, Consortium
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.pairs import CONTINUOUS, PAIRS, one_continuous_slot, one_paired_slot
from tests.worlds.transactions import Sender


@pytest.mark.parametrize(
    ("world", "slot", "trades"),
    [(PAIRS, one_paired_slot, [400, 100, 500]), (CONTINUOUS, one_continuous_slot, [200, 300])],
    ids=["pay_as_bid", "continuous_double_auction"],
)
def test_ledger_and_twin_agree_on_a_slot_of_trades(
    world: Consortium, slot: Callable[[Sender], list[list[bytes]]], trades: list[int]
) -> None:
    ledger, twin = MemoryLedger(world.genesis), Twin(cbor.decode(world.genesis.encode()))
    for height, wires in enumerate(slot(Sender(world.chain, world.start_s, sign_cheaply)), 1):
        time_s = world.start_s + height
        applied = ledger.apply(wires, time_s)
        codes = twin.apply_block(height, time_s, wires, is_cheaply_signed, height - 1, [])
        assert [int(result.code) for result in applied.results] == codes == [0] * len(wires)
        assert ledger.state.root() == twin.state_root(), f"block {height}"
    assert twin.leaves[f"trades/{FIRST_S}/z-1/0"]["energy_wh"] == trades
    assert "amount_nano" in twin.leaves[f"fills/{FIRST_S}/z-1/0"]
    assert f"run/{FIRST_S}/z-1/initial" in twin.leaves
