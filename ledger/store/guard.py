"""The guard: what this node has promised to sign, in a file of its own, written before it signs.

``guard`` holds the greatest height h with its header digest S_h, and the signature once there is one. It is written to the
disk before the key is used, so that whatever happens to the other files, the node knows that it may not sign another header
of height h, nor any of a lower height. It stays out of backups: a restored old one would permit what it is there to prevent.

Layout: magic ``GLG1``, height (u64), digest (32 bytes), CRC-32 of these; signature (64 bytes, zeros: none yet), CRC-32 of
everything before it. Big-endian. The signature is stored without fsync: if a power cut takes it, the same S_h is signed anew.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from gridcore.errors import require
from gridcore.logs import get_logger
from ledger.store.errors import GuardError, StoreError
from ledger.store.files import Files, opened

GUARD_NAME = "guard"
_PROMISE = struct.Struct(">4sQ32sI")
_SIGNATURE = struct.Struct(">64sI")
_MAGIC = b"GLG1"
_NO_SIGNATURE = bytes(64)

log = get_logger(__name__)


class Guard:
    """One node's promise, in the file ``path``. ``height``, ``digest``: the last header promised; ``signature``: b"" until it is known."""

    def __init__(self, path: Path, height: int, digest: bytes, signature: bytes, files: Files) -> None:
        self.path = path
        self._files = files
        self.height = height
        self.digest = digest
        self.signature = signature

    @classmethod
    def create(cls, path: Path, height: int, digest: bytes, files: Files) -> Guard:
        """Write a new guard (at the start: height 0, S_0). StoreError if there is one already."""
        if path.exists():
            raise StoreError(f"{path}: a guard is there already and is never overwritten")
        files.write_durably(path, _encode(height, digest))
        return cls(path, height, digest, b"", files)

    @classmethod
    def open(cls, path: Path, files: Files) -> Guard:
        """Read the guard. StoreError when it is missing or damaged: without it nobody knows what this key has signed."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(_explain(path, "missing", "put it back")) from None
        if len(data) < _PROMISE.size:
            what = "empty" if not data else f"damaged ({len(data)} bytes)"
            raise StoreError(_explain(path, what, "put it back or remove it"))
        magic, height, digest, check = _PROMISE.unpack_from(data)
        if magic != _MAGIC or check != zlib.crc32(data[: _PROMISE.size - 4]):
            raise StoreError(_explain(path, "damaged, its checksum does not hold", "put it back or remove it"))
        return cls(path, height, digest, _decode_signature(data), files)

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
        self._files.write_durably(self.path, _encode(height, digest))
        self.height, self.digest, self.signature = height, digest, b""
        return None

    def keep_signature(self, signature: bytes) -> None:
        """Store the signature over the promised header, so that the same bytes are given when asked again. OSError.

        It is a broken promise to call this before ``allow``, or twice.
        """
        require(self.height > 0 and not self.signature, f"a signature is awaited for height {self.height}")
        with opened(self.path, os.O_WRONLY) as descriptor:
            os.lseek(descriptor, _PROMISE.size, os.SEEK_SET)
            self._files.write(descriptor, _encode(self.height, self.digest, signature)[_PROMISE.size :])
        self.signature = signature


def _explain(path: Path, what: str, way_out: str) -> str:
    return (
        f"{path}: {what}, so it is not known what this node has signed. Not started, nothing changed: {way_out}. It comes from "
        "the disk that the node last ran on (it is not part of backups); only if this data directory is the newest there is, "
        f"have it written anew: gridledger node renew-guard --data DIR --guard {path}"
    )


def _encode(height: int, digest: bytes, signature: bytes = _NO_SIGNATURE) -> bytes:
    head = _PROMISE.pack(_MAGIC, height, digest, 0)[:-4]
    head += zlib.crc32(head).to_bytes(4, "big")
    return head + _SIGNATURE.pack(signature, zlib.crc32(head + signature))


def _decode_signature(data: bytes) -> bytes:
    if len(data) != _PROMISE.size + _SIGNATURE.size:
        return b""
    signature, check = _SIGNATURE.unpack_from(data, _PROMISE.size)
    whole = check == zlib.crc32(data[: _PROMISE.size] + signature)
    return bytes(signature) if whole and signature != _NO_SIGNATURE else b""
