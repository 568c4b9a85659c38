"""``signer/<id>``: who may sign transactions and queries, with which key and in which roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.forms import Form
from ledger.leaves.family import Family

ROLES: Final = ("administrator", "clock", "gateway", "prosumer", "regulator", "utility")
PUBLIC_KEY_WORDS: Final = "65 bytes 04||x||y, a point of the SM2 curve"


class SignerLeaf(NamedTuple):
    """public_key: SM2, 65 bytes 04 || x || y; roles: ascending, at least one of ``ROLES``."""

    public_key: bytes
    roles: Sequence[str]


def _key(signer: str) -> str:
    return f"signer/{signer}"


def _are_roles(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(v in ROLES for v in value) and value == sorted(set(value))


SIGNER: Final = Family(
    "signer",
    _key,
    SignerLeaf,
    forms={
        # Whether the point lies on the curve is looked at by ledger.genesis: consensus code has no SM2.
        "public_key": Form(PUBLIC_KEY_WORDS, lambda value: isinstance(value, bytes) and len(value) == 65),
        "roles": Form(f"an ascending array of {', '.join(ROLES)}", _are_roles),
    },
    is_provable=True,
)
