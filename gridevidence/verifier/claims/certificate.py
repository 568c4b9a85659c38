"""Claim 13: signers whom the trust root names, or a set that they handed over to, certified the state."""

from __future__ import annotations

from typing import Final

from gridevidence.verifier.answers import CANNOT_BE_DECIDED, Halt, hold, plain, refuse, same
from gridevidence.verifier.bundle import HandOver
from gridevidence.verifier.cbor import encode
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.records import Header
from gridevidence.verifier.sm2 import is_valid_signature
from gridevidence.verifier.sm3 import sm3
from gridevidence.verifier.trust import Trust

OWN_WORD: Final = "1 of 1 signer: the operator's own word"

_Certificate = tuple[tuple[bytes, bytes], ...]
_Set = dict[bytes, int]  # public key -> power


def check_certificate(of: Examination) -> str:
    """13: more than two thirds of the power of the set that the trust root yields signed the certified header; nobody else did."""
    bundle, trust = of.bundle, of.trust
    header = bundle.certified.header if bundle.certified is not None else bundle.header
    _check_structure(of, header)
    if trust is None:
        raise Halt(CANNOT_BE_DECIDED, "no trust root was given (--trust FILE)")
    is_of_chain = trust.is_of(header.chain, bundle.genesis.header.digest)
    other = f"the trust root is of another chain than the bundle's, {plain(header.chain)}"
    hold(is_of_chain, other, CANNOT_BE_DECIDED)
    hold(bool(bundle.certificate), "the certificate of the header is absent", CANNOT_BE_DECIDED)
    signers = _handed_over(bundle.handovers, {key: power for key, power, _ in trust.signers})
    signed = _signed_power(bundle.certificate, header, signers)
    if signed is None or 3 * signed <= 2 * sum(signers.values()):
        is_own_set = header.signers == _digest_of_set(signers)
        outdated = "the header's signers are another set: a change of signers is absent, or the trust root is outdated"
        hold(is_own_set, outdated, CANNOT_BE_DECIDED)
        refuse("the certificate is not by more than two thirds of the power, or holds another's signature")
    return _certified(of, trust, signers, signed)


def _check_structure(of: Examination, header: Header) -> None:
    """Hold that certified header, hand-overs and certificate are in order, whoever signed them."""
    bundle = of.bundle
    if bundle.certified is not None:
        same("the chain of the certified header", header.chain, bundle.header.chain)
        is_later = header.height > bundle.header.height
        hold(is_later and bundle.certified.history_root == header.history_root, "the certified header is no later one")
    heights = [one.placed.header.height for one in bundle.handovers]
    hold(heights == sorted(set(heights)), "the hand-overs do not ascend")
    for one in bundle.handovers:
        placed = one.placed
        same("the chain of a hand-over", placed.header.chain, header.chain)
        is_past = placed.header.height < header.height and placed.history_root == header.history_root
        hold(is_past, "a hand-over is not in the certified header's history")
        keys = [key for key, _ in one.signers]
        hold(keys == sorted(set(keys)), "the signers of a hand-over do not ascend")
        named = (placed.header.signers, placed.header.signers_pending)
        hold(_digest_of_set(dict(one.signers)) in named, "a hand-over's header does not name these signers")
    for certificate in (bundle.certificate, *(one.certificate for one in bundle.handovers)):
        keys = [key for key, _ in certificate]
        hold(keys == sorted(set(keys)), "the keys of a certificate do not ascend")


def _digest_of_set(signers: _Set) -> bytes:
    return sm3(encode(["signers/1", [list(pair) for pair in sorted(signers.items())]]))


def _handed_over(handovers: tuple[HandOver, ...], signers: _Set) -> _Set:
    """The set after every hand-over since the one that the trust root names."""
    known = [place for place, one in enumerate(handovers, 1) if dict(one.signers) == signers]
    for one in handovers[known[-1] if known else 0 :]:
        signed = _signed_power(one.certificate, one.placed.header, signers)
        is_held = signed is not None and 3 * signed > 2 * sum(signers.values())
        hold(is_held, "a change of signers is not certified by the set before it", CANNOT_BE_DECIDED)
        signers = dict(one.signers)
    return signers


def _signed_power(certificate: _Certificate, header: Header, signers: _Set) -> int | None:
    """The power of a certificate's signers, None where one is not in the set; halts where one of the set did not sign this."""
    message = encode(["certificate/1", header.chain, header.height, header.digest])
    for key, signature in certificate:
        is_valid = key not in signers or is_valid_signature(key, message, signature)
        hold(is_valid, f"the signature by {key.hex()[:20]}... is not one over header {header.height}")
    keys = [key for key, _ in certificate]
    return sum(signers[key] for key in keys) if signers.keys() >= set(keys) else None


def _certified(of: Examination, trust: Trust, signers: _Set, signed: int) -> str:
    names = {key: plain(name) for key, _, name in trust.signers}
    shown = [names.get(key, f"{key.hex()[:16]}...") for key, _ in of.bundle.certificate]
    of.facts.update(certified_by=shown, signers=len(shown), signers_total=len(signers))
    of.facts.update(power=signed, power_total=sum(signers.values()))
    count = OWN_WORD if len(signers) == 1 else f"{len(shown)} of {len(signers)} signers"
    return f"Certified by {', '.join(shown)} ({count})."
