/* Claim 10: the ledger accepted what the bundle shows. */
import { hold } from "../answers.mjs";
import { ENROLMENT_KIND } from "../layout.mjs";
import { equal } from "../values.mjs";

/** 10: batches and orders were accepted (code 0) in blocks before the run; enrolments too, all in the header's history. */
export function checkRecorded(of) {
  const { header } = of.bundle;
  for (const transaction of of.bundle.transactions) {
    const { block, what } = transaction;
    hold(block.chain === header.chain, `the block of ${what} is of another chain`);
    hold(block.height > 0n && block.height < header.height, `the block of ${what} is not before the header`);
    hold(equal(transaction.data_root, block.data_root), `${what} was not accepted in its block`);
    hold(equal(transaction.history_root, header.history_root), `the block of ${what} is not in the header's history`);
    const isInTime = transaction.kind === ENROLMENT_KIND || block.height <= of.run.as_of_height + 1n;
    hold(isInTime, `${what} was recorded after the run`);
  }
  return "Readings and orders were accepted in blocks before the run, in the header's history.";
}
