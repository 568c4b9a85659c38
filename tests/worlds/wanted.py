"""Homes that prefer: who bids for a partner, for the sun, for what is renewable, or for anything; and one slot that settles."""

from __future__ import annotations

from dataclasses import replace

from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridcore.transactions.market_order import Condition
from gridcore.transactions.market_profile import ProfileBid, ProfileCondition
from gridcore.transactions.order_batch import PlacedCondition, PlacedOrder, placed_bid
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household, rules, zone
from tests.worlds.transactions import Sender


def _kind(number: int, party: str, kind: str) -> Named[Point]:
    return Named(POINT, f"P-{number}", Point("a-1", "household", party, energy_kind=kind), FIRST_S)


WANTED = Consortium(
    roles={"admin": ["administrator"], "reg": ["regulator"]},
    rules=[rules(terms={"price_rule": "pay_as_bid"})],
    zones=[zone(contract="conditional_bid/1", profiles_have_conditions=True)],
    meters=[
        household(1, "roof"),
        household(2, "mill"),
        household(3, "engine"),
        household(4, "house"),
        household(5, "shop"),
    ],
    more=[_kind(1, "roof", "solar"), _kind(2, "mill", "hydro"), _kind(3, "engine", "gas")],
)
POOLED = replace(
    WANTED,
    roles={**WANTED.roles, "pool": ["aggregator"]},
    meters=[replace(meter, aggregator="pool") for meter in WANTED.meters],
)
"""The same homes, whose orders an aggregator places."""
ROOF, MILL, ENGINE, HOUSE, SHOP = range(5)
"""Their numbers, in the order of their meters."""
PREFERRED = (
    Condition(1_000, 450_000, seller="roof"),
    Condition(800, 420_000, energy_kind="renewable"),
    Condition(500, 400_000),
)
"""house buys from roof rather than from the river, and anything rather than nothing: at most 1,000 Wh in all."""
# shop's first choice is the sun at 0.46: all 300 Wh of roof. house's partner has nothing left; its second choice takes mill's 400 Wh at 0.42, its third
# 500 Wh of engine at 0.40, for the third names no more.
SHOP_NANO, HOUSE_NANO = 300 * 460_000, 400 * 420_000 + 500 * 400_000


def one_wanted_slot(sender: Sender) -> list[list[bytes]]:
    """Bids with conditions of the first slot, metered and settled."""
    before = [(number, 0, 0) for number in range(1, 6)]
    after = [(1, 0, 300), (2, 0, 380), (3, 0, 900), (4, 700, 0), (5, 350, 0)]
    return [
        [
            sender.order("roof", "a-1", "sell", 300, 300_000, FIRST_S),
            sender.order("mill", "a-1", "sell", 400, 380_000, FIRST_S),
            sender.order("engine", "a-1", "sell", 900, 250_000, FIRST_S),
            sender.order("house", "a-1", "buy", 1_000, 450_000, FIRST_S, counter=9, conditions=PREFERRED),
            sender.order(
                "shop", "a-1", "buy", 350, 460_000, FIRST_S, conditions=[Condition(350, 460_000, energy_kind="solar")]
            ),
        ],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, before)],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, after)],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.clock(FIRST_S + 2 * SLOT_S + 1)],
    ]


def one_standing_slot(sender: Sender) -> list[list[bytes]]:
    """The same, but house and shop bid by standing rules, which want something else in the next slot."""
    blocks = one_wanted_slot(sender)
    preferred = [
        ProfileCondition(wanted.price_micro_per_kwh, [wanted.energy_wh, 1], wanted.seller, wanted.energy_kind)
        for wanted in PREFERRED
    ]
    until_s = FIRST_S + 4 * SLOT_S
    sun = ProfileBid([ProfileCondition(460_000, [350, 0], energy_kind="solar")])
    blocks[0][3:] = [
        sender.profile("house", "a-1", FIRST_S, until_s, [ProfileBid(preferred)], counter=9),
        sender.profile("shop", "a-1", FIRST_S, until_s, [sun]),
    ]
    return blocks


def one_ramped_slot(sender: Sender) -> list[list[bytes]]:
    """The same, but roof sells by a ramp, whose steps are no bid: each stands alone."""
    blocks = one_wanted_slot(sender)
    blocks[0][0] = sender.order("roof", "a-1", "sell", 300, 300_000, FIRST_S, steps=3, last_price_micro_per_kwh=320_000)
    return blocks


def one_pooled_slot(sender: Sender) -> list[list[bytes]]:
    """The same as ``one_wanted_slot`` out of an aggregator's batch, but for roof, who orders by itself."""
    orders = [
        PlacedOrder(MILL, 1, 1, 400, 380_000),
        PlacedOrder(ENGINE, 1, 1, 900, 250_000),
        *placed_bid(
            HOUSE,
            9,
            [
                PlacedCondition(1_000, 450_000, seller=ROOF),
                PlacedCondition(800, 420_000, energy_kind="renewable"),
                PlacedCondition(500, 400_000),
            ],
        ),
        *placed_bid(SHOP, 1, [PlacedCondition(350, 460_000, energy_kind="solar")]),
    ]
    batch = sender.order_batch("pool", "z-1", FIRST_S, orders)
    (of_roof, *_), *later = one_wanted_slot(sender)
    return [[of_roof, batch], *later]
