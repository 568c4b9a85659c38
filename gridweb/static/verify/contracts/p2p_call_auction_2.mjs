/* p2p_call_auction/2: the auction of version 1, with the rule of its price and of its rationing as terms. */
import { hold } from "../answers.mjs";
import { PRICES } from "../layout.mjs";
import { text } from "../shapes.mjs";
import { has } from "../values.mjs";
import { callAuctionOf } from "./p2p_call_auction_1.mjs";
import { PRICE_K } from "./traders.mjs";

const SPLIT_TERMS = {
  "price_k_ppm?": PRICE_K,
  rationing: text("pro_rata|time"),
  "reference_price_micro_per_kwh?": PRICES,
};

export const P2P_CALL_AUCTION_2 = callAuctionOf("p2p_call_auction/2", SPLIT_TERMS, {
  checkTerms: (terms) =>
    hold(has(terms, "price_k_ppm") !== has(terms, "reference_price_micro_per_kwh"), "the terms have not one rule of the price"),
  not_checked: ["that the orders came in the order that the book says, which counts where rationing is by time"],
  asks_arrival: true,
});
