/* Sends what was signed. What got no answer may stand all the same: asked for again unchanged, the very same bytes are sent again, and it
 * counts once. */

const NODE_BUSY = 3; // not decided so far: it may still be

export class Sending {
  /** `post` sends the bytes of a submission: a promise of the node's answer, { code, … }. */
  constructor(post) {
    this.post = post;
    this.unanswered = new Map(); // bytes, by what they say
  }

  /** The answer to what is `said`, a text; `make` gives its bytes where they were not sent before. It throws what `post` does. */
  async send(said, make) {
    const body = this.unanswered.get(said) ?? make();
    this.unanswered.set(said, body);
    const answer = await this.post(body);
    if (answer.code !== NODE_BUSY) this.unanswered.delete(said);
    return answer;
  }
}
