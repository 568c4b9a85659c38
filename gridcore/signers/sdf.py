"""Keys in a cryptographic device by its vendor's library (GM/T 0018-2012): ``sdf:LIBRARY?key=1``; a PIN gives the right to use it.

Only digests go to the device, e = SM3(ZA||M). Its structures have 64 bytes for each number, the value at the right.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Final

from gridcore.public_key import point_of
from gridcore.signers.key_uri import KeyUri, parse_key_uri
from gridcore.sm import SignerError, curve

KEY_INDEX_MAX: Final = 0xFFFF
_FIELD_BYTES: Final = 64  # ECCref_MAX_LEN
_REASONS: Final = {0x01000003: "communication with the device", 0x0100000B: "the right to use the key: wrong PIN"}


class _PublicKey(ctypes.Structure):
    _fields_ = (("bits", ctypes.c_uint), ("x", ctypes.c_ubyte * _FIELD_BYTES), ("y", ctypes.c_ubyte * _FIELD_BYTES))


class _Signature(ctypes.Structure):
    _fields_ = (("r", ctypes.c_ubyte * _FIELD_BYTES), ("s", ctypes.c_ubyte * _FIELD_BYTES))


_HANDLE: Final = ctypes.c_void_p
_INDEX: Final = ctypes.c_uint
_FUNCTIONS: Final = {
    "SDF_OpenDevice": (ctypes.POINTER(_HANDLE),),
    "SDF_CloseDevice": (_HANDLE,),
    "SDF_OpenSession": (_HANDLE, ctypes.POINTER(_HANDLE)),
    "SDF_CloseSession": (_HANDLE,),
    "SDF_GetPrivateKeyAccessRight": (_HANDLE, _INDEX, ctypes.c_char_p, ctypes.c_uint),
    "SDF_ExportSignPublicKey_ECC": (_HANDLE, _INDEX, ctypes.POINTER(_PublicKey)),
    "SDF_InternalSign_ECC": (_HANDLE, _INDEX, ctypes.c_char_p, ctypes.c_uint, ctypes.POINTER(_Signature)),
}
"""What is used of the interface, with its arguments; all of it returns 0 for success."""


class SdfSigner:
    """Signs with the internal signature key of an index. One session, used by one thread at a time."""

    def __init__(self, uri: KeyUri, library: ctypes.CDLL, index: int, pin: bytes) -> None:
        self._uri, self._library, self._index = uri, library, index
        self._lock = threading.Lock()
        self._device, self._session = _HANDLE(), _HANDLE()
        self._call("SDF_OpenDevice", ctypes.byref(self._device))
        try:
            self._call("SDF_OpenSession", self._device, ctypes.byref(self._session))
            if pin:
                self._call("SDF_GetPrivateKeyAccessRight", self._session, index, pin, len(pin))
            self.public_key = self._read_public_key()
        except BaseException:
            self.close()
            raise

    def sign(self, message: bytes) -> bytes:
        """See ``Signer``."""
        signature, e = _Signature(), curve.message_digest(self.public_key, message)
        with self._lock:
            self._call("SDF_InternalSign_ECC", self._session, self._index, e, len(e), ctypes.byref(signature))
        return self._number(signature.r) + self._number(signature.s)

    def close(self) -> None:
        """Close session and device."""
        with self._lock:
            if self._session.value:
                self._library.SDF_CloseSession(self._session)
            if self._device.value:
                self._library.SDF_CloseDevice(self._device)
            self._session, self._device = _HANDLE(), _HANDLE()

    def _read_public_key(self) -> bytes:
        found = _PublicKey()
        self._call("SDF_ExportSignPublicKey_ECC", self._session, self._index, ctypes.byref(found))
        public_key = b"\x04" + self._number(found.x) + self._number(found.y)
        if found.bits != 8 * curve.SCALAR_BYTES or point_of(public_key) is None:
            raise self._uri.fault("the device's key of this index is no SM2 key")
        return public_key

    def _number(self, field: Any) -> bytes:
        """The 32 bytes at the right of a field; those before them are zero."""
        data = bytes(field)
        if any(data[: -curve.SCALAR_BYTES]):
            raise SignerError(f"{self._uri.place}: the device's numbers are not at the right of their fields")
        return data[-curve.SCALAR_BYTES :]

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            reason = _REASONS.get(code & 0xFFFFFFFF, f"code {code & 0xFFFFFFFF:#010x}")
            raise SignerError(f"{self._uri.place}: {name}: the device refuses: {reason}")


def open_sdf_key(uri: str, pin: bytes, origin: str) -> SdfSigner:
    """The signer of an ``sdf:`` URI. UsageError: no such library, not of GM/T 0018; SignerError when the device refuses."""
    parsed = parse_key_uri(uri, origin, ("key",))
    index = parsed.number(parsed.options.get("key", "1"), 1, KEY_INDEX_MAX, "key index")
    try:
        library = ctypes.CDLL(parsed.place)
        for name, arguments in _FUNCTIONS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, ctypes.c_int
    except (OSError, AttributeError) as error:
        raise parsed.fault(f"no library of GM/T 0018 ({error}); give the path of the vendor's") from None
    return SdfSigner(parsed, library, index, pin)
