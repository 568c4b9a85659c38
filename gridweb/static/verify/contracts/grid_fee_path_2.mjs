/* grid_fee_path/2: the markets of version 1, whose places also take a fraction of the offer; trades are at what sellers ask. */
import { within } from "../shapes.mjs";
import { gridFeePathOf } from "./grid_fee_path_1.mjs";

export const GRID_FEE_PATH_2 = gridFeePathOf("grid_fee_path/2", { fee_ppm: within(0n, 1_000_000n) }, {});
