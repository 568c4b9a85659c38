/* The trust root: whose word counts, read from a file that comes from outside and never out of a bundle. */
import { BAD_USAGE, CANNOT_BE_DECIDED, Halt, hold } from "./answers.mjs";
import { parseJson } from "./json.mjs";
import { TRUST, TRUST_BYTES_MAX, TRUST_TYPE } from "./layout.mjs";
import { conform, knownVersion } from "./shapes.mjs";
import { isPublicKey } from "./sm2.mjs";
import { equal, fromHex, textOf } from "./values.mjs";

/** The chain, the digest of its genesis, its signers {key, power, name}, and the keys that are pinned {signer, fingerprint}. */
export class Trust {
  constructor(root) {
    this.chain = root.chain;
    this.genesis = fromHex(root.genesis);
    this.signers = root.signers.map((one) => ({ key: fromHex(one.public_key), power: one.power, name: one.name }));
    this.pins = root.pins.map((pin) => ({ signer: pin.signer, fingerprint: pin.fingerprint.toLowerCase() }));
  }

  /** Whether it is the trust root of this chain and this genesis. */
  isOf(chain, genesis) {
    return this.chain === chain && equal(this.genesis, genesis);
  }
}

/** Read a trust root (JSON); halts with "bad usage" where it is malformed, "cannot be decided" at an unknown version. */
export function decodeTrust(data) {
  try {
    hold(data.length <= TRUST_BYTES_MAX, `it has more than ${TRUST_BYTES_MAX} bytes`);
    const source = textOf(data);
    hold(source !== null, "it is not UTF-8");
    const root = knownVersion(parseJson(source), TRUST_TYPE, "the trust root");
    conform(root, TRUST, "trust");
    const trust = new Trust(root);
    const keys = new Set(trust.signers.map((one) => one.key.join()));
    hold(keys.size === trust.signers.length && keys.size > 0, "it names no signer, or one key twice");
    hold(trust.signers.every((one) => isPublicKey(one.key)), "a public key is no point of the SM2 curve");
    return trust;
  } catch (why) {
    if (!(why instanceof Halt) || why.answer === CANNOT_BE_DECIDED) throw why;
    throw new Halt(BAD_USAGE, `the trust file is malformed: ${why.reason}`);
  }
}
