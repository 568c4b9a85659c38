"""Claims 8 and 9: who signed the readings and orders, and who certified the state."""

from __future__ import annotations

from gridevidence.layout import SIGNER_SET
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, Halt, hold, plain
from gridevidence.verifier.cbor import encode
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.sm2 import is_valid_signature
from gridevidence.verifier.sm3 import sm3


def check_signatures(of: Examination) -> str:
    """8: the batches are signed with the gateway's registered key, the orders with the party's."""
    for what, signer, part in (*of.batches(), *of.orders()):
        valid = is_valid_signature(of.value[signer]["public_key"], part["signed"], part["signature"])
        hold(valid, f"{what} is not signed with its signer's registered key")
    return "Both readings are signed with their gateway's registered key, each order with its party's."


def check_certificate(of: Examination) -> str:
    """9: signers of the trust root, with more than two thirds of its power, signed this header; nobody else did."""
    certificate, trust, chain = of.bundle.get("certificate", []), of.trust, of.head[1]
    keys = [key for key, _ in certificate]
    hold(keys == sorted(set(keys)), "the certificate's keys do not ascend")
    if trust is None:
        raise Halt(CANNOT_BE_DECIDED, "no trust root was given (--trust FILE)")
    signers = {key: (power, plain(name)) for key, power, name in trust.signers}
    message = encode(["certificate/1", chain, of.head[2], sm3(of.bundle["header"])])
    for key, signature in certificate:
        valid = key not in signers or is_valid_signature(key, message, signature)
        hold(valid, f"the signature by {key.hex()[:20]}... is not one over this header")
    is_of_chain = (trust.chain, trust.genesis) == (chain, of.bundle["genesis"]["digest"])
    hold(is_of_chain, f"the trust root is of another chain than the bundle's, {plain(chain)}", CANNOT_BE_DECIDED)
    hold(bool(certificate), "the certificate of the header is absent", CANNOT_BE_DECIDED)
    hold(signers.keys() >= set(keys), "a signature is by a key that the trust root does not name")
    own_set = sm3(encode(["signers/1", sorted([key, power] for key, (power, _) in signers.items())]))
    is_own_set = own_set == of.head[SIGNER_SET]
    hold(is_own_set, "the header's signer set is not the trust root's: outdated?", CANNOT_BE_DECIDED)
    signed, total = sum(signers[key][0] for key in keys), sum(power for power, _ in signers.values())
    hold(3 * signed > 2 * total, f"{signed} of {total} of the power signed; more than two thirds are needed")
    of.facts.update(signers=len(keys), signers_total=len(signers), power=signed, power_total=total)
    kind = "signer: the operator's own word" if len(signers) == 1 else "signers"
    return f"Certified by {', '.join(signers[key][1] for key in keys)} ({len(keys)} of {len(signers)} {kind})."
