"""An auction with trade reduction through ledger, bundle, book and verifier: two prices, and the surplus on its account."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gridcore import verify
from ledger.evidence import build_book, build_bundle
from ledger.leaves.results import RESULTS
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household, rules, zone
from tests.worlds.ledgers import ledger_with
from tests.worlds.transactions import Sender

REDUCED = Consortium(
    rules=[rules(terms={})],
    zones=[zone(contract="trade_reduction/1")],
    meters=[household(1, "roof"), household(2, "barn"), household(3, "house"), household(4, "shop")],
)
TRUST = verify.decode_trust(json.dumps(trust_of(REDUCED.genesis)).encode())
# shop (0.44) and barn (0.30) trade; house (0.40) and roof (0.39), who meet last, set the prices and do not.
TRADED_WH, BUY_PRICE, SELL_PRICE = 400, 400_000, 390_000


def one_slot(sender: Sender) -> list[list[bytes]]:
    """Cleared, metered and settled."""
    before = [(number, 0, 0) for number in range(1, 5)]
    after = [(1, 0, 550), (2, 0, 400), (3, 300, 0), (4, 500, 0)]
    return [
        [
            sender.order("roof", "a-1", "sell", 900, SELL_PRICE, FIRST_S),
            sender.order("barn", "a-1", "sell", 400, 300_000, FIRST_S),
            sender.order("house", "a-1", "buy", 600, BUY_PRICE, FIRST_S),
            sender.order("shop", "a-1", "buy", 500, 440_000, FIRST_S),
        ],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, before)],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, after)],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.clock(FIRST_S + 2 * SLOT_S + 1)],
    ]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with ledger_with(tmp_path_factory.mktemp("reduced"), REDUCED, one_slot(REDUCED.sender())) as ledger:
        yield ledger


@pytest.mark.parametrize(
    ("party", "lines"),
    [
        (
            "shop",
            {"trade_buy": TRADED_WH * SELL_PRICE, "auction_surplus": TRADED_WH * (BUY_PRICE - SELL_PRICE)},
        ),
        ("barn", {"trade_sell": -TRADED_WH * SELL_PRICE}),
    ],
)
def test_each_line_is_verified_with_the_book_and_without(settled: Ledger, party: str, lines: dict[str, int]) -> None:
    assert lines
    for kind, amount_nano in lines.items():
        data = build_bundle(settled, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)
        for verdict in (
            verify.verify_bundle(data, TRUST),
            verify.verify_bundle(data, TRUST, build_book(settled, "a-1", FIRST_S)),
        ):
            assert verdict.answer == verify.VERIFIED, verdict.reason
            found = {line["line_kind"]: line["amount_nano"] for line in verdict.facts["lines"]}
            assert found[kind] == amount_nano


def test_the_surplus_stands_on_its_own_account(settled: Ledger) -> None:
    leaf = RESULTS.must(settled, FIRST_S, "z-1", "initial", 0)
    surplus = leaf.totals["auction_surplus"], leaf.totals_nano["auction_surplus"]
    assert [int(column[0]) for column in surplus] == [0, TRADED_WH * (BUY_PRICE - SELL_PRICE)]
