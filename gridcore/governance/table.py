"""All sorts of actions: a new one is its file here, its file in ``ledger.governance``, and a line in both tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.governance.contract import CONTRACT
from gridcore.governance.membership import MEMBERSHIP
from gridcore.governance.permission import PERMISSION
from gridcore.governance.protocol import PROTOCOL
from gridcore.governance.sort import Sort
from gridcore.governance.thresholds import THRESHOLDS
from gridcore.governance.validators import VALIDATORS

ACTION_BYTES_MAX: Final = 49_152
ACTION_ITEMS_MAX: Final = 4_096
"""CBOR items of an action: a set of 256 validators has 2,821."""
_ALL: Final[tuple[Sort[Any], ...]] = (MEMBERSHIP, VALIDATORS, CONTRACT, PROTOCOL, PERMISSION, THRESHOLDS)
SORTS: Final[Mapping[str, Sort[Any]]] = {sort.name: sort for sort in _ALL}
"""By name."""


class Action(NamedTuple):
    """What a proposal asks for. record: of the sort's shape."""

    sort: Sort[Any]
    record: Any

    def encode(self) -> bytes:
        """Canonical bytes. EncodingError where they are more than a proposal holds."""
        encoded = cbor.encode(self.sort.encode(self.record))
        if len(encoded) > ACTION_BYTES_MAX:
            raise EncodingError(f"an action has at most {ACTION_BYTES_MAX} bytes, not {len(encoded)}")
        return encoded


def read_action(fields: Any) -> Action:
    """The action of a map. EncodingError in words for a person: which field, and what would be right."""
    name = fields.get("sort") if isinstance(fields, dict) else None
    sort = SORTS.get(name) if isinstance(name, str) else None
    if sort is None:
        raise EncodingError(f"sort is one of {', '.join(SORTS)}")
    rest = {key: item for key, item in fields.items() if key != "sort"}
    if fault := sort.shape.fault_of(rest):
        raise EncodingError(f"{sort.name}: {fault}")
    return Action(sort, sort.record_of(rest))


def decode_action(data: bytes) -> Action:
    """Inverse of Action.encode. EncodingError for anything else."""
    return read_action(cbor.decode(data, items_max=ACTION_ITEMS_MAX))
