/* The claims in the order of checking, each with what an answer without it leaves open; and what is never checked. */

export const CLAIMS = {
  shape: "that the file is one whole bundle",
  header: "that run, chain and genesis are of one state of the ledger",
  registry: "that zone, area, rules, party, point, meter and gateway were in force, and belong together",
  position: "that point and area stand in the run",
  lines: "that energies and prices give the amounts",
  energy: "that the registers give the energies, within the meter's limits",
  readings: "that the registers were read at this meter, for this slot",
  orders: "that the filled orders are the party's, for this slot and within their limits, and all that it traded",
  clearing: "that the price is the one that was cleared",
  recorded: "that the ledger accepted readings and orders before the run",
  keys: "that the keys of gateway and party were in force, and how they are tied",
  signatures: "that gateway and party, or its aggregator, signed",
  certificate: "that signers whom you trust certified it (--trust FILE)",
  book: "that the price follows from all orders of the slot (--with-book FILE adds the anonymous order book)",
};
export const NEVER_CHECKED = [
  "that rules, ratio, meter and keys in the ledger are those that the parties agreed on",
  "that the meter measured right, and that the gateway read it right",
  "that the clock that the gateway stated was right",
  "that no two thirds of an earlier set of signers made another history",
];
export const ESTIMATE_UNCHECKED =
  "that the estimate of the energy follows from earlier days, or from the registers around the gap";
export const IMPORT_ESTIMATE_UNCHECKED = "that the importer estimated by the method that it names";
export const TRADES_UNSHOWN = "the trades that the fills come from: there are more than a bundle shows";
export const APPROVED_UNREAD = "that the meter showed the registers that its organisation answers for";
export const IMPORTED_UNSIGNED = "no meter signed these values";
