/* Claim 13: signers whom the trust root names, or a set that they handed over to, certified the state. */
import { CANNOT_BE_DECIDED, Halt, hold, plain, refuse } from "../answers.mjs";
import { encode } from "../cbor.mjs";
import { isValidSignature } from "../sm2.mjs";
import { sm3 } from "../sm3.mjs";
import { compare, equal, hex, isAscending, sum } from "../values.mjs";

export const OWN_WORD = "1 of 1 signer: the operator's own word";

/** 13: more than two thirds of the power of the set that the trust root yields signed the certified header; nobody else did. */
export function checkCertificate(of) {
  const { bundle, trust } = of;
  const header = bundle.certified === null ? bundle.header : bundle.certified.header;
  checkStructure(bundle, header);
  if (trust === null) throw new Halt(CANNOT_BE_DECIDED, "no trust root was given (--trust FILE)");
  const isOfChain = trust.isOf(header.chain, bundle.genesis.header.digest);
  const other = `the trust root is of another chain than the bundle's, ${plain(header.chain)}`;
  hold(isOfChain, other, CANNOT_BE_DECIDED);
  hold(bundle.certificate.length > 0, "the certificate of the header is absent", CANNOT_BE_DECIDED);
  const signers = handedOver(bundle.handovers, new SignerSet(trust.signers));
  const signed = signers.signedPower(bundle.certificate, header);
  if (!signers.isHeldBy(signed)) {
    const isOwnSet = equal(header.signers, signers.digest);
    const outdated = "the header's signers are another set: a change of signers is absent, or the trust root is outdated";
    hold(isOwnSet, outdated, CANNOT_BE_DECIDED);
    refuse("the certificate is not by more than two thirds of the power, or holds another's signature");
  }
  return certified(of, signers, signed);
}

/** Public keys with their powers. */
class SignerSet {
  constructor(signers) {
    this.signers = [...signers].sort((one, two) => compare(one.key, two.key));
    this.powers = new Map(this.signers.map((one) => [hex(one.key), one.power]));
  }

  /** What headers name a set by. */
  get digest() {
    return sm3(encode(["signers/1", this.signers.map((one) => [one.key, one.power])]));
  }

  get power() {
    return sum(this.signers.map((one) => one.power));
  }

  isSame(other) {
    return equal(this.digest, other.digest);
  }

  /** The power of a certificate's signers, null where one is not in the set; halts where one of the set did not sign this. */
  signedPower(certificate, header) {
    const message = encode(["certificate/1", header.chain, header.height, header.digest]);
    for (const { key, signature } of certificate) {
      const isValid = !this.powers.has(hex(key)) || isValidSignature(key, message, signature);
      hold(isValid, `the signature by ${hex(key).slice(0, 20)}... is not one over header ${header.height}`);
    }
    const powers = certificate.map(({ key }) => this.powers.get(hex(key)));
    return powers.includes(undefined) ? null : sum(powers);
  }

  /** Whether it is more than two thirds of the power. */
  isHeldBy(signed) {
    return signed !== null && 3n * signed > 2n * this.power;
  }
}

/** Hold that certified header, hand-overs and certificate are in order, whoever signed them. */
function checkStructure(bundle, header) {
  if (bundle.certified !== null) {
    hold(header.chain === bundle.header.chain, "the certified header is of another chain");
    const isLater = header.height > bundle.header.height && equal(bundle.certified.history_root, header.history_root);
    hold(isLater, "the certified header is no later one");
  }
  hold(isAscending(bundle.handovers.map((one) => one.placed.header.height)), "the hand-overs do not ascend");
  for (const one of bundle.handovers) checkHandover(one, header);
  for (const certificate of [bundle.certificate, ...bundle.handovers.map((one) => one.certificate)]) {
    hold(isAscending(certificate.map((one) => one.key)), "the keys of a certificate do not ascend");
  }
}

function checkHandover({ placed, signers }, header) {
  hold(placed.header.chain === header.chain, "a hand-over is of another chain");
  const isPast = placed.header.height < header.height && equal(placed.history_root, header.history_root);
  hold(isPast, "a hand-over is not in the certified header's history");
  hold(isAscending(signers.map((one) => one.key)), "the signers of a hand-over do not ascend");
  const { digest } = new SignerSet(signers);
  const isNamed = equal(digest, placed.header.signers) || equal(digest, placed.header.signers_pending);
  hold(isNamed, "a hand-over's header does not name these signers");
}

/** The set after every hand-over since the one that the trust root names. */
function handedOver(handovers, trusted) {
  const sets = handovers.map((one) => new SignerSet(one.signers));
  const known = sets.findLastIndex((set) => set.isSame(trusted));
  let signers = trusted;
  for (let at = known + 1; at < handovers.length; at += 1) {
    const { certificate, placed } = handovers[at];
    const isHeld = signers.isHeldBy(signers.signedPower(certificate, placed.header));
    hold(isHeld, "a change of signers is not certified by the set before it", CANNOT_BE_DECIDED);
    signers = sets[at];
  }
  return signers;
}

function certified({ bundle, trust, facts }, signers, signed) {
  const names = new Map(trust.signers.map((one) => [hex(one.key), plain(one.name)]));
  const shown = bundle.certificate.map(({ key }) => names.get(hex(key)) ?? `${hex(key).slice(0, 16)}...`);
  const total = signers.signers.length;
  Object.assign(facts, { certified_by: shown, signers: shown.length, signers_total: total });
  Object.assign(facts, { power: signed, power_total: signers.power });
  return `Certified by ${shown.join(", ")} (${total === 1 ? OWN_WORD : `${shown.length} of ${total} signers`}).`;
}
