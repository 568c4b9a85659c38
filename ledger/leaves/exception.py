"""``exception/<gateway>/<epoch>/<counter>``: how many rows of one batch were not used, and why; the rows themselves stand beside the state."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family

_ROW: Final = struct.Struct("<IIB")


class RowVerdict(NamedTuple):
    """Why a row was not used. row: its index in the batch; meter: its number, of a batch of orders the party's; code: gridcore.codes.Code, 81 to 90."""

    row: int
    meter: int
    code: int

    def encode(self) -> bytes:
        """As a salted leaf of ``rows_root`` covers it."""
        return _ROW.pack(*self)


def decode_verdicts(data: bytes) -> Iterator[RowVerdict]:
    """The verdicts of which ``data`` is one behind the other."""
    return map(RowVerdict._make, _ROW.iter_unpack(data))


class ExceptionLeaf(NamedTuple):
    """boundary_s: of the batch; counts: (code, rows), ascending by code; rows_root: over the salted rows, ascending by index."""

    boundary_s: int
    counts: Sequence[tuple[int, int]]
    rows_root: bytes

    @property
    def rows(self) -> int:
        """How many rows were not used."""
        return sum(count for _, count in self.counts)


def _key(gateway: str, epoch: int, counter: int) -> str:
    return f"exception/{gateway}/{epoch}/{counter}"


def _decode(boundary_s: int, counts: Sequence[Sequence[int]], rows_root: bytes) -> ExceptionLeaf:
    return ExceptionLeaf(boundary_s, [(code, count) for code, count in counts], rows_root)


EXCEPTION: Final = Family("exception", _key, _decode, is_followed=True)
