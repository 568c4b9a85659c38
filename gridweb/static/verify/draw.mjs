/* A sample that nobody can choose for another: its rows follow from a seed. */
import { sm3 } from "./sm3.mjs";
import { bytesOf, integerOf, joined, utf8 } from "./values.mjs";

const NUMBER_BYTES = 4;

/** The row of the sample's item `number`, from 1: SM3(seed || number), as an integer, modulo the number of rows. */
export const drawnRow = (seed, number, rows) =>
  integerOf(sm3(joined(utf8(seed), bytesOf(BigInt(number), NUMBER_BYTES)))) % rows;
