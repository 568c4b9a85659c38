"""The slow twin beside the ledger at a gate that is cleared again and again: orders that are all or none leave one a round, up to the last round that there is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gridcore import cbor
from ledger.state.all_or_none import ROUNDS_MAX
from tests.twin.contracts import CallAuction, Gate, Order
from tests.twin.forms import Leaf
from tests.twin.twin import Twin
from tests.worlds.consortium import FIRST_S, Consortium, household
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

BUYERS, SELLERS = ("house", "shop"), ("barn", "roof")
WORLD = Consortium(meters=[household(number, party) for number, party in enumerate((*BUYERS, *SELLERS), 1)])
# by party, counter and energy, these stand alone at the end, the first of them all or none
BEST = (("house", 1, 5), ("house", 2, 7), ("barn", 1, 11))


def one_leaves_a_round(sender: Sender, pairs: int) -> list[bytes]:
    """Asked for is 1 Wh more than offered, in steps of 2 Wh that are all or none and have limits of their own.

    The worst buy lacks 1 Wh and leaves, then 1 Wh more is offered than asked for, the worst sell leaves, and so on: two orders a pair.
    """
    (first, second, sell), (low, high) = BEST, (300_000, 400_000)
    wires = [
        sender.order(first[0], "a-1", "buy", first[2], high + 99_000, FIRST_S, counter=first[1], all_or_none=True),
        sender.order(second[0], "a-1", "buy", second[2], high + 98_000, FIRST_S, counter=second[1]),
        sender.order(sell[0], "a-1", "sell", sell[2], low - 99_000, FIRST_S, counter=sell[1]),
    ]
    for pair in range(pairs):
        at, counter = pair % 2, 3 + pair // 2
        for party, side, price in (
            (BUYERS[at], "buy", high + 1_000 * pair),
            (SELLERS[at], "sell", low - 1_000 * pair),
        ):
            wires.append(sender.order(party, "a-1", side, 2, price, FIRST_S, counter=counter, all_or_none=True))
    return wires


@pytest.mark.parametrize(
    ("pairs", "clearings", "filled_wh"),
    [
        pytest.param(11, 23, [5, 6, 11], id="more than 17 rounds"),
        pytest.param((ROUNDS_MAX - 2) // 2, ROUNDS_MAX - 1, [5, 6, 11], id="two rounds are left"),
        pytest.param(ROUNDS_MAX // 2, ROUNDS_MAX + 1, [0, 7, 7], id="the last round: all of them leave"),
        pytest.param(ROUNDS_MAX // 2 + 9, ROUNDS_MAX + 1, [0, 7, 7], id="more orders than rounds"),
    ],
)
def test_ledger_and_twin_agree_on_a_gate_that_is_cleared_many_times(
    pairs: int, clearings: int, filled_wh: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    clear = CallAuction.clear

    def counted(orders: Sequence[Order], terms: Leaf) -> Gate:
        calls.append(len(orders))
        return clear(orders, terms)

    monkeypatch.setattr(CallAuction, "clear", counted)
    ledger, twin = MemoryLedger(WORLD.genesis), Twin(cbor.decode(WORLD.genesis.encode()))
    sender = Sender(WORLD.chain, WORLD.start_s, sign_cheaply)
    blocks = [one_leaves_a_round(sender, pairs), [sender.clock(FIRST_S - 300)]]
    for height, wires in enumerate(blocks, 1):
        time_s = WORLD.start_s + height
        applied = ledger.apply(wires, time_s)
        codes = twin.apply_block(height, time_s, wires, is_cheaply_signed, height - 1, [])
        assert [int(result.code) for result in applied.results] == codes == [0] * len(wires)
        assert ledger.state.root() == twin.state_root(), f"block {height}"
    assert len(calls) == clearings
    fills = twin.leaves[f"fills/{FIRST_S}/z-1/0"]
    parties = [twin.registry.parties[number] for number in fills["party"]]
    found = dict(zip(zip(parties, fills["counter"], strict=True), fills["filled_wh"], strict=True))
    assert {key: wh for key, wh in found.items() if wh} == {
        (party, counter): wh for (party, counter, _), wh in zip(BEST, filled_wh, strict=True) if wh
    }
