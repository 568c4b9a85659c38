"""The mid-market rate: what a community gives its members inside one slot is paid half way between the grid's two prices.

Long et al. 2017, "Peer-to-peer energy trading in a community microgrid". With b the retail and s the feed-in price: the
smaller of surplus and deficit changes hands at (b + s) / 2, the grid takes the rest of the surplus at s or brings the rest
of the deficit at b, and each side shares its total by energy.
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

    feed_in_min: ClassVar[int] = 0

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
