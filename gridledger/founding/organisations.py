"""Who takes part in a chain of one utility: its organisations, and the signers that they enrol."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from gridcore.master_data import Listed, Named
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.signer import SIGNER, Signer
from gridcore.validator import Validator

UTILITY: Final = "utility"
SIGNER_ROLES: Final[Mapping[str, list[str]]] = {
    "operator": ["administrator"],
    "clock": ["clock"],
    "utility": ["administrator", "utility"],
    "regulator": ["regulator"],
    "web": ["regulator"],  # the pages' own key: reads all, writes nothing
}
"""The signers that every such chain has, with their roles."""
_ORGANISATIONS: Final[Mapping[str, tuple[str, list[str]]]] = {
    "operator": ("Operator of the ledger", ["administrator", "clock"]),
    UTILITY: ("Utility", ["administrator", "gateway", "prosumer", "regulator", "utility"]),
    "regulator": ("Regulator", ["regulator"]),
}
"""Title, and the roles that signers of the organisation may have."""
_ORGANISATION_OF: Final[Mapping[str, str]] = {"clock": "operator", "operator": "operator", "regulator": "regulator"}
"""The organisation of a signer, where it is not the utility."""


def organisations() -> Iterator[Listed]:
    """Operator, utility and regulator."""
    for name, (title, roles) in _ORGANISATIONS.items():
        yield Named(ORGANISATION, name, Organisation(sorted(roles), title))


def operator(public_keys: Mapping[str, bytes]) -> Validator:
    """The operator's node, which alone certifies. public_keys: of signers by id (65 bytes)."""
    return Validator("operator", "operator", public_keys["operator"])


def signers(public_keys: Mapping[str, bytes], gateways: Collection[str]) -> Iterator[Listed]:
    """Signers by id with their keys (65 bytes): those of ``SIGNER_ROLES``, gateways; all others are prosumers."""
    for name, public_key in public_keys.items():
        roles = SIGNER_ROLES.get(name) or (["gateway"] if name in gateways else ["prosumer"])
        yield Named(SIGNER, name, Signer(_ORGANISATION_OF.get(name, UTILITY), public_key, roles))
