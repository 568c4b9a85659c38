"""Bundles made from a real ledger: every line of every bill is verified by the stand-alone verifier, and nothing else is exported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from gridcore import cbor, verify
from gridcore.header import genesis_header
from gridcore.transactions.market_profile import ProfilePart
from gridcore.transactions.order_batch import PlacedOrder
from gridcore.validator import Validator
from gridevidence import forgery
from gridevidence.sources import EvidenceError, EvidenceNotYetError
from gridevidence.view import decode_bundle
from ledger.evidence import build_book, build_bundle
from ledger.state.genesis import genesis_change
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from settlement.contracts.p2p_call_auction_1 import LINE_KINDS
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.keys import key
from tests.worlds.ledgers import ledger_with
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

GENESIS = TWO_AREAS.genesis
TRUST = verify.decode_trust(json.dumps(trust_of(GENESIS)).encode())
PARTIES = ("p-1", "p-2", "l-1")
# p-1 imports 900 Wh of which it bought 300; p-2 exports 500 Wh of which it sold 300; the load with ratio 40 imports 80 Wh.
LINES = {
    ("p-1", "trade_buy"): (300, 135_000_000),
    ("p-1", "residual_import"): (600, 276_000_000),
    ("p-1", "network_traded"): (300, 54_000_000),
    ("p-1", "network_residual"): (600, 108_000_000),
    ("p-1", "levy"): (900, 36_000_000),
    ("p-2", "trade_sell"): (300, -135_000_000),
    ("p-2", "residual_export"): (200, -56_000_000),
    ("l-1", "residual_import"): (80, 36_800_000),
    ("l-1", "network_residual"): (80, 14_400_000),
    ("l-1", "levy"): (80, 3_200_000),
}


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger with one settled slot."""
    with ledger_with(tmp_path_factory.mktemp("settled"), TWO_AREAS, one_settled_slot(TWO_AREAS.sender())) as ledger:
        yield ledger


def export(ledger: Ledger, party: str, kind: str) -> bytes:
    return build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)


@pytest.mark.parametrize(("party", "kind"), LINES)
def test_every_line_of_a_real_ledger_is_verified(settled: Ledger, party: str, kind: str) -> None:
    verdict = verify.verify_bundle(export(settled, party, kind), TRUST)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    facts = verdict.facts
    lines = {line["line_kind"]: (line["energy_wh"], line["amount_nano"]) for line in facts["lines"]}
    assert facts["party"] == party
    assert lines == {own: line for (whose, own), line in LINES.items() if whose == party}


def test_the_book_of_a_real_ledger_gives_price_and_fills(settled: Ledger) -> None:
    book = build_book(settled, "a-1", FIRST_S)
    verdict = verify.verify_bundle(export(settled, "p-1", "trade_buy"), TRUST, book)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert "book" in verdict.claims
    assert verify.verify_bundle(export(settled, "l-1", "levy"), TRUST, book).answer == verify.CANNOT_BE_DECIDED


def test_a_party_without_a_filled_order_shows_no_orders(settled: Ledger) -> None:
    parts = cbor.decode(export(settled, "l-1", "levy"))
    assert parts["orders"] == []
    assert "clearing" not in parts


def test_lines_that_do_not_exist_are_refused_in_one_line(settled: Ledger) -> None:
    missing = [
        (party, kind)
        for party in PARTIES
        for kind in (declared.kind for declared in LINE_KINDS)
        if (party, kind) not in LINES
    ]
    for party, kind in missing:
        with pytest.raises(EvidenceError, match=f"{party} has no line {kind}"):
            export(settled, party, kind)
    for party, kind in (("nobody", "levy"), ("p-1", "gift"), ("util", "levy")):
        with pytest.raises(EvidenceError, match=r"none of that name|one of trade_buy"):
            export(settled, party, kind)
    for slot_start_s in (FIRST_S + SLOT_S, FIRST_S + 1, -1):
        with pytest.raises(EvidenceError, match="no run"):
            build_bundle(settled, CONTRACTS, party="p-1", slot_start_s=slot_start_s, line_kind="levy")
    with pytest.raises(EvidenceError, match="no run 'final'"):
        build_bundle(settled, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="levy", run="final")
    with pytest.raises(EvidenceError, match="not cleared"):
        build_book(settled, "a-1", FIRST_S + 96 * SLOT_S)


def test_evidence_holds_after_a_late_row_and_an_equal_and_a_different_one(tmp_path: Path) -> None:
    # The feeder's register of the first boundary comes after the run, with repeats before it of which one differs.
    fresh = TWO_AREAS.sender()
    early = [(1, 1000, 0), (2, 500, 100), (3, 10, 0)]
    end = [(1, 1900, 0), (2, 500, 600), (3, 12, 0), (4, 90, 5)]
    blocks = [
        [
            fresh.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S),
            fresh.order("p-2", "a-1", "sell", 300, 300_000, FIRST_S),
        ],
        [fresh.clock(FIRST_S)],
        [fresh.batch("gw-1", FIRST_S, early[:1]), fresh.batch("gw-1", FIRST_S, early[:2])],
        [fresh.batch("gw-1", FIRST_S, [(1, 999, 0), (3, 10, 0)])],
        [fresh.clock(FIRST_S + SLOT_S)],
        [fresh.batch("gw-1", FIRST_S + SLOT_S, end)],
        [fresh.clock(FIRST_S + 2 * SLOT_S)],
        [fresh.batch("gw-1", FIRST_S, [(4, 70, 5), (2, 500, 100)])],
    ]
    with ledger_with(tmp_path / "ledger", TWO_AREAS, blocks) as ledger:
        for party, kind in LINES:
            verdict = verify.verify_bundle(export(ledger, party, kind), TRUST)
            assert verdict.answer == verify.VERIFIED, (party, kind, verdict.reason)


