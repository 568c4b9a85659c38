"""The mid-market rate: what a community gives its members inside one slot is paid half way between the grid's two prices.

Long et al. 2017, "Peer-to-peer energy trading in a community microgrid". With b the retail and s the feed-in price: the
smaller of supply and demand changes hands at (b + s) / 2, the grid takes the rest of the supply at s or brings the rest of
the demand at b, and each side shares its total by energy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1 import (
    INT64_MIN,
    ContractError,
    Int64Column,
    check_column,
    check_int64,
    exact_sum,
    largest_remainder,
)


class Totals(NamedTuple):
    """One slot of a community: its members' surpluses and deficits, and the two prices of the grid."""

    supply_wh: int
    demand_wh: int
    retail_micro_per_kwh: int
    feed_in_micro_per_kwh: int

    @property
    def volume_wh(self) -> int:
        """The energy that stays inside."""
        return min(self.supply_wh, self.demand_wh)

    @property
    def transfer_nano(self) -> int:
        """What goes from buyers to sellers for it: the floor of volume x mid-market price."""
        return self.volume_wh * (self.retail_micro_per_kwh + self.feed_in_micro_per_kwh) // 2

    @property
    def sellers_nano(self) -> int:
        """What the sellers receive together."""
        return self.transfer_nano + (self.supply_wh - self.volume_wh) * self.feed_in_micro_per_kwh

    @property
    def buyers_nano(self) -> int:
        """What the buyers pay together."""
        return self.transfer_nano + (self.demand_wh - self.volume_wh) * self.retail_micro_per_kwh

    @property
    def price_sell(self) -> tuple[int, int] | None:
        """Numerator and denominator of the mean price per kWh that sellers get, before rounding; None without supply."""
        twice = self._twice_transfer + 2 * (self.supply_wh - self.volume_wh) * self.feed_in_micro_per_kwh
        return (twice, 2 * self.supply_wh) if self.supply_wh else None

    @property
    def price_buy(self) -> tuple[int, int] | None:
        """Numerator and denominator of the mean price per kWh that buyers pay, before rounding; None without demand."""
        twice = self._twice_transfer + 2 * (self.demand_wh - self.volume_wh) * self.retail_micro_per_kwh
        return (twice, 2 * self.demand_wh) if self.demand_wh else None

    @property
    def _twice_transfer(self) -> int:
        return self.volume_wh * (self.retail_micro_per_kwh + self.feed_in_micro_per_kwh)


class Community(NamedTuple):
    """The totals of a slot, and member by member int64[n]: surplus, deficit, and what it pays (negative: receives)."""

    totals: Totals
    surplus_wh: Int64Column
    deficit_wh: Int64Column
    pays_nano: Int64Column


def share(net_wh: Int64Column, *, retail_micro_per_kwh: int, feed_in_micro_per_kwh: int) -> Community:
    """Share one slot (``mid_market_rate/1`` of the vectors). ``net_wh`` int64[n]: export less import of each member.

    Both sides are split by largest remainder, ties to the lower row. ContractError unless retail >= feed-in >= 0, for a net
    of -2^63, and for a result outside int64.
    """
    check_column(net_wh, "net_wh", length=net_wh.size, minimum=INT64_MIN + 1)
    for price in (retail_micro_per_kwh, feed_in_micro_per_kwh):
        check_int64(price, "a price")
    if not retail_micro_per_kwh >= feed_in_micro_per_kwh >= 0:
        raise ContractError(f"retail {retail_micro_per_kwh} >= feed-in {feed_in_micro_per_kwh} >= 0 does not hold")
    surplus_wh, deficit_wh = np.maximum(net_wh, 0), np.maximum(-net_wh, 0)
    totals = Totals(exact_sum(surplus_wh), exact_sum(deficit_wh), retail_micro_per_kwh, feed_in_micro_per_kwh)
    pays_nano = largest_remainder(totals.buyers_nano, deficit_wh) - largest_remainder(totals.sellers_nano, surplus_wh)
    return Community(totals, surplus_wh, deficit_wh, pays_nano)
