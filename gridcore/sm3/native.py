"""The native row kernel: ``kernel.c`` as a shared library, called through ctypes.

The one module below consensus code that asks the machine: for the library's file, for the processor's width, and for the
environment variable GRIDLEDGER_SM3. None of them can change a digest: a library is used only if it gives the known answers.
"""

from __future__ import annotations

import ctypes
import os
import sys
from array import array
from collections.abc import Sequence
from ctypes import c_char_p, c_int, c_size_t, c_uint32
from pathlib import Path
from typing import Any, Final

from gridcore.errors import require
from gridcore.sm3.hashers import DIGEST_BYTES
from gridcore.sm3.rows import RowKernel

WANTED: Final = os.environ.get("GRIDLEDGER_SM3", "")
"""Name of the implementation that is forced (``KERNELS`` or ``hashers.HASHERS``); empty: the fastest there is."""

SOURCE: Final = Path(__file__).with_name("kernel.c")

LIBRARY: Final = Path(sys.prefix).joinpath("lib", "gridledger", "sm3_kernel.so")
"""Where ``gridledger.build_row_kernel`` leaves the library: inside the environment that this interpreter belongs to."""

KERNELS: Final = {"native16": 16, "native8": 8, "native4": 4}
"""Widths by name, the fastest first: messages that are hashed side by side."""

_RELEASED_FROM_BYTES: Final = 1 << 17
"""Shorter calls (about a millisecond at most) keep the interpreter lock: getting it back can take longer than the call itself."""

_CHUNK_ROWS: Final = 1024
"""CHUNK_ROWS of kernel.c: a salted root is made over roots of so many rows."""

_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "sm3_lanes_max": (c_int, []),
    "sm3_width_name": (c_char_p, [c_int]),
    "sm3_messages": (
        None,
        [c_int, c_char_p, c_size_t, c_char_p, c_size_t, c_char_p, c_size_t, c_char_p, c_size_t, c_char_p],
    ),
    "sm3_stream": (None, [c_int, c_char_p, c_size_t, c_uint32, c_size_t, c_char_p]),
    "sm3_level": (None, [c_int, c_char_p, c_size_t, c_char_p]),
    "sm3_root": (None, [c_int, c_char_p, c_size_t, c_char_p]),
    "sm3_salted_root": (None, [c_int, c_char_p, c_size_t, c_char_p, c_size_t, c_size_t, c_char_p]),
}

_new_bytes = ctypes.pythonapi["PyBytes_FromStringAndSize"]  # an object of our own: the name's attribute is shared
_new_bytes.restype = ctypes.py_object
_new_bytes.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]

_KNOWN_ROWS: Final = 37
"""Two full groups of the widest kernel and a part of one; with its salts and nodes a tree of every shape of group."""
_KNOWN_ROOT: Final = bytes.fromhex("f2020c5fef3116d6b407d0b1cd2097d1db8f6ca2ace6ac9a46560db21e351ac6")
_KNOWN_MESSAGES: Final = (b"abc", b"abcd" * 16, b"")
_KNOWN_DIGESTS: Final = bytes.fromhex(
    "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b"
)
"""GB/T 32905-2016 annex A, and the empty string."""


