"""The contracts whose arithmetic the verifier knows, by id. A bundle of another one is never more than "cannot be decided"."""

from __future__ import annotations

from typing import Final

from gridevidence.verifier.contract import Contract
from gridevidence.verifier.contracts.bill_sharing_1 import BILL_SHARING_1
from gridevidence.verifier.contracts.mid_market_rate_1 import MID_MARKET_RATE_1
from gridevidence.verifier.contracts.p2p_call_auction_1 import P2P_CALL_AUCTION_1
from gridevidence.verifier.contracts.sharing_keys_1 import SHARING_KEYS_1
from gridevidence.verifier.contracts.supply_demand_ratio_1 import SUPPLY_DEMAND_RATIO_1

CONTRACTS: Final[dict[str, Contract]] = {
    known.contract_id: known
    for known in (P2P_CALL_AUCTION_1, MID_MARKET_RATE_1, SUPPLY_DEMAND_RATIO_1, BILL_SHARING_1, SHARING_KEYS_1)
}
