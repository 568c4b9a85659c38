"""What a gateway and its organisation say to each other when a key is enrolled: three files, canonical CBOR (docs/edge.md)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridcore.envelope import NAME
from gridcore.errors import EncodingError

FILE_BYTES_MAX: Final = 16_384
SOFTWARE: Final = "software"
TPM2: Final = "tpm2"
"""Protection classes: what enrolment can verify. A sealed key was made outside of its TPM, and a device of GM/T 0018 attests nothing: software."""


class Request(NamedTuple):
    """``proof``: by the key itself; of a key in a TPM: public areas and the certificate of its endorsement key, else empty."""

    gateway: str
    public_key: bytes
    proof: bytes
    key_area: bytes = b""
    attester_area: bytes = b""
    endorsement_area: bytes = b""
    endorsement_certificate: bytes = b""


class Challenge(NamedTuple):
    """A credential (``gridcore.tpm.attestation``) for the gateway's TPM."""

    gateway: str
    blob: bytes
    seed: bytes


class Evidence(NamedTuple):
    """What the TPM certifies of the key, with the challenge's secret in it, and the attestation key's signature."""

    gateway: str
    said: bytes
    r: bytes
    s: bytes


Message = Request | Challenge | Evidence
_TYPES: Final[dict[type[Message], str]] = {
    Request: "gridledger-enrolment-request/1",
    Challenge: "gridledger-enrolment-challenge/1",
    Evidence: "gridledger-enrolment-evidence/1",
}


def proof_message(gateway: str, public_key: bytes) -> bytes:
    """What a key signs to be enrolled for a gateway."""
    return cbor.encode(["gridledger-enrolment-proof/1", gateway, public_key])


def encode_message(message: Message) -> bytes:
    """Canonical bytes."""
    return cbor.encode([_TYPES[type(message)], *message])


def decode_request(data: bytes) -> Request:
    """EncodingError for anything but a request."""
    return Request(*_items(data, Request))


def decode_challenge(data: bytes) -> Challenge:
    """EncodingError for anything but a challenge."""
    return Challenge(*_items(data, Challenge))


def decode_evidence(data: bytes) -> Evidence:
    """EncodingError for anything but evidence."""
    return Evidence(*_items(data, Evidence))


def _items(data: bytes, kind: type[Message]) -> list[Any]:
    """The fields: an id, then bytes alone."""
    value = cbor.decode(data, items_max=16)
    is_formed = isinstance(value, list) and len(value) == 1 + len(kind._fields) and value[0] == _TYPES[kind]
    if not is_formed or not isinstance(value[1], str) or not NAME.fullmatch(value[1]):
        raise EncodingError(f"not a file of the type {_TYPES[kind]}")
    if not all(isinstance(item, bytes) for item in value[2:]):
        raise EncodingError("all but the gateway's id is bytes")
    return list(value[1:])
