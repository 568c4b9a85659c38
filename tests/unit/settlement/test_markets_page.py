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

from gridcore.transactions.market_order import MarketOrder
from gridcore.transactions.market_profile import MarketProfile, ProfileBid, ProfileCondition
from gridledger.ordering import read_orders
from gridledger.vectors.handlers import HANDLERS
from ledger.contract import Contract
from ledger.one_group import one_group
from settlement.catalogue import CONTRACTS
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


def test_the_file_of_orders_of_the_page_is_a_ramp_and_a_standing_rule(tmp_path: Path) -> None:
    (tmp_path / "orders.toml").write_text(block("orders.toml"))
    ramp, rule = read_orders(tmp_path / "orders.toml")
    assert isinstance(ramp, MarketOrder)
    assert isinstance(rule, MarketProfile)
    limits = [(one.quantity_wh, one.price_micro_per_kwh) for one in ramp.limit_orders()]
    assert limits == [(250, 300_000), (250, 340_000), (250, 380_000), (250, 420_000)]
    assert (rule.end_s - rule.slot_start_s, [one.side for one in rule.orders()]) == (7 * 86_400, ["buy", "sell"])


def test_the_standing_rule_of_the_page_prefers_the_sun_of_a_neighbour_or_anything(tmp_path: Path) -> None:
    (tmp_path / "standing.toml").write_text(block("standing.toml"))
    (rule,) = read_orders(tmp_path / "standing.toml")
    assert isinstance(rule, MarketProfile)
    of_neighbour = ProfileCondition(450_000, (800,), "H002", "solar")
    assert rule.parts == [ProfileBid([of_neighbour, ProfileCondition(400_000, (800,))])]


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


def test_the_page_says_of_each_mechanism_whether_it_is_a_contract_or_a_rule_of_the_vectors() -> None:
    table = PAGE.read_text("utf-8").partition("## Contracts and reference rules")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ") and re.search(r"/\d`", line)]
    contracts = [
        name for line in rows if "contract" in line.split("|")[2] for name in re.findall(r"`([^`]+/\d)`", line)
    ]
    rules = [name for line in rows if "rule" in line.split("|")[2] for name in re.findall(r"`([^`]+/\d)`", line)]
    assert sorted(contracts) == sorted(CONTRACTS)
    assert not set(rules) & set(CONTRACTS)
    assert set(rules) <= set(HANDLERS)
