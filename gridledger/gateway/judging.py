"""An organisation's side of enrolment: judge a gateway's request, challenge its TPM, say what was verified."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from gridcore.enrolment import SOFTWARE, TPM2, Challenge, Evidence, Request, encode_message, proof_message
from gridcore.errors import EncodingError
from gridcore.public_key import point_of
from gridcore.signers.tpm import signs_by_sm2
from gridcore.sm import is_valid_signature
from gridcore.sm3 import sm3
from gridcore.tpm.attestation import (
    SECRET_BYTES,
    AttestationError,
    check_certified,
    check_endorsement,
    make_credential,
)
from gridcore.tpm.objects import BORN_HERE, RESTRICTED, SIGN, PublicArea, decode_public


def check_request(request: Request) -> None:
    """Raise AttestationError unless the key has asked itself to be enrolled for this gateway."""
    message = proof_message(request.gateway, request.public_key)
    if point_of(request.public_key) is None or not is_valid_signature(request.public_key, message, request.proof):
        raise AttestationError("the request is not signed by the key that it names")


def challenge_of(request: Request, authorities: Sequence[bytes], now_s: int) -> tuple[Challenge, bytes]:
    """A challenge for the TPM of a request, and what stays here: its secret, and the digest of the request that it is for.

    AttestationError: no TPM of a known maker.
    """
    check_request(request)
    if not request.endorsement_certificate:
        raise AttestationError("the request is of a software key: there is no TPM to challenge; issue it as what it is")
    _, attester, endorsement = _areas(request)
    check_endorsement(request.endorsement_certificate, endorsement, authorities, now_s)
    secret = secrets.token_bytes(SECRET_BYTES)
    made = make_credential(endorsement, attester.name, secret)
    return Challenge(request.gateway, made.blob, made.seed), secret + _digest(request)


def protection_of(request: Request, evidence: Evidence | None, kept: bytes) -> str:
    """The protection class that was verified. ``kept``: of ``challenge_of``. AttestationError where evidence proves nothing.

    The evidence itself shows the secret: only of the request whose endorsement certificate was looked at does it prove anything.
    """
    check_request(request)
    if evidence is None:
        return SOFTWARE
    secret, challenged = kept[:SECRET_BYTES], kept[SECRET_BYTES:]
    if challenged != _digest(request):
        raise AttestationError("this is not the request that was challenged, or not the file that challenge kept")
    key, attester, _ = _areas(request)
    if evidence.gateway != request.gateway:
        raise AttestationError(f"the evidence is of gateway {evidence.gateway}, the request of {request.gateway}")
    check_certified(evidence.said, evidence.r, evidence.s, attester, secret, key.name)
    if key.public_key != request.public_key:
        raise AttestationError("the key that the TPM certifies is not the one that asks to be enrolled")
    if key.attributes & BORN_HERE != BORN_HERE or not signs_by_sm2(key):
        raise AttestationError("the key was not made in the TPM, may leave it, or does not sign by SM2")
    return TPM2


def _digest(request: Request) -> bytes:
    return sm3(encode_message(request))


def _areas(request: Request) -> tuple[PublicArea, PublicArea, PublicArea]:
    """Key, attestation key, endorsement key."""
    try:
        key, attester, endorsement = (
            decode_public(area) for area in (request.key_area, request.attester_area, request.endorsement_area)
        )
    except EncodingError as error:
        raise AttestationError(f"a public area of the request cannot be read: {error}") from None
    if attester.attributes & (BORN_HERE | RESTRICTED | SIGN) != BORN_HERE | RESTRICTED | SIGN:
        raise AttestationError("the attestation key may sign more than what its TPM says")
    return key, attester, endorsement
