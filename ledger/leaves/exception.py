"""``exception/<gateway>/<epoch>/<counter>``: the rows of one batch that were not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family


class RowVerdict(NamedTuple):
    """Why a row was not used. row: its index in the batch; meter: its number, of a batch of orders the party's; code: gridcore.codes.Code, 81 to 90."""

    row: int
    meter: int
    code: int


class ExceptionLeaf(NamedTuple):
    """boundary_s: of the batch; rows: ascending by index."""

    boundary_s: int
    rows: Sequence[RowVerdict]


def _key(gateway: str, epoch: int, counter: int) -> str:
    return f"exception/{gateway}/{epoch}/{counter}"


def _decode(boundary_s: int, rows: Sequence[Sequence[int]]) -> ExceptionLeaf:
    return ExceptionLeaf(boundary_s, [RowVerdict._make(row) for row in rows])


EXCEPTION: Final = Family("exception", _key, _decode, is_followed=True)
