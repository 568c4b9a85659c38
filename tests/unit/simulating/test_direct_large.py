"""A world that is settled in parts, from files and beside another process: the same bytes as one that fits into memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import GridError, UsageError
from gridledger.demo.prepare import prepare
from gridledger.settling.chain import founding, importing, settled_ledger
from gridledger.simulating import dataset, direct
from gridledger.simulating.direct import DirectPlan, run_direct
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from simulators.grid import large_arrays
from simulators.grid.households import orders_of_slot
from simulators.scenarios.gallery import find_scenario
from tests.demo.catalogue_rules import RULES_OF
from tests.worlds.datasets import community

FOUND = find_scenario("demonstration")
KEYS = """
[market]
contract = "sharing_keys/1"
method = "static"
trade_price_micro_per_kwh = 370000

[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
network_traded_micro_per_kwh = 150000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
"""


def written(out: Path, rules: Path | None) -> dict[str, bytes]:
    """The files of a run, by name."""
    run_direct(DirectPlan(out, FOUND.sized(rules=rules), has_bills=False), lambda _: None)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()}


def heights(out: Path) -> int:
    """Blocks of its ledger."""
    with reading(out / "settlement" / "ledger", CONTRACTS) as reader:
        return reader.height


@pytest.mark.parametrize("has_orders", [False, True], ids=["keys", "orders"])
def test_a_large_world_comes_out_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_orders: bool
) -> None:
    rules = None
    if not has_orders:
        rules = tmp_path / "keys.toml"
        rules.write_text(KEYS)
    whole = written(tmp_path / "whole", rules)
    monkeypatch.setattr(large_arrays, "IN_MEMORY_BYTES_MAX", 1 << 12)
    monkeypatch.setattr(founding, "BLOCK_VALUES_MAX", 1 << 12)
    monkeypatch.setattr(importing, "WIRES_OF_BLOCK", 2)
    monkeypatch.setattr(direct, "BESIDE_VALUES_MIN", 0)
    parts = written(tmp_path / "parts", rules)
    assert parts == whole
    assert heights(tmp_path / "parts") > heights(tmp_path / "whole")


def test_orders_that_rank_as_they_came_are_taken_up_to_the_moments_of_a_day_and_refused_beyond_before_anything_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in RULES_OF["continuous_double_auction/1"].items():
        (rules / name).write_text(text)
    found = find_scenario("village_day").sized(slots=2, rules=rules)
    world, _ = prepare(found)
    orders = sum(len(list(orders_of_slot(world, slot))) for slot in range(2))
    monkeypatch.setattr(dataset, "MOMENTS_OF_DAY_MAX", orders)
    assert run_direct(DirectPlan(tmp_path / "at", found, has_bills=False), lambda _: None).outcome.traded_wh > 0
    monkeypatch.setattr(dataset, "MOMENTS_OF_DAY_MAX", orders - 1)
    says = f"market: orders rank as they came, and {orders} come on a day: --direct takes {orders - 1}, each a transaction; let fewer"
    with pytest.raises(UsageError, match=says):
        run_direct(DirectPlan(tmp_path / "beyond", found, has_bills=False), lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["at", "rules"]


def test_what_does_not_fit_together_is_refused_beside_the_founding_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(founding, "BLOCK_VALUES_MAX", 1)
    whole = community(10, 2, areas=2)
    points = [point._replace(party="H") for point in whole.points]
    with pytest.raises(GridError, match="party/H"), settled_ledger(whole._replace(points=points), tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
