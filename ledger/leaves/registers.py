"""``registers/<boundary_s>/<zone>/<chunk>``: what the meters of a zone showed at one boundary, in chunks of the zone's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import ABSENT_QUALITY
from ledger.leaves.columns import NO_SEED, Int64, UInt8, grown, pack, unpack, unpack_quality
from ledger.leaves.family import Family, Leaves, Value


class RegistersLeaf(NamedTuple):
    """Columns of n rows, writable, shared with nobody.

    quality: uint8[n], 255 where the value is absent; import_wh, export_wh: int64[n], as the meter shows them, 0 where
    absent; seed: 32 bytes, follows from the seeds of the batches that gave rows.
    """

    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    seed: bytes

    def padded(self, size: int) -> RegistersLeaf:
        """The leaf of a chunk that has ``size`` rows by now."""
        return RegistersLeaf(
            grown(self.quality, size, ABSENT_QUALITY),
            grown(self.import_wh, size, 0),
            grown(self.export_wh, size, 0),
            self.seed,
        )


def _key(boundary_s: int, zone: str, chunk: int) -> str:
    return f"registers/{boundary_s}/{zone}/{chunk}"


def _decode(quality: bytes, registers: list[bytes], seed: bytes) -> RegistersLeaf:
    import_wh, export_wh = registers
    return RegistersLeaf(unpack_quality(quality), unpack(import_wh), unpack(export_wh), seed)


def _encode(record: RegistersLeaf) -> Value:
    registers = [pack(record.import_wh), pack(record.export_wh)]
    return {"quality": record.quality.tobytes(), "registers": registers, "seed": record.seed}


REGISTERS: Final = Family("registers", _key, _decode, _encode, is_followed=True, is_prunable=True)


def load_quality(leaves: Leaves, boundary_s: int, zone: str, sizes: Sequence[int]) -> UInt8:
    """uint8[rows], read-only: what stands at a boundary for all rows of a zone, whose chunks have these sizes; registers are not decoded."""
    parts: list[UInt8] = []
    for chunk, size in enumerate(sizes):
        value = leaves.get(REGISTERS.key(boundary_s, zone, chunk))
        quality = np.frombuffer(b"" if value is None else value["quality"], dtype=np.uint8)
        parts.append(grown(quality, size, ABSENT_QUALITY))
    return np.concatenate(parts)


def is_present(value: Value, at: Int64) -> NDArray[np.bool_]:
    """bool[n]: whether a chunk's map has a value in the places ``at``; registers are not decoded."""
    quality = np.frombuffer(value["quality"], dtype=np.uint8)
    known = at < len(quality)
    present: NDArray[np.bool_] = np.zeros(len(at), dtype=np.bool_)
    present[known] = quality[at[known]] != ABSENT_QUALITY
    return present


def no_registers(size: int) -> RegistersLeaf:
    """What a chunk of ``size`` rows holds before its first value."""
    absent = np.full(size, ABSENT_QUALITY, dtype=np.uint8)
    return RegistersLeaf(absent, np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), NO_SEED)
