"""``positions/<area>/<slot_start_s>/<run>/<chunk>``: what a run says of each point, in chunks of the area's settling rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from ledger.leaves.columns import Int64, UInt8, pack, unpack, unpack_quality
from ledger.leaves.family import Family, Value

COLUMNS: Final = 8
"""int64 columns of a leaf."""


class PositionsLeaf(NamedTuple):
    """Columns int64[n] of n points, quality uint8[n]; written once.

    quality: byte of the value at the slot's end; seed: 32 bytes, from which the salts of the run's rows follow;
    start_..., end_...: registers at the slot's start and end as the meter shows them; bought_wh, sold_wh: traded energy;
    pays_nano: what the party owes (negative: receives); supplier_only_nano: what the same energy would have cost with the
    supplier alone.
    """

    quality: UInt8
    seed: bytes
    start_import_wh: Int64
    end_import_wh: Int64
    start_export_wh: Int64
    end_export_wh: Int64
    bought_wh: Int64
    sold_wh: Int64
    pays_nano: Int64
    supplier_only_nano: Int64

    @property
    def columns(self) -> tuple[Int64, ...]:
        """The eight int64 columns in the order in which they are stored."""
        return self[-COLUMNS:]

    def rows(self, first: int, end: int) -> PositionsLeaf:
        """Those of rows first ... end - 1."""
        return PositionsLeaf(self.quality[first:end], self.seed, *(column[first:end] for column in self.columns))


def _key(area: str, slot_start_s: int, run: str, chunk: int) -> str:
    return f"positions/{area}/{slot_start_s}/{run}/{chunk}"


def _decode(columns: list[bytes], quality: bytes, seed: bytes) -> PositionsLeaf:
    return PositionsLeaf(unpack_quality(quality), seed, *(unpack(column) for column in columns))


def _encode(record: PositionsLeaf) -> Value:
    return {
        "columns": [pack(column) for column in record.columns],
        "quality": record.quality.tobytes(),
        "seed": record.seed,
    }


POSITIONS: Final = Family("positions", _key, _decode, _encode)


def join_positions(parts: Sequence[PositionsLeaf]) -> PositionsLeaf:
    """Neighbouring parts as one; of none: no rows and no seed (b"")."""
    none = np.zeros(0, dtype=np.int64)
    columns = [np.concatenate([none, *(part.columns[index] for part in parts)]) for index in range(COLUMNS)]
    quality = np.concatenate([np.zeros(0, dtype=np.uint8), *(part.quality for part in parts)])
    return PositionsLeaf(quality, parts[-1].seed if parts else b"", *columns)
