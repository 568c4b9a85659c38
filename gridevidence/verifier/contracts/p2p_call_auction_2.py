"""``p2p_call_auction/2``: the auction of version 1, with the rule of its price and of its rationing as terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gridevidence.layout import PRICES, TIMED_TERMS
from gridevidence.verifier.answers import hold
from gridevidence.verifier.contracts.p2p_call_auction_1 import P2P_CALL_AUCTION_1
from gridevidence.verifier.contracts.traders import PRICE_K


def hold_one_rule(terms: Mapping[str, Any]) -> None:
    """Halt where the terms give the price two rules, or none."""
    rules = ("price_k_ppm" in terms) + ("reference_price_micro_per_kwh" in terms)
    hold(rules == 1, "the terms have not one rule of the price")


P2P_CALL_AUCTION_2: Final = P2P_CALL_AUCTION_1._replace(
    contract_id="p2p_call_auction/2",
    terms={
        "price_k_ppm?": PRICE_K["price_k_ppm"],
        "rationing": re.compile("pro_rata|time"),
        "reference_price_micro_per_kwh?": PRICES,
    },
    check_terms=hold_one_rule,
    order_terms=TIMED_TERMS,
    not_checked=("that the orders came in the order that the book says, which counts where rationing is by time",),
)
