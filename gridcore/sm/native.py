"""SM2 by ``kernel.c``, a shared library of our own, through ctypes: verification for everybody, signing for simulated signers only.

OpenSSL has no arithmetic of its own for this curve on x86; this one takes a quarter of its time. The library only multiplies points: forms, digests
and numbers modulo n are decided here and in ``curve``, as for every backend, and it is used only if it gives the known answers.
"""

from __future__ import annotations

import ctypes
import secrets
import sys
from ctypes import c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridcore.errors import EncodingError
from gridcore.public_key import P
from gridcore.sm import curve
from gridcore.sm.backend import KEYS_CACHED_MAX, KeyCache, SmBackendError
from gridcore.sm.curve import DISTINGUISHING_ID, G, N
from gridcore.sm3 import sm3

SOURCE: Final = Path(__file__).with_name("kernel.c")

LIBRARY: Final = Path(sys.prefix).joinpath("lib", "gridledger", "sm2_kernel.so")
"""Where ``gridledger.build_row_kernel`` leaves the library: inside the environment that this interpreter belongs to."""

_POINT_BYTES: Final = 64

_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "sm2_table_bytes": (c_size_t, []),
    "sm2_make_table": (None, [c_char_p, c_void_p]),
    "sm2_generate": (None, [c_void_p, c_char_p, c_char_p]),
    "sm2_key_bytes": (c_size_t, []),
    "sm2_make_key": (None, [c_char_p, c_void_p]),
    "sm2_has_x": (c_int, [c_void_p, c_void_p, c_char_p, c_char_p, c_char_p, c_size_t]),
}


class _Key(NamedTuple):
    """A public key that is a point of the curve. ``multiples``: of that, 1 KB, written once; ``identity``: ZA with the standard's ID."""

    multiples: ctypes.Array[ctypes.c_char]
    identity: bytes


class _Handle(NamedTuple):
    """A private key of a simulated signer. ``inverse``: 1/(1 + scalar) modulo n."""

    scalar: int
    inverse: int
    identity: bytes
    public_key: bytes


class NativeBackend:
    """SM2 by our own kernel. Construct through ``gridcore.sm.load_backend``; SmBackendError where ``library`` is absent or another one.

    Nothing here runs in constant time: verification handles public data only; signing is for simulators and tests, and is
    chosen by name, never fallen back to.
    """

    name: Final = "native"
    can_sign: Final = True

    def __init__(self, library: Path = LIBRARY) -> None:
        try:
            self._releasing: Any = _declared(ctypes.CDLL(str(library)))
            self._keeping: Any = _declared(ctypes.PyDLL(str(library)))
        except (OSError, AttributeError) as error:
            raise SmBackendError(f"no native SM2 kernel: {error}") from None
        self._table = ctypes.create_string_buffer(self._keeping.sm2_table_bytes())
        self._keeping.sm2_make_table(_numbers(*G), self._table)
        self._keys: KeyCache[_Key] = KeyCache(KEYS_CACHED_MAX)

    @property
    def version(self) -> str:
        """It has no number of its own: it comes with this package."""
        return "64-bit words, in C"

    def is_valid_signature(
        self, public_key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes = DISTINGUISHING_ID
    ) -> bool:
        """As ``Backend.is_valid_signature`` (GB/T 32918.2 section 7.1)."""
        values = curve.signature_in_question(public_key, message, signature, distinguishing_id)
        if values is None:
            return False
        key = self._keys.get(public_key, self._open_public_key)
        if key is None:
            return False
        r, s = values
        wanted = (r - _digest_number(key.identity, public_key, message, distinguishing_id)) % N
        xs = (wanted, wanted + N) if wanted + N < P else (wanted,)
        found: int = self._releasing.sm2_has_x(
            self._table, key.multiples, signature[32:], _numbers((r + s) % N), _numbers(*xs), len(xs)
        )
        return found == 1

    def _open_public_key(self, public_key: bytes) -> _Key | None:
        if curve.parse_public_key(public_key) is None:
            return None
        multiples = ctypes.create_string_buffer(self._keeping.sm2_key_bytes())
        self._keeping.sm2_make_key(public_key[1:], multiples)
        return _Key(multiples, curve.identity_digest(public_key, DISTINGUISHING_ID))

    def open_key(self, scalar: bytes) -> tuple[bytes, _Handle]:
        """As ``Backend.open_key``."""
        value = curve.parse_scalar(scalar)
        public_key = b"\x04" + self._generated(value)
        identity = curve.identity_digest(public_key, DISTINGUISHING_ID)
        return public_key, _Handle(value, pow(1 + value, -1, N), identity, public_key)

    def sign(self, handle: _Handle, message: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> bytes:
        """As ``Backend.sign`` (GB/T 32918.2 section 6.1), with a nonce from the operating system. Not constant time."""
        curve.check_bytes(message, "message")
        if not curve.is_well_formed_id(distinguishing_id):
            raise EncodingError(f"a distinguishing ID has at most {curve.DISTINGUISHING_ID_BYTES_MAX} bytes")
        e = _digest_number(handle.identity, handle.public_key, message, distinguishing_id)
        while True:
            nonce = 1 + secrets.randbelow(N - 1)
            r = (e + int.from_bytes(self._generated(nonce)[:32], "big")) % N
            s = handle.inverse * (nonce - r * handle.scalar) % N
            if r and r + nonce != N and s:
                return curve.encode_signature(r, s)

    def _generated(self, scalar: int) -> bytes:
        """Scalar * G as x||y, for 0 < scalar < n."""
        point = ctypes.create_string_buffer(_POINT_BYTES)
        self._keeping.sm2_generate(self._table, _numbers(scalar), point)
        return point.raw


def _digest_number(identity: bytes, public_key: bytes, message: bytes, distinguishing_id: bytes) -> int:
    """E of GB/T 32918.2 section 6.1; ``identity`` is used where the ID is the standard's."""
    if distinguishing_id == DISTINGUISHING_ID:
        digest = sm3(identity + message)
    else:
        digest = curve.message_digest(public_key, message, distinguishing_id)
    return int.from_bytes(digest, "big")


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


def _declared(library: Any) -> Any:
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
