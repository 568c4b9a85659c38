"""SM2 signatures (GB/T 32918): one small interface, several backends, one verdict.

Signatures are over messages, never over digests; public keys are 65 bytes 04||x||y, signatures 64 bytes r||s.
"""

from __future__ import annotations

from gridcore.sm.backend import Backend, SmBackendError
from gridcore.sm.curve import DISTINGUISHING_ID
from gridcore.sm.keys import Signer, SignerError, SigningKey
from gridcore.sm.registry import BACKEND_NAMES, load_backend, verifying_backend

__all__ = [
    "BACKEND_NAMES",
    "DISTINGUISHING_ID",
    "Backend",
    "Signer",
    "SignerError",
    "SigningKey",
    "SmBackendError",
    "is_valid_signature",
    "load_backend",
    "verifying_backend",
]


def is_valid_signature(
    public_key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes = DISTINGUISHING_ID
) -> bool:
    """Whether ``signature`` (64 bytes) over ``message`` is by ``public_key`` (65 bytes).

    Malformed bytes are False; a value that is not bytes is a TypeError; a backend that breaks is an SmBackendError and
    never a verdict. Callable from several threads, which verify in parallel (libcrypto releases the interpreter lock).
    """
    return verifying_backend().is_valid_signature(public_key, message, signature, distinguishing_id)
