"""bill_sharing/1: charges slot by slot, the community's money once a month, as the slow reference bills the whole month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.contract import Contract, Period, SettlementLike
from ledger.one_group import one_group
from settlement.contract_kit_1 import ContractError, Settlement
from settlement.contracts.bill_sharing_1 import CONTRACT
from settlement.contracts.bill_sharing_1.bill import SHARE_NANO_MAX
from tests.slow.sharing import GridPrices, bill_sharing

# the concrete classes fit the protocols that the ledger calls: mypy checks these two lines
_contract: Contract = CONTRACT
_settlement: type[SettlementLike] = Settlement

PRICES = {
    "residual_price_micro_per_kwh": 600_000,
    "feed_in_price_micro_per_kwh": 400_000,
    "network_traded_micro_per_kwh": 60_000,
    "network_residual_micro_per_kwh": 100_000,
    "levy_micro_per_kwh": 20_000,
}
START_S = 1_000
Member = tuple[int, int]
"""Import and export of a slot, Wh."""


class Month:
    """What the ledger does: it sums the contract's period columns, and hands the sums in with the last slot."""

    def __init__(self, members: int, prices: Mapping[str, int] = PRICES) -> None:
        self.prices = prices
        self.sums = {name: np.zeros(members, dtype=np.int64) for name in CONTRACT.period_columns}
        self.area_sums = dict.fromkeys(CONTRACT.period_area_columns, 0)

    def settle(self, slot: Sequence[Member], *, is_last: bool) -> Settlement:
        """One slot; its lines sum to what is paid."""
        taken, given_ = (np.array(column, dtype=np.int64) for column in zip(*slot, strict=True))
        nothing = np.zeros(len(slot), dtype=np.int64)
        rows = one_group(self.prices, taken, given_, nothing, nothing)
        sums = (self.sums, {name: [value] for name, value in self.area_sums.items()}) if is_last else ({}, {})
        rows = rows._replace(period=Period([START_S], [is_last], *sums))
        settled = CONTRACT.settle(rows, trade_prices_micro_per_kwh=[None], terms=[{}])
        for name in self.sums:
            self.sums[name] = self.sums[name] + settled.columns[name]
        for name in self.area_sums:
            self.area_sums[name] += settled.area_columns[name][0]
        kept = rows._replace(bought_wh=settled.columns["bought_wh"], sold_wh=settled.columns["sold_wh"])
        lines = CONTRACT.lines(kept, settled.columns, trade_prices_micro_per_kwh=[None], terms=[{}])
        assert [line.kind for line in lines] == [kind.kind for kind in CONTRACT.line_kinds]
        amounts: NDArray[np.int64] = np.sum([line.amount_nano for line in lines], axis=0)
        assert amounts.tolist() == settled.columns["pays_nano"].tolist()
        assert all(amount == 0 for line in lines for amount in line.amount_nano[line.energy_wh == 0].tolist())
        return settled


def test_the_published_month_is_billed_with_its_last_slot_and_not_before() -> None:
    """Two slots; A 10,000 over, then nothing; B and C lack 6,000 and 2,000, then 5,000 and 3,000 (research C3)."""
    month = Month(3)
    first = month.settle([(0, 10_000), (6_000, 0), (2_000, 0)], is_last=False)
    assert first.received_nano["community"] == [0]
    assert first.columns["paid_nano"].tolist() == first.columns["period_deficit_wh"].tolist() == [0, 0, 0]
    last = month.settle([(0, 0), (5_000, 0), (3_000, 0)], is_last=True)
    assert last.columns["paid_nano"].tolist() == [0, 3_300_000_000, 1_500_000_000]
    assert last.columns["earned_nano"].tolist() == [800_000_000, 0, 0]
    assert last.columns["period_deficit_wh"].tolist() == [0, 11_000, 5_000]
    assert last.received_nano["community"] == [8_000 * 600_000 - 2_000 * 400_000]


@pytest.mark.parametrize(("slots", "paid_nano"), [(4, SHARE_NANO_MAX), (5, 0)])
def test_a_month_that_nobody_could_owe_is_billed_to_nobody_and_refused_by_nothing(slots: int, paid_nano: int) -> None:
    """A member at the highest limit and the highest price left 64 bits: the last slot of its month stopped every node."""
    month = Month(2, dict.fromkeys(PRICES, 10**9))
    for slot in range(1, slots + 1):
        settled = month.settle([(10**9, 0), (0, 0)], is_last=slot == slots)
    assert settled.columns["paid_nano"].tolist() == [paid_nano, 0]
    assert settled.columns["period_deficit_wh"].tolist() == [slots * 10**9, 0]
    assert settled.area_columns["period_cost_units"] == [paid_nano // 10**9]
    assert settled.received_nano["community"] == [paid_nano]


SLOTS = st.integers(1, 4).flatmap(
    lambda members: st.lists(
        st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), min_size=members, max_size=members),
        min_size=1,
        max_size=6,
    )
)


@settings(max_examples=100, deadline=None)
@given(SLOTS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_month_slot_by_slot_is_the_bill_of_the_slow_reference(slots: list[list[Member]], low: int, more: int) -> None:
    grid = GridPrices(low + more, low)
    month = Month(len(slots[0]), {**PRICES, **dict(zip(list(PRICES)[:2], grid, strict=True))})
    *before, last = (month.settle(slot, is_last=number == len(slots)) for number, slot in enumerate(slots, start=1))
    expected = bill_sharing([[given - taken for taken, given in slot] for slot in slots], grid)
    assert (last.columns["paid_nano"] - last.columns["earned_nano"]).tolist() == list(expected.pays_nano)
    assert last.received_nano["community"] == [expected.grid_receives_nano]
    assert all(settled.received_nano["community"] == [0] for settled in before)


def test_where_nobody_is_left_to_share_a_sum_nobody_does() -> None:
    month = Month(1)
    month.settle([(500, 0)], is_last=False)
    month.sums["deficit_wh"][:] = 0  # whoever lacked energy has gone
    settled = month.settle([(0, 0)], is_last=True)
    assert settled.columns["paid_nano"].tolist() == [0]
    assert settled.received_nano["community"] == [0]


def test_prices_the_wrong_way_round_and_a_slot_without_its_month_are_refused() -> None:
    with pytest.raises(ContractError, match="retail 1 >= feed-in 400000"):
        Month(1, {**PRICES, "residual_price_micro_per_kwh": 1}).settle([(1, 0)], is_last=True)
    nothing = np.zeros(1, dtype=np.int64)
    with pytest.raises(ContractError, match="told the month"):
        CONTRACT.settle(
            one_group(PRICES, nothing, nothing, nothing, nothing), trade_prices_micro_per_kwh=[None], terms=[{}]
        )
