"""Homes of a small grid: two streets under a substation, one home at no place; and one slot that settles."""

from __future__ import annotations

from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household, rules, zone
from tests.worlds.transactions import Sender

SUBSTATION, NORTH, SOUTH = 1, 10, 20
GRID = [
    {"place": SUBSTATION, "fee_micro_per_kwh": 20_000},
    {"place": NORTH, "parent": SUBSTATION, "fee_micro_per_kwh": 10_000},
    {"place": SOUTH, "parent": SUBSTATION, "fee_micro_per_kwh": 5_000},
]


def _at(number: int, party: str, place: int) -> Named[Point]:
    return Named(POINT, f"P-{number}", Point("a-1", "household", party, grid_place=place), FIRST_S)


PLACED = Consortium(
    roles={"admin": ["administrator"], "reg": ["regulator"]},
    rules=[rules(terms={"price_rule": "pay_as_bid", "grid_places": GRID})],
    zones=[zone(contract="grid_fee_path/1")],
    meters=[
        household(1, "roof"),
        household(2, "barn"),
        household(3, "house"),
        household(4, "shop"),
        household(5, "cabin"),
    ],
    more=[_at(1, "roof", NORTH), _at(2, "barn", SOUTH), _at(3, "house", NORTH), _at(4, "shop", SOUTH)],
)
# In the south shop's 0.44 meets barn's 0.30 at a fee of 0.005 for 400 Wh; in the north house's 0.40 meets roof's 0.38 at 0.010 for 600 Wh. Shop's
# other 100 Wh go up: roof's 0.38 is seen as 0.41 at the substation, shop's 0.44 as 0.435. cabin is at no place and trades with nobody.
TRADES = [(600, 390_000, 10_000), (400, 435_000, 5_000), (100, 405_000, 35_000)]
SHOP_NANO, SHOP_FEE_NANO = 400 * 435_000 + 100 * 405_000, 400 * 5_000 + 100 * 35_000
ROOF_NANO = 600 * 390_000 + 100 * 405_000


def one_placed_slot(sender: Sender) -> list[list[bytes]]:
    """Orders of the first slot along the grid, metered and settled."""
    before = [(number, 0, 0) for number in range(1, 6)]
    after = [(1, 0, 650), (2, 0, 400), (3, 500, 0), (4, 700, 0), (5, 0, 90)]
    return [
        [
            sender.order("roof", "a-1", "sell", 900, 380_000, FIRST_S),
            sender.order("barn", "a-1", "sell", 400, 300_000, FIRST_S),
            sender.order("cabin", "a-1", "sell", 100, 1_000, FIRST_S),
            sender.order("house", "a-1", "buy", 600, 400_000, FIRST_S),
            sender.order("shop", "a-1", "buy", 500, 440_000, FIRST_S),
        ],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, before)],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, after)],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.clock(FIRST_S + 2 * SLOT_S + 1)],
    ]
