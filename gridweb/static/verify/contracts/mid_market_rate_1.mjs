/* The arithmetic of mid_market_rate/1: what stays in a community is paid at the mean of the grid's two prices. */
import { divided, least } from "../values.mjs";
import { communityContract } from "./community.mjs";

function midMarketRate({ surplusWh, deficitWh, retail, feedIn }) {
  const sharedWh = least(surplusWh, deficitWh);
  const [transferNano] = divided(sharedWh * (retail + feedIn), 2n);
  return {
    buyersNano: transferNano + (deficitWh - sharedWh) * retail,
    sellersNano: transferNano + (surplusWh - sharedWh) * feedIn,
  };
}

export const MID_MARKET_RATE_1 = communityContract("mid_market_rate/1", 0n, midMarketRate);
