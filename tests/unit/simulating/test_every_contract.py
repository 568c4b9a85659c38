"""A simulated world can be settled by every contract of the catalogue, and its report draws a price of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.simulating.experiment import simulate
from settlement.catalogue import CATALOGUE
from tests.demo.catalogue_rules import RULES_OF


def test_there_are_rules_for_every_contract() -> None:
    assert set(RULES_OF) == set(CATALOGUE)


@pytest.mark.parametrize("contract", RULES_OF)
def test_homes_trade_or_share_under_every_contract_and_the_report_has_a_price(contract: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in RULES_OF[contract].items():
        (rules / name).write_text(text)
    run = simulate("village_day", tmp_path / "out", slots=4, rules=rules)
    assert run.outcome.contract == contract
    assert run.outcome.traded_wh > 0
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    drawn = page[page.index("Price ") :].partition("</section>")[0]
    assert 'class="stroke price"' in drawn
