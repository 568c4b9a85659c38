"""``latest/<zone>/<chunk>``: the newest value of each meter of a zone, in chunks of the zone's rows."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ledger.leaves.columns import NO_SEED, Int64, grown, pack, unpack
from ledger.leaves.family import Family, Value


class LatestLeaf(NamedTuple):
    """Columns int64[n], writable, shared with nobody.

    boundary_s: of the newest value, -1 where there is none yet; import_wh, export_wh: as the meter shows them; seed: that
    of the ``registers`` leaf whose rows came last.
    """

    boundary_s: Int64
    import_wh: Int64
    export_wh: Int64
    seed: bytes

    def padded(self, size: int) -> LatestLeaf:
        """The leaf of a chunk that has ``size`` rows by now."""
        return LatestLeaf(
            grown(self.boundary_s, size, -1), grown(self.import_wh, size, 0), grown(self.export_wh, size, 0), self.seed
        )


def _key(zone: str, chunk: int) -> str:
    return f"latest/{zone}/{chunk}"


def _decode(boundary_s: bytes, registers: list[bytes], seed: bytes) -> LatestLeaf:
    import_wh, export_wh = registers
    return LatestLeaf(unpack(boundary_s), unpack(import_wh), unpack(export_wh), seed)


def _encode(record: LatestLeaf) -> Value:
    registers = [pack(record.import_wh), pack(record.export_wh)]
    return {"boundary_s": pack(record.boundary_s), "registers": registers, "seed": record.seed}


LATEST: Final = Family("latest", _key, _decode, _encode)


def no_latest(size: int) -> LatestLeaf:
    """What a chunk of ``size`` rows holds before its first value."""
    none = np.full(size, -1, dtype=np.int64)
    return LatestLeaf(none, np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), NO_SEED)
