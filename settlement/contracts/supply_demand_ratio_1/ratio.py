"""Prices that follow the ratio of supply to demand: the scarcer the supply of a slot, the nearer to the retail price.

Liu et al. 2017, "Energy-sharing model with price-based demand response for microgrids of peer-to-peer prosumers", IEEE Trans. Power Syst.
32(5). With b the retail and s the feed-in price, and r = surplus / deficit < 1: sellers get Ps = s b / ((b - s) r + s), and
buyers pay Pb = Ps r + b (1 - r) for ALL energy that they lack, not for the shared part alone: the grid's part is in it. Where r >= 1,
or nobody lacks anything, both are s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Totals:
    """One slot of a community: its members' surpluses and deficits, and the two prices of the grid."""

    surplus_wh: int
    deficit_wh: int
    retail_micro_per_kwh: int
    feed_in_micro_per_kwh: int

    feed_in_min: ClassVar[int] = 1
    """Without a feed-in price the formula has no price."""

    @property
    def sellers_nano(self) -> int:
        """What the sellers receive together: the floor of surplus x Ps."""
        numerator, denominator = self._sellers
        return numerator // denominator

    @property
    def grid_nano(self) -> int:
        """What the grid receives (negative: pays): exact."""
        missing_wh = self.deficit_wh - self.surplus_wh
        return missing_wh * (self.retail_micro_per_kwh if missing_wh > 0 else self.feed_in_micro_per_kwh)

    @property
    def buyers_nano(self) -> int:
        """What the buyers pay together: what sellers and grid receive."""
        return self.sellers_nano + self.grid_nano

    @property
    def price_sell(self) -> tuple[int, int] | None:
        """Numerator and denominator of Ps; None without surplus."""
        numerator, denominator = self._sellers
        return (numerator, denominator * self.surplus_wh) if self.surplus_wh else None

    @property
    def price_buy(self) -> tuple[int, int] | None:
        """Numerator and denominator of Pb; None without deficit."""
        numerator, denominator = self._sellers
        paid = numerator + self.grid_nano * denominator
        return (paid, denominator * self.deficit_wh) if self.deficit_wh else None

    @property
    def _sellers(self) -> tuple[int, int]:
        """Numerator and denominator of surplus x Ps."""
        supply, demand, retail, feed_in = (
            self.surplus_wh,
            self.deficit_wh,
            self.retail_micro_per_kwh,
            self.feed_in_micro_per_kwh,
        )
        if supply >= demand:
            return supply * feed_in, 1
        return supply * feed_in * retail * demand, (retail - feed_in) * supply + feed_in * demand
