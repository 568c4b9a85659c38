"""Bytes to a TPM and back: big-endian fields, sized buffers (TPM2B), one command at a time over a device or a socket.

Strict on the way back: an answer of another length or tag than its command has is refused.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from gridcore.errors import EncodingError
from gridcore.sm import SignerError

DEVICE_DEFAULT: Final = "/dev/tpmrm0"
"""The kernel's resource manager: several programs at once, and transient objects are swapped out."""
ANSWER_BYTES_MAX: Final = 4096
ANSWER_S_MAX: Final = 120.0
"""A discrete TPM makes a key in seconds, an RSA one in up to a minute."""
PASSWORD_SESSION: Final = 0x40000009
_NO_SESSIONS, _SESSIONS = 0x8001, 0x8002
_HEADER: Final = struct.Struct(">HII")
_AGAIN: Final = {0x908: "yielded", 0x90A: "testing itself", 0x922: "busy"}
_AGAIN_S: Final = 0.05
_AGAIN_TRIES: Final = 100
_REASONS: Final = {
    0x08B: "no such handle",
    0x08E: "wrong authorisation value",
    0x095: "wrong size",
    0x09F: "wrong integrity: sealed by another TPM, or altered",
    0x0A2: "wrong authorisation value",
    0x083: "hash not supported",
    0x0A6: "curve not supported",
    0x101: "in failure mode: start it anew",
    0x14C: "the index is defined already",
    0x902: "no room for another object",
    0x921: "locked out after wrong authorisation values: wait, or have its owner reset the lockout",
}


class TpmError(SignerError):
    """A TPM that refuses or does not answer. ``code``: its response code without parameter numbers, 0 for no answer."""

    def __init__(self, line: str, code: int = 0) -> None:
        super().__init__(line)
        self.code = code


class Session(NamedTuple):
    """An authorisation of a command: the password session with a value, or a policy session."""

    handle: int = PASSWORD_SESSION
    auth: bytes = b""


class Answer(NamedTuple):
    """What a command brought. ``handle``: 0 where it brings none; ``fields``: the parameters."""

    handle: int
    fields: Fields


class Fields:
    """Reads big-endian fields one after the other. Where there are too few bytes: TpmError of an answer from ``place``, else
    EncodingError.
    """

    def __init__(self, data: bytes, place: Path | None = None) -> None:
        self._data, self._at, self._place = data, 0, place

    def number(self, size: int) -> int:
        """An unsigned number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def sized(self, length_bytes: int = 2) -> bytes:
        """A TPM2B: its length, then so many bytes."""
        return self.take(self.number(length_bytes))

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if self._at + size > len(self._data):
            fault = "a TPM structure ends too early"
            raise EncodingError(fault) if self._place is None else TpmError(f"{self._place}: no TPM's answer: {fault}")
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at)

    def check_end(self) -> None:
        """EncodingError unless everything was read."""
        if self._at != len(self._data):
            raise EncodingError("a TPM structure has bytes left over")


def sized(data: bytes) -> bytes:
    """A TPM2B of these bytes."""
    return len(data).to_bytes(2, "big") + data


class Tpm:
    """A connection to a TPM, for one piece of work: a TPM in use by several programs is kept by none of them.

    ``place``: a character device, or the Unix socket of a simulator (swtpm).
    """

    def __init__(self, place: Path) -> None:
        """TpmError when nothing answers there."""
        self.place = place
        try:
            if place.is_socket():
                self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.settimeout(ANSWER_S_MAX)
                self._socket.connect(os.fspath(place))
            else:
                self._socket, self._device = None, os.open(place, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise TpmError(f"{place}: no TPM answers there ({error.strerror}); check device and rights") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._device)

    def execute(
        self,
        code: int,
        handles: Sequence[int],
        sessions: Sequence[Session],
        parameters: bytes = b"",
        *,
        brings_handle: bool = False,
    ) -> Answer:
        """Send one command and read its answer. TpmError when the TPM refuses, or the connection breaks."""
        area = b"".join(struct.pack(">IHBH", one.handle, 0, 0, len(one.auth)) + one.auth for one in sessions)
        body = b"".join(handle.to_bytes(4, "big") for handle in handles)
        body += (len(area).to_bytes(4, "big") + area if sessions else b"") + parameters
        command = _HEADER.pack(_SESSIONS if sessions else _NO_SESSIONS, _HEADER.size + len(body), code) + body
        for _ in range(_AGAIN_TRIES):
            tag, status, fields = self._exchange(command)
            if status not in _AGAIN:
                break
            time.sleep(_AGAIN_S)
        if status:
            base = status & 0x0BF if status & 0x080 else status
            reason = _REASONS.get(base, _AGAIN.get(base, f"response code {status:#x}"))
            raise TpmError(f"{self.place}: the TPM refuses command {code:#x}: {reason}", base)
        handle = fields.number(4) if brings_handle else 0
        return Answer(handle, Fields(fields.sized(4), self.place) if tag == _SESSIONS else fields)

    def _exchange(self, command: bytes) -> tuple[int, int, Fields]:
        try:
            data = self._over_device(command) if self._socket is None else _over_socket(self._socket, command)
        except OSError as error:
            raise TpmError(f"{self.place}: the TPM does not answer ({error.strerror or error})") from None
        if len(data) < _HEADER.size or _HEADER.unpack_from(data)[1] != len(data):
            raise TpmError(f"{self.place}: not the answer of a TPM: {len(data)} bytes")
        tag, _, status = _HEADER.unpack_from(data)
        return tag, status, Fields(data[_HEADER.size :], self.place)

    def _over_device(self, command: bytes) -> bytes:
        os.write(self._device, command)
        if not select.select([self._device], [], [], ANSWER_S_MAX)[0]:
            raise TimeoutError("no answer in time")
        return os.read(self._device, ANSWER_BYTES_MAX)


def _over_socket(connection: socket.socket, command: bytes) -> bytes:
    connection.sendall(command)
    head = _read(connection, _HEADER.size)
    size = _HEADER.unpack(head)[1]
    if not _HEADER.size <= size <= ANSWER_BYTES_MAX:
        raise OSError("not the answer of a TPM")
    return head + _read(connection, size - _HEADER.size)


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionResetError("it has closed the connection")
        data += chunk
    return bytes(data)
