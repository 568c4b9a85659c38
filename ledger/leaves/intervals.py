"""``intervals/<day_s>/<zone>/<chunk>``: energies that were imported for the slots of one UTC day, in chunks of the zone's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from gridcore.quality import ABSENT_QUALITY
from ledger.leaves.columns import NO_SEED, Int64, UInt8, pack, unpack
from ledger.leaves.family import Family, Value

DAY_S: Final = 86_400
_ENERGIES: Final = ("import_wh", "export_wh")
_ENERGY_BYTES: Final = 8
"""Of an energy in a leaf."""
_TYPES: Final = {2: "<u2", 4: "<u4", _ENERGY_BYTES: "<i8"}
"""By the bytes of an energy."""


class IntervalsLeaf(NamedTuple):
    """Columns [slots of a day, n rows], writable, shared with nobody.

    quality: uint8, 255 where nothing was imported; import_wh, export_wh: int64, primary energy, 0 where nothing was; imports: ids of
    the transactions that gave values, in order; seed: 32 bytes, follows from the seeds of these.
    """

    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    imports: Sequence[bytes]
    seed: bytes

    def padded(self, size: int) -> IntervalsLeaf:
        """The leaf of a chunk that has ``size`` rows by now."""
        missing = size - self.quality.shape[1]
        if missing <= 0:
            return self
        wider = ((0, 0), (0, missing))
        return self._replace(
            quality=np.pad(self.quality, wider, constant_values=ABSENT_QUALITY),
            import_wh=np.pad(self.import_wh, wider),
            export_wh=np.pad(self.export_wh, wider),
        )


class SlotIntervals(NamedTuple):
    """The rows of one slot of a leaf: quality uint8[n], import_wh, export_wh int64[n], read-only; seed: the leaf's."""

    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    seed: bytes

    def padded(self, size: int) -> SlotIntervals:
        """The same of a chunk that has ``size`` rows by now."""
        missing = size - len(self.quality)
        if missing <= 0:
            return self
        return self._replace(
            quality=np.pad(self.quality, (0, missing), constant_values=ABSENT_QUALITY),
            import_wh=np.pad(self.import_wh, (0, missing)),
            export_wh=np.pad(self.export_wh, (0, missing)),
        )


def intervals_of_slot(value: Value, at: int) -> SlotIntervals:
    """Of a leaf's map the slot at a place of its day; the others of the day are not decoded."""
    rows, energy_bytes = len(value["quality"]) // value["slots"], value.get("energy_bytes", _ENERGY_BYTES)
    first = at * rows
    quality = np.frombuffer(value["quality"], dtype=np.uint8, count=rows, offset=first)
    import_wh, export_wh = (
        np.frombuffer(value[name], dtype=_TYPES[energy_bytes], count=rows, offset=first * energy_bytes)
        for name in _ENERGIES
    )
    return SlotIntervals(
        quality, import_wh.astype(np.int64, copy=False), export_wh.astype(np.int64, copy=False), value["seed"]
    )


def narrow_intervals(value: Value) -> Value:
    """A leaf's map as it may be kept in memory: energies in 2 or 4 bytes each where these hold all of them, which ``energy_bytes`` says then.

    A quarter hour of a home is below 65,536 Wh: a day of a million points takes 0.5 GB so, and 1.6 as its leaves have it.
    """
    wide = {name: unpack(value[name]) for name in _ENERGIES}
    if any(energy.min(initial=0) < 0 for energy in wide.values()):
        return value
    high_wh = max(int(energy.max(initial=0)) for energy in wide.values())
    for energy_bytes in (2, 4):
        if high_wh < 1 << 8 * energy_bytes:
            narrow = {name: energy.astype(_TYPES[energy_bytes]).tobytes() for name, energy in wide.items()}
            return {**value, **narrow, "energy_bytes": energy_bytes}
    return value


def day_of_slot(slot_start_s: int) -> int:
    """The start of the UTC day in which a slot begins."""
    return slot_start_s - slot_start_s % DAY_S


def no_intervals(slot_s: int, size: int) -> IntervalsLeaf:
    """What a chunk of ``size`` rows holds of a day before its first import."""
    shape = (DAY_S // slot_s, size)
    absent = np.full(shape, ABSENT_QUALITY, dtype=np.uint8)
    return IntervalsLeaf(absent, np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64), (), NO_SEED)


def _key(day_s: int, zone: str, chunk: int) -> str:
    return f"intervals/{day_s}/{zone}/{chunk}"


def _decode(
    quality: bytes,
    import_wh: bytes,
    export_wh: bytes,
    imports: Sequence[bytes],
    seed: bytes,
    slots: int,
    energy_bytes: int = _ENERGY_BYTES,
) -> IntervalsLeaf:
    shape, stored = (slots, len(quality) // slots), _TYPES[energy_bytes]
    return IntervalsLeaf(
        np.frombuffer(quality, dtype=np.uint8).reshape(shape).copy(),
        np.frombuffer(import_wh, dtype=stored).astype(np.int64).reshape(shape),
        np.frombuffer(export_wh, dtype=stored).astype(np.int64).reshape(shape),
        imports,
        seed,
    )


def _encode(record: IntervalsLeaf) -> Value:
    return {
        "export_wh": pack(record.export_wh),
        "import_wh": pack(record.import_wh),
        "imports": list(record.imports),
        "quality": record.quality.tobytes(),
        "seed": record.seed,
        "slots": len(record.quality),
    }


INTERVALS: Final = Family("intervals", _key, _decode, _encode)
