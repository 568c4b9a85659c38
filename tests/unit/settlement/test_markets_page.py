"""The worked example of docs/markets.md is a contract that works: its case holds, and it settles as the ledger asks."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.contract import Contract
from ledger.one_group import one_group
from settlement.contract_kit_1 import Groups, share
from tests.worlds.community import PRICES

PAGE = Path(__file__).parents[3] / "docs" / "markets.md"
NET = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=6)


def block(path: str) -> str:
    """What the page says that stands in a file."""
    found = re.search(rf"<!-- {re.escape(path)} -->\n```\w+\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None, path
    return found[1]


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """The example's folder, as it would be imported."""
    module = ModuleType("quarter_way_1")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(block("quarter_way_1/__init__.py"), "quarter_way_1/__init__.py", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


def column(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def test_the_case_of_the_page_holds(example: Any) -> None:
    case = tomllib.loads(block("quarter_way/supply-is-short/case.toml"))
    given_, expect = case["input"], case["expect"]
    members = sorted(given_["net_wh"])
    net_wh = column([given_["net_wh"][member] for member in members])
    prices = ([given_[f"{name}_price_micro_per_kwh"]] for name in ("retail", "feed_in"))
    shared = share(example.Totals, Groups(column([0] * len(members)), 1), net_wh, *prices)
    assert dict(zip(members, shared.community_nano.tolist(), strict=True)) == expect["pays_nano"]
    assert sum(shared.community_nano.tolist()) == expect["grid_receives_nano"]


@settings(max_examples=50, deadline=None)
@given(NET)
def test_it_settles_as_the_ledger_asks_and_conserves_money(example: Any, members: list[tuple[int, int]]) -> None:
    contract: Contract = example.CONTRACT
    assert contract.fault_of({"prices": PRICES}) == ""
    nothing = column([0] * len(members))
    rows = one_group(
        PRICES, column([taken for taken, _ in members]), column([fed for _, fed in members]), nothing, nothing
    )
    settled = contract.settle(rows, trade_prices_micro_per_kwh=[None], terms=[{}])
    pays_nano = settled.columns["pays_nano"].tolist()
    assert sum(pays_nano) == sum(received for (received,) in settled.received_nano.values())
    kept = rows._replace(bought_wh=settled.columns["bought_wh"], sold_wh=settled.columns["sold_wh"])
    lines = contract.lines(kept, settled.columns, trade_prices_micro_per_kwh=[None], terms=[{}])
    assert [sum(row) for row in zip(*(line.amount_nano.tolist() for line in lines), strict=True)] == pays_nano
