"""Homes that trade in pairs, each at the price of its trade: two that sell, two that buy, one of them with two points; and one slot that settles."""

from __future__ import annotations

from dataclasses import replace

from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household, rules, zone
from tests.worlds.transactions import Sender

PAIRS = Consortium(
    roles={"admin": ["administrator"], "reg": ["regulator"]},
    rules=[rules(terms={})],
    zones=[zone(contract="pay_as_bid/1")],
    meters=[
        household(1, "roof"),
        household(2, "barn"),
        household(3, "house", point="P-b"),
        household(4, "house", point="P-a"),
        household(5, "shop"),
    ],
)
# shop's buy has the best limit: it takes barn's 400 Wh at its own limit, then 100 Wh of roof; house takes 500 Wh of roof at its own.
SHOP_NANO, HOUSE_NANO = 500 * 440_000, 500 * 400_000
SOLD_NANO = {"barn": 400 * 440_000, "roof": 100 * 440_000 + 500 * 400_000}


def one_paired_slot(sender: Sender) -> list[list[bytes]]:
    """Trades of the first slot, metered and settled: house's two points take 300 and 100 Wh of the 500 Wh that it bought."""
    before = [(number, 0, 0) for number in range(1, 6)]
    after = [(1, 0, 550), (2, 0, 400), (3, 300, 0), (4, 100, 0), (5, 700, 0)]
    return [
        [
            sender.order("roof", "a-1", "sell", 900, 390_000, FIRST_S),
            sender.order("barn", "a-1", "sell", 400, 300_000, FIRST_S),
            sender.order("house", "a-1", "buy", 500, 400_000, FIRST_S, counter=2),
            sender.order("shop", "a-1", "buy", 500, 440_000, FIRST_S),
        ],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, before)],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, after)],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.clock(FIRST_S + 2 * SLOT_S + 1)],
    ]


CONTINUOUS = replace(PAIRS, zones=[zone(contract="continuous_double_auction/1")])


def one_continuous_slot(sender: Sender) -> list[list[bytes]]:
    """roof's 900 Wh rest; shop takes 200 Wh of them, roof withdraws, house comes too late for the rest and meets barn.

    What a block withdraws is withdrawn before its orders come, whatever the ids of their transactions are.
    """
    return [
        [sender.order("roof", "a-1", "sell", 900, 390_000, FIRST_S)],
        [sender.order("shop", "a-1", "buy", 200, 440_000, FIRST_S)],
        [
            sender.cancel("roof", "a-1", FIRST_S, 1),
            sender.order("house", "a-1", "buy", 500, 400_000, FIRST_S),
        ],
        [sender.order("barn", "a-1", "sell", 300, 300_000, FIRST_S)],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(number, 0, 0) for number in range(1, 6)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 0, 200), (2, 0, 300), (3, 300, 0), (4, 0, 0), (5, 200, 0)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.clock(FIRST_S + 2 * SLOT_S + 1)],
    ]
