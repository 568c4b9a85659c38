"""A gateway's side of enrolment: ask with what proves the key, and answer the organisation's challenge from the TPM."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gridcore.enrolment import Challenge, Evidence, Request, proof_message
from gridcore.errors import UsageError
from gridcore.signers import open_signer
from gridcore.signers.tpm import handle_and_place
from gridcore.tpm import commands
from gridcore.tpm.commands import ENDORSEMENT
from gridcore.tpm.objects import attestation_template, endorsement_template
from gridcore.tpm.wire import Tpm, TpmError

RSA_CERTIFICATE: Final = 0x01C00002
P256_CERTIFICATE: Final = 0x01C0000A
"""Where TPMs keep endorsement certificates (TCG EK credential profile, 2.2.1.4), and which key is of which."""
_TPM: Final = "tpm2:"


def make_request(gateway: str, uri: str, password_uri: str | None) -> Request:
    """What the gateway hands to its organisation. UsageError as ``open_signer``, or for a TPM without a certificate of its maker."""
    signer = open_signer(uri, password_uri)
    proof = signer.sign(proof_message(gateway, signer.public_key))
    if not uri.startswith(_TPM):
        return Request(gateway, signer.public_key, proof)
    handle, place = handle_and_place(uri, "key")
    with Tpm(place) as tpm:
        is_rsa, certificate = _certificate(tpm, place)
        with commands.primary(tpm, ENDORSEMENT, endorsement_template(is_rsa=is_rsa)) as (_, endorsement):
            pass
        with commands.primary(tpm, ENDORSEMENT, attestation_template()) as (_, attester):
            pass
        key = commands.read_public(tpm, handle)
    return Request(gateway, signer.public_key, proof, key.area, attester.area, endorsement.area, certificate)


def answer_challenge(challenge: Challenge, uri: str, pin: bytes) -> Evidence:
    """Have the TPM give back the challenge's secret, and certify the key with it. UsageError: no key in a TPM, or another TPM."""
    if not uri.startswith(_TPM):
        raise UsageError(f"key {uri!r}: only a key of {_TPM} is challenged; the organisation issues others at once")
    handle, place = handle_and_place(uri, "key")
    try:
        with Tpm(place) as tpm:
            is_rsa, _ = _certificate(tpm, place)
            with (
                commands.primary(tpm, ENDORSEMENT, attestation_template()) as (attester, _),
                commands.primary(tpm, ENDORSEMENT, endorsement_template(is_rsa=is_rsa)) as (endorsement, _),
            ):
                secret = commands.activate_credential(tpm, attester, endorsement, challenge.blob, challenge.seed)
            with commands.primary(tpm, ENDORSEMENT, attestation_template()) as (attester, _):
                return Evidence(challenge.gateway, *commands.certify(tpm, handle, attester, secret, pin))
    except TpmError as error:
        raise UsageError(f"{error}; is this the TPM that the request came from?") from None


def _certificate(tpm: Tpm, place: Path) -> tuple[bool, bytes]:
    """Whether the endorsement key is RSA, and its certificate (DER)."""
    for is_rsa, index in ((True, RSA_CERTIFICATE), (False, P256_CERTIFICATE)):
        try:
            data = commands.read_index(tpm, index)
        except TpmError:
            continue
        length = int.from_bytes(data[2:4], "big") + 4
        return is_rsa, data[:length]  # an index may be longer than what it holds
    raise UsageError(
        f"{place}: this TPM has no endorsement certificate of its maker; enrol a software key, or another TPM"
    )
