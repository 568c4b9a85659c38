"""``protocol``: by which rules blocks are applied, from which height on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gridcore.genesis import Activation
from ledger.leaves.family import Family, Value


class ProtocolLeaf(NamedTuple):
    """versions: ascending, the first from height 0 on."""

    versions: Sequence[Activation]

    def version_at(self, height: int) -> int:
        """The version by whose rules the block of ``height`` is applied."""
        return max(version for version, first in self.versions if first <= height)


def _key() -> str:
    return "protocol"


def _decode(versions: Sequence[Sequence[int]]) -> ProtocolLeaf:
    return ProtocolLeaf([Activation(*activation) for activation in versions])


def _encode(record: ProtocolLeaf) -> Value:
    return {"versions": [list(activation) for activation in record.versions]}


PROTOCOL: Final = Family("protocol", _key, _decode, _encode)
