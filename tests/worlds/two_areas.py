"""Two areas, each in a zone of its own, with a gateway each, three households, a load with current transformers and a feeder; and one slot that settles."""

from __future__ import annotations

from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, area, feeder, gateway, household, load, zone
from tests.worlds.transactions import Sender

TWO_AREAS = Consortium(
    zones=[zone("z-1"), zone("z-2")],
    areas=[area("a-1"), area("a-2", zone="z-2")],
    gateways=[gateway("gw-1"), gateway("gw-2")],
    meters=[
        household(1, "p-1"),
        household(2, "p-2"),
        load(3, "l-1", ratio=40),
        feeder(4, ratio=100),
        household(5, "q-1", area="a-2", gateway="gw-2"),
    ],
    roles={"reg": ["regulator"], "admin": ["administrator"]},
)


def one_settled_slot(sender: Sender) -> list[list[bytes]]:
    """Submissions that trade, meter and settle the first slot of area a-1: p-2 sells 300 Wh to p-1."""
    rows = [(1, 1000, 0), (2, 500, 100), (3, 10, 0), (4, 70, 5)]
    later = [(1, 1900, 0), (2, 500, 600), (3, 12, 0), (4, 90, 5)]
    orders = [
        sender.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S),
        sender.order("p-2", "a-1", "sell", 300, 300_000, FIRST_S),
    ]
    return [
        orders,
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, rows)],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [*later, (9, 1, 1)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
    ]
