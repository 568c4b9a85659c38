"""Simulated households as traders: which order each one places for a slot.

Prices are illustrative. An order's body is a pure function of the world, the seed and the slot; each (seed, slot, party) draws from a stream of its
own, so that the order of evaluation does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridcore.errors import UsageError
from simulators.grid.diversity import generator
from simulators.grid.world import World
from simulators.scenarios.schema import FORECAST, ZERO_INTELLIGENCE

SLOTS_PER_DAY = 96
ORDER_STREAM = 0x4F52444552  # keeps these streams apart from the world's


@dataclass(frozen=True)
class OrderIntent:
    """What a household wants for one slot; it becomes a signed order elsewhere."""

    party: str
    side: str  # buy | sell
    quantity_wh: int  # > 0
    price_micro_per_kwh: int  # limit


def orders_of_slot(world: World, slot_index: int) -> tuple[OrderIntent, ...]:
    """At most one order of each trader, in the order of ``world.traders``: sellers expect a net export, buyers a net import.

    The forecast is the slot's true net energy with an error of up to ``market.forecast_error_per_mille``. UsageError for a slot that the world does not have.
    """
    if not 0 <= slot_index < world.slots:
        message = f"slot_index {slot_index}: the world has slots 0 to {world.slots - 1}"
        raise UsageError(message)
    market, seed, intents = world.scenario.market, world.scenario.seed, []
    error_max = market.forecast_error_per_mille
    buys = (market.buy_micro_per_kwh_min, market.buy_micro_per_kwh_max)
    sells = (market.sell_micro_per_kwh_min, market.sell_micro_per_kwh_max)
    scarcity_per_mille = _scarcity_per_mille(world, slot_index) if market.strategy == FORECAST else 0
    for number, party in enumerate(world.traders):
        column = world.meter_of_party[party]
        net_wh = int(world.import_wh[slot_index, column]) - int(world.export_wh[slot_index, column])
        rng = generator(ORDER_STREAM, seed, slot_index, number)
        error = int(rng.integers(-error_max, error_max, endpoint=True))
        quantity_wh = abs(net_wh) * (1000 + error) // 1000
        low, high = buys if net_wh > 0 else sells
        steps_max = (high - low) // market.price_step_micro_per_kwh
        if market.strategy == ZERO_INTELLIGENCE:
            steps = int(rng.integers(0, steps_max, endpoint=True))
        elif market.strategy == FORECAST:
            steps = steps_max * scarcity_per_mille // 1000
        else:
            steps = steps_max if net_wh > 0 else 0
        price = low + market.price_step_micro_per_kwh * steps
        if quantity_wh > 0:
            intents.append(OrderIntent(party, "buy" if net_wh > 0 else "sell", quantity_wh, price))
    return tuple(intents)


def _scarcity_per_mille(world: World, slot_index: int) -> int:
    """Of what trading homes took and gave a day before, the part that they took; 500 on the first day."""
    before = slot_index - SLOTS_PER_DAY
    if before < 0:
        return 500
    columns = [world.meter_of_party[party] for party in world.traders]
    taken_wh, given_wh = (int(energy_wh[before, columns].sum()) for energy_wh in (world.import_wh, world.export_wh))
    return 1000 * taken_wh // (taken_wh + given_wh) if taken_wh + given_wh else 500
