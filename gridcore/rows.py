"""Rows of one length in one buffer: what many-at-once hashing takes, read like any other sequence of bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from gridcore.errors import require


@dataclass(frozen=True, slots=True)
class PackedRows(Sequence[bytes]):
    """``len(data) // row_bytes`` rows of ``row_bytes`` bytes, back to back; a row is cut out when somebody asks for it."""

    data: bytes
    row_bytes: int

    def __post_init__(self) -> None:
        require(self.row_bytes > 0 and len(self.data) % self.row_bytes == 0, "packed rows are whole rows")

    @classmethod
    def of(cls, rows: Sequence[bytes], row_bytes: int | None = None) -> PackedRows:
        """The same rows packed, themselves where they are already; each has ``row_bytes``, by default those of the first."""
        if isinstance(rows, PackedRows):
            return rows
        size = row_bytes or (len(rows[0]) if rows else 1)
        require(all(len(row) == size for row in rows), f"packed rows have {size} bytes each")
        return cls(b"".join(rows), size)

    def __len__(self) -> int:
        return len(self.data) // self.row_bytes

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> PackedRows: ...
    def __getitem__(self, index: int | slice) -> bytes | PackedRows:
        size = self.row_bytes
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            require(step == 1, "a slice of packed rows has step 1")
            return PackedRows(self.data[start * size : max(start, stop) * size], size)
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        start = index % len(self) * size
        return self.data[start : start + size]

    def __iter__(self) -> Iterator[bytes]:
        data, size = self.data, self.row_bytes
        return (data[start : start + size] for start in range(0, len(data), size))
