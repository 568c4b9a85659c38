/* Opens a key file and signs an order as the page does; a JSON object in, one out. Run by test_order_signing.py. */
import { readFileSync } from "node:fs";
import { openKeyFile } from "../../../gridweb/static/order/keyfile.mjs";
import { submissionOf } from "../../../gridweb/static/order/transaction.mjs";
import { hex, utf8 } from "../../../gridweb/static/verify/values.mjs";

const asked = JSON.parse(readFileSync(0, "utf8"));
try {
  const key = await openKeyFile(asked.pem, utf8(asked.password));
  const integers = Object.fromEntries(["counter", "price", "quantity", "slotStart"].map((name) => [name, BigInt(asked.order[name])]));
  const order = { ...asked.order, ...integers };
  const wires = Array.from({ length: asked.times }, () => hex(submissionOf(order, { chain: asked.chain, party: asked.party, key })));
  console.log(JSON.stringify({ publicKey: hex(key.publicKey), wires }));
} catch (why) {
  console.log(JSON.stringify({ word: why.word ?? String(why) }));
}
