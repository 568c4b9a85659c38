/* Sends orders under counters that the household has not used in the slot. One that got no answer may stand all the same: asked for again
 * unchanged, the very same bytes are sent again, and it counts once. */
import { hex } from "../verify/values.mjs";
import { submissionOf } from "./transaction.mjs";

const NODE_BUSY = 3; // not decided so far: it may still be
const ORDER_REUSED = 66; // a counter that the household has used in this slot, perhaps for an order that was withdrawn

export class Sending {
  /** `post` sends the bytes of a submission: a promise of the node's answer, { code, … }. */
  constructor(post) {
    this.post = post;
    this.unanswered = new Map(); // bytes, by what they say
  }

  /** The answer to an order, by the first counter from `first` to `last` that is free. It throws what `post` does. */
  async send(order, { chain, party, key, first, last }) {
    const said = [chain, party, hex(key.publicKey), ...Object.values(order)].join(" ");
    let answer = null;
    for (let counter = first; counter <= last; counter += 1) {
      const body = this.unanswered.get(said) ?? submissionOf({ ...order, counter: BigInt(counter) }, { chain, party, key });
      this.unanswered.set(said, body);
      answer = await this.post(body);
      if (answer.code !== NODE_BUSY) this.unanswered.delete(said);
      if (answer.code !== ORDER_REUSED) break;
    }
    return answer;
  }
}
