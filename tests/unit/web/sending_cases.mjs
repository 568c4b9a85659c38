/* Sends orders as the page does to a node whose answers are given; prints what it was sent. Run by test_act_signing.py. */
import { readFileSync } from "node:fs";
import { Sending } from "../../../gridweb/static/acts/sending.mjs";
import { publicKeyOf } from "../../../gridweb/static/acts/signing.mjs";
import { placed } from "../../../gridweb/static/acts/placing.mjs";
import { hex } from "../../../gridweb/static/verify/values.mjs";

const { asks, answers } = JSON.parse(readFileSync(0, "utf8"));
const sent = [];
const sending = new Sending(async (body) => {
  sent.push(hex(body));
  const code = answers[sent.length - 1];
  if (code === null) throw new Error("Failed to fetch");
  return { code };
});
const key = { scalar: 7n, publicKey: publicKeyOf(7n) };
const codes = [];
for (const quantity of asks) {
  const order = { area: "a-1", side: "buy", quantity: BigInt(quantity), price: 420000n, slotStart: 1800000000n };
  try {
    codes.push((await placed(sending, order, { chain: "c-1", signer: "home-1", key, first: 1, last: 16 })).code);
  } catch {
    codes.push(null);
  }
}
console.log(JSON.stringify({ sent, codes }));
