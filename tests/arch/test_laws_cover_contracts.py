"""Every contract of the catalogue is under all laws, by a slow reference and by slots that are drawn for it; the documents name laws and exceptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from settlement.catalogue import CATALOGUE
from tests.slow.catalogue import REFERENCES
from tests.unit.settlement.contract_laws import EXCEPTIONS, LAWS
from tests.unit.settlement.drawn_slots import SLOTS
from tests.unit.settling.drawn_markets import COMMUNITIES, TRADING

pytestmark = pytest.mark.arch
PAGE = Path(__file__).resolve().parents[2] / "docs/settlement-cases.md"


def test_each_contract_has_a_slow_reference_drawn_slots_and_a_market_of_settled_folders() -> None:
    assert set(REFERENCES) == set(CATALOGUE)
    assert set(SLOTS) == set(CATALOGUE)
    markets = [market.contract for market in (*COMMUNITIES, *TRADING)]
    assert sorted(markets) == sorted(CATALOGUE)


def test_laws_have_names_of_their_own_and_each_exception_is_of_one_and_has_a_reason() -> None:
    names = [law.name for law in LAWS]
    assert len(set(names)) == len(names)
    for (name, contract_id), reason in EXCEPTIONS.items():
        assert name in names
        assert contract_id in CATALOGUE
        assert reason


def test_the_page_of_cases_names_each_law_and_each_exception() -> None:
    page = PAGE.read_text("utf-8")
    assert [law.name for law in LAWS if f"`{law.name}`" not in page] == []
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    excepted = [
        (name, contract_id)
        for name, contract_id in EXCEPTIONS
        if not any(row.startswith(f"| `{name}`") and f"`{contract_id}`" in row for row in rows)
    ]
    assert excepted == []
