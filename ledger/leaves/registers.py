"""``registers/<boundary_s>/<zone>/<chunk>``: what the meters of a zone showed at one boundary, in chunks of the zone's rows."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gridcore.quality import ABSENT_QUALITY
from ledger.leaves.columns import NO_SEED, Int64, UInt8, grown, pack, unpack, unpack_quality
from ledger.leaves.family import Family, Value


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


def no_registers(size: int) -> RegistersLeaf:
    """What a chunk of ``size`` rows holds before its first value."""
    absent = np.full(size, ABSENT_QUALITY, dtype=np.uint8)
    return RegistersLeaf(absent, np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), NO_SEED)
