/* The arithmetic of supply_demand_ratio/1: the scarcer a community's supply, the nearer its price to the retail price. */
import { divided } from "../values.mjs";
import { communityContract } from "./community.mjs";

/** Sellers get surplus x s b / ((b - s) surplus / deficit + s), rounded down; buyers pay that and the grid's part. */
function supplyDemandRatio({ surplusWh, deficitWh, retail, feedIn }) {
  const missingWh = deficitWh - surplusWh;
  if (missingWh <= 0n) return { buyersNano: deficitWh * feedIn, sellersNano: surplusWh * feedIn };
  const weight = (retail - feedIn) * surplusWh + feedIn * deficitWh;
  const [sellersNano] = divided(surplusWh * feedIn * retail * deficitWh, weight);
  return { buyersNano: sellersNano + missingWh * retail, sellersNano };
}

export const SUPPLY_DEMAND_RATIO_1 = communityContract("supply_demand_ratio/1", 1n, supplyDemandRatio);
