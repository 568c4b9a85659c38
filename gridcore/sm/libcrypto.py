"""SM2 over libcrypto (OpenSSL >= 3.0, or Tongsuo by path) through ctypes: the default backend.

Only EVP calls, every one with declared types (an undeclared 64-bit pointer would be cut to 32 bits). ctypes releases the GIL
around each call, so threads verify in parallel. Every object made here is freed here, and the library's error queue of the
thread is emptied after a call that failed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_long, c_size_t, c_ulong, c_void_p
from typing import Any, Final

from gridcore.errors import EncodingError
from gridcore.public_key import PUBLIC_KEY_BYTES, PUBLIC_KEY_INFO_PREFIX
from gridcore.sm import curve
from gridcore.sm.backend import KEYS_CACHED_MAX, KeyCache, SmBackendError
from gridcore.sm.curve import DISTINGUISHING_ID

LIBRARY_VARIABLE: Final = "GRIDLEDGER_LIBCRYPTO"
"""Environment variable with the path of another libcrypto (for example Tongsuo's)."""

SIGNING_ID_BYTES_MAX: Final = 8190
"""OpenSSL refuses the standard's longest ID, one byte more; verification with that one is done by our own arithmetic."""

_PKCS8_PREFIX = bytes.fromhex("3041020100301306072a8648ce3d020106082a811ccf5501822d042730250201010420")
"""PrivateKeyInfo up to the 32-byte scalar, without a public key: the library derives that (RFC 5208, RFC 5915)."""

ENCRYPTED_BYTES_MAX: Final = 255
"""As much as every SM2 library takes; what is longer is encrypted under a key of SM4, and that key here."""

_VERSION_MIN = 0x30000000
_SIGNATURE_BYTES_MAX = 80
_CIPHERTEXT_MORE_BYTES = 128
"""A point, a digest, and the DER around them."""

_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "OpenSSL_version": (c_char_p, [c_int]),
    "OpenSSL_version_num": (c_ulong, []),
    "ERR_clear_error": (None, []),
    "EVP_sm3": (c_void_p, []),
    "d2i_PUBKEY": (c_void_p, [c_void_p, POINTER(c_char_p), c_long]),
    "d2i_AutoPrivateKey": (c_void_p, [c_void_p, POINTER(c_char_p), c_long]),
    "i2d_PUBKEY": (c_int, [c_void_p, POINTER(c_void_p)]),
    "EVP_PKEY_is_a": (c_int, [c_void_p, c_char_p]),
    "EVP_PKEY_free": (None, [c_void_p]),
    "EVP_PKEY_CTX_new": (c_void_p, [c_void_p, c_void_p]),
    "EVP_PKEY_CTX_free": (None, [c_void_p]),
    "EVP_PKEY_CTX_set1_id": (c_int, [c_void_p, c_char_p, c_int]),
    "EVP_MD_CTX_new": (c_void_p, []),
    "EVP_MD_CTX_free": (None, [c_void_p]),
    "EVP_MD_CTX_set_pkey_ctx": (None, [c_void_p, c_void_p]),
    "EVP_DigestSignInit": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "EVP_DigestSign": (c_int, [c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t]),
    "EVP_DigestVerifyInit": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "EVP_DigestVerify": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]),
    "EVP_PKEY_encrypt_init": (c_int, [c_void_p]),
    "EVP_PKEY_encrypt": (c_int, [c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t]),
    "EVP_PKEY_decrypt_init": (c_int, [c_void_p]),
    "EVP_PKEY_decrypt": (c_int, [c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t]),
}


class _Key:
    """An EVP_PKEY that is freed with the last Python reference, so no thread can lose it while it verifies."""

    __slots__ = ("_free", "pointer")

    def __init__(self, pointer: int, free: Callable[[int], None]) -> None:
        self.pointer = pointer
        self._free = free

    def __del__(self) -> None:
        self._free(self.pointer)


