"""The verifier's own SM2, CBOR and auction agree with ours and with the published cases, which share no code with it."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import cbor, sm, verify
from gridcore.errors import EncodingError
from gridcore.sm import SigningKey
from ledger.contract import Contract, Period
from ledger.one_group import one_group
from settlement.catalogue import CONTRACTS
from settlement.contracts.p2p_call_auction_1 import CONTRACT, clear

PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 150_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 450_000,
    "surplus_price_micro_per_kwh": 270_000,
}
KEY = SigningKey.from_scalar(bytes(30) + b"\x12\x34")
N = verify._N
VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "call_auction"
AUCTIONS = sorted(
    case.parent
    for case in VECTORS.glob("*/case.toml")
    if (data := tomllib.loads(case.read_text()))["input"].get("rationing") == "pro_rata"
    and {"reference_price_micro_per_kwh"} <= data["input"].keys()
    and "expect" in data
)


def test_signatures_are_judged_as_by_every_other_backend() -> None:
    message, other = b"message", SigningKey.from_scalar(bytes(31) + b"\x05")
    signature = KEY.sign(message)
    r, s = signature[:32], signature[32:]
    number = int.from_bytes
    cases = [
        (KEY.public_key, message, signature),
        (KEY.public_key, b"messagf", signature),
        (KEY.public_key, b"", KEY.sign(b"")),
        (other.public_key, message, signature),
        (KEY.public_key, message, s + r),
        (KEY.public_key, message, bytes(32) + s),
        (KEY.public_key, message, r + bytes(32)),
        (KEY.public_key, message, N.to_bytes(32, "big") + s),
        (KEY.public_key, message, r + N.to_bytes(32, "big")),
        (KEY.public_key, message, r + (N - number(r, "big")).to_bytes(32, "big")),
        (KEY.public_key, message, r + (N - number(s, "big")).to_bytes(32, "big")),
        (KEY.public_key, message, signature[:-1]),
        (KEY.public_key, message, signature + b"\x00"),
        (KEY.public_key, message, b""),
        (KEY.public_key[:-1] + bytes([KEY.public_key[-1] ^ 1]), message, signature),
        (KEY.public_key[1:], message, signature),
        (b"\x02" + KEY.public_key[1:33], message, signature),
        (b"\x04" + bytes(64), message, signature),
        (b"\x04" + b"\xff" * 64, message, signature),
        (b"", message, signature),
    ]
    verdicts = [verify.is_valid_signature(*case) for case in cases]
    assert verdicts == [sm.is_valid_signature(*case) for case in cases]
    assert [index for index, verdict in enumerate(verdicts) if verdict] == [0, 2]


def test_signatures_over_messages_of_many_lengths_are_valid() -> None:
    for length in (1, 63, 64, 65, 1_000):
        message = bytes(length)
        assert verify.is_valid_signature(KEY.public_key, message, KEY.sign(message))


def test_an_empty_distinguishing_id_is_not_taken_for_the_standard_one() -> None:
    assert sm.is_valid_signature(KEY.public_key, b"m", KEY.sign(b"m"))
    assert not sm.is_valid_signature(KEY.public_key, b"m", KEY.sign(b"m"), b"")


def by_our_codec(data: bytes) -> Any:
    """The value, or None when the bytes are refused or hold a boolean, which no bundle does."""
    try:
        value = cbor.decode(data)
    except EncodingError:
        return None
    return None if "True" in repr(value) or "False" in repr(value) else value


def by_the_verifier(data: bytes) -> Any:
    """The value, or None when the bytes are refused."""
    try:
        return verify.decode(data, "it")
    except verify.Halt:
        return None


@given(st.binary(max_size=40) | st.builds(b"".join, st.lists(st.binary(max_size=3), max_size=12)))
@settings(max_examples=200)
def test_any_bytes_are_decoded_exactly_where_our_codec_decodes_them(data: bytes) -> None:
    assert by_the_verifier(data) == by_our_codec(data)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers(min_value=-(2**64), max_value=2**64 - 1) | st.binary(max_size=8) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=30)
def test_what_our_codec_encodes_is_decoded_to_the_same_value(value: Any) -> None:
    assert verify.decode(cbor.encode(value), "it") == value


@pytest.mark.parametrize("case", AUCTIONS, ids=lambda case: case.name)
def test_published_call_auctions_give_the_expected_price_and_fills(case: Path) -> None:
    data = tomllib.loads((case / "case.toml").read_text())
    rows = list(csv.DictReader((case / data["input"]["orders"]).read_text().splitlines()))
    rows.sort(key=lambda row: row["order_id"].encode())
    orders = [(int(row["side"] == "sell"), int(row["quantity_wh"]), int(row["price_micro_per_kwh"])) for row in rows]
    reference_price = data["input"]["reference_price_micro_per_kwh"]
    terms = {"rationing": "pro_rata", "reference_price_micro_per_kwh": reference_price}
    volume, price, fills, trades = verify.call_auction(orders, terms)
    expect = data["expect"]
    assert (volume, trades) == (expect["volume_wh"], ())
    assert price == expect.get("price_micro_per_kwh")
    assert {row["order_id"]: filled for row, filled in zip(rows, fills, strict=True) if filled} == expect["filled_wh"]


def test_some_published_call_auctions_were_found() -> None:
    assert len(AUCTIONS) >= 2


PAIRED = [contract for contract in CONTRACTS.values() if contract.trades_in_pairs and not contract.order_terms]
"""Those that ask nothing of orders but side, quantity and limit."""
ORDERS = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 50), st.integers(-3, 12)), max_size=14)


@given(ORDERS, st.integers(-5, 15))
@settings(max_examples=200)
def test_any_auction_gives_what_the_contract_gives(orders: list[tuple[int, int, int]], reference_price: int) -> None:
    side, quantity, price = (np.array([order[index] for order in orders], dtype=np.int64) for index in range(3))
    cleared = clear(
        side.astype(np.int8), quantity, price, reference_price_micro_per_kwh=reference_price, rationing="pro_rata"
    )
    expected = verify.Cleared(cleared.volume_wh, cleared.price_micro_per_kwh, cleared.filled_wh.tolist())
    terms = {"rationing": "pro_rata", "reference_price_micro_per_kwh": reference_price}
    assert verify.call_auction(orders, terms) == expected


@given(ORDERS, st.lists(st.integers(-1, 14), min_size=14, max_size=14))
@settings(max_examples=200)
def test_any_gate_of_a_paired_contract_comes_to_the_trades_of_the_contract(
    orders: list[tuple[int, int, int]], untils: list[int]
) -> None:
    side, quantity, price = (np.array([order[index] for order in orders], dtype=np.int64) for index in range(3))
    for contract in PAIRED:
        terms = {"price_k_ppm": 400_000} if "price_k_ppm" in verify.CONTRACTS[contract.contract_id].terms else {}
        until = np.array([drawn if contract.ranks_by_arrival else 0 for drawn in untils[: len(orders)]], dtype=np.int64)
        until = np.where(until < 0, len(orders), np.minimum(until, len(orders)))
        cleared = contract.clear(side.astype(np.int8), quantity, price, terms=terms, until_rank=until)
        assert cleared.trades is not None
        made = cleared.trades.buy, cleared.trades.sell, cleared.trades.energy_wh, cleared.trades.price_micro_per_kwh
        trades = zip(*(column.tolist() for column in made), strict=True)
        known = verify.CONTRACTS[contract.contract_id]
        assert known.clear is not None
        rows = [(*order, at) if contract.ranks_by_arrival else order for order, at in zip(orders, until, strict=True)]
        due = known.clear(rows, terms)
        assert due[:3] == (cleared.volume_wh, cleared.price_micro_per_kwh, cleared.filled_wh.tolist())
        assert list(map(tuple, due.trades)) == [(*trade, 0) for trade in trades]


def test_there_are_paired_contracts() -> None:
    assert [contract.contract_id for contract in PAIRED] == [
        "pay_as_bid/1",
        "continuous_double_auction/1",
        "trade_reduction/1",
        "pay_as_bid/2",
        "continuous_double_auction/2",
    ]


ENERGY = st.integers(0, 2_000)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_what_the_verifier_knows_of_a_contract_is_what_it_declares(contract: Contract) -> None:
    known = verify.CONTRACTS[contract.contract_id]
    declared = [(kind.kind, kind.account, kind.sign, kind.price or "") for kind in contract.line_kinds]
    assert [tuple(kind) for kind in known.line_kinds] == declared
    assert known.position_columns == tuple(contract.position_columns)
    assert known.area_columns == tuple(contract.area_columns)
    assert (known.clear is not None) == contract.takes_orders
    assert known.trades_in_pairs == contract.trades_in_pairs
    assert known.order_terms == tuple(contract.order_terms)


MEMBERS = st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)), min_size=1, max_size=6)


@pytest.mark.parametrize("contract_id", ["mid_market_rate/1", "supply_demand_ratio/1"])
@given(members=MEMBERS, feed_in=st.integers(1, 9), more=st.integers(0, 9))
@settings(max_examples=100)
def test_shares_of_a_community_hold_and_one_that_is_two_units_off_does_not(
    contract_id: str, members: list[tuple[int, int]], feed_in: int, more: int
) -> None:
    contract = CONTRACTS[contract_id]
    prices = {
        "residual_price_micro_per_kwh": feed_in + more,
        "feed_in_price_micro_per_kwh": feed_in,
        "network_traded_micro_per_kwh": 6,
        "network_residual_micro_per_kwh": 10,
        "levy_micro_per_kwh": 2,
    }
    taken, given_ = (np.array(column, dtype=np.int64) for column in zip(*members, strict=True))
    nothing = np.zeros_like(taken)
    slot = one_group(prices, taken, given_, nothing, nothing)
    settled = contract.settle(slot, trade_prices_micro_per_kwh=[None], terms=[{}])
    kept = slot._replace(bought_wh=settled.columns["bought_wh"], sold_wh=settled.columns["sold_wh"])
    lines = contract.lines(kept, settled.columns, trade_prices_micro_per_kwh=[None], terms=[{}])
    known = verify.CONTRACTS[contract.contract_id]
    area = {name: values[0] for name, values in settled.area_columns.items()}
    for row in range(len(members)):
        columns = {name: int(column[row]) for name, column in settled.columns.items()}
        point = verify.Settled(int(taken[row]), int(given_[row]), columns, area, prices, 0, prices, {}, {})
        known.check_point(point)
        amounts = [line.amount_nano for line in known.lines_of_point(point)]
        assert amounts == [int(line.amount_nano[row]) for line in lines]
        assert sum(amounts) == columns["pays_nano"]
        assert verify.supplier_only_nano(point) == columns["supplier_only_nano"]
        for wrong in (-2, 2):
            with pytest.raises(verify.Halt):
                known.check_point(
                    point._replace(columns={**columns, "community_nano": columns["community_nano"] + wrong})
                )


@given(members=MEMBERS, others=st.integers(0, 10**7), is_last=st.booleans())
@settings(max_examples=100)
def test_parts_of_a_months_bill_hold_and_none_that_is_two_units_off_does(
    members: list[tuple[int, int]], others: int, is_last: bool
) -> None:
    contract = CONTRACTS["bill_sharing/1"]
    prices = {**dict.fromkeys(verify.CONTRACTS[contract.contract_id].price_keys, 3), verify.FEED_IN_PRICE: 2}
    taken, given_ = (np.array(column, dtype=np.int64) for column in zip(*members, strict=True))
    nothing = np.zeros_like(taken)
    sums = dict.fromkeys(contract.period_columns, nothing + others)
    of_areas = {name: [others] for name in contract.period_area_columns}
    month = Period([0], [is_last], sums, of_areas) if is_last else Period([0], [False], {}, {})
    slot = one_group(prices, taken, given_, nothing, nothing)._replace(period=month)
    settled = contract.settle(slot, trade_prices_micro_per_kwh=[None], terms=[{}])
    known = verify.CONTRACTS[contract.contract_id]
    area = {name: values[0] for name, values in settled.area_columns.items()}
    for row in range(len(members)):
        columns = {name: int(column[row]) for name, column in settled.columns.items()}
        point = verify.Settled(int(taken[row]), int(given_[row]), columns, area, prices, 0, prices, {}, {})
        known.check_point(point)
        assert sum(line.amount_nano for line in known.lines_of_point(point)) == columns["pays_nano"]
        for name in ("deficit_wh", "surplus_wh", "paid_nano", "earned_nano", "bought_wh", "sold_wh"):
            for wrong in (-2, 2):
                with pytest.raises(verify.Halt):
                    known.check_point(point._replace(columns={**columns, name: columns[name] + wrong}))


@given(ENERGY, ENERGY, ENERGY, ENERGY, st.integers(-500_000, 500_000))
@settings(max_examples=100)
def test_the_nine_lines_are_those_of_the_contract(
    import_wh: int, export_wh: int, bought_wh: int, sold_wh: int, trade_price: int
) -> None:
    # The first point is the one compared; the second takes the other side, so that bought = sold.
    columns = [[import_wh, 0], [export_wh, 0], [bought_wh, sold_wh], [sold_wh, bought_wh]]
    slot = one_group(PRICES, *(np.array(column, dtype=np.int64) for column in columns))
    settled = CONTRACT.settle(slot, trade_prices_micro_per_kwh=[trade_price], terms=[{}])
    settled_lines = CONTRACT.lines(slot, settled.columns, trade_prices_micro_per_kwh=[trade_price], terms=[{}])
    expected = [(int(line.energy_wh[0]), line.price_micro_per_kwh, int(line.amount_nano[0])) for line in settled_lines]
    of_first = {name: int(column[0]) for name, column in settled.columns.items()}
    point = verify.Settled(import_wh, export_wh, of_first, {}, PRICES, trade_price, PRICES, {}, {})
    lines = verify.CONTRACTS[CONTRACT.contract_id].lines_of_point(point)
    assert [tuple(line)[1:] for line in lines] == expected
    assert sum(line.amount_nano for line in lines) == of_first["pays_nano"]
    assert verify.supplier_only_nano(point) == of_first["supplier_only_nano"]
