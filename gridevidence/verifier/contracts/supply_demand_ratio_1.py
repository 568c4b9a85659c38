"""The arithmetic of ``supply_demand_ratio/1``: the scarcer a community's supply, the nearer its price to the retail price."""

from __future__ import annotations

from typing import Final

from gridevidence.verifier.contracts.community import Exchange, Sums, community_contract


def _supply_demand_ratio(of: Sums) -> Exchange:
    """Sellers get surplus x s b / ((b - s) surplus / deficit + s), rounded down; buyers pay that and the grid's part."""
    missing_wh = of.deficit_wh - of.surplus_wh
    if missing_wh <= 0:
        return Exchange(of.deficit_wh * of.feed_in, of.surplus_wh * of.feed_in)
    weight = (of.retail - of.feed_in) * of.surplus_wh + of.feed_in * of.deficit_wh
    sellers_nano = of.surplus_wh * of.feed_in * of.retail * of.deficit_wh // weight
    return Exchange(sellers_nano + missing_wh * of.retail, sellers_nano)


SUPPLY_DEMAND_RATIO_1: Final = community_contract("supply_demand_ratio/1", 1, _supply_demand_ratio)