def test_what_stands_in_the_newest_block_can_be_proved_one_block_later(tmp_path: Path) -> None:
    sender = TWO_AREAS.sender()
    orders, clock, first, boundary, second, due = one_settled_slot(sender)
    blocks = [orders, clock, first, [*boundary, *second, *due]]
    with ledger_with(tmp_path / "ledger", TWO_AREAS, blocks) as ledger:
        with pytest.raises(EvidenceNotYetError, match="a later one makes it provable"):
            export(ledger, "p-1", "levy")
        ledger.make_block(ledger.examine([]))
        assert verify.verify_bundle(export(ledger, "p-1", "levy"), TRUST).answer == verify.VERIFIED


def test_the_trust_root_names_the_signers_of_genesis() -> None:
    root = trust_of(GENESIS)
    assert root["genesis"] == genesis_header(GENESIS, genesis_change(GENESIS).tree.root).digest().hex()
    assert [signer["name"] for signer in root["signers"]] == ["operator"]
    named = replace(GENESIS, validators=(Validator("board", "util", key("util").public_key, 3),))
    assert [(signer["name"], signer["power"]) for signer in trust_of(named)["signers"]] == [("board", 3)]


RAMP: Final[Mapping[str, Any]] = {"last_price_micro_per_kwh": 350_000, "steps": 3}
STANDING: Final = ProfilePart("buy", 450_000, [400, 9])


def several_orders(sender: Sender) -> list[list[bytes]]:
    """``one_settled_slot`` where p-2 sells by a ramp and p-1 buys by a profile of three slots."""
    blocks = one_settled_slot(sender)
    orders = [
        sender.order("p-2", "a-1", "sell", 300, 290_000, FIRST_S, counter=2, **RAMP),
        sender.profile("p-1", "a-1", FIRST_S, FIRST_S + 3 * SLOT_S, [STANDING], counter=4),
    ]
    return [orders, *blocks[1:]]


@pytest.mark.parametrize(("party", "kind"), [("p-1", "trade_buy"), ("p-2", "trade_sell")])
def test_a_line_that_rests_on_a_ramp_or_a_profile_is_verified_and_not_when_it_is_altered(
    tmp_path: Path, party: str, kind: str
) -> None:
    with ledger_with(tmp_path, TWO_AREAS, several_orders(TWO_AREAS.sender())) as ledger:
        data, book = export(ledger, party, kind), build_book(ledger, "a-1", FIRST_S)
    verdict = verify.verify_bundle(data, TRUST, book)
    assert (verdict.answer, "book" in verdict.claims) == (verify.VERIFIED, True), verdict.reason
    shown = [(order.order, order.quantity_wh, order.limit_micro_per_kwh) for order in decode_bundle(data).orders]
    limits = ((2, 290_000), (3, 320_000), (4, 350_000))
    assert shown == (
        [(f"p-1/{FIRST_S}/4", 400, 450_000)]
        if party == "p-1"
        else [(f"p-2/{FIRST_S}/{counter}", 100, limit) for counter, limit in limits]
    )
    # the other steps of a forged ramp show the transaction as the ledger recorded it
    forged = "signatures" if party == "p-1" else "recorded"
    for what, claim in (("order_limit", "orders"), ("forged_limit", forged)):
        altered = verify.verify_bundle(forgery.alter(data, what).data, TRUST)
        assert (altered.answer, altered.claim and altered.claim.word) == (verify.NOT_VERIFIED, claim)


PLACED: Final = replace(
    TWO_AREAS,
    meters=[replace(meter, aggregator="pool") if meter.party == "p-1" else meter for meter in TWO_AREAS.meters],
    roles={**TWO_AREAS.roles, "pool": ["aggregator"]},
)
"""The two areas, where an aggregator places the orders of p-1."""


def test_an_order_of_an_aggregators_batch_is_proven_to_its_household(tmp_path: Path) -> None:
    sender = PLACED.sender()
    orders = [PlacedOrder(1, 1, 0, 5, 1), PlacedOrder(0, 2, 0, 400, 450_000)]
    batch = sender.order_batch("pool", "z-1", FIRST_S, orders)
    blocks = one_settled_slot(sender)
    blocks[0][0] = batch
    with ledger_with(tmp_path, PLACED, blocks) as ledger:
        data = export(ledger, "p-1", "trade_buy")
    trust = verify.decode_trust(json.dumps(trust_of(PLACED.genesis)).encode())
    verdict = verify.verify_bundle(data, trust)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert verdict.facts["aggregators"] == [{"counter": 2, "aggregator": "pool"}]
    said = "Order 2 was placed by aggregator pool under a mandate of the party's registry row."
    assert said in list(verify.verdict_lines(verdict))
    assert decode_bundle(data).orders[0].order == f"p-1/{FIRST_S}/2"
    for what, claim in (("order_limit", "orders"), ("forged_limit", "signatures")):
        altered = verify.verify_bundle(forgery.alter(data, what).data, trust)
        assert (altered.answer, altered.claim and altered.claim.word) == (verify.NOT_VERIFIED, claim)
