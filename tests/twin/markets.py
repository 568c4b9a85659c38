"""The contracts of the slow twin, by id."""

from __future__ import annotations

from collections.abc import Mapping

from tests.twin.bilateral import BilateralAgreements, SchedulesAndDeviations
from tests.twin.contracts import BillSharing, CallAuction, MidMarketRate, SplitCallAuction, SupplyDemandRatio
from tests.twin.paired import Continuous, PayAsBid, SplitContinuous, SplitPayAsBid, TradeReduction
from tests.twin.placed import PercentPlaced, Placed
from tests.twin.sharing import SharingKeys
from tests.twin.wanted import Conditional

MARKETS: Mapping[str, type[CallAuction | MidMarketRate | SharingKeys | BilateralAgreements]] = {
    "p2p_call_auction/1": CallAuction,
    "pay_as_bid/1": PayAsBid,
    "continuous_double_auction/1": Continuous,
    "trade_reduction/1": TradeReduction,
    "conditional_bid/1": Conditional,
    "grid_fee_path/1": Placed,
    "p2p_call_auction/2": SplitCallAuction,
    "pay_as_bid/2": SplitPayAsBid,
    "continuous_double_auction/2": SplitContinuous,
    "grid_fee_path/2": PercentPlaced,
    "mid_market_rate/1": MidMarketRate,
    "supply_demand_ratio/1": SupplyDemandRatio,
    "bill_sharing/1": BillSharing,
    "sharing_keys/1": SharingKeys,
    "bilateral_agreements/1": BilateralAgreements,
    "schedules_and_deviations/1": SchedulesAndDeviations,
}
