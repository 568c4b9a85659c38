"""The rows of an import as columns; the bytes are those of gridcore.transactions.interval_import."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gridcore import merkle
from gridcore.column import I64_MAX
from gridcore.errors import EncodingError
from gridcore.rows import PackedRows
from gridcore.transactions.interval_import import COLUMNS, join_intervals, split_intervals
from ledger.leaves.columns import Int64, UInt8
from ledger.state.columns import decode_column, encode_column, encode_rows


@dataclass(frozen=True)
class IntervalColumns:
    """Energies of meters in slots. meter: int64[meters], ascending; quality: uint8[slots, meters]; import_wh, export_wh: int64[slots,
    meters], primary Wh; seed: of the salts, 32 bytes.
    """

    seed: bytes
    meter: Int64
    quality: UInt8
    import_wh: Int64
    export_wh: Int64

    def rows(self, first_slot_s: int, slot_s: int) -> PackedRows:
        """Each row's 29 bytes, as a salted leaf covers them: slot by slot, in each the meters."""
        slots, meters = self.quality.shape
        starts_s = first_slot_s + slot_s * np.arange(slots)
        return encode_rows(
            [
                ("<u4", np.tile(self.meter, slots)),
                ("<i8", np.repeat(starts_s, meters)),
                ("u1", self.quality.ravel()),
                ("<i8", self.import_wh.ravel()),
                ("<i8", self.export_wh.ravel()),
            ]
        )

    def rows_root(self, first_slot_s: int, slot_s: int) -> bytes:
        """Root over the salted rows."""
        return merkle.salted_root(self.seed, self.rows(first_slot_s, slot_s))

    def encode(self) -> bytes:
        """The attachment."""
        columns = (self.meter, self.quality, self.import_wh, self.export_wh)
        return join_intervals(self.seed, [encode_column(column) for column in columns])


def decode_intervals(attachment: bytes, slots: int, meters: int) -> IntervalColumns:
    """The rows of an import's attachment. EncodingError for anything but the canonical form, meters ascending."""
    encoded = split_intervals(attachment)
    counts = (meters, slots * meters, slots * meters, slots * meters)
    ends = (1 << 32, 256, I64_MAX + 1, I64_MAX + 1)
    meter, quality, import_wh, export_wh = (
        decode_column(name, data, count, 0, end)
        for name, data, count, end in zip(COLUMNS, encoded.columns, counts, ends, strict=True)
    )
    if (np.diff(meter) <= 0).any():
        raise EncodingError("the meters of an import ascend")
    shape = (slots, meters)
    return IntervalColumns(
        seed=encoded.seed,
        meter=meter,
        quality=quality.astype(np.uint8).reshape(shape),
        import_wh=import_wh.reshape(shape),
        export_wh=export_wh.reshape(shape),
    )
