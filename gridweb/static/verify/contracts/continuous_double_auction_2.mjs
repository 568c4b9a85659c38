/* continuous_double_auction/2: the meetings of version 1, each at a price between both limits. */
import { BY_ARRIVAL, meetAsTheyCome } from "./continuous_double_auction_1.mjs";
import { PRICE_K, pairedContract, splitBetweenLimits } from "./traders.mjs";

export const CONTINUOUS_DOUBLE_AUCTION_2 = pairedContract(
  "continuous_double_auction/2",
  splitBetweenLimits(meetAsTheyCome),
  { ...BY_ARRIVAL, terms: { price_k_ppm: PRICE_K } },
);
