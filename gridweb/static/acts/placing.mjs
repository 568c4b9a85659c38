/* Places an order, or makes a standing rule, under a counter that the household has not used in the slot. */
import { orderContent } from "./contents.mjs";
import { submissionOf } from "./transaction.mjs";
import { hex } from "../verify/values.mjs";

const ORDER_REUSED = 66; // a counter that the household has used in this slot, perhaps for an order that was withdrawn

const plain = (_, value) => (typeof value === "bigint" ? `${value}` : value);

/** The answer to an order, by the first counter from `first` to `last` that is free. It throws what `sending` does. */
export async function placed(sending, order, { chain, signer, key, first, last }, content = orderContent) {
  const said = JSON.stringify([chain, signer, hex(key.publicKey), order], plain);
  let answer = null;
  for (let counter = first; counter <= last; counter += 1) {
    const make = () => submissionOf(content({ ...order, counter: BigInt(counter) }), { chain, signer, key });
    answer = await sending.send(said, make);
    if (answer.code !== ORDER_REUSED) break;
  }
  return answer;
}
