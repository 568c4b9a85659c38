/* pay_as_bid/2: the meetings of version 1, each at a price between both limits. */
import { payAsBid } from "./pay_as_bid_1.mjs";
import { PRICE_K, pairedContract, splitBetweenLimits } from "./traders.mjs";

export const PAY_AS_BID_2 = pairedContract("pay_as_bid/2", splitBetweenLimits(payAsBid), { terms: { price_k_ppm: PRICE_K } });
