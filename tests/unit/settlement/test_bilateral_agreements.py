"""``bilateral_agreements/1``: what it yields is what a slow reference yields, and what agreements must keep."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.contract import Agreements, SlotRows
from ledger.one_group import one_group
from settlement.contract_kit_1 import ContractError, Settlement
from settlement.contracts.bilateral_agreements_1 import CONTRACT
from settlement.contracts.bilateral_agreements_1.slot import PRICE_KEYS, PRICED
from tests.slow.bilateral_agreements import Deal, settle_deals

PRICES = dict(zip(PRICE_KEYS, (600_000, 300_000, 120_000, 180_000, 40_000), strict=True))
POINTS = st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3_000)), min_size=2, max_size=6)
TERMS = st.one_of(
    st.integers(1, 4_000).map(lambda wh: (wh, -1)), st.integers(1, 1_000_000).map(lambda share: (-1, share))
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, ...]]]:
    """Import and export of each point, and rows of agreements between them."""
    points = draw(POINTS)
    places = st.integers(0, len(points) - 1)
    sides = st.tuples(places, places).filter(lambda both: both[0] != both[1])
    prices = st.integers(-(10**6), 10**6)
    rows = st.tuples(sides, st.integers(0, 1), TERMS, prices, prices)
    drawn = draw(st.lists(rows, max_size=12))
    return points, [(*two, money, *terms, price, of * money) for two, money, terms, price, of in drawn]


def columns_of(rows: Sequence[Sequence[int]]) -> Agreements:
    """Rows of ``Agreements`` as columns."""
    table = np.array(rows, dtype=np.int64).reshape(-1, len(Agreements._fields))
    return Agreements(*(np.ascontiguousarray(column) for column in table.T))


def slot_of(points: Sequence[tuple[int, int]], rows: Sequence[Sequence[int]]) -> SlotRows:
    """One slot of one area."""
    taken, fed = (np.array(column, dtype=np.int64) for column in zip(*points, strict=True))
    nothing = np.zeros_like(taken)
    return one_group(PRICES, taken, fed, nothing, nothing)._replace(agreements=columns_of(rows))


def settled(slot: SlotRows) -> Settlement:
    """By the contract."""
    return CONTRACT.settle(slot, trade_prices_micro_per_kwh=[None], terms=[{}])


def deals_of(rows: Sequence[Sequence[int]]) -> list[Deal]:
    """The same agreements for the reference."""
    return [
        Deal(seller, buyer, bool(money), wh, None if ppm < 0 else Fraction(ppm, 10**6), price, reference)
        for seller, buyer, money, wh, ppm, price, reference in rows
    ]


@given(worlds())
@settings(max_examples=300)
def test_every_slot_settles_as_agreement_by_agreement(
    world: tuple[list[tuple[int, int]], list[tuple[int, ...]]],
) -> None:
    points, rows = world
    result = settled(slot_of(points, rows))
    imports, exports = zip(*points, strict=True)
    balances, _ = settle_deals(imports, exports, deals_of(rows))
    assert balances
    for place, balance in enumerate(balances):
        assert {name: int(result.columns[name][place]) for name in balance._fields} == balance._asdict()
        rest_in, rest_out = imports[place] - balance.bought_wh, exports[place] - balance.sold_wh
        energies = (rest_in, rest_out, balance.bought_wh, rest_in, imports[place])
        priced = sum(kind.sign * wh * PRICES[kind.price or ""] for kind, wh in zip(PRICED, energies, strict=True))
        owed = balance.bought_nano - balance.sold_nano + balance.difference_nano
        assert int(result.columns["pays_nano"][place]) == owed + priced


@given(worlds())
@settings(max_examples=200)
def test_bought_is_sold_nobody_trades_what_was_not_metered_and_both_sides_of_agreements_sum_to_0(
    world: tuple[list[tuple[int, int]], list[tuple[int, ...]]],
) -> None:
    points, rows = world
    slot = slot_of(points, rows)
    result = settled(slot)
    kept = result.columns
    assert kept["bought_wh"].sum() == kept["sold_wh"].sum()
    assert (kept["bought_wh"] <= slot.import_wh).all()
    assert (kept["sold_wh"] <= slot.export_wh).all()
    assert kept["difference_nano"].sum() == 0
    assert kept["bought_nano"].sum() == kept["sold_nano"].sum()
    assert result.received_nano["clearing"] == [0]
    assert sum(sum(of_groups) for of_groups in result.received_nano.values()) == kept["pays_nano"].sum()
    shown = slot._replace(bought_wh=kept["bought_wh"], sold_wh=kept["sold_wh"], agreements=None)
    lines = CONTRACT.lines(shown, kept, trade_prices_micro_per_kwh=[None], terms=[{}])
    amounts = zip(*(line.amount_nano.tolist() for line in lines), strict=True)
    assert [sum(of_row) for of_row in amounts] == kept["pays_nano"].tolist()
    assert [line.kind for line in lines] == [kind.kind for kind in CONTRACT.line_kinds]


@given(worlds(), worlds())
@settings(max_examples=50)
def test_two_areas_settle_together_as_they_do_alone(
    first: tuple[list[tuple[int, int]], list[tuple[int, ...]]],
    other: tuple[list[tuple[int, int]], list[tuple[int, ...]]],
) -> None:
    count = len(first[0])
    moved = [(seller + count, buyer + count, *rest) for seller, buyer, *rest in other[1]]
    both = slot_of([*first[0], *other[0]], [*first[1], *moved])
    group = (np.arange(count + len(other[0])) >= count).astype(np.int64)
    tariffs = both.tariffs._replace(of_group=np.zeros(2, dtype=np.int64))
    both = both._replace(group=group, tariffs=tariffs)
    together = CONTRACT.settle(both, trade_prices_micro_per_kwh=[None, None], terms=[{}, {}])
    alone = [settled(slot_of(*world)) for world in (first, other)]
    assert set(together.columns) == set(alone[0].columns)
    for name, column in together.columns.items():
        assert column.tolist() == [value for one in alone for value in one.columns[name].tolist()]
    for account, received in together.received_nano.items():
        assert received == [one.received_nano[account][0] for one in alone]


def test_a_difference_that_nobody_could_owe_comes_to_nothing() -> None:
    at_most = settled(slot_of([(0, 0), (0, 0)], [(0, 1, 1, 5 * 10**8, -1, 10**9, 0)]))
    assert at_most.columns["difference_nano"].tolist() == [-5 * 10**17, 5 * 10**17]
    beyond = settled(slot_of([(0, 0), (0, 0)], [(0, 1, 1, 5 * 10**8 + 1, -1, 10**9, 0)]))
    assert beyond.columns["difference_nano"].tolist() == [0, 0]
    assert beyond.columns["difference_wh"].tolist() == [0, 0]


def test_eight_differences_and_all_else_at_their_bounds_stay_within_int64() -> None:
    rows = [(0, 1, 1, 10**9, -1, 10**9, 10**9 - 5 * 10**8)] * 8
    slot = slot_of([(10**9, 10**9), (10**9, 10**9)], rows)
    highest = dict.fromkeys(PRICE_KEYS, 10**9) | {PRICE_KEYS[1]: -(10**9)}
    columns = {key: np.array([price], dtype=np.int64) for key, price in highest.items()}
    result = settled(slot._replace(tariffs=slot.tariffs._replace(prices=columns)))
    assert result.columns["pays_nano"].tolist() == [4 * 10**18 - 4 * 10**18, 4 * 10**18 + 4 * 10**18]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((0, 0, 0, 1, -1, 5, 0), "between two rows of one group"),
        ((0, 2, 0, 1, -1, 5, 0), "the buyer of an agreement is row 2, there are 2"),
        ((0, 1, 0, 1, 1, 5, 0), "either a quantity in Wh or a share"),
        ((0, 1, 0, -1, -1, 5, 0), "either a quantity in Wh or a share"),
        ((0, 1, 0, -1, 1_000_001, 5, 0), "a share of at most 1000000 ppm"),
    ],
)
def test_agreements_that_do_not_fit_the_rows_are_refused_in_one_line(row: tuple[int, ...], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        settled(slot_of([(5, 5), (5, 5)], [row]))


def test_a_slot_without_agreements_handed_in_is_refused() -> None:
    with pytest.raises(ContractError, match="agreements are not handed in"):
        settled(slot_of([(5, 5), (5, 5)], [])._replace(agreements=None))
