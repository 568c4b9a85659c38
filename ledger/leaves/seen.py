"""``seen/<bucket>``: client ids of accepted transactions, kept until they have expired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family

BUCKETS: Final = 48
"""Twice the hours that an id may be valid ahead: a bucket that is used again holds expired ids only."""


class SeenId(NamedTuple):
    """signer: who chose the id; client_id: 16 bytes; transaction_id: of the transaction that used it."""

    signer: str
    client_id: bytes
    transaction_id: bytes


class SeenLeaf(NamedTuple):
    """hour: of ``valid_until_s`` of all ids here, since the epoch; ids: in order of acceptance."""

    hour: int
    ids: Sequence[SeenId]


def _key(hour: int) -> str:
    return f"seen/{hour % BUCKETS}"


def _decode(hour: int, ids: Sequence[Sequence[object]]) -> SeenLeaf:
    return SeenLeaf(hour, [SeenId._make(entry) for entry in ids])


SEEN: Final = Family("seen", _key, _decode)
