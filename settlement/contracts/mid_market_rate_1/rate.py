"""The mid-market rate: what a community gives its members inside one slot is paid half way between the grid's two prices.

Long et al. 2017, "Peer-to-peer energy trading in a community microgrid". With b the retail and s the feed-in price: the
smaller of surplus and deficit changes hands at (b + s) / 2, the grid takes the rest of the surplus at s or brings the rest
of the deficit at b, and each side shares its total by energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1 import INT64_MIN, ContractError, Groups, Int64Column, check_column, check_int64


class Totals(NamedTuple):
    """One slot of a community: its members' surpluses and deficits, and the two prices of the grid."""

    surplus_wh: int
    deficit_wh: int
    retail_micro_per_kwh: int
    feed_in_micro_per_kwh: int

    @property
    def volume_wh(self) -> int:
        """The energy that stays inside."""
        return min(self.surplus_wh, self.deficit_wh)

    @property
    def transfer_nano(self) -> int:
        """What goes from buyers to sellers for it: the floor of volume x mid-market price."""
        return self._twice_transfer // 2

    @property
    def sellers_nano(self) -> int:
        """What the sellers receive together."""
        return self.transfer_nano + (self.surplus_wh - self.volume_wh) * self.feed_in_micro_per_kwh

    @property
    def buyers_nano(self) -> int:
        """What the buyers pay together."""
        return self.transfer_nano + (self.deficit_wh - self.volume_wh) * self.retail_micro_per_kwh

    @property
    def price_sell(self) -> tuple[int, int] | None:
        """Numerator and denominator of the mean price per kWh that sellers get, before rounding; None without surplus."""
        twice = self._twice_transfer + 2 * (self.surplus_wh - self.volume_wh) * self.feed_in_micro_per_kwh
        return (twice, 2 * self.surplus_wh) if self.surplus_wh else None

    @property
    def price_buy(self) -> tuple[int, int] | None:
        """Numerator and denominator of the mean price per kWh that buyers pay, before rounding; None without deficit."""
        twice = self._twice_transfer + 2 * (self.deficit_wh - self.volume_wh) * self.retail_micro_per_kwh
        return (twice, 2 * self.deficit_wh) if self.deficit_wh else None

    @property
    def _twice_transfer(self) -> int:
        return self.volume_wh * (self.retail_micro_per_kwh + self.feed_in_micro_per_kwh)


class Communities(NamedTuple):
    """The totals of each area, and member by member int64[n]: surplus, deficit, and what it pays (negative: receives)."""

    totals: Sequence[Totals]
    surplus_wh: Int64Column
    deficit_wh: Int64Column
    community_nano: Int64Column


def share(
    groups: Groups, net_wh: Int64Column, retail_micro_per_kwh: Sequence[int], feed_in_micro_per_kwh: Sequence[int]
) -> Communities:
    """Share one slot of some areas (``mid_market_rate/1`` of the vectors, area by area).

    ``net_wh`` int64[n]: export less import of each member; prices: one an area. Both sides are split by largest remainder,
    ties to the lower row. ContractError unless retail >= feed-in >= 0, for a net of -2^63, and for a result outside int64.
    """
    check_column(net_wh, "net_wh", length=groups.of_row.size, minimum=INT64_MIN + 1)
    for retail, feed_in in zip(retail_micro_per_kwh, feed_in_micro_per_kwh, strict=True):
        check_int64(retail, "the retail price")
        if not retail >= feed_in >= 0:
            raise ContractError(f"retail {retail} >= feed-in {feed_in} >= 0 does not hold")
    surplus_wh, deficit_wh = np.maximum(net_wh, 0), np.maximum(-net_wh, 0)
    sums = (groups.sums(surplus_wh), groups.sums(deficit_wh))
    totals = [Totals(*of_area) for of_area in zip(*sums, retail_micro_per_kwh, feed_in_micro_per_kwh, strict=True)]
    paid_nano = groups.split([of_area.buyers_nano for of_area in totals], deficit_wh)
    earned_nano = groups.split([of_area.sellers_nano for of_area in totals], surplus_wh)
    return Communities(totals, surplus_wh, deficit_wh, paid_nano - earned_nano)
