"""The guard: what this node has promised to sign, in a file of its own, written before it signs.

``guard`` holds the greatest height h with its header digest S_h, and the signature once there is one. It is written to the
disk before the key is used, so that whatever happens to the other files, the node knows that it may not sign another header
of height h, nor any of a lower height. It stays out of backups: a restored old one would permit what it is there to prevent.

Layout: block 0 is magic ``GLG2`` and one byte that says which of the blocks 1 and 2 counts. A block of a promise (big-endian): height (u64),
digest (32 bytes), CRC-32 of these; signature (64 bytes, zeros: none yet), CRC-32 of everything before it. A new promise goes into the other
block and is synced before the one byte is: whatever is torn, one of the two promises counts. The signature is stored without fsync: if a
power cut takes it, the same S_h is signed anew. The file stays open: a process without descriptors goes on making blocks.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final

from gridcore.errors import require
from gridcore.logs import get_logger
from ledger.store.errors import GuardError, StoreError
from ledger.store.files import Files

GUARD_NAME = "guard"
_MAGIC: Final = b"GLG2"
_CHOICES: Final = (b"\x0f", b"\xf0")
"""Which block counts, 1 or 2: no flipped bit makes one of the other."""
_BLOCK_BYTES: Final = 4096
_PROMISE: Final = struct.Struct(">Q32sI")
_SIGNATURE: Final = struct.Struct(">64sI")
_NO_SIGNATURE: Final = bytes(64)

log = get_logger(__name__)


class Guard:
    """One node's promise, in the file ``path``. ``height``, ``digest``: the last header promised; ``signature``: b"" until it is known."""

    def __init__(self, path: Path, data: bytes, descriptor: int, files: Files) -> None:
        """``data``: the file; ``descriptor``: of it, open for writing. ValueError unless it holds a promise."""
        self.path = path
        self._descriptor = descriptor
        self._files = files
        self._is_chosen = True
        """Whether ``_choice`` is what the file says: not known after a disk that did not take another one."""
        self._choice = _CHOICES.index(data[len(_MAGIC) : len(_MAGIC) + 1])
        place = _place(self._choice)
        height, digest, check = _PROMISE.unpack(data[place : place + _PROMISE.size].ljust(_PROMISE.size))
        if not data.startswith(_MAGIC) or check != zlib.crc32(data[place : place + _PROMISE.size - 4]):
            raise ValueError("its checksum does not hold")
        self.height: int = height
        self.digest: bytes = digest
        self.signature = _decode_signature(data[place:])

    @classmethod
    def create(cls, path: Path, height: int, digest: bytes, files: Files) -> None:
        """Write a new guard (at the start: height 0, S_0). StoreError if there is one already."""
        if path.exists():
            raise StoreError(f"{path}: a guard is there already and is never overwritten")
        first = (_MAGIC + _CHOICES[0]).ljust(_BLOCK_BYTES, b"\0") + _encode(height, digest).ljust(_BLOCK_BYTES, b"\0")
        files.write_durably(path, first + bytes(_BLOCK_BYTES))

    @classmethod
    def open(cls, path: Path, files: Files) -> Guard:
        """Read the guard. StoreError when it is missing or damaged: without it nobody knows what this key has signed."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise StoreError(_explain(path, "missing", "put it back")) from None
        data = os.pread(descriptor, 3 * _BLOCK_BYTES, 0)
        try:
            return cls(path, data, descriptor, files)
        except ValueError:
            os.close(descriptor)
            what = "damaged, its checksum does not hold" if data else "empty"
            raise StoreError(_explain(path, what, "put it back or remove it")) from None

    def close(self) -> None:
        """Close the file; nothing may be allowed afterwards."""
        os.close(self._descriptor)

    def allow(self, height: int, digest: bytes) -> bytes | None:
        """Permission to sign (``height``, ``digest``): the stored signature if there is one, None if it is to be made.

        On return the promise is on the disk. Raises GuardError for another digest of the same height and for any lower
        height, OSError when the disk does not take the promise (then nothing may be signed).
        """
        if height == self.height and digest == self.digest:
            return self.signature or None
        if height <= self.height:
            log.error(
                "guard_refused_to_sign",
                height=height,
                digest=digest.hex(),
                signed_height=self.height,
                signed_digest=self.digest.hex(),
            )
            raise GuardError(
                f"{self.path}: refuses header {digest.hex()} of height {height}, this node has signed "
                f"{self.digest.hex()} of height {self.height}. Two histories must not both be signed: find out which data "
                "directory is the newest and run that one alone"
            )
        other = 1 - self._choice
        if (
            not self._is_chosen
        ):  # else the block that is written now may be the one that counts, and a torn one counts for nobody
            self._choose(self._choice)
        self._write(_place(other), _encode(height, digest))
        self._files.sync(self._descriptor)
        self._choose(other)
        self._choice, self.height, self.digest, self.signature = other, height, digest, b""
        return None

    def keep_signature(self, signature: bytes) -> None:
        """Store the signature over the promised header, so that the same bytes are given when asked again. OSError.

        It is a broken promise to call this before ``allow``, or twice.
        """
        require(self.height > 0 and not self.signature, f"a signature is awaited for height {self.height}")
        place = _place(self._choice) + _PROMISE.size
        self._write(place, _encode(self.height, self.digest, signature)[_PROMISE.size :])
        self.signature = signature

    def _choose(self, choice: int) -> None:
        """Say durably which block counts."""
        self._is_chosen = False
        self._write(len(_MAGIC), _CHOICES[choice])
        self._files.sync(self._descriptor)
        self._is_chosen = True

    def _write(self, place: int, data: bytes) -> None:
        os.lseek(self._descriptor, place, os.SEEK_SET)
        self._files.write(self._descriptor, data)


def _place(choice: int) -> int:
    """Where the block of a choice begins."""
    return (1 + choice) * _BLOCK_BYTES


def _explain(path: Path, what: str, way_out: str) -> str:
    return (
        f"{path}: {what}, so it is not known what this node has signed. Not started, nothing changed: {way_out}. It comes from "
        "the disk that the node last ran on (it is not part of backups); only if this data directory is the newest there is, "
        f"have it written anew: gridledger node renew-guard --data DIR --guard {path}"
    )


def _encode(height: int, digest: bytes, signature: bytes = _NO_SIGNATURE) -> bytes:
    head = _PROMISE.pack(height, digest, 0)[:-4]
    head += zlib.crc32(head).to_bytes(4, "big")
    return head + _SIGNATURE.pack(signature, zlib.crc32(head + signature))


def _decode_signature(promise: bytes) -> bytes:
    if len(promise) < _PROMISE.size + _SIGNATURE.size:
        return b""
    signature, check = _SIGNATURE.unpack_from(promise, _PROMISE.size)
    whole = check == zlib.crc32(promise[: _PROMISE.size] + signature)
    return bytes(signature) if whole and signature != _NO_SIGNATURE else b""
