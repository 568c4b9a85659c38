"""SM2 verification over GmSSL's libgmssl (3.1 or later) through ctypes: opt-in, for nodes that verify much.

The library does the arithmetic alone: it reads keys from DER into buffers that only it looks into, since their layout
differs between versions, and it gets the digest e, so that the ID is ours to hash. ctypes releases the GIL around each
call. It never signs: its signing context holds nonces, and a nonce that is used twice gives the key away.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t
from typing import Any, Final, NoReturn

from gridcore.public_key import PUBLIC_KEY_INFO_PREFIX
from gridcore.sm import curve
from gridcore.sm.backend import KEYS_CACHED_MAX, KeyCache, SmBackendError
from gridcore.sm.curve import DISTINGUISHING_ID
from gridcore.sm.pure import PythonBackend

LIBRARY_VARIABLE: Final = "GRIDLEDGER_LIBGMSSL"
"""Environment variable with the path of libgmssl; while it is set, that library verifies."""

_KEY_BYTES: Final = 4096
"""Room for an SM2_KEY of any version: 96 bytes in 3.1."""

_PROTOTYPES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "gmssl_version_str": (c_char_p, []),
    "sm2_public_key_info_from_der": (c_int, [c_char_p, POINTER(c_char_p), POINTER(c_size_t)]),
    "sm2_verify": (c_int, [c_char_p, c_char_p, c_char_p, c_size_t]),
}

_Key = ctypes.Array[ctypes.c_char]


class LibgmsslBackend:
    """SM2 verification by libgmssl. Construct through ``gridcore.sm.load_backend``."""

    name: Final = "libgmssl"
    can_sign: Final = False

    def __init__(self) -> None:
        self._lib = _load_library()
        self._keys: KeyCache[_Key] = KeyCache(KEYS_CACHED_MAX)

    @property
    def version(self) -> str:
        """The library's version line."""
        text: bytes = self._lib.gmssl_version_str()
        return text.decode("ascii", "replace")

    def is_valid_signature(
        self, public_key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes = DISTINGUISHING_ID
    ) -> bool:
        """As ``Backend.is_valid_signature``."""
        values = curve.signature_in_question(public_key, message, signature, distinguishing_id)
        if values is None:
            return False
        key = self._keys.get(public_key, self._open_public_key)
        if key is None:
            return False
        digest = curve.message_digest(public_key, message, distinguishing_id)
        der = curve.der_of(*values)
        # Version 3.1.1 takes the point at infinity for one with x = 0, and so accepts a forgery with r = e.
        is_sure = int.from_bytes(digest, "big") % curve.N != values[0]
        if is_sure and self._lib.sm2_verify(key, digest, der, len(der)) == 1:
            return True
        # It answers a forgery and trouble of its own alike; every node has to reach the same verdict.
        return PythonBackend().is_valid_signature(public_key, message, signature, distinguishing_id)

    def open_key(self, scalar: bytes) -> NoReturn:
        """SmBackendError: private keys stay with libcrypto."""
        raise SmBackendError("libgmssl only verifies: it never holds a private key")

    def sign(self, handle: object, message: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> NoReturn:
        """SmBackendError: libcrypto signs."""
        raise SmBackendError("libgmssl only verifies: it never signs")

    def _open_public_key(self, public_key: bytes) -> _Key | None:
        if curve.parse_public_key(public_key) is None:
            return None
        key = ctypes.create_string_buffer(_KEY_BYTES)
        info = PUBLIC_KEY_INFO_PREFIX + public_key
        if self._lib.sm2_public_key_info_from_der(key, byref(c_char_p(info)), byref(c_size_t(len(info)))) != 1:
            raise SmBackendError(f"{self.version} does not load an SM2 public key")
        return key


def _load_library() -> ctypes.CDLL:
    path = os.environ.get(LIBRARY_VARIABLE)
    if not path:
        raise SmBackendError(f"{LIBRARY_VARIABLE} names no libgmssl")
    try:
        library = ctypes.CDLL(path)
        for function_name, (result, arguments) in _PROTOTYPES.items():
            function = getattr(library, function_name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise SmBackendError(f"{LIBRARY_VARIABLE}={path}: no libgmssl 3.1 or later ({error})") from None
    return library
