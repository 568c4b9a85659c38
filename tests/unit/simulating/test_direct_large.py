"""A world that is settled in parts, from files and beside another process: the same bytes as one that fits into memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import GridError
from gridledger.settling.chain import founding, importing, settled_ledger
from gridledger.simulating import direct
from gridledger.simulating.direct import DirectPlan, run_direct
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from simulators.grid import large_arrays
from simulators.scenarios.gallery import find_scenario
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


def test_what_does_not_fit_together_is_refused_beside_the_founding_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(founding, "BLOCK_VALUES_MAX", 1)
    dataset = community(10, 2, areas=2)
    points = [point._replace(party="H") for point in dataset.points]
    with pytest.raises(GridError, match="party/H"), settled_ledger(dataset._replace(points=points), tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
