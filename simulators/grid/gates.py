"""What the gate of a slot came to, as the homes of a world are told it: the price of each area, and what each order got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from simulators.grid.households import OrderIntent


class Fill(NamedTuple):
    """What an order got. filled_wh: 0 for nothing; amount_nano: what its trades come to, of either sign as prices are."""

    order: OrderIntent
    filled_wh: int
    amount_nano: int


class Gate(NamedTuple):
    """A gate that has closed and cleared. slot: of the world.

    price_micro_per_kwh: by area, None where nothing was traded, and under a contract whose trades have prices of their own;
    fills: by home, in the order of ``World.traders``, of each that had an order.
    """

    slot: int
    price_micro_per_kwh: Mapping[str, int | None]
    fills: Mapping[str, Fill]
