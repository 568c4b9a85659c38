"""Arrays of many slots and meters: small ones in memory, large ones in files without a name, which the kernel keeps in memory as far as it has room."""

from __future__ import annotations

import mmap
from math import prod
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

IN_MEMORY_BYTES_MAX: Final = 1 << 26
"""A larger array is kept in a file."""
Number = TypeVar("Number", bound=np.generic)


class NewArray(Protocol):
    """Makes an array of zeros."""

    def __call__(self, shape: tuple[int, ...], dtype: type[Number]) -> NDArray[Number]:
        """The array, writable."""
        ...


class LargeArrays:
    """Makes arrays, and gives back the memory of those that are large. folder: on the disk that has room for them.

    A file is gone with the last array that rests on it, also where the process is killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: list[mmap.mmap] = []
        self.are_shared = True
        """Whether all arrays so far are in files: what a copy of this process writes into them is seen here."""

    def __call__(self, shape: tuple[int, ...], dtype: type[Number]) -> NDArray[Number]:
        """See ``NewArray``. OSError where the disk has no room."""
        size = prod(shape) * np.dtype(dtype).itemsize
        if size <= IN_MEMORY_BYTES_MAX:
            self.are_shared = False
            return np.zeros(shape, dtype=dtype)
        with TemporaryFile(dir=self._folder) as file:
            file.truncate(size)
            mapped = mmap.mmap(file.fileno(), size)
        self._maps.append(mapped)
        return np.frombuffer(mapped, dtype=dtype).reshape(shape)

    def forget(self) -> None:
        """Give back the memory of large arrays until they are used again; their values stay in their files."""
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)


def in_memory(shape: tuple[int, ...], dtype: type[Number]) -> NDArray[Number]:
    """A ``NewArray`` for who has room."""
    return np.zeros(shape, dtype=dtype)
