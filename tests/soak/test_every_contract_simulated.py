"""Every contract of the catalogue through virtual meters, agents and a node: what is settled is what the same rules settle of columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo.catalogue_rules import RULES_OF
from tests.demo.test_simulate_contracts import rules_folder, run_with

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("contract", RULES_OF)
def test_agents_and_columns_settle_the_same_under_every_contract(contract: str, tmp_path: Path) -> None:
    rules = rules_folder(tmp_path / "rules", RULES_OF[contract])
    agents, direct = run_with(rules, tmp_path / "agents"), run_with(rules, tmp_path / "direct", "--direct")
    assert agents.json["energy_traded_wh"] == direct.json["traded_wh"] > 0
    for name in ("statements.csv", "postings.csv"):
        assert (agents.out / name).read_bytes() == (direct.out / "settlement" / name).read_bytes(), name
