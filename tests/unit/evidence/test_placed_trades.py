"""Trades along a grid through ledger, bundle, book and both verifiers, with their fees; the slow twin beside the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gridcore import cbor, verify
from ledger.evidence import build_book, build_bundle
from ledger.leaves.results import RESULTS
from ledger.leaves.trades import load_trades
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_again
from tests.twin.twin import Twin
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger, ledger_with
from tests.worlds.placed import PLACED, ROOF_NANO, SHOP_FEE_NANO, SHOP_NANO, TRADES, one_placed_slot
from tests.worlds.transactions import Sender

TRUST_FILE = json.dumps(trust_of(PLACED.genesis)).encode()
TRUST = verify.decode_trust(TRUST_FILE)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with ledger_with(tmp_path_factory.mktemp("placed"), PLACED, one_placed_slot(PLACED.sender())) as ledger:
        yield ledger


@pytest.mark.parametrize(
    ("party", "lines"),
    [
        ("shop", {"trade_buy": (500, SHOP_NANO), "grid_fee": (500, SHOP_FEE_NANO)}),
        ("house", {"trade_buy": (600, 600 * 390_000), "grid_fee": (600, 600 * 10_000)}),
        ("roof", {"trade_sell": (700, -ROOF_NANO)}),
        ("barn", {"trade_sell": (400, -400 * 435_000)}),
    ],
)
def test_each_line_along_a_grid_is_verified_with_the_book_and_without(
    settled: Ledger, party: str, lines: dict[str, tuple[int, int]]
) -> None:
    assert lines
    book = build_book(settled, "a-1", FIRST_S)
    for kind, expected in lines.items():
        data = build_bundle(settled, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)
        for verdict in (verify.verify_bundle(data, TRUST), verify.verify_bundle(data, TRUST, book)):
            assert verdict.answer == verify.VERIFIED, verdict.reason
            found = {line["line_kind"]: (line["energy_wh"], line["amount_nano"]) for line in verdict.facts["lines"]}
            assert found[kind] == expected
        again = verify_again(data, TRUST_FILE, book)
        assert (again.answer, again.claim) == ("verified", None), again


def test_the_fees_are_the_network_s_and_each_trade_says_its_own(settled: Ledger) -> None:
    trades = load_trades(settled, FIRST_S, "z-1", len(TRADES))
    assert trades.fee_micro_per_kwh is not None
    columns = (trades.energy_wh, trades.price_micro_per_kwh, trades.fee_micro_per_kwh)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == TRADES
    leaf = RESULTS.must(settled, FIRST_S, "z-1", "initial", 0)
    assert [int(leaf.totals["clearing"][0]), int(leaf.totals_nano["clearing"][0])] == [0, 0]


def test_ledger_and_twin_agree_on_trades_along_a_grid() -> None:
    ledger, twin = MemoryLedger(PLACED.genesis), Twin(cbor.decode(PLACED.genesis.encode()))
    sender = Sender(PLACED.chain, PLACED.start_s, sign_cheaply)
    for height, wires in enumerate(one_placed_slot(sender), 1):
        time_s = PLACED.start_s + height
        applied = ledger.apply(wires, time_s)
        codes = twin.apply_block(height, time_s, wires, is_cheaply_signed, height - 1, [])
        assert [int(result.code) for result in applied.results] == codes == [0] * len(wires)
        assert ledger.state.root() == twin.state_root(), f"block {height}"
    assert twin.leaves[f"trades/{FIRST_S}/z-1/0"]["fee_micro_per_kwh"] == [fee for _, _, fee in TRADES]
    assert f"run/{FIRST_S}/z-1/initial" in twin.leaves
