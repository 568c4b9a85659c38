"""A market of pairs through ledger, bundle and both verifiers: each fill at the prices of its trades, and each trade shown to its parties."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridevidence.layout import ALL_OR_NONE, TRADES_MAX, TRADES_UNSHOWN
from gridevidence.verifier.answers import Halt
from gridevidence.verifier.bundle import read_bundle
from gridevidence.verifier.claims.fills import fill_of, hold_amount
from gridevidence.verifier.examination import Examination
from gridevidence.view import decode_bundle
from ledger.evidence import build_book, build_bundle
from ledger.gates import load_gate_orders
from ledger.leaves.cleared import load_cleared
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_again
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.pairs import (
    CONTINUOUS,
    HOUSE_NANO,
    PAIRS,
    SHOP_NANO,
    SOLD_NANO,
    one_continuous_slot,
    one_paired_slot,
)
from tests.worlds.transactions import Sender

TRUST_FILE = json.dumps(trust_of(PAIRS.genesis)).encode()


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with ledger_with(tmp_path_factory.mktemp("pairs"), PAIRS, one_paired_slot(PAIRS.sender())) as ledger:
        yield ledger


def bundle_of(ledger: Ledger, party: str, kind: str, point: str | None = None) -> bytes:
    return build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind, point=point)


def line_of(verdict: verify.Verdict, kind: str) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = [line for line in verdict.facts["lines"] if line["line_kind"] == kind]
    return found[0]


@pytest.mark.parametrize(
    ("party", "kind", "energy_wh", "amount_nano", "trades"),
    [
        ("shop", "trade_buy", 500, SHOP_NANO, [(400, 440_000), (100, 440_000)]),
        ("barn", "trade_sell", 400, -SOLD_NANO["barn"], [(400, 440_000)]),
        ("roof", "trade_sell", 600, -SOLD_NANO["roof"], [(100, 440_000), (500, 400_000)]),
    ],
)
def test_a_line_of_trades_is_verified_with_the_trades_behind_it_and_with_the_book(
    settled: Ledger, party: str, kind: str, energy_wh: int, amount_nano: int, trades: list[tuple[int, int]]
) -> None:
    data, trust, book = (
        bundle_of(settled, party, kind),
        verify.decode_trust(TRUST_FILE),
        build_book(settled, "a-1", FIRST_S),
    )
    for verdict in (verify.verify_bundle(data, trust), verify.verify_bundle(data, trust, book)):
        assert verdict.answer == verify.VERIFIED, verdict.reason
        line = line_of(verdict, kind)
        assert (line["energy_wh"], line["amount_nano"], line["price_micro_per_kwh"]) == (energy_wh, amount_nano, None)
        assert TRADES_UNSHOWN not in verdict.not_checked
    assert verify_again(data, TRUST_FILE, book).answer == "verified"
    assert "every trade" in verdict.claims["book"]
    (order,) = decode_bundle(data).orders
    assert [(trade.energy_wh, trade.price_micro_per_kwh) for trade in order.trades] == trades
    assert order.amount_nano == abs(amount_nano)


def test_what_a_party_with_two_points_traded_for_is_dealt_as_its_energy_is(settled: Ledger) -> None:
    trust = verify.decode_trust(TRUST_FILE)
    dealt = {}
    for point in ("P-a", "P-b"):
        verdict = verify.verify_bundle(bundle_of(settled, "house", "trade_buy", point), trust)
        assert verdict.answer == verify.VERIFIED, verdict.reason
        assert verify_again(bundle_of(settled, "house", "trade_buy", point), TRUST_FILE, None).answer == "verified"
        line = line_of(verdict, "trade_buy")
        dealt[point] = (line["energy_wh"], line["amount_nano"])
    assert dealt == {"P-a": (125, 125 * 400_000), "P-b": (375, 375 * 400_000)}
    assert sum(amount for _, amount in dealt.values()) == HOUSE_NANO


def test_a_trade_names_its_two_parties_and_a_bundle_shows_no_trade_of_others(settled: Ledger) -> None:
    number = settled.registry.party_number
    for party, kind in (("shop", "trade_buy"), ("barn", "trade_sell")):
        parts = cbor.decode(bundle_of(settled, party, kind), items_max=1 << 20)
        rows = [verify.TRADE_ROW.unpack(one["row"]) for order in parts["orders"] for one in order["trades"]]
        assert rows
        assert all(number[party] in (row[0], row[2]) for row in rows)


def test_orders_and_gate_tell_what_trades_came_to_and_no_one_price(settled: Ledger) -> None:
    cleared = load_cleared(settled, FIRST_S, "z-1", 1)
    assert cleared is not None
    assert cleared.trades is not None
    assert (cleared.volume_wh.tolist(), cleared.has_price.tolist(), cleared.trades.tolist()) == ([1_000], [0], [3])
    orders = load_gate_orders(settled, settled.registry.zones[0], FIRST_S, 0)
    assert orders.fills.amount_nano is not None
    assert sorted(orders.fills.amount_nano.tolist()) == sorted([SHOP_NANO, HOUSE_NANO, *SOLD_NANO.values()])


@pytest.mark.parametrize("what", ["drop a trade", "of another order", "twice"])
def test_a_bundle_without_a_trade_or_with_a_foreign_one_is_refuted_by_the_claim_about_orders(
    settled: Ledger, what: str
) -> None:
    trust = verify.decode_trust(TRUST_FILE)
    parts = cbor.decode(bundle_of(settled, "roof", "trade_sell"), items_max=1 << 20)
    trades = parts["orders"][0]["trades"]
    others = cbor.decode(bundle_of(settled, "barn", "trade_sell"), items_max=1 << 20)["orders"][0]["trades"]
    parts["orders"][0]["trades"] = {
        "drop a trade": trades[:1],
        "of another order": [*trades, *others],
        "twice": [trades[0], trades[0], *trades[1:]],
    }[what]
    verdict = verify.verify_bundle(cbor.encode(parts), trust)
    assert verdict.answer == verify.NOT_VERIFIED
    again = verify_again(cbor.encode(parts), TRUST_FILE, None)
    assert again.answer == "not_verified"
    assert verdict.claim is not None
    assert verdict.claim.word == "orders"


def many_trades(sender: Sender, sellers: list[str], count: int) -> list[list[bytes]]:
    """shop buys 1 Wh from each of ``count`` orders, 16 a seller: one trade an order."""
    placed = [(sellers[at // 16], 1 + at % 16) for at in range(count)]
    return [
        [
            sender.order("shop", "a-1", "buy", count, 400_000, FIRST_S),
            *(sender.order(name, "a-1", "sell", 1, 300_000, FIRST_S, counter=counter) for name, counter in placed),
        ],
        [sender.clock(FIRST_S)],
        [sender.clock(FIRST_S + 3 * SLOT_S)],
        [sender.clock(FIRST_S + 3 * SLOT_S + 1)],
    ]


@pytest.mark.parametrize("count", [TRADES_MAX, TRADES_MAX + 1])
def test_a_bundle_shows_trades_up_to_its_limit_and_beyond_it_says_that_they_are_unchecked(
    tmp_path: Path, count: int
) -> None:
    sellers = [f"roof-{number}" for number in range(1, 18)]
    meters = [household(1, "shop"), *(household(2 + at, name) for at, name in enumerate(sellers))]
    world = Consortium(rules=PAIRS.rules, zones=PAIRS.zones, meters=meters)
    trust = verify.decode_trust(json.dumps(trust_of(world.genesis)).encode())
    with ledger_with(tmp_path, world, many_trades(world.sender(), sellers, count)) as ledger:
        data = bundle_of(ledger, "shop", "trade_buy")
        verdict = verify.verify_bundle(data, trust, build_book(ledger, "a-1", FIRST_S))
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert line_of(verdict, "trade_buy")["amount_nano"] == count * 400_000
    (order,) = decode_bundle(data).orders
    assert len(order.trades) == (count if count <= TRADES_MAX else 0)
    assert (TRADES_UNSHOWN in verdict.not_checked) == (count > TRADES_MAX)


def test_continuous_orders_trade_as_they_come_and_a_withdrawal_keeps_what_was_traded(tmp_path: Path) -> None:
    trust_file = json.dumps(trust_of(CONTINUOUS.genesis)).encode()
    trust = verify.decode_trust(trust_file)
    expected = {
        ("shop", "trade_buy"): (200, 200 * 390_000),
        ("roof", "trade_sell"): (200, -200 * 390_000),
        ("house", "trade_buy"): (300, 300 * 400_000),
        ("barn", "trade_sell"): (300, -300 * 400_000),
    }
    with ledger_with(tmp_path, CONTINUOUS, one_continuous_slot(CONTINUOUS.sender())) as ledger:
        book = build_book(ledger, "a-1", FIRST_S)
        for (party, kind), (energy_wh, amount_nano) in expected.items():
            data = bundle_of(ledger, party, kind)
            for verdict in (verify.verify_bundle(data, trust), verify.verify_bundle(data, trust, book)):
                assert verdict.answer == verify.VERIFIED, verdict.reason
                line = line_of(verdict, kind)
                assert (line["energy_wh"], line["amount_nano"]) == (energy_wh, amount_nano)
            assert verify_again(data, trust_file, book).answer == "verified"
        rows = cbor.decode(book, items_max=1 << 20)["book"]
        assert [verify.ARRIVED_BOOK_ROW.unpack(row)[-1] for row in rows] == [2, 4, 4, 4]


def test_a_fill_that_is_all_or_none_is_refuted_where_the_contract_trades_in_pairs(settled: Ledger) -> None:
    """Else a buy of that side would be held to its limit as a sell is."""
    examination = Examination(read_bundle(bundle_of(settled, "shop", "trade_buy")), None, None)
    (order,), cleared = examination.bundle.orders, examination.cleared
    assert cleared is not None
    fill = fill_of(order.fill.row)
    hold_amount(cleared, order, fill)
    for shown in (order, order._replace(trades=())):
        with pytest.raises(Halt, match="all or none"):
            hold_amount(cleared, shown, fill._replace(side=ALL_OR_NONE, amount_nano=2 * fill.limit * fill.filled_wh))


def test_who_has_traded_and_withdrawn_keeps_its_point_until_the_slot_is_settled(tmp_path: Path) -> None:
    """What its order traded before it was withdrawn is settled at its point."""
    sender = CONTINUOUS.sender()
    blocks = one_continuous_slot(sender)
    with ledger_with(tmp_path, CONTINUOUS, blocks[:3]) as ledger:
        point = Named(POINT, "P-1", Point("a-1", "household", "shop"), FIRST_S)
        leaves = sender.register([*point.rows()], valid_until_s=CONTINUOUS.start_s + 3_600)
        assert decide(ledger, [leaves]) == [Code.REGISTRY_CONFLICT]
        for wires in blocks[3:]:
            assert decide(ledger, wires) == [0] * len(wires)
        assert bundle_of(ledger, "roof", "trade_sell")
