"""``organisation/<name>``: who takes part with signers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.errors import EncodingError
from gridcore.forms import Form, text
from gridcore.registry.entity import Entity, Shape
from gridcore.x509 import decode_certificate

ROLES: Final = ("administrator", "aggregator", "clock", "gateway", "prosumer", "regulator", "utility")


class Organisation(NamedTuple):
    """roles: those that its signers may have, ascending; title: what people read; authority: the certificate (X.509, DER) of the
    authority that issues those of its signers, None where they have none.
    """

    roles: Sequence[str]
    title: str
    authority: bytes | None = None


class RemovedOrganisation(NamedTuple):
    """An organisation that takes part no longer: nobody signs for it, and its name is not given again."""

    @property
    def roles(self) -> Sequence[str]:
        """None."""
        return ()


def _are_roles(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(v in ROLES for v in value) and value == sorted(set(value))


def _is_authority(value: Any) -> bool:
    if not isinstance(value, bytes):
        return False
    try:
        certificate = decode_certificate(value)
    except EncodingError:
        return False
    return certificate.is_authority and certificate.issuer == certificate.subject


ROLES_FORM: Final = Form(f"an ascending array of {', '.join(ROLES)}", _are_roles)

ORGANISATION: Final[Entity[Organisation | RemovedOrganisation]] = Entity(
    "organisation",
    Shape(
        Organisation,
        {
            "roles": ROLES_FORM,
            "title": text(1, 200),
            "authority": Form("an authority's own certificate, X.509 of an SM2 key (DER)", _is_authority),
        },
        optional=frozenset({"authority"}),
    ),
    ending=("removed", Shape(RemovedOrganisation, {})),
)
