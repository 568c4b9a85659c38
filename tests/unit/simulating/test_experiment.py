"""The fixture that others test their tariffs and traders with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.simulating.pytest_plugin import Simulate, simulated
from simulators.grid.households import OrderIntent
from simulators.grid.world import World

__all__ = ["simulated"]
SLOTS = 2
RULES = """
[market]
contract = "mid_market_rate/1"

[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
network_traded_micro_per_kwh = 150000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
"""


def nobody(world: World, slot: int) -> Sequence[OrderIntent]:
    """Homes that want nothing."""
    assert slot < world.slots
    return []


def test_a_world_is_settled_by_own_traders_and_by_own_rules(simulated: Simulate, tmp_path: Path) -> None:
    plain, silent = simulated("village_day", slots=SLOTS), simulated("village_day", slots=SLOTS, traders=nobody)
    assert plain.outcome.traded_wh > 0
    assert silent.outcome.traded_wh == 0
    assert silent.outcome.pays_nano == silent.outcome.supplier_only_nano
    assert (silent.settled.import_wh == plain.settled.import_wh).all()
    (tmp_path / "mine.toml").write_text(RULES)
    mine = simulated("village_day", slots=SLOTS, rules=tmp_path / "mine.toml", households=12)
    assert mine.outcome.contract == "mid_market_rate/1"
    assert len(mine.settled.world.traders) == 12
    assert len({run.outcome.out for run in (plain, silent, mine)}) == 3


def test_a_scenario_that_is_not_there_is_one_line(simulated: Simulate) -> None:
    with pytest.raises(UsageError, match="no scenario 'nowhere'; the gallery has"):
        simulated("nowhere")
