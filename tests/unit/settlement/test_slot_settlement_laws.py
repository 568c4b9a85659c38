"""One slot against the text of slot_settlement/1 in Python integers; conservation; double entry; statements."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.errors import InvariantError
from ledger.contract import (
    ClearingLike,
    Contract,
    Positions,
    SettlementLike,
    Statements,
    Tariffs,
)
from ledger.one_group import one_group
from settlement import statements
from settlement.contract_kit_1 import INT64_MAX, INT64_MIN, ContractError, Int64Column, Settlement, is_int64
from settlement.contracts.p2p_call_auction_1 import CONTRACT, LINE_KINDS, PRICE_KEYS, Clearing
from tests.unit.settlement.auction_slot import (
    PRICES,
    Prices,
    Row,
    Slot,
    billed,
    columns,
    energies,
    prices_by_key,
    settle,
    settle_areas,
    settle_rows,
)

# the concrete classes fit the protocols that the ledger calls: mypy checks these four lines
_contract: Contract = CONTRACT
_clearing: type[ClearingLike] = Clearing
_settlement: type[SettlementLike] = Settlement
_statements: Statements = statements


class ToldLine(NamedTuple):
    """A line of any amounts."""

    kind: str
    account: str
    price_micro_per_kwh: int | None
    energy_wh: Int64Column
    amount_nano: Int64Column


def lines_by_text(row: Row, trade_price: int, prices: Prices) -> list[tuple[int, int]]:
    """(energy, amount) of the nine lines of one participant, as the text gives them."""
    residual_import, residual_export = row.import_wh - row.bought_wh, row.export_wh - row.sold_wh
    traded = min(row.import_wh, row.bought_wh)
    return [
        (row.bought_wh, row.bought_wh * trade_price),
        (row.sold_wh, -row.sold_wh * trade_price),
        (max(residual_import, 0), max(residual_import, 0) * prices.residual),
        (max(-residual_import, 0), min(residual_import, 0) * prices.surplus),
        (max(residual_export, 0), -max(residual_export, 0) * prices.feed_in),
        (max(-residual_export, 0), max(-residual_export, 0) * prices.shortfall),
        (traded, traded * prices.network_traded),
        (row.import_wh - traded, (row.import_wh - traded) * prices.network_residual),
        (row.import_wh, row.import_wh * prices.levy),
    ]


@st.composite
def slots(draw: st.DrawFn, energy_max: int, price_max: int) -> tuple[list[Row], int, Prices]:
    energy = st.integers(0, energy_max)
    price = st.integers(-price_max, price_max)
    rows = draw(st.lists(st.builds(Row, energy, energy, energy, energy), max_size=6))
    bought, sold = sum(row.bought_wh for row in rows), sum(row.sold_wh for row in rows)
    # one more participant takes the other side of what is open; a part each, so that no column leaves int64
    while bought != sold:
        part = min(abs(bought - sold), energy_max)
        rows.append(Row(draw(energy), draw(energy), part if bought < sold else 0, part if sold < bought else 0))
        bought, sold = bought + rows[-1].bought_wh, sold + rows[-1].sold_wh
    return rows, draw(price), Prices(*(draw(price) for _ in PRICE_KEYS))


SIZES = st.sampled_from([(3, 3), (10**6, 10**6), (INT64_MAX, 2), (INT64_MAX, INT64_MAX)])


@settings(max_examples=120, deadline=None)
@given(st.data(), SIZES)
def test_settlement_follows_the_text_and_conserves_money(data: st.DataObject, sizes: tuple[int, int]) -> None:
    rows, trade_price, prices = data.draw(slots(*sizes))
    by_text = [lines_by_text(row, trade_price, prices) for row in rows]
    pays = [sum(amount for _, amount in lines) for lines in by_text]
    alone = [
        row.import_wh * (prices.residual + prices.network_residual + prices.levy) - row.export_wh * prices.feed_in
        for row in rows
    ]
    if all(is_int64(value) for value in (*pays, *alone)):
        settled = settle(rows, trade_price, prices)
        assert settled.pays_nano == pays
        assert settled.alone_nano == alone
        assert sum(settled.received_nano.values()) == sum(pays)
        assert settled.received_nano["clearing"] == 0
        check_lines(settled, by_text)
    else:
        with pytest.raises(ContractError):
            settle(rows, trade_price, prices)


def check_lines(settled: Slot, by_text: Sequence[Sequence[tuple[int, int]]]) -> None:
    """The lines are those of the text, unless one of their amounts leaves int64."""
    if all(is_int64(amount) for lines in by_text for _, amount in lines):
        assert len(settled.lines()) == len(LINE_KINDS)
        for number, (line, declared) in enumerate(zip(settled.lines(), LINE_KINDS, strict=True)):
            assert (line.kind, line.account) == (declared.kind, declared.account)
            assert line.energy_wh.tolist() == [lines[number][0] for lines in by_text]
            assert line.amount_nano.tolist() == [lines[number][1] for lines in by_text]
    else:
        with pytest.raises(ContractError, match="amount_nano"):
            [line.amount_nano for line in settled.lines()]


def test_pays_may_fit_where_a_line_of_it_does_not() -> None:
    """Steps in between are exact at any size: bought and sold by one party at a price that takes each beyond int64."""
    row = Row(0, 0, INT64_MAX, INT64_MAX)
    settled = settle([row], INT64_MIN, Prices(0, 0, 0, 0, 0, 0, 0))
    assert settled.pays_nano == [0]
    with pytest.raises(ContractError, match="trade_buy"):
        settled.lines()[0].amount_nano  # noqa: B018


def test_slot_without_trade_needs_no_price_and_has_no_trade_line() -> None:
    settled = settle([Row(700, 0, 0, 0), Row(0, 300, 0, 0)], None)
    kinds = {line.line_kind for line in statements.lines(settled.lines(), billed("H001", "H002"))}
    assert kinds == {"residual_import", "residual_export", "network_residual", "levy"}


@pytest.mark.parametrize(
    ("rows", "trade_price", "words"),
    [
        ([Row(1, 0, 5, 0)], 1, "bought 5 Wh but sold 0 Wh"),
        ([Row(1, 0, 5, 5)], None, "no trade price"),
        ([Row(-1, 0, 0, 0)], 1, "import_wh"),
        ([Row(0, -1, 0, 0)], 1, "export_wh"),
        ([Row(0, 0, -1, -1)], 1, "bought_wh"),
        ([Row(0, 0, 0, 0)], 2**63, "trade_price"),
    ],
)
def test_slot_that_cannot_be_is_refused(rows: list[Row], trade_price: int | None, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        settle(rows, trade_price)


@pytest.mark.parametrize("change", ["lack", "unknown"])
def test_prices_must_be_exactly_the_known_ones(change: str) -> None:
    prices = dict.fromkeys(PRICE_KEYS, 1)
    if change == "lack":
        del prices["levy_micro_per_kwh"]
    else:
        prices["levy"] = 1
    with pytest.raises(ContractError, match=change):
        settle_areas([([], 1, prices)])


def test_import_and_export_of_one_slot_are_never_netted() -> None:
    settled = settle([Row(300, 700, 50, 450), Row(400, 0, 400, 0)])
    residual = {line.kind: line.energy_wh.tolist() for line in settled.lines() if line.kind.startswith("residual")}
    assert residual == {"residual_import": [250, 0], "residual_export": [250, 0]}


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_postings_balance_and_net_to_what_each_party_pays(data: st.DataObject) -> None:
    rows, trade_price, prices = data.draw(slots(10**6, 10**6))
    settled = settle(rows, trade_price, prices)
    parties = [f"H{number:03}" for number in range(len(rows))]
    of_parties, of_accounts = statements.postings(settled.lines(), billed(*parties))
    postings = [*of_parties, *of_accounts]
    assert sum(posting.debit_nano for posting in postings) == sum(posting.credit_nano for posting in postings)
    assert all(posting.debit_nano >= 0 and posting.credit_nano >= 0 for posting in postings)
    net = {posting.account: posting.debit_nano - posting.credit_nano for posting in postings}
    assert [net.get(party, 0) for party in parties] == settled.pays_nano
    for account, received in settled.received_nano.items():
        assert -net.get(account, 0) == received
    statement = statements.lines(settled.lines(), billed(*parties))
    debit = {party: sum(line.amount_nano for line in statement if line.party == party) for party in parties}
    assert list(debit.values()) == settled.pays_nano
    totals = statements.slot_totals(settled.positions, billed(*parties))
    assert [(total.pays_nano, total.supplier_only_nano) for total in totals] == list(
        zip(settled.pays_nano, settled.alone_nano, strict=True)
    )


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_lines_of_any_rows_follow_from_their_positions_alone(data: st.DataObject) -> None:
    rows, trade_price, prices = data.draw(slots(10**6, 10**6))
    settled = settle(rows, trade_price, prices)
    cut = slice(*sorted(data.draw(st.lists(st.integers(0, len(rows)), min_size=2, max_size=2))))
    lines, whole = settled.lines(cut), settled.lines()
    assert len(lines) == len(whole) == len(LINE_KINDS)
    for line, of_all in zip(lines, whole, strict=True):
        assert (line.kind, line.energy_wh.tolist()) == (of_all.kind, of_all.energy_wh[cut].tolist())
        assert line.amount_nano.tolist() == of_all.amount_nano[cut].tolist()
        assert line.price_micro_per_kwh == of_all.price_micro_per_kwh


@settings(max_examples=50, deadline=None)
@given(st.data(), st.randoms(use_true_random=False))
def test_areas_together_are_settled_as_each_alone(data: st.DataObject, random: Random) -> None:
    drawn = [data.draw(slots(10**6, 10**6)) for _ in range(data.draw(st.integers(2, 4)))]
    check_together(drawn, random)


def test_areas_together_are_exact_beyond_int64() -> None:
    """Bought and sold by one party: each amount leaves int64, the sum does not."""
    large = [Row(0, 0, INT64_MAX, INT64_MAX)]
    none = Prices(0, 0, 0, 0, 0, 0, 0)
    check_together([(large, 3, none), ([Row(5, 0, 0, 0)], 1, PRICES), (large, -7, none), ([], 1, PRICES)], Random(1))


def check_together(drawn: Sequence[tuple[list[Row], int, Prices]], random: Random) -> None:
    """Rows of all areas in any order come to what each area comes to alone."""
    alone = [settle(rows, trade_price, prices) for rows, trade_price, prices in drawn]
    places = [(place, row) for place, slot in enumerate(alone) for row in slot.rows]
    random.shuffle(places)
    together = settle_rows(
        [place for place, _ in places],
        [row for _, row in places],
        [slot.trade_price for slot in alone],
        [slot.prices for slot in alone],
    )
    received = {name: [slot.received_nano[name] for slot in alone] for name in CONTRACT.accounts}
    assert together.received_nano == received
    money = (together.columns[name].tolist() for name in ("pays_nano", "supplier_only_nano"))
    apart = [
        (place, row, pays, alone_nano)
        for place, slot in enumerate(alone)
        for row, pays, alone_nano in zip(slot.rows, slot.pays_nano, slot.alone_nano, strict=True)
    ]
    assert sorted((*place, *nano) for place, *nano in zip(places, *money, strict=True)) == sorted(apart)


def test_a_row_of_an_area_that_there_is_not_is_refused() -> None:
    for group in (1, -1):
        with pytest.raises(ContractError, match="group"):
            settle_rows([group], [Row(0, 0, 0, 0)], [1], [dict.fromkeys(PRICE_KEYS, 1)])


ROWS_OF_TWO_TARIFFS = st.lists(
    st.tuples(st.builds(Row, *[st.integers(0, 50)] * 3, st.just(0)), st.integers(0, 1)), min_size=1, max_size=8
)


@settings(max_examples=100, deadline=None)
@given(ROWS_OF_TWO_TARIFFS, st.lists(st.builds(Prices, *[st.integers(-900, 900)] * 7), min_size=2, max_size=2))
def test_rows_of_one_area_are_settled_each_at_its_own_prices(
    drawn: list[tuple[Row, int]], prices: list[Prices]
) -> None:
    seller = Row(0, 0, 0, sum(row.bought_wh for row, _ in drawn))
    rows, tariffs = [*(row for row, _ in drawn), seller], columns([*(tariff for _, tariff in drawn), 0])[0]
    by_key = prices_by_key([dict(zip(PRICE_KEYS, some, strict=True)) for some in prices])
    slots = one_group({}, *energies(rows))._replace(tariffs=Tariffs(columns([0])[0], tariffs, by_key))
    settled = CONTRACT.settle(slots, trade_prices_micro_per_kwh=[370], terms=[{}])
    by_text = [lines_by_text(row, 370, prices[tariff]) for row, tariff in zip(rows, tariffs.tolist(), strict=True)]
    assert settled.columns["pays_nano"].tolist() == [sum(amount for _, amount in of_row) for of_row in by_text]
    lines = CONTRACT.lines(slots, settled.columns, trade_prices_micro_per_kwh=[370], terms=[{}])
    for number, line in enumerate(lines):
        amounts = [of_row[number][1] for of_row in by_text]
        assert line.amount_nano.tolist() == amounts
    received = dict.fromkeys(CONTRACT.accounts, 0)
    for number, kind in enumerate(LINE_KINDS):
        received[kind.account] += sum(of_row[number][1] for of_row in by_text)
    assert {account: of_area for account, (of_area,) in settled.received_nano.items()} == received
    shown = statements.lines(lines, billed(*map(str, range(len(rows)))))
    expected = [prices[tariff].levy for (row, tariff) in drawn if row.import_wh]
    assert [line.price_micro_per_kwh for line in shown if line.line_kind == "levy"] == expected


def test_both_sides_of_a_partys_book_are_kept() -> None:
    settled = settle([Row(300, 700, 50, 450), Row(400, 0, 400, 0)])
    (house, shop), accounts = statements.postings(settled.lines(), billed("house", "shop"))
    assert house.debit_nano == 50 * 500_000 + 250 * 650_000 + 50 * 60_000 + 250 * 100_000 + 300 * 20_000
    assert house.credit_nano == 450 * 500_000 + 250 * 350_000
    assert (house.account, shop.account) == ("house", "shop")
    assert [posting.account for posting in accounts] == ["clearing", "levy", "network", "offtaker", "supplier"]


def test_a_side_of_a_book_may_leave_int64() -> None:
    large = INT64_MAX // 2 + 1
    settled = settle([Row(0, 0, large, large)], 1, Prices(0, 0, 1, 1, 0, 0, 0))
    (posting,), accounts = statements.postings(settled.lines(), billed("home"))
    assert (posting.debit_nano, posting.credit_nano) == (2 * large, 2 * large)
    assert [entry[1:] for entry in accounts] == [(large, large), (large, large)]
    smallest = settle([Row(2**62, 0, 0, 0)], None, Prices(-2, 0, 0, 0, 0, 0, 0))
    assert statements.postings(smallest.lines(), billed("home")).parties == [("home", 0, 2**63)]


@pytest.mark.parametrize("parties", [["a"], ["a", "b", "c"]])
def test_points_that_are_not_those_of_the_rows_stop_the_process(parties: list[str]) -> None:
    rows = [Row(1, 0, 0, 0), Row(1, 0, 0, 0)]
    settled = settle(rows)
    for view in (statements.lines, statements.postings):
        with pytest.raises(InvariantError, match="rows"):
            view(settled.lines(), billed(*parties))
    with pytest.raises(InvariantError, match="rows"):
        statements.slot_totals(settled.positions, billed(*parties))


def test_statement_lines_come_by_point_then_kind() -> None:
    lines = statements.lines(settle([Row(0, 1000, 0, 1000), Row(700, 0, 1000, 0)]).lines(), billed("roof", "home"))
    assert [(line.party, line.line_kind, line.energy_wh, line.amount_nano, line.account) for line in lines] == [
        ("roof", "trade_sell", 1000, -500_000_000, "clearing"),
        ("home", "trade_buy", 1000, 500_000_000, "clearing"),
        ("home", "surplus", 300, -90_000_000, "balance"),
        ("home", "network_traded", 700, 42_000_000, "network"),
        ("home", "levy", 700, 14_000_000, "levy"),
    ]
    assert lines[0] == ("roof", "P-roof", "trade_sell", 1000, 500_000, -500_000_000, "clearing")


def test_daily_total_shows_a_negative_saving_too() -> None:
    dear = settle([Row(1000, 0, 1000, 0), Row(0, 1000, 0, 1000)], 900_000)
    slot = dear.positions
    buyer, seller = statements.day_totals([slot, slot], billed("buyer", "seller"))
    assert buyer == (
        "buyer",
        "P-buyer",
        2000,
        0,
        2000,
        0,
        2 * 980_000_000,
        2 * 770_000_000,
        2 * (770_000_000 - 980_000_000),
        0,
        0,
    )
    assert seller == (
        "seller",
        "P-seller",
        0,
        2000,
        0,
        2000,
        -2 * 900_000_000,
        -2 * 350_000_000,
        2 * (900_000_000 - 350_000_000),
        0,
        0,
    )


def test_what_one_slot_did_not_take_is_not_set_off_against_what_another_took_too_much() -> None:
    first = settle([Row(700, 0, 1000, 0), Row(0, 1000, 0, 1000)], 500_000).positions
    second = settle([Row(1400, 0, 1000, 0), Row(0, 900, 0, 1000)], 500_000).positions
    buyer, seller = statements.day_totals([first, second], billed("buyer", "seller"))
    assert (buyer.not_taken_wh, buyer.not_fed_in_wh) == (300, 0)
    assert (seller.not_taken_wh, seller.not_fed_in_wh) == (0, 100)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.integers(0, 4), st.integers(0, 3))
def test_daily_totals_are_exact_at_any_size(data: st.DataObject, slot_count: int, parties: int) -> None:
    value = st.sampled_from([INT64_MIN, -(2**32), -1, 0, 1, 2**32 - 1, INT64_MAX]) | st.integers(INT64_MIN, INT64_MAX)
    column = st.lists(value, min_size=parties, max_size=parties)
    day = [[data.draw(column) for _ in Positions._fields] for _ in range(slot_count)]
    totals = statements.day_totals((Positions(*columns(*slot)) for slot in day), billed(*map(str, range(parties))))
    for row, total in enumerate(totals):
        sums = [sum(slot[index][row] for slot in day) for index in range(len(Positions._fields))]
        not_met = [sum(max(slot[2 + side][row] - slot[side][row], 0) for slot in day) for side in (0, 1)]
        assert total == (str(row), f"P-{row}", *sums, sums[5] - sums[4], *not_met)
    assert len(totals) == parties


@settings(max_examples=50, deadline=None)
@given(st.data(), st.integers(0, 6), st.integers(1, 3))
def test_sums_of_lines_by_place_are_exact_at_any_size(data: st.DataObject, rows: int, places: int) -> None:
    wh = st.sampled_from([0, 1, 2**32 - 1, INT64_MAX]) | st.integers(0, INT64_MAX)
    nano = st.sampled_from([INT64_MIN, -1, 0, 2**32, INT64_MAX]) | st.integers(INT64_MIN, INT64_MAX)
    drawn = [data.draw(st.lists(of_row, min_size=rows, max_size=rows)) for of_row in (wh, nano)]
    place = data.draw(st.lists(st.integers(0, places - 1), min_size=rows, max_size=rows))
    energies, amounts, of_rows = columns(*drawn, place)
    lines = [ToldLine(kind, "retailer", None, energies, amounts) for kind in ("bought", "levy")]
    found = statements.kind_totals_by(lines, of_rows, places)
    for at, totals in enumerate(found):
        own = [row for row in range(rows) if place[row] == at]
        sums = sum(drawn[0][row] > 0 for row in own), *(sum(column[row] for row in own) for column in drawn)
        assert totals == [(line.kind, *sums) for line in lines if sums[0]]
    assert len(found) == places
