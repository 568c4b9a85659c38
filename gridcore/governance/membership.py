"""``membership``: organisations and their signers, as rows of the registry that hold from the decision on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.forms import TIME_S_MAX, Form, octets
from gridcore.governance.sort import Sort
from gridcore.registry.entities import entity_of
from gridcore.registry.entity import Shape, Value
from gridcore.registry.organisation import ORGANISATION
from gridcore.registry.row import ROW_BYTES_MAX, Row
from gridcore.registry.signer import SIGNER
from gridcore.sm3 import DIGEST_BYTES

ROWS_MAX: Final = 16
KINDS: Final = (ORGANISATION.kind, SIGNER.kind)


class MemberRow(NamedTuple):
    """Key of an organisation or a signer, and the value that it is to have."""

    key: str
    value: Value


class ChangeMembers(NamedTuple):
    """rows: pairs of key and value, recorded together; seed: 32 bytes, of their salts."""

    rows: Sequence[Sequence[Any]]
    seed: bytes

    @property
    def members(self) -> Sequence[MemberRow]:
        """The rows by name."""
        return [MemberRow(*row) for row in self.rows]


def _are_pairs(value: Any) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= ROWS_MAX:
        return False
    return all(
        isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], dict)
        for row in value
    )


def _fault(action: ChangeMembers) -> str:
    """What is wrong with the first row that is none of an organisation or a signer."""
    for number, (key, value) in enumerate(action.members, 1):
        found = entity_of(key)
        if found is None or found[0].kind not in KINDS:
            return f"row {number}: its key is organisation/NAME or signer/NAME"
        if fault := found[0].fault_of(value):
            return f"row {number}, {key}: {fault}"
        if len(Row(key, TIME_S_MAX, value).encode()) > ROW_BYTES_MAX:
            return f"row {number}, {key}: a registry row has at most {ROW_BYTES_MAX} bytes"
    return ""


MEMBERSHIP: Final[Sort[ChangeMembers]] = Sort(
    "membership",
    Shape(
        ChangeMembers,
        {
            "rows": Form(f"an array of 1 to {ROWS_MAX} pairs of a key and a map", _are_pairs),
            "seed": octets(DIGEST_BYTES),
        },
        rule=_fault,
    ),
    lambda thresholds: thresholds.signers,
)