class NativeKernel:
    """A ``RowKernel`` over a shared library. OSError or AttributeError where the file is not that library."""

    def __init__(self, library: Path, lanes: int | None = None) -> None:
        """``lanes``: a width of ``KERNELS``; None takes the machine's widest. ValueError where the machine has none so wide."""
        self._releasing: Any = _declared(ctypes.CDLL(str(library)))
        self._keeping: Any = _declared(ctypes.PyDLL(str(library)))
        lanes_max: int = self._keeping.sm3_lanes_max()
        self._lanes = lanes or lanes_max
        if self._lanes > lanes_max:
            raise ValueError(f"this machine hashes {lanes_max} messages side by side, not {lanes}")
        width: bytes = self._keeping.sm3_width_name(self._lanes)
        self.name: Final = f"native{self._lanes}"
        self.description: Final = f"native, {width.decode('ascii')}, {self._lanes} rows at a time"

    def rows(self, prefix: bytes, heads: bytes, head_bytes: int, rows: bytes, row_bytes: int) -> bytes:
        """As ``RowKernel.rows``."""
        count = len(rows) // row_bytes
        require(len(heads) >= count * head_bytes, "each row has its head")  # the library would read beyond the end
        digests = _room(count)
        self._library(len(rows)).sm3_messages(
            self._lanes, prefix, len(prefix), heads, head_bytes, rows, row_bytes, None, count, digests
        )
        return digests

    def messages(self, prefix: bytes, messages: Sequence[bytes]) -> bytes:
        """As ``RowKernel.messages``."""
        offsets = array("Q", [0])
        for message in messages:
            offsets.append(offsets[-1] + len(message))
        return self.slices(prefix, b"".join(messages), offsets.tobytes())

    def slices(self, prefix: bytes, data: bytes, offsets: bytes) -> bytes:
        """As ``RowKernel.slices``."""
        bounds = memoryview(offsets).cast("Q")
        require(bounds[-1] <= len(data), "the last slice ends inside the data")  # the library would read beyond the end
        digests = _room(len(bounds) - 1)
        self._library(len(data)).sm3_messages(
            self._lanes, prefix, len(prefix), None, 0, data, 0, offsets, len(bounds) - 1, digests
        )
        return digests

    def stream(self, seed: bytes, count: int) -> bytes:
        """As ``RowKernel.stream``."""
        digests = _room(count)
        self._library(DIGEST_BYTES * count).sm3_stream(self._lanes, seed, len(seed), 1, count, digests)
        return digests

    def level(self, digests: bytes) -> bytes:
        """As ``RowKernel.level``."""
        count = len(digests) // DIGEST_BYTES
        above = _room((count + 1) // 2)
        self._library(len(digests)).sm3_level(self._lanes, digests, count, above)
        return above

    def root(self, digests: bytes) -> bytes:
        """As ``RowKernel.root``."""
        count = len(digests) // DIGEST_BYTES
        above = _room((count + 1) // 2)
        self._library(len(digests)).sm3_root(self._lanes, digests, count, above)
        return above[:DIGEST_BYTES]

    def salted_root(self, seed: bytes, rows: bytes, row_bytes: int) -> bytes:
        """As ``RowKernel.salted_root``."""
        count = len(rows) // row_bytes
        roots = _room((count + _CHUNK_ROWS - 1) // _CHUNK_ROWS)
        self._library(len(rows)).sm3_salted_root(self._lanes, seed, len(seed), rows, row_bytes, count, roots)
        return roots[:DIGEST_BYTES]

    def _library(self, size: int) -> Any:
        return self._releasing if size >= _RELEASED_FROM_BYTES else self._keeping


def _room(digests: int) -> bytes:
    """A bytes object that nobody else has yet, for a kernel to write into: the C API's own way to make one without a copy."""
    fresh: bytes = _new_bytes(None, DIGEST_BYTES * digests)
    return fresh


def _declared(library: Any) -> Any:
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def known_root(kernel: RowKernel) -> bytes:
    """Root over salted rows of fixed content: whatever is wrong with salts, rows, nodes or the odd last one changes it."""
    rows = b"".join(bytes([number]) * 25 for number in range(_KNOWN_ROWS))
    return kernel.salted_root(b"seed", rows, 25)


def is_right(kernel: NativeKernel) -> bool:
    """Whether the kernel gives the known answers: the standard's digests, and a root computed by pure Python."""
    return kernel.messages(b"", _KNOWN_MESSAGES) == _KNOWN_DIGESTS and known_root(kernel) == _KNOWN_ROOT


def load(library: Path = LIBRARY) -> NativeKernel | None:
    """The kernel in ``library``, as wide as ``WANTED`` or the machine says; None where it is absent or not right."""
    try:
        kernel = NativeKernel(library, KERNELS.get(WANTED))
    except (OSError, AttributeError, ValueError):
        return None
    return kernel if is_right(kernel) else None
