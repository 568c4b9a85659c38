"""The contracts whose arithmetic the verifier knows, by id. A bundle of another one is never more than "cannot be decided"."""

from __future__ import annotations

from typing import Final

from gridevidence.verifier.contract import Contract
from gridevidence.verifier.contracts.bilateral_agreements_1 import BILATERAL_AGREEMENTS_1
from gridevidence.verifier.contracts.bill_sharing_1 import BILL_SHARING_1
from gridevidence.verifier.contracts.conditional_bid_1 import CONDITIONAL_BID_1
from gridevidence.verifier.contracts.continuous_double_auction_1 import CONTINUOUS_DOUBLE_AUCTION_1
from gridevidence.verifier.contracts.continuous_double_auction_2 import CONTINUOUS_DOUBLE_AUCTION_2
from gridevidence.verifier.contracts.grid_fee_path_1 import GRID_FEE_PATH_1
from gridevidence.verifier.contracts.grid_fee_path_2 import GRID_FEE_PATH_2
from gridevidence.verifier.contracts.mid_market_rate_1 import MID_MARKET_RATE_1
from gridevidence.verifier.contracts.p2p_call_auction_1 import P2P_CALL_AUCTION_1
from gridevidence.verifier.contracts.p2p_call_auction_2 import P2P_CALL_AUCTION_2
from gridevidence.verifier.contracts.pay_as_bid_1 import PAY_AS_BID_1
from gridevidence.verifier.contracts.pay_as_bid_2 import PAY_AS_BID_2
from gridevidence.verifier.contracts.schedules_and_deviations_1 import SCHEDULES_AND_DEVIATIONS_1
from gridevidence.verifier.contracts.sharing_keys_1 import SHARING_KEYS_1
from gridevidence.verifier.contracts.supply_demand_ratio_1 import SUPPLY_DEMAND_RATIO_1
from gridevidence.verifier.contracts.trade_reduction_1 import TRADE_REDUCTION_1

CONTRACTS: Final[dict[str, Contract]] = {
    known.contract_id: known
    for known in (
        P2P_CALL_AUCTION_1,
        PAY_AS_BID_1,
        CONTINUOUS_DOUBLE_AUCTION_1,
        MID_MARKET_RATE_1,
        SUPPLY_DEMAND_RATIO_1,
        BILL_SHARING_1,
        SHARING_KEYS_1,
        BILATERAL_AGREEMENTS_1,
        SCHEDULES_AND_DEVIATIONS_1,
        TRADE_REDUCTION_1,
        CONDITIONAL_BID_1,
        GRID_FEE_PATH_1,
        P2P_CALL_AUCTION_2,
        PAY_AS_BID_2,
        CONTINUOUS_DOUBLE_AUCTION_2,
        GRID_FEE_PATH_2,
    )
}
