"""A community's energy paid after the fact by the slow way (``supply_demand_ratio/1``, ``bill_sharing/1``).

Rows are members in the order of their names; net energy in Wh, positive a surplus, negative a deficit; prices in micro-currency
per kWh. Amounts in nano-currency, positive what a member owes: their sum is what the grid receives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from settlement.errors import SettlementError
from tests.slow.split import split_by_weight


class GridPrices(NamedTuple):
    """What the grid asks and what it gives, micro-currency per kWh."""

    retail: int
    feed_in: int


@dataclass(frozen=True, slots=True)
class SharedSlot:
    """One slot shared: amounts per member, and the two prices, None where nobody sells (buys)."""

    pays_nano: tuple[int, ...]
    grid_receives_nano: int
    price_sell: Fraction | None
    price_buy: Fraction | None


@dataclass(frozen=True, slots=True)
class SharedBill:
    """One bill of several slots shared: amounts per member, and what the community took from and gave to the grid."""

    pays_nano: tuple[int, ...]
    grid_receives_nano: int
    import_wh: int
    export_wh: int


def supply_demand_ratio(net_wh: Sequence[int], prices: GridPrices) -> SharedSlot:
    """One slot at prices that follow the ratio of supply to demand: the scarcer the supply, the nearer to retail.

    Liu et al. 2017, "Energy-sharing model with price-based demand response for microgrids of peer-to-peer prosumers", IEEE
    Trans. Power Syst. 32(5). The sellers' total is floored, the grid's part is exact, buyers pay the sum of both.
    SettlementError unless retail >= feed-in > 0: without a feed-in price the model has no price.
    """
    _check_prices(prices)
    if prices.feed_in == 0:
        raise SettlementError("the supply-demand ratio needs a feed-in price above 0")
    surplus_wh, deficit_wh = _surpluses(net_wh), _deficits(net_wh)
    supply, demand = sum(surplus_wh), sum(deficit_wh)
    price_sell = _price_sell(supply, demand, prices)
    sellers_nano = int(supply * price_sell)  # not negative: this is the floor
    missing_wh = demand - supply
    grid_nano = missing_wh * (prices.retail if missing_wh > 0 else prices.feed_in)
    received = split_by_weight(sellers_nano, surplus_wh)
    paid = split_by_weight(sellers_nano + grid_nano, deficit_wh)
    return SharedSlot(
        tuple(pays - gets for pays, gets in zip(paid, received, strict=True)),
        grid_nano,
        price_sell if supply else None,
        (supply * price_sell + grid_nano) / demand if demand else None,
    )


def bill_sharing(slots_wh: Sequence[Sequence[int]], prices: GridPrices) -> SharedBill:
    """One bill over all slots: what the community imports is paid by demand, what it exports is earned by supply.

    ``slots_wh``: per slot each member's net energy, 0 where it has none. The community is metered as a whole in each slot,
    its members' demand and supply are summed over all slots. SettlementError unless retail >= feed-in >= 0.
    """
    _check_prices(prices)
    demand_wh = [sum(of_member) for of_member in zip(*map(_deficits, slots_wh), strict=True)]
    supply_wh = [sum(of_member) for of_member in zip(*map(_surpluses, slots_wh), strict=True)]
    totals_wh = [sum(net_wh) for net_wh in slots_wh]
    import_wh, export_wh = sum(_deficits(totals_wh)), sum(_surpluses(totals_wh))
    cost_nano, income_nano = prices.retail * import_wh, prices.feed_in * export_wh
    paid, earned = split_by_weight(cost_nano, demand_wh), split_by_weight(income_nano, supply_wh)
    return SharedBill(
        tuple(pays - gets for pays, gets in zip(paid, earned, strict=True)),
        cost_nano - income_nano,
        import_wh,
        export_wh,
    )


def _price_sell(supply_wh: int, demand_wh: int, prices: GridPrices) -> Fraction:
    """What sellers get, micro-currency per kWh."""
    retail, feed_in = prices
    if supply_wh >= demand_wh:
        return Fraction(feed_in)
    return Fraction(feed_in * retail * demand_wh, (retail - feed_in) * supply_wh + feed_in * demand_wh)


def _check_prices(prices: GridPrices) -> None:
    if not prices.retail >= prices.feed_in >= 0:
        raise SettlementError("retail price >= feed-in price >= 0 does not hold")


def _surpluses(net_wh: Sequence[int]) -> list[int]:
    return [max(0, net) for net in net_wh]


def _deficits(net_wh: Sequence[int]) -> list[int]:
    return [max(0, -net) for net in net_wh]
