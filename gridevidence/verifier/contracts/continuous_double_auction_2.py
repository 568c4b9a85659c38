"""``continuous_double_auction/2``: the meetings of version 1, each at a price between both limits."""

from __future__ import annotations

from typing import Final

from gridevidence.verifier.contracts.continuous_double_auction_1 import CONTINUOUS_DOUBLE_AUCTION_1, meet_as_they_come
from gridevidence.verifier.contracts.traders import PRICE_K, paired_contract, split_between_limits

CONTINUOUS_DOUBLE_AUCTION_2: Final = paired_contract(
    "continuous_double_auction/2",
    split_between_limits(meet_as_they_come),
    CONTINUOUS_DOUBLE_AUCTION_1.not_checked,
    ranks_by_arrival=True,
)._replace(terms=PRICE_K)
