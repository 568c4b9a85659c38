"""``pay_as_bid/2``: the meetings of version 1, each at a price between both limits."""

from __future__ import annotations

from typing import Final

from gridevidence.verifier.contracts.pay_as_bid_1 import pay_as_bid
from gridevidence.verifier.contracts.traders import PRICE_K, paired_contract, split_between_limits

PAY_AS_BID_2: Final = paired_contract("pay_as_bid/2", split_between_limits(pay_as_bid))._replace(terms=PRICE_K)
