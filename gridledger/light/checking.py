"""Checking a file by what a light client has learned: a bundle, a receipt, a state proof, a header, the evidence of a fork."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gridcore import cbor, merkle, verify
from gridcore.errors import EncodingError
from gridcore.header import Receipt, VerificationError, check_decision, decode_header, decode_receipt
from gridcore.light.codec import (
    FORK_TYPE,
    HEADER_TYPE,
    PROOF_TYPE,
    decode_certified,
    decode_fork,
    decode_proof,
)
from gridcore.light.follow import ForkError, check_not_forked
from gridcore.light.state import LightState
from gridcore.light.trusted import CertifiedHeader, check_certified

BUNDLE_TYPE, RECEIPT_TYPE = "gridledger-evidence", "receipt"


@dataclass(frozen=True)
class Checked:
    """The answer on a file: one of ``gridcore.verify``'s words. what: its type; facts: what it proves, where it does."""

    answer: str
    what: str
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)
    fork: ForkError | None = None


def check_bytes(data: bytes, state: LightState) -> Checked:
    """Check what a file holds; a fork that it shows is an answer "not verified" with both headers."""
    try:
        value = cbor.decode(data)
        what = str(value.get("type")) if isinstance(value, dict) else ""
        check = {
            BUNDLE_TYPE: _bundle,
            RECEIPT_TYPE: _receipt,
            PROOF_TYPE: _proof,
            HEADER_TYPE: _header,
            FORK_TYPE: _fork,
        }.get(what)
        if check is None:
            return Checked(verify.NOT_VERIFIED, "", "is no bundle, receipt, state proof, header or fork")
        return check(data, state)
    except ForkError as fork:
        return Checked(verify.NOT_VERIFIED, what, str(fork), fork=fork)
    except EncodingError as error:
        return Checked(verify.NOT_VERIFIED, "", f"cannot be read: {error}")
    except VerificationError as error:
        return Checked(verify.NOT_VERIFIED, what, str(error))


def _bundle(data: bytes, state: LightState) -> Checked:
    value = cbor.decode(data)
    signed = value.get("certified", value)
    shown = signed.get("header") if isinstance(signed, dict) else None
    header = decode_header(shown if isinstance(shown, bytes) else b"")
    sets = state.trusted.sets_at(header.height)
    if not sets:
        replaced = state.trusted.replaced_at(header.height)
        return _replaced(BUNDLE_TYPE, header.height) if replaced else _too_old(BUNDLE_TYPE, header.height, state)
    verdicts = [verify.verify_bundle(data, state.trust_at(one)) for one in sets]
    verdict = next((one for one in verdicts if one.answer == verify.VERIFIED), verdicts[0])
    if verdict.answer == verify.VERIFIED:
        certificate = [(key, signature) for key, signature in value["certificate"]]
        check_not_forked(state.trusted, CertifiedHeader(header, certificate))
    return Checked(verdict.answer, BUNDLE_TYPE, verdict.reason, verdict.facts)


def _receipt(data: bytes, state: LightState) -> Checked:
    receipt = decode_receipt(data)
    certified = CertifiedHeader(receipt.header, receipt.certificate, receipt.certified)
    return _covered(RECEIPT_TYPE, certified, state) or _decided(receipt, state)


def _decided(receipt: Receipt, state: LightState) -> Checked:
    check_decision(receipt, chain=state.trusted.chain, digest=receipt.digest)
    facts = {"digest": receipt.digest.hex(), "code": receipt.code, "height": receipt.header.height}
    return Checked(verify.VERIFIED, RECEIPT_TYPE, "", facts)


def _proof(data: bytes, state: LightState) -> Checked:
    proof = decode_proof(data)
    if (other := _covered(PROOF_TYPE, CertifiedHeader(proof.header, proof.certificate), state)) is not None:
        return other
    if merkle.fold(merkle.leaf_hash(proof.leaf), proof.path) != proof.header.state_root:
        raise VerificationError(f"the leaf is not under the state root of header {proof.header.height}")
    key = cbor.decode(proof.leaf)[0]
    return Checked(verify.VERIFIED, PROOF_TYPE, "", {"key": key, "height": proof.header.height})


def _header(data: bytes, state: LightState) -> Checked:
    certified = decode_certified(data)
    facts = {"height": certified.header.height, "digest": certified.header.digest().hex()}
    return _covered(HEADER_TYPE, certified, state) or Checked(verify.VERIFIED, HEADER_TYPE, "", facts)


def _fork(data: bytes, state: LightState) -> Checked:
    one, other = decode_fork(data)
    for certified in (one, other):
        check_certified(state.trusted, certified)
    if one.header.height != other.header.height or one.header.digest() == other.header.digest():
        raise VerificationError("these are not two headers of one height")
    return Checked(verify.VERIFIED, FORK_TYPE, "", {"height": one.header.height})


def _covered(what: str, certified: CertifiedHeader, state: LightState) -> Checked | None:
    """None where a header is covered by a set that is known; why it cannot be decided else. VerificationError, ForkError."""
    height = certified.signed.height
    if not (state.trusted.sets_at(height) or state.trusted.replaced_at(height)):
        return _too_old(what, height, state)
    try:
        check_not_forked(state.trusted, certified)
    except ForkError:
        raise
    except VerificationError:
        if not state.trusted.replaced_at(height):
            raise
        return _replaced(what, height)
    return None


def _too_old(what: str, height: int, state: LightState) -> Checked:
    reason = f"header {height}: the set that certified it is not known here (followed up to {state.trusted.height})"
    return Checked(verify.CANNOT_BE_DECIDED, what, reason)


def _replaced(what: str, height: int) -> Checked:
    """What may be honest, and what whoever has the keys of a former set could have made since."""
    reason = f"header {height}: the set that certified it has been replaced since; ask a node for it anew"
    return Checked(verify.CANNOT_BE_DECIDED, what, reason)
