"""Contracts whose prices and fees are terms, through ledger, bundle, book and the verifiers; the slow twin beside the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridcore import cbor, verify
from ledger.evidence import build_book, build_bundle
from ledger.leaves.fills import load_fills
from ledger.leaves.results import RESULTS
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_again
from tests.twin.twin import Twin
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger, ledger_with
from tests.worlds.price_terms import PRICE_TERMS, PriceTerms, clear_by_other_terms
from tests.worlds.transactions import Sender

EACH = pytest.mark.parametrize("told", PRICE_TERMS.values(), ids=PRICE_TERMS)


@EACH
def test_each_line_is_verified_with_the_book_and_without(told: PriceTerms, tmp_path: Path) -> None:
    trust_file = json.dumps(trust_of(told.world.genesis)).encode()
    trust = verify.decode_trust(trust_file)
    assert told.lines
    with ledger_with(tmp_path, told.world, told.slot(told.world.sender())) as ledger:
        book = build_book(ledger, "a-1", FIRST_S)
        for (party, kind), expected in told.lines.items():
            data = build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)
            for verdict in (verify.verify_bundle(data, trust), verify.verify_bundle(data, trust, book)):
                assert verdict.answer == verify.VERIFIED, verdict.reason
                found = {line["line_kind"]: (line["energy_wh"], line["amount_nano"]) for line in verdict.facts["lines"]}
                assert found[kind] == expected
            for shown in (None, book):
                again = verify_again(data, trust_file, shown)
                assert (again.answer, again.claim) == ("verified", None), again
        leaf = RESULTS.must(ledger, FIRST_S, "z-1", "initial", 0)
        assert [int(leaf.totals["clearing"][0]), int(leaf.totals_nano["clearing"][0])] == [0, 0]


@EACH
def test_lines_of_a_gate_that_was_cleared_by_other_terms_than_the_rules_say_are_refused_beside_the_book(
    told: PriceTerms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear_by_other_terms(monkeypatch, told)
    assert told.lines
    trust_file = json.dumps(trust_of(told.world.genesis)).encode()
    trust = verify.decode_trust(trust_file)
    with ledger_with(tmp_path, told.world, told.slot(told.world.sender())) as ledger:
        book = build_book(ledger, "a-1", FIRST_S)
        for party, kind in told.lines:
            data = build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)
            verdict, again = verify.verify_bundle(data, trust, book), verify_again(data, trust_file, book)
            assert (verdict.answer, verdict.reason.partition(":")[0]) == (verify.NOT_VERIFIED, "book")
            assert (again.answer, again.claim and again.claim.word) == ("not_verified", "book")


@EACH
def test_ledger_and_twin_agree(told: PriceTerms) -> None:
    ledger, twin = MemoryLedger(told.world.genesis), Twin(cbor.decode(told.world.genesis.encode()))
    sender = Sender(told.world.chain, told.world.start_s, sign_cheaply)
    for height, wires in enumerate(told.slot(sender), 1):
        time_s = told.world.start_s + height
        applied = ledger.apply(wires, time_s)
        codes = twin.apply_block(height, time_s, wires, is_cheaply_signed, height - 1, [])
        assert [int(result.code) for result in applied.results] == codes == [0] * len(wires)
        assert ledger.state.root() == twin.state_root(), f"block {height}"
    assert f"run/{FIRST_S}/z-1/initial" in twin.leaves


def test_fills_say_how_many_orders_came_before_by_block_and_not_by_name() -> None:
    told = PRICE_TERMS["as orders came"]
    ledger = MemoryLedger(told.world.genesis)
    for height, wires in enumerate(told.slot(Sender(told.world.chain, told.world.start_s, sign_cheaply)), 1):
        ledger.apply(wires, told.world.start_s + height)
    fills = load_fills(ledger.state, FIRST_S, "z-1", 3)
    assert fills.arrival is not None
    parties = [ledger.state.registry.parties[party] for party in fills.party.tolist()]
    assert dict(zip(parties, fills.arrival.tolist(), strict=True)) == {"house": 0, "roof": 2, "shop": 1}
