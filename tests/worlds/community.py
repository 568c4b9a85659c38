"""A community at the mid-market rate: a roof that feeds in, two homes that take; and one slot that settles."""

from __future__ import annotations

from settlement.contracts.mid_market_rate_1 import CONTRACT
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, area, feeder, gateway, load, rules, zone
from tests.worlds.transactions import Sender

PRICES = {
    "residual_price_micro_per_kwh": 600_000,
    "feed_in_price_micro_per_kwh": 400_000,
    "network_traded_micro_per_kwh": 60_000,
    "network_residual_micro_per_kwh": 100_000,
    "levy_micro_per_kwh": 20_000,
}
COMMUNITY = Consortium(
    rules=[rules("shared", prices=PRICES, terms={})],
    zones=[zone(contract=CONTRACT.contract_id)],
    areas=[area("a-1", rules="shared")],
    gateways=[gateway("gw-1")],
    meters=[load(1, "roof"), load(2, "house"), load(3, "shop"), feeder(4)],
    roles={"reg": ["regulator"]},
)
# 601 Wh fed in against 400 + 600 Wh taken: 601 Wh stay inside at 0.50, 399 Wh come from the grid at 0.60 per kWh.
BUYERS_NANO = 601 * 500_000 + 399 * 600_000


def one_shared_slot(sender: Sender) -> list[list[bytes]]:
    """Submissions that meter and settle the first slot."""
    return [
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 100, 0), (3, 200, 0), (4, 0, 0)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 0, 601), (2, 500, 0), (3, 800, 0), (4, 400, 0)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
    ]
