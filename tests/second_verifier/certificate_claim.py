"""Claim 13: the certificate."""

from collections.abc import Mapping, Sequence

from tests.second_verifier.bundle import HandOver, Signature
from tests.second_verifier.case import Case, LieError, UnsureError, require
from tests.second_verifier.encoding import Item, encode
from tests.second_verifier.proofs import Header
from tests.second_verifier.sm import sm2_holds, sm3
from tests.second_verifier.trees import fold, leaf_hash


def set_digest(signers: Mapping[bytes, int]) -> bytes:
    """Item 9 of a header whose next one these sign, item 10 of one that names them as waiting."""
    pairs: list[Item] = [[key, signers[key]] for key in sorted(signers)]
    return sm3(encode(["signers/1", pairs]))


def certified_bytes(header: Header) -> bytes:
    """What each signer signs."""
    return encode(["certificate/1", header.chain, header.height, header.digest])


def _holds(header: Header, certificate: Sequence[Signature], signers: Mapping[bytes, int]) -> bool:
    """Whether it holds by the set; LieError where a signature of one of the set's keys does not."""
    message = certified_bytes(header)
    for part in certificate:
        if part.public_key in signers and not sm2_holds(part.public_key, message, part.signature):
            raise LieError("a signature of a certificate does not hold")
    keys = {part.public_key for part in certificate}
    signed = sum(power for key, power in signers.items() if key in keys)
    return keys <= set(signers) and 3 * signed > 2 * sum(signers.values())


def _check_structure(case: Case) -> None:
    bundle, certified = case.bundle, case.bundle.certified_header
    if bundle.certified:
        later = certified.chain == bundle.header.chain and certified.height > bundle.header.height
        in_history = fold(leaf_hash(bundle.header.digest), bundle.certified.path) == certified.history_root
        require(later and in_history, "the certified header does not have the header in its history")
    heights = [change.header.height for change in bundle.handovers]
    require(heights == sorted(set(heights)), "the hand-overs do not ascend")
    for change in bundle.handovers:
        require(change.header.chain == certified.chain, "a hand-over of another chain")
        require(change.header.height < certified.height, "a hand-over behind the certified header")
        in_history = fold(leaf_hash(change.header.digest), change.path) == certified.history_root
        require(in_history, "a hand-over is not in the history of the certified header")
        keys = [key for key, _ in change.signers]
        require(keys == sorted(set(keys)), "the signers of a hand-over do not ascend")
        named = (change.header.signers, change.header.signers_pending)
        require(set_digest(dict(change.signers)) in named, "the signers are not those of a hand-over")
    for certificate in (bundle.certificate, *(change.certificate for change in bundle.handovers)):
        keys = [part.public_key for part in certificate]
        require(keys == sorted(set(keys)), "the keys of a certificate do not ascend")


def _since(handovers: Sequence[HandOver], signers: Mapping[bytes, int]) -> Sequence[HandOver]:
    """The hand-overs behind the last one that made this set."""
    made = [i for i, change in enumerate(handovers) if dict(change.signers) == signers]
    return handovers[made[-1] + 1 :] if made else handovers


def check_certificate(case: Case) -> None:
    """Claim 13."""
    _check_structure(case)
    bundle, certified, trust = case.bundle, case.bundle.certified_header, case.trust
    if trust is None:
        raise UnsureError("no trust root was given")
    if (trust.chain, trust.genesis) != (bundle.header.chain, bundle.genesis.header.digest):
        raise UnsureError("the trust root is of another chain")
    if not bundle.certificate:
        raise UnsureError("there is no certificate")
    signers: Mapping[bytes, int] = trust.signers
    for change in _since(bundle.handovers, signers):
        if not _holds(change.header, change.certificate, signers):
            raise UnsureError("a hand-over is not certified by the set before it")
        signers = dict(change.signers)
    if _holds(certified, bundle.certificate, signers):
        return
    if certified.signers != set_digest(signers):
        raise UnsureError("a change of signers is absent, or the trust root is outdated")
    raise LieError("the header is not certified by the signers")
