"""Homes that learn their limits from what gates come to: zero-intelligence-plus traders in a call auction.

After D. Cliff, "Minimal-intelligence agents for bargaining behaviors in market-based environments", HP Laboratories HPL-97-91 (1997), where each
shout of a continuous market teaches; here each gate does. Whole numbers throughout, so that a seed gives the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulators.grid.diversity import generator
from simulators.grid.gates import Fill, Gate
from simulators.grid.households import OrderIntent, market_of, orders_of_slot
from simulators.grid.world import World

LEARNING_STREAM: Final = 0x5A495045
"""Keeps these streams apart from the world's."""
_PER_MILLE: Final = 1_000
_RATE: Final = (100, 501)
"""Per mille of the way to its target that a home goes in one step, drawn for each."""
_MOMENTUM: Final = (200, 801)
"""Per mille of its last step that the next one keeps, drawn for each."""
_OFF_END: Final = (50, 351)
"""Per mille of the range by which a home's limits begin off the end at which it trades most surely, drawn for each."""
_BEYOND: Final = 50
"""Per mille of the range by which a target lies beyond the gate's price."""


class _Limit:
    """The limit of a home on one side of the market, micro per kWh. sign: 1 where more of it is better for the home (it sells), else -1."""

    def __init__(self, price: int, sign: int, rate: int, momentum: int) -> None:
        self.price, self.sign = price, sign
        self._rate, self._momentum, self._step = rate, momentum, 0

    def follow(self, target: int, low: int, high: int) -> None:
        """One step towards a target, within a range."""
        wanted = self._rate * (target - self.price)
        step, whole = self._momentum * self._step * _PER_MILLE + (_PER_MILLE - self._momentum) * wanted, _PER_MILLE**2
        self._step = step // whole if step >= 0 else -(-step // whole)
        self.price = min(max(self.price + self._step, low), high)


class ZeroIntelligencePlus:
    """Homes with the energies of the scenario's, whose limits follow the market: ``Adaptive(ZeroIntelligencePlus)``.

    A home has a limit for slots in which it buys and one for those in which it sells, both between the lowest and the highest of the scenario's. Who got all
    that it ordered tries for more than the gate's price; who did not gives way. UsageError where the scenario has no market.
    """

    def __init__(self, world: World) -> None:
        market = market_of(world)
        self._world = world
        self._low, self._high = market.sell_micro_per_kwh_min, market.buy_micro_per_kwh_max
        range_micro, draws = self._high - self._low, generator(LEARNING_STREAM, world.scenario.seed)
        self._beyond = range_micro * _BEYOND // _PER_MILLE
        self._limits: dict[tuple[str, str], _Limit] = {}
        for home in world.traders:
            rate, momentum = int(draws.integers(*_RATE)), int(draws.integers(*_MOMENTUM))
            for side, end, sign in (("buy", self._high, -1), ("sell", self._low, 1)):
                off = range_micro * int(draws.integers(*_OFF_END)) // _PER_MILLE
                self._limits[home, side] = _Limit(end + sign * off, sign, rate, momentum)

    def __call__(self, slot: int, gate: Gate | None) -> Sequence[OrderIntent]:
        """The orders of a slot; gate: of the slot before it, None for the first."""
        if gate is not None:
            for home, fill in gate.fills.items():
                self._learn(fill, gate.price_micro_per_kwh[self._area_of(home)])
        return [self._priced(order) for order in orders_of_slot(self._world, slot)]

    def _learn(self, fill: Fill, price: int | None) -> None:
        """From what an order got, at its gate's price; where there was none at its own."""
        limit = self._limits[fill.order.party, fill.order.side]
        has_all = fill.filled_wh == fill.order.quantity_wh
        known = limit.price if price is None else price
        limit.follow(known + limit.sign * (self._beyond if has_all else -self._beyond), self._low, self._high)

    def _area_of(self, home: str) -> str:
        return self._world.meters[self._world.meter_of_party[home]].area

    def _priced(self, order: OrderIntent) -> OrderIntent:
        limit = self._limits[order.party, order.side]
        return OrderIntent(order.party, order.side, order.quantity_wh, limit.price)
