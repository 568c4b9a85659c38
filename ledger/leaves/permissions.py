"""``permissions``: roles that may send transactions of a kind, where that was voted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family


class PermissionsLeaf(NamedTuple):
    """roles: by kind of transaction, ascending; a kind that is not named has the role of the protocol's rules."""

    roles: Mapping[str, Sequence[str]]


def _key() -> str:
    return "permissions"


PERMISSIONS: Final = Family("permissions", _key, PermissionsLeaf, is_provable=True)
