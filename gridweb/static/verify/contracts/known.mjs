/* The contracts whose arithmetic the verifier knows, by id. A bundle of another one is never more than "cannot be decided". */
import { BILATERAL_AGREEMENTS_1 } from "./bilateral_agreements_1.mjs";
import { BILL_SHARING_1 } from "./bill_sharing_1.mjs";
import { CONDITIONAL_BID_1 } from "./conditional_bid_1.mjs";
import { CONTINUOUS_DOUBLE_AUCTION_1 } from "./continuous_double_auction_1.mjs";
import { CONTINUOUS_DOUBLE_AUCTION_2 } from "./continuous_double_auction_2.mjs";
import { GRID_FEE_PATH_1 } from "./grid_fee_path_1.mjs";
import { GRID_FEE_PATH_2 } from "./grid_fee_path_2.mjs";
import { MID_MARKET_RATE_1 } from "./mid_market_rate_1.mjs";
import { P2P_CALL_AUCTION_1 } from "./p2p_call_auction_1.mjs";
import { P2P_CALL_AUCTION_2 } from "./p2p_call_auction_2.mjs";
import { PAY_AS_BID_1 } from "./pay_as_bid_1.mjs";
import { PAY_AS_BID_2 } from "./pay_as_bid_2.mjs";
import { SCHEDULES_AND_DEVIATIONS_1 } from "./schedules_and_deviations_1.mjs";
import { SHARING_KEYS_1 } from "./sharing_keys_1.mjs";
import { SUPPLY_DEMAND_RATIO_1 } from "./supply_demand_ratio_1.mjs";
import { TRADE_REDUCTION_1 } from "./trade_reduction_1.mjs";

export const CONTRACTS = new Map(
  [
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
  ].map((contract) => [contract.contract_id, contract]),
);
