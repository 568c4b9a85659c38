"""Simulated households as traders: which order each one places for a slot.

Prices are illustrative. An order's body is a pure function of the world, the seed and the slot; each (seed, slot, party) draws from a stream of its
own, so that the order of evaluation does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridcore.errors import UsageError
from simulators.grid.diversity import generator
from simulators.grid.world import World

SELL_LIMITS_MICRO_PER_KWH = (280_000, 370_000)
BUY_LIMITS_MICRO_PER_KWH = (370_000, 460_000)
PRICE_STEP_MICRO_PER_KWH = 100
FORECAST_ERROR_PER_MILLE = 80
ORDER_STREAM = 0x4F52444552  # keeps these streams apart from the world's


@dataclass(frozen=True)
class OrderIntent:
    """What a household wants for one slot; it becomes a signed order elsewhere."""

    party: str
    side: str  # buy | sell
    quantity_wh: int  # > 0
    price_micro_per_kwh: int  # limit


def orders_of_slot(world: World, seed: int, slot_index: int) -> tuple[OrderIntent, ...]:
    """At most one order of each trader, in the order of ``world.traders``: sellers expect a net export, buyers a net import.

    The forecast is the slot's true net energy with an error of up to 8 %. UsageError for a slot that the world does not have.
    """
    if not 0 <= slot_index < world.slots:
        message = f"slot_index {slot_index}: the world has slots 0 to {world.slots - 1}"
        raise UsageError(message)
    intents = []
    for number, party in enumerate(world.traders):
        column = world.meter_of_party[party]
        net_wh = int(world.import_wh[slot_index, column]) - int(world.export_wh[slot_index, column])
        rng = generator(ORDER_STREAM, seed, slot_index, number)
        error = int(rng.integers(-FORECAST_ERROR_PER_MILLE, FORECAST_ERROR_PER_MILLE, endpoint=True))
        quantity_wh = abs(net_wh) * (1000 + error) // 1000
        low, high = BUY_LIMITS_MICRO_PER_KWH if net_wh > 0 else SELL_LIMITS_MICRO_PER_KWH
        steps = (high - low) // PRICE_STEP_MICRO_PER_KWH
        price = low + PRICE_STEP_MICRO_PER_KWH * int(rng.integers(0, steps, endpoint=True))
        if quantity_wh > 0:
            intents.append(OrderIntent(party, "buy" if net_wh > 0 else "sell", quantity_wh, price))
    return tuple(intents)
