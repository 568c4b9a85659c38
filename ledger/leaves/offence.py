"""``offence/<validator>``: that a validator voted for two blocks of one height, as the consensus engine proved."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.family import Family


class OffenceLeaf(NamedTuple):
    """consensus_address: of the key that voted, 20 bytes; height: for which it voted twice."""

    consensus_address: bytes
    height: int


def _key(validator: str) -> str:
    return f"offence/{validator}"


OFFENCE: Final = Family("offence", _key, OffenceLeaf, is_provable=True)
