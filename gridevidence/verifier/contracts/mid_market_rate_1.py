"""The arithmetic of ``mid_market_rate/1``: what stays in a community is paid at the mean of the grid's two prices."""

from __future__ import annotations

from typing import Final

from gridevidence.verifier.contracts.community import Exchange, Sums, community_contract


def _mid_market_rate(of: Sums) -> Exchange:
    shared_wh = min(of.surplus_wh, of.deficit_wh)
    transfer_nano = shared_wh * (of.retail + of.feed_in) // 2
    return Exchange(
        transfer_nano + (of.deficit_wh - shared_wh) * of.retail,
        transfer_nano + (of.surplus_wh - shared_wh) * of.feed_in,
    )


MID_MARKET_RATE_1: Final = community_contract("mid_market_rate/1", 0, _mid_market_rate)