class LibcryptoBackend:
    """SM2 by libcrypto's EVP interface. Construct through ``gridcore.sm.load_backend``."""

    name: Final = "libcrypto"
    can_sign: Final = True

    def __init__(self) -> None:
        self._lib = _load_library()
        if self._lib.OpenSSL_version_num() < _VERSION_MIN:
            raise SmBackendError(f"{self.version} is too old for SM2 here: libcrypto 3.0 or later is needed")
        self._sm3 = self._lib.EVP_sm3()
        self._keys: KeyCache[_Key] = KeyCache(KEYS_CACHED_MAX)

    @property
    def version(self) -> str:
        """The library's version line."""
        text: bytes = self._lib.OpenSSL_version(0)
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
        if not distinguishing_id:
            return self._second_opinion(public_key, message, signature, distinguishing_id)
        der = curve.der_of(*values)
        context, key_context = self._start(key, distinguishing_id, self._lib.EVP_DigestVerifyInit)
        try:
            verdict: int = self._lib.EVP_DigestVerify(context, der, len(der), message, len(message))
        finally:
            self._end(context, key_context)
        if verdict == 1:
            return True
        self._lib.ERR_clear_error()
        if verdict == 0:
            return False
        return self._second_opinion(public_key, message, signature, distinguishing_id)

    def _second_opinion(self, public_key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes) -> bool:
        """Decide by our own arithmetic where the library reports an error instead of a verdict, or another library would differ.

        Well-formed input leads here when s*G + t*Q is the point at infinity, when the ID has 8,191 bytes (one more than
        OpenSSL takes), when it is empty (Tongsuo then takes the standard's) or when memory ran out. These must not look
        alike: every node has to reach the same verdict.
        """
        from gridcore.sm.pure import PythonBackend

        return PythonBackend().is_valid_signature(public_key, message, signature, distinguishing_id)

    def open_key(self, scalar: bytes) -> tuple[bytes, _Key]:
        """As ``Backend.open_key``; the library derives the public key, so the pair always matches."""
        curve.parse_scalar(scalar)
        key = self._parse(_PKCS8_PREFIX + scalar, self._lib.d2i_AutoPrivateKey)
        if key is None:
            raise SmBackendError(f"{self.version} does not load an SM2 private key (built without SM2?)")
        buffer = ctypes.create_string_buffer(len(PUBLIC_KEY_INFO_PREFIX) + PUBLIC_KEY_BYTES)
        length: int = self._lib.i2d_PUBKEY(key.pointer, None)
        if length == len(buffer):
            self._lib.i2d_PUBKEY(key.pointer, ctypes.byref(c_void_p(ctypes.addressof(buffer))))
        public_key = buffer.raw[len(PUBLIC_KEY_INFO_PREFIX) :]
        if (
            buffer.raw[: len(PUBLIC_KEY_INFO_PREFIX)] != PUBLIC_KEY_INFO_PREFIX
            or curve.parse_public_key(public_key) is None
        ):
            self._lib.ERR_clear_error()
            raise SmBackendError(f"{self.version} does not derive an SM2 public key")
        return public_key, key

    def sign(self, handle: _Key, message: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> bytes:
        """As ``Backend.sign``; the nonce comes from the library's generator."""
        curve.check_bytes(message, "message")
        curve.check_bytes(distinguishing_id, "distinguishing ID")
        if not 1 <= len(distinguishing_id) <= SIGNING_ID_BYTES_MAX:
            raise EncodingError(f"libcrypto signs with a distinguishing ID of 1 to {SIGNING_ID_BYTES_MAX} bytes")
        context, key_context = self._start(handle, distinguishing_id, self._lib.EVP_DigestSignInit)
        try:
            buffer = ctypes.create_string_buffer(_SIGNATURE_BYTES_MAX)
            length = c_size_t(_SIGNATURE_BYTES_MAX)
            done: int = self._lib.EVP_DigestSign(context, buffer, ctypes.byref(length), message, len(message))
        finally:
            self._end(context, key_context)
        if done != 1:
            self._lib.ERR_clear_error()
            raise SmBackendError(f"{self.version} could not sign")
        return curve.decode_der_signature(buffer.raw[: length.value])

    def encrypt(self, public_key: bytes, plaintext: bytes) -> bytes:
        """SM2 encryption (GB/T 32918.4) of 1 to 255 bytes, as DER (GM/T 0009). EncodingError for what is no public key, or another length."""
        if not 1 <= len(plaintext) <= ENCRYPTED_BYTES_MAX:
            raise EncodingError(f"SM2 encrypts 1 to {ENCRYPTED_BYTES_MAX} bytes here, not {len(plaintext)}")
        key = self._keys.get(public_key, self._open_public_key)
        if key is None:
            raise EncodingError("an SM2 public key is 65 bytes 04||x||y, a point of the curve")
        lib = self._lib
        ciphertext = self._transform(key, lib.EVP_PKEY_encrypt_init, lib.EVP_PKEY_encrypt, plaintext)
        if ciphertext is None:
            raise SmBackendError(f"{self.version} could not encrypt")
        return ciphertext

    def decrypt(self, handle: _Key, ciphertext: bytes) -> bytes | None:
        """What ``encrypt`` was given; None where it was for another key, or was altered."""
        curve.check_bytes(ciphertext, "ciphertext")
        lib = self._lib
        return self._transform(handle, lib.EVP_PKEY_decrypt_init, lib.EVP_PKEY_decrypt, ciphertext)

    def _transform(
        self, key: _Key, init: Callable[..., int], transform: Callable[..., int], data: bytes
    ) -> bytes | None:
        context = self._lib.EVP_PKEY_CTX_new(key.pointer, None)
        try:
            buffer = ctypes.create_string_buffer(len(data) + _CIPHERTEXT_MORE_BYTES)
            length = c_size_t(len(buffer))
            if (
                context
                and init(context) == 1
                and transform(context, buffer, ctypes.byref(length), data, len(data)) == 1
            ):
                return buffer.raw[: length.value]
        finally:
            self._lib.EVP_PKEY_CTX_free(context)
        self._lib.ERR_clear_error()
        return None

    # ------------------------------------------------------------------------------------------------ EVP objects

    def _open_public_key(self, public_key: bytes) -> _Key | None:
        if curve.parse_public_key(public_key) is None:
            return None
        key = self._parse(PUBLIC_KEY_INFO_PREFIX + public_key, self._lib.d2i_PUBKEY)
        if key is None:
            raise SmBackendError(f"{self.version} does not load an SM2 public key (built without SM2?)")
        return key

    def _parse(self, der: bytes, parse: Callable[..., int | None]) -> _Key | None:
        pointer = parse(None, ctypes.byref(c_char_p(der)), len(der))
        if not pointer:
            self._lib.ERR_clear_error()
            return None
        key = _Key(pointer, self._lib.EVP_PKEY_free)
        return key if self._lib.EVP_PKEY_is_a(pointer, b"SM2") == 1 else None

    def _start(self, key: _Key, distinguishing_id: bytes, init: Callable[..., int]) -> tuple[int, int]:
        """A digest context and the key context it uses, set to the ID (which must precede ``init``)."""
        lib = self._lib
        context = lib.EVP_MD_CTX_new()
        key_context = lib.EVP_PKEY_CTX_new(key.pointer, None)
        if context and key_context:
            lib.EVP_MD_CTX_set_pkey_ctx(context, key_context)
            if (
                lib.EVP_PKEY_CTX_set1_id(key_context, distinguishing_id, len(distinguishing_id)) == 1
                and init(context, None, self._sm3, None, key.pointer) == 1
            ):
                return context, key_context
        self._end(context, key_context)
        lib.ERR_clear_error()
        raise SmBackendError(f"{self.version} could not set up SM2 with SM3")

    def _end(self, context: int | None, key_context: int | None) -> None:
        self._lib.EVP_MD_CTX_free(context)  # first: it uses the key context and does not own it
        self._lib.EVP_PKEY_CTX_free(key_context)


def _load_library() -> ctypes.CDLL:
    named = os.environ.get(LIBRARY_VARIABLE)
    candidates = [named] if named else ["libcrypto.so.3", ctypes.util.find_library("crypto")]
    tried: list[str] = []
    for candidate in candidates:
        if candidate is None:
            continue
        try:
            return _declare(ctypes.CDLL(candidate))
        except (OSError, AttributeError) as error:
            tried.append(f"{candidate}: {error}")
    reasons = "; ".join(tried) or "none found"
    raise SmBackendError(f"no usable libcrypto 3.0 or later ({reasons}); {LIBRARY_VARIABLE} may name one")


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the functions used here; AttributeError when one is missing (an older or cut-down library)."""
    for function_name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, function_name)
        function.restype = result
        function.argtypes = arguments
    return library
