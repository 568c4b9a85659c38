"""Bids with conditions through ledger, bundle, book and both verifiers; the slow twin beside the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from gridcore import cbor, verify
from gridevidence.verifier.answers import Halt
from gridevidence.verifier.claims.fills import Fill, Wants
from gridevidence.verifier.claims.wants import hold_wants
from gridevidence.verifier.conditions import ANY_KIND
from ledger.evidence import build_book, build_bundle
from ledger.gates import load_gate_orders, load_shown_orders
from ledger.registry.areas import Area
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_again
from tests.twin.twin import Twin
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger, ledger_with
from tests.worlds.transactions import Sender
from tests.worlds.wanted import (
    HOUSE_NANO,
    POOLED,
    SHOP_NANO,
    WANTED,
    one_pooled_slot,
    one_ramped_slot,
    one_standing_slot,
    one_wanted_slot,
)

TRUST_FILE = json.dumps(trust_of(WANTED.genesis)).encode()
TRUST = verify.decode_trust(TRUST_FILE)
SLOTS = {
    "its homes": (WANTED, one_wanted_slot),
    "an aggregator": (POOLED, one_pooled_slot),
    "standing rules": (WANTED, one_standing_slot),
}
"""By who orders."""


class Market(NamedTuple):
    """A ledger with the slot, and the trust root of its chain."""

    ledger: Ledger
    trust_file: bytes


@pytest.fixture(scope="module", params=SLOTS)
def market(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Market]:
    world, slot = SLOTS[request.param]
    with ledger_with(tmp_path_factory.mktemp("wanted"), world, slot(world.sender())) as ledger:
        yield Market(ledger, json.dumps(trust_of(world.genesis)).encode())


@pytest.fixture
def settled(market: Market) -> Ledger:
    return market.ledger


def bundle_of(ledger: Ledger, party: str, kind: str) -> bytes:
    return build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)


@pytest.mark.parametrize(
    ("party", "kind", "energy_wh", "amount_nano"),
    [
        ("shop", "trade_buy", 300, SHOP_NANO),
        ("house", "trade_buy", 900, HOUSE_NANO),
        ("roof", "trade_sell", 300, -SHOP_NANO),
        ("mill", "trade_sell", 400, -400 * 420_000),
        ("engine", "trade_sell", 500, -500 * 400_000),
    ],
)
def test_each_line_of_a_preferring_market_is_verified_with_the_book_and_without(
    market: Market, party: str, kind: str, energy_wh: int, amount_nano: int
) -> None:
    data, book = bundle_of(market.ledger, party, kind), build_book(market.ledger, "a-1", FIRST_S)
    trust = verify.decode_trust(market.trust_file)
    for verdict in (verify.verify_bundle(data, trust), verify.verify_bundle(data, trust, book)):
        assert verdict.answer == verify.VERIFIED, verdict.reason
        found = [line for line in verdict.facts["lines"] if line["line_kind"] == kind]
        assert [(line["energy_wh"], line["amount_nano"]) for line in found] == [(energy_wh, amount_nano)]
        assert any("kinds" in open_ for open_ in verdict.not_checked)
    again = verify_again(data, market.trust_file, book)
    assert (again.answer, again.claim) == ("verified", None), again


def test_the_book_names_nobody_and_tells_bids_choices_kinds_and_who_is_asked_for(settled: Ledger) -> None:
    registry = settled.registry
    zone, number = registry.zone_of_area("a-1") or (None, 0)
    assert zone is not None
    fills = load_gate_orders(settled, zone, FIRST_S, number).fills
    names = [registry.parties[party] for party in fills.party.tolist()]
    columns = [column.tolist() for column in fills.order_terms.values()]
    found = {
        (name, counter): told for name, counter, *told in zip(names, fills.counter.tolist(), *columns, strict=True)
    }
    any_kind, solar, hydro, gas = 2**11 - 1, 1 << 8, 1 << 5, 1 << 3
    house, shop = (
        found["house", 9][0],
        found["shop", 1][0],
    )  # house: its first condition: 9 ranks behind 10 and 11, as bytes do
    assert found == {
        ("engine", 1): [found["engine", 1][0], 0, gas, 0],
        ("house", 9): [house, 0, any_kind, 1],
        ("house", 10): [house, 1, solar | hydro | 1 << 1 | 1 << 4 | 1 << 10, 0],
        ("house", 11): [house, 2, any_kind, 0],
        ("mill", 1): [found["mill", 1][0], 0, hydro, 0],
        ("roof", 1): [found["roof", 1][0], 0, solar, 1],
        ("shop", 1): [shop, 0, solar, 0],
    }
    assert len({told[0] for told in found.values()}) == 5  # each its own, but for the three of house


def test_the_orders_of_a_slot_are_shown_with_what_they_ask_for(settled: Ledger) -> None:
    zone = settled.zone_at(settled.registry.zone("z-1"), FIRST_S, settled.height)
    shown = load_shown_orders(settled, Area("a-1", 0, zone, settled.registry), FIRST_S).each()
    assert {one.order: (one.choice, one.energy_kind, one.seller) for one in shown} == {
        f"house/{FIRST_S}/9": (1, None, "roof"),
        f"house/{FIRST_S}/10": (2, "renewable", None),
        f"house/{FIRST_S}/11": (3, None, None),
        f"shop/{FIRST_S}/1": (1, "solar", None),
        **{f"{seller}/{FIRST_S}/1": (None, None, None) for seller in ("roof", "mill", "engine")},
    }


@pytest.mark.parametrize("who", SLOTS)
def test_ledger_and_twin_agree_on_bids_with_conditions(who: str) -> None:
    world, slot = SLOTS[who]
    ledger, twin = MemoryLedger(world.genesis), Twin(cbor.decode(world.genesis.encode()))
    sender = Sender(world.chain, world.start_s, sign_cheaply)
    for height, wires in enumerate(slot(sender), 1):
        time_s = world.start_s + height
        applied = ledger.apply(wires, time_s)
        codes = twin.apply_block(height, time_s, wires, is_cheaply_signed, height - 1, [])
        assert [int(result.code) for result in applied.results] == codes == [0] * len(wires)
        assert ledger.state.root() == twin.state_root(), f"block {height}"
    assert sorted(twin.leaves[f"trades/{FIRST_S}/z-1/0"]["energy_wh"]) == [300, 400, 500]
    assert f"run/{FIRST_S}/z-1/initial" in twin.leaves


def test_a_ramp_under_a_preferring_market_is_several_orders_of_one_transaction_and_no_bid(tmp_path: Path) -> None:
    """Each of its steps stands alone: the bundle of who sells so is verified like any other."""
    with ledger_with(tmp_path, WANTED, one_ramped_slot(WANTED.sender())) as ledger:
        data, book = bundle_of(ledger, "roof", "trade_sell"), build_book(ledger, "a-1", FIRST_S)
    for verdict in (verify.verify_bundle(data, TRUST), verify.verify_bundle(data, TRUST, book)):
        assert verdict.answer == verify.VERIFIED, verdict.reason
    again = verify_again(data, TRUST_FILE, book)
    assert (again.answer, again.claim) == ("verified", None), again


def test_steps_of_a_ramp_that_a_bundle_calls_one_bid_are_refused() -> None:
    """As one bid they would buy no more than the largest of them."""
    step: Any = SimpleNamespace(
        order=SimpleNamespace(what="order 1", signed=b"s", body={"steps": 2}), condition=None, bid=(b"s", 1), trades=()
    )
    fills = [Fill(1, counter, 0, 5, 9, 5, 0, Wants(0, 0, ANY_KIND, 0)) for counter in (1, 2)]
    with pytest.raises(Halt, match="are one bid"):
        hold_wants((step, step), fills, 0, 900)
    hold_wants((step, step), [fills[0], fills[1]._replace(wants=Wants(1, 0, ANY_KIND, 0))], 0, 900)
