"""``signer/<name>``: who may sign transactions and queries, with which key and in which roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.errors import EncodingError
from gridcore.forms import NAME, Form
from gridcore.public_key import point_of
from gridcore.registry.entity import Entity, Shape
from gridcore.registry.organisation import ROLES_FORM
from gridcore.x509 import decode_certificate


class Signer(NamedTuple):
    """organisation: name; public_key: SM2, 65 bytes 04 || x || y; roles: ascending, at least one of ``ROLES``; certificate: X.509
    (DER) by the organisation's authority, None where it has none.
    """

    organisation: str
    public_key: bytes
    roles: Sequence[str]
    certificate: bytes | None = None


class RevokedSigner(NamedTuple):
    """A signer whose key counts no longer. organisation: name."""

    organisation: str


PUBLIC_KEY_FORM: Final = Form(
    "65 bytes 04||x||y, a point of the SM2 curve",
    lambda value: isinstance(value, bytes) and point_of(value) is not None,
)


def _is_certificate(value: Any) -> bool:
    if not isinstance(value, bytes):
        return False
    try:
        return not decode_certificate(value).is_authority
    except EncodingError:
        return False


def _fault(signer: Signer) -> str:
    """A certificate that is another key's."""
    if signer.certificate is None or decode_certificate(signer.certificate).public_key == signer.public_key:
        return ""
    return "certificate is of another key than public_key"


SIGNER: Final[Entity[Signer | RevokedSigner]] = Entity(
    "signer",
    Shape(
        Signer,
        {
            "organisation": NAME,
            "public_key": PUBLIC_KEY_FORM,
            "roles": ROLES_FORM,
            "certificate": Form("a certificate, X.509 of an SM2 key (DER), not an authority's", _is_certificate),
        },
        optional=frozenset({"certificate"}),
        rule=_fault,
    ),
    ending=("revoked", Shape(RevokedSigner, {"organisation": NAME})),
)
