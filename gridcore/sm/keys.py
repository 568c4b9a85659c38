"""Software signing keys and the Signer interface that hardware modules fill as well."""

from __future__ import annotations

import secrets
from typing import NoReturn, Protocol

from gridcore.errors import GridError
from gridcore.sm import curve
from gridcore.sm.backend import Backend
from gridcore.sm.registry import encrypting_backend, signing_backend


class SignerError(GridError):
    """A signer cannot sign now: its module does not answer, or refuses. Trying again can help."""


class Signer(Protocol):
    """Whatever can sign for one public key: a software key, a TPM, a PKCS#11 or GM/T 0018 module."""

    @property
    def public_key(self) -> bytes:
        """65 bytes, 04||x||y."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64 bytes r||s over ``message`` (not over a digest), with the default distinguishing ID. SignerError."""
        ...


class SigningKey:
    """An SM2 private key in memory. Never shown, copied or pickled; ``gridcore.sm.keystore`` stores it encrypted."""

    __slots__ = ("_backend", "_handle", "_scalar", "public_key")

    public_key: bytes

    def __init__(self, scalar: bytes, backend: Backend | None = None) -> None:
        """``scalar``: 32 bytes, 1..n-2. ``backend``: default libcrypto; there is no silent fallback (SmBackendError)."""
        self._backend = signing_backend() if backend is None else backend
        self._scalar = scalar
        self.public_key, self._handle = self._backend.open_key(scalar)

    @classmethod
    def generate(cls, backend: Backend | None = None) -> SigningKey:
        """A fresh key from the operating system's generator."""
        return cls((1 + secrets.randbelow(curve.N - 2)).to_bytes(curve.SCALAR_BYTES, "big"), backend)

    @classmethod
    def from_scalar(cls, scalar: bytes, backend: Backend | None = None) -> SigningKey:
        """The key of a 32-byte big-endian scalar in 1..n-2; EncodingError otherwise."""
        return cls(scalar, backend)

    def sign(self, message: bytes, distinguishing_id: bytes = curve.DISTINGUISHING_ID) -> bytes:
        """64 bytes r||s over ``message``; SM2 is randomised, so every call gives other bytes."""
        return self._backend.sign(self._handle, message, distinguishing_id)

    def decrypt(self, ciphertext: bytes) -> bytes | None:
        """What was encrypted for this key (GB/T 32918.4, DER); None where it was for another one, or was altered."""
        return encrypting_backend().decrypt(encrypting_backend().open_key(self._scalar)[1], ciphertext)

    def reveal_scalar(self) -> bytes:
        """The 32 secret bytes, for a keystore that encrypts them at once."""
        return self._scalar

    def __repr__(self) -> str:
        return f"<SigningKey {self.public_key[1:9].hex()}…>"

    def __reduce__(self) -> NoReturn:
        raise GridError("a private key is not pickled or copied: pass its keystore instead")
