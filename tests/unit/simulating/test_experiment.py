"""The fixture that others test their tariffs and traders with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.simulating.experiment import simulate
from gridledger.simulating.own_traders import Adaptive, Told
from gridledger.simulating.pytest_plugin import Simulate, simulated
from simulators.grid.gates import Gate
from simulators.grid.households import OrderIntent, orders_of_slot
from simulators.grid.world import World
from tests.demo.catalogue_rules import RULES_OF

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


def learners(told: list[Gate | None]) -> Adaptive:
    """Homes that want what the scenario's want, and note what they are told."""

    def begin(world: World) -> Told:
        def ask(slot: int, gate: Gate | None) -> Sequence[OrderIntent]:
            told.append(gate)
            return orders_of_slot(world, slot)

        return ask

    return Adaptive(begin)


@pytest.mark.parametrize("contract", ["p2p_call_auction/1", "continuous_double_auction/1"])
def test_traders_that_learn_are_told_what_the_ledger_made_of_each_gate(
    contract: str, simulated: Simulate, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in RULES_OF[contract].items():
        (rules / name).write_text(text)
    told = list[Gate | None]()
    plain = simulated("village_day", slots=2, rules=rules, has_bills=True)
    same = simulated("village_day", slots=2, rules=rules, traders=learners(told), has_bills=True)
    for name in ("statements.csv", "postings.csv"):
        one, other = (Path(run.outcome.out) / "settlement" / name for run in (plain, same))
        assert one.read_bytes() == other.read_bytes(), name
    assert [gate and gate.slot for gate in told] == [None, 0]
    gate = told[1]
    assert gate is not None
    fills = gate.fills.values()
    assert [fill.order for fill in fills] == list(orders_of_slot(plain.settled.world, 0))
    for side, sign in (("buy", 1), ("sell", -1)):
        own = [fill for fill in fills if fill.order.side == side]
        assert sum(fill.filled_wh for fill in own) == plain.settled.traded_wh[0] > 0
        assert sum(fill.amount_nano for fill in own) == sign * plain.settled.flows[f"trade_{side}"].amount_nano[0]
    assert (gate.price_micro_per_kwh["A1"] is None) == (contract == "continuous_double_auction/1")


def test_a_folder_that_is_not_empty_is_one_line_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(UsageError, match="is not empty; name an absent or an empty folder"):
        simulate("village_day", tmp_path, slots=SLOTS)


def test_a_scenario_that_is_not_there_is_one_line(simulated: Simulate) -> None:
    with pytest.raises(UsageError, match="no scenario 'nowhere'; the gallery has"):
        simulated("nowhere")
