"""``continuous_double_auction/1``: orders meet as they come, each pair at the limit of the order that rested."""

from __future__ import annotations

import numpy as np

from settlement.contract_kit_1 import ContractError, Int8Column, Int64Column, PairedContract, Trades
from settlement.contracts.continuous_double_auction_1.book import Matched, match

__all__ = ["CONTRACT", "Matched", "match", "match_gate"]


def match_gate(
    side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column, until_rank: Int64Column | None
) -> Trades:
    """The trades of a slot's orders, which stand in the order of their arrival.

    ``until_rank`` int64[n]: the row before whose arrival each order is withdrawn, as far as it still rests then; not above its own row:
    it never comes. ContractError without it.
    """
    if until_rank is None or until_rank.size != side.size:
        raise ContractError("until_rank has not a row for each order")
    comes = np.flatnonzero(until_rank > np.arange(side.size))
    leaves = comes[until_rank[comes] < side.size]
    # what leaves before a row comes in front of it; of those that leave together the order does not matter
    at = np.concatenate((2 * comes + 1, 2 * until_rank[leaves]))
    events = np.concatenate((comes, ~leaves))[np.argsort(at, kind="stable")]
    return match(side, quantity_wh, price_micro_per_kwh, events.tolist(), cancels_finished=True).trades


CONTRACT = PairedContract("continuous_double_auction/1", match_gate, ranks_by_arrival=True)
