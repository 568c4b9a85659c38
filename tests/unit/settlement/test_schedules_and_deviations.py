"""``schedules_and_deviations/1``: two settlements of one slot, whose lines add up, against a slow reference and its laws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import verify
from ledger.contract import SlotRows
from ledger.one_group import one_group
from settlement.contract_kit_1 import TRADER_PRICE_KEYS, ContractError, Settlement
from settlement.contracts.schedules_and_deviations_1 import CONTRACT, LINE_KINDS
from settlement.contracts.schedules_and_deviations_1.scheduled import DIFFERENCE_NANO_MAX, SCHEDULE_WH_MAX
from settlement.tariffs.schedules import PricedEnergy, two_settlement
from tests.slow.schedules import settle_schedules
from tests.unit.settlement.test_bilateral_agreements import columns_of, deals_of, worlds

PRICES = dict(zip(TRADER_PRICE_KEYS, (600_000, 300_000, 250_000, 700_000, 120_000, 180_000, 40_000), strict=True))
World = tuple[list[tuple[int, int]], list[tuple[int, ...]]]
DEVIATIONS = ("residual_import", "surplus", "residual_export", "shortfall")


def slot_of(
    points: Sequence[tuple[int, int]], rows: Sequence[Sequence[int]], prices: dict[str, int] = PRICES
) -> SlotRows:
    taken, fed = (np.array(column, dtype=np.int64) for column in zip(*points, strict=True))
    nothing = np.zeros_like(taken)
    return one_group(prices, taken, fed, nothing, nothing)._replace(agreements=columns_of(rows))


def settled(slot: SlotRows) -> Settlement:
    return CONTRACT.settle(slot, trade_prices_micro_per_kwh=[None], terms=[{}])


def lines_of(slot: SlotRows, result: Settlement) -> list[dict[str, tuple[int, int]]]:
    """Of each point energy and amount of each kind of line."""
    kept = result.columns
    shown = slot._replace(bought_wh=kept["bought_wh"], sold_wh=kept["sold_wh"], agreements=None)
    lines = CONTRACT.lines(shown, kept, trade_prices_micro_per_kwh=[None], terms=[{}])
    return [
        {line.kind: (int(line.energy_wh[at]), int(line.amount_nano[at])) for line in lines}
        for at in range(len(slot.import_wh))
    ]


@given(worlds())
@settings(max_examples=300)
def test_every_slot_settles_as_a_clerk_does_step_by_step(world: World) -> None:
    points, rows = world
    slot = slot_of(points, rows)
    result = settled(slot)
    imports, exports = zip(*points, strict=True)
    expected = settle_schedules(imports, exports, deals_of(rows), PRICES)
    found = lines_of(slot, result)
    assert len(found) == len(expected) >= 2
    for place, (of_point, by_hand) in enumerate(zip(found, expected, strict=True)):
        whole = {kind: (int(wh), int(nano)) for kind, (wh, nano) in by_hand.items()}
        assert all(wh.denominator == nano.denominator == 1 for wh, nano in by_hand.values())
        assert {kind: line for kind, line in of_point.items() if any(line)} == {
            kind: line for kind, line in whole.items() if any(line)
        }
        assert sum(nano for _, nano in of_point.values()) == int(result.columns["pays_nano"][place])
    assert list(found[0]) == [kind.kind for kind in LINE_KINDS]


@given(worlds())
@settings(max_examples=300)
def test_the_bill_of_the_community_is_that_of_the_grid_at_each_step(world: World) -> None:
    """Schedules, differences, deviations and charges: at each step what members pay together is what the accounts behind it receive."""
    points, rows = world
    slot = slot_of(points, rows)
    result = settled(slot)
    lines = lines_of(slot, result)
    steps = {
        ("schedule_buy", "schedule_sell"): (),
        ("schedule_difference",): (),
        ("residual_import",): ("supplier",),
        ("residual_export",): ("offtaker",),
        ("surplus", "shortfall"): ("balance",),
        ("network_traded", "network_residual"): ("network",),
        ("levy",): ("levy",),
    }
    assert sorted(kind for step in steps for kind in step) == sorted(kind.kind for kind in LINE_KINDS)
    for kinds, accounts in steps.items():
        paid = sum(line[kind][1] for line in lines for kind in kinds)
        assert paid == sum(result.received_nano[account][0] for account in accounts)
    assert result.received_nano["clearing"] == [0]
    in_wh, out_wh = (sum(column) for column in zip(*points, strict=True))
    net_wh = {kind: sum(line[kind][0] for line in lines) for kind in DEVIATIONS}
    taken_wh = net_wh["residual_import"] - net_wh["residual_export"] - net_wh["surplus"] + net_wh["shortfall"]
    assert taken_wh == in_wh - out_wh, "what the grid gave is what was not scheduled between members"


@given(
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.integers(-(10**6), 10**6),
    st.integers(0, 10**6),
    st.integers(-(10**6), 10**6),
    st.integers(0, 10_000),
    st.integers(-(10**6), 10**6),
)
def test_with_one_price_of_deviations_the_lines_are_two_settlement_as_a_whole(
    day_ahead_wh: int, actual_wh: int, day_ahead: int, real_time: int, reference: int, hedged_wh: int, strike: int
) -> None:
    """``two_settlement/1`` of the vectors (C16): the schedule at the day-ahead price, the deviation at the real-time price, a difference beside."""
    prices = {**dict.fromkeys(TRADER_PRICE_KEYS, 0), **dict.fromkeys(TRADER_PRICE_KEYS[:4], real_time)}
    rows = [(0, 1, 0, day_ahead_wh, -1, day_ahead, 0), (0, 1, 1, hedged_wh, -1, strike, reference)]
    result = settled(slot_of([(0, actual_wh), (actual_wh, 0)], rows, prices))
    received = two_settlement(
        PricedEnergy(day_ahead_wh, day_ahead),
        PricedEnergy(actual_wh, real_time),
        PricedEnergy(hedged_wh, day_ahead + strike - reference),
    )
    assert result.columns["pays_nano"].tolist() == [-received, received]


def test_the_published_form_of_two_settlements_with_a_contract() -> None:
    """差价 (C16): 80@400, 100@350, 95@420 come to 4,000 + 35,000 - 2,100 = 36,900."""
    prices = {**dict.fromkeys(TRADER_PRICE_KEYS, 0), **dict.fromkeys(TRADER_PRICE_KEYS[:4], 420)}
    rows = [(0, 1, 0, 100, -1, 350, 0), (0, 1, 1, 80, -1, 400, 350)]
    slot = slot_of([(0, 95), (95, 0)], rows, prices)
    seller = lines_of(slot, settled(slot))[0]
    amounts = {kind: nano for kind, (_, nano) in seller.items() if nano}
    assert amounts == {"schedule_sell": -35_000, "schedule_difference": -4_000, "shortfall": 2_100}


def test_what_no_connection_carries_comes_to_nothing_and_the_most_there_can_be_fits() -> None:
    most = 10**9
    extreme = dict.fromkeys(TRADER_PRICE_KEYS, most)
    schedules = [(0, 1, 0, SCHEDULE_WH_MAX, -1, most, 0)] * 8
    beyond = [(0, 1, 0, SCHEDULE_WH_MAX + 1, -1, most, 0), (0, 1, 1, most, -1, most, 0)]
    hedge = [(1, 0, 1, DIFFERENCE_NANO_MAX // most, -1, most, 0)] * 8
    result = settled(slot_of([(most, most), (most, most)], [*schedules, *beyond, *hedge], extreme))
    assert result.columns["bought_wh"].tolist() == [0, 10**9]
    assert result.columns["difference_nano"].tolist() == [4 * 10**18, -4 * 10**18]
    for taken in (0, most):
        for fed in (0, most):
            for price in (-most, most):
                prices = dict.fromkeys(TRADER_PRICE_KEYS, price)
                settled(slot_of([(taken, fed), (taken, fed)], [*schedules, *hedge], prices))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(0, 0, 0, 1, -1, 1, 0)], "between two rows of one group"),
        ([(0, 2, 0, 1, -1, 1, 0)], "there are 2"),
        ([(0, 1, 0, 1, 1, 1, 0)], "either a quantity in Wh or a share"),
        ([(0, 1, 0, -1, 1_000_001, 1, 0)], "either a quantity in Wh or a share"),
    ],
)
def test_agreements_that_do_not_fit_are_refused(rows: list[tuple[int, ...]], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        settled(slot_of([(1, 1), (1, 1)], rows))


def test_prices_by_which_two_earn_on_a_schedule_that_nobody_keeps_are_refused() -> None:
    surplus = "surplus_price_micro_per_kwh"
    assert CONTRACT.fault_of({"prices": PRICES}) == ""
    assert "surplus_price" in CONTRACT.fault_of({"prices": {**PRICES, surplus: 300_001}})
    assert "unknown" in CONTRACT.fault_of({"prices": PRICES, "rationing": "pro_rata"})


@given(worlds())
@settings(max_examples=200)
def test_the_verifier_takes_what_the_contract_gives_and_no_other_energy_or_amount(world: World) -> None:
    points, rows = world
    result = settled(slot_of(points, rows))
    known = verify.CONTRACTS["schedules_and_deviations/1"]
    assert points
    for place, (taken, fed) in enumerate(points):
        columns = {name: int(column[place]) for name, column in result.columns.items()}
        own = [row for row in rows if place in row[:2]]
        agreements = [
            verify.Agreed(seller == place, bool(money), price - of, wh if wh >= 0 else None, ppm if ppm >= 0 else None)
            for seller, _, money, wh, ppm, price, of in own
        ]
        shown = verify.Settled(taken, fed, columns, {}, PRICES, 0, PRICES, {}, {}, agreements)
        known.check_point(shown)
        assert sum(line.amount_nano for line in known.lines_of_point(shown)) == columns["pays_nano"]
        is_exact = all(wh >= 0 or seller == place for seller, _, _, wh, *_ in own)
        for name in ("bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_nano") if is_exact else ():
            with pytest.raises(verify.Halt):
                known.check_point(shown._replace(columns={**columns, name: columns[name] + 1}))
