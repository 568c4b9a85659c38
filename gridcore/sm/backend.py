"""What a backend of SM2 is, and the known-answer test each one passes before it is used."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from gridcore.errors import GridError
from gridcore.sm.curve import DISTINGUISHING_ID


class SmBackendError(GridError):
    """A backend is missing, failed its known-answer test, or broke while it worked; never a verdict on a signature."""


class Backend(Protocol):
    """One implementation of SM2 (GB/T 32918.2). All backends give the same verdict on the same bytes.

    A handle is what a backend makes of a private key; it is opaque, stays with the backend that made it and is usable
    from several threads.
    """

    @property
    def name(self) -> str:
        """One of ``gridcore.sm.BACKEND_NAMES``."""
        ...

    @property
    def version(self) -> str:
        """The library's own name and version, for logs and ``doctor``."""
        ...

    @property
    def can_sign(self) -> bool:
        """False for a backend that serves as a cross-check only."""
        ...

    def is_valid_signature(
        self, public_key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes = DISTINGUISHING_ID
    ) -> bool:
        """The verdict on a 64-byte r||s under a 65-byte 04||x||y; malformed bytes are False, trouble SmBackendError."""
        ...

    def open_key(self, scalar: bytes) -> tuple[bytes, Any]:
        """(public key, handle) of a 32-byte private scalar in [1, n-2]."""
        ...

    def sign(self, handle: Any, message: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> bytes:
        """A fresh 64-byte signature over ``message``."""
        ...


# GB/T 32918.5-2017 A.2: private key, public key, message, signature.
_KNOWN_SCALAR = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
_KNOWN_PUBLIC_KEY = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_KNOWN_MESSAGE = b"message digest"
_KNOWN_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)


def check_known_answers(backend: Backend) -> None:
    """Raise SmBackendError unless ``backend`` reproduces the standard's example and refuses what differs from it."""
    verify = backend.is_valid_signature
    if not verify(_KNOWN_PUBLIC_KEY, _KNOWN_MESSAGE, _KNOWN_SIGNATURE, DISTINGUISHING_ID):
        raise _failed(backend, "the standard's signature does not verify")
    if verify(_KNOWN_PUBLIC_KEY, _KNOWN_MESSAGE + b"!", _KNOWN_SIGNATURE, DISTINGUISHING_ID):
        raise _failed(backend, "a signature verifies over another message")
    if verify(_KNOWN_PUBLIC_KEY, _KNOWN_MESSAGE, _KNOWN_SIGNATURE, b""):
        raise _failed(backend, "the distinguishing ID is ignored")
    if not backend.can_sign:
        return
    public_key, handle = backend.open_key(_KNOWN_SCALAR)
    if public_key != _KNOWN_PUBLIC_KEY:
        raise _failed(backend, "the standard's private key gives another public key")
    first, second = (backend.sign(handle, _KNOWN_MESSAGE, DISTINGUISHING_ID) for _ in range(2))
    if first == second:
        raise _failed(backend, "two signatures share one nonce")
    if not verify(_KNOWN_PUBLIC_KEY, _KNOWN_MESSAGE, first, DISTINGUISHING_ID):
        raise _failed(backend, "its own signature does not verify")


def _failed(backend: Backend, what: str) -> SmBackendError:
    return SmBackendError(f"SM2 backend {backend.name} ({backend.version}) fails its known-answer test: {what}")


Cached = TypeVar("Cached")

KEYS_CACHED_MAX: Final = 4096
"""Parsed public keys a backend keeps; the least recently used one goes first."""


class KeyCache(Generic[Cached]):
    """A bounded, thread-safe map from public key bytes to what a backend made of them."""

    def __init__(self, entries_max: int) -> None:
        self._entries: OrderedDict[bytes, Cached] = OrderedDict()
        self._entries_max = entries_max
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_full(self) -> bool:
        """Whether the next new entry drops another."""
        return len(self._entries) >= self._entries_max

    def find(self, public_key: bytes) -> Cached | None:
        """The entry if there is one."""
        with self._lock:
            entry = self._entries.get(public_key)
            if entry is not None:
                self._entries.move_to_end(public_key)
            return entry

    def get(self, public_key: bytes, make: Callable[[bytes], Cached | None]) -> Cached | None:
        """The entry, made on first use; None from ``make`` (not a key) is returned and not kept."""
        entry = self.find(public_key)
        if entry is not None:
            return entry
        made = make(public_key)  # outside the lock: two threads may make the same entry, one of them is dropped
        if made is None:
            return None
        with self._lock:
            entry = self._entries.setdefault(public_key, made)
            self._entries.move_to_end(public_key)
            while len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)
            return entry
