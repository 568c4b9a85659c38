"""The ``gmssl`` package as an independent cross-check of verdicts: it verifies, and never signs or decrypts.

Its nonces come from a Mersenne Twister and its decryption does not compare C3 (gmssl 3.2.2), so nothing secret may pass
through it. Its constructor also strips leading "04" digits off a key's coordinates, and it takes P + (-P) for a point with
x = 0, so that a signer could make a signature that it alone accepts; both are stepped around here. About 60 verifications a second.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from types import ModuleType
from typing import Any, Final, NoReturn

from gridcore.sm import curve
from gridcore.sm.backend import SmBackendError
from gridcore.sm.curve import DISTINGUISHING_ID, N


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SmBackendError("the cross-check backend needs the Python package gmssl") from error


class GmsslBackend:
    """SM2 verification by ``gmssl``. Construct through ``gridcore.sm.load_backend``."""

    name: Final = "gmssl"
    can_sign: Final = False

    def __init__(self) -> None:
        self._sm2 = _import("gmssl.sm2")
        self._sm3 = _import("gmssl.sm3")

    @property
    def version(self) -> str:
        """The installed package's version."""
        return "gmssl " + importlib.metadata.version("gmssl")

    def is_valid_signature(
        self, public_key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes = DISTINGUISHING_ID
    ) -> bool:
        """As ``Backend.is_valid_signature``; the arithmetic and the digests are the package's."""
        values = curve.signature_in_question(public_key, message, signature, distinguishing_id)
        if values is None or curve.parse_public_key(public_key) is None:
            return False
        r, s = values
        verifier = self._sm2.CryptSM2("", "")
        table = verifier.ecc_table
        # The package's own verify() has no way around its two faults, so the equation is spelled out over its arithmetic.
        left: str = verifier._kg(s, table["g"])  # noqa: SLF001
        right: str = verifier._kg((r + s) % N, public_key[1:].hex())  # noqa: SLF001
        if left[:64] == right[:64] and left != right:
            return False  # s*G + t*Q is the point at infinity
        add, double = verifier._add_point, verifier._double_point  # noqa: SLF001
        total = double(left + "1") if left == right else add(left + "1", right)
        x = int(verifier._convert_jacb_to_nor(total)[:64], 16)  # noqa: SLF001
        identity = (8 * len(distinguishing_id)).to_bytes(2, "big") + distinguishing_id
        curve_hex = table["a"] + table["b"] + table["g"]
        za = self._digest(identity + bytes.fromhex(curve_hex) + public_key[1:])
        e = int.from_bytes(self._digest(za + message), "big")
        return (e + x) % N == r

    def _digest(self, data: bytes) -> bytes:
        return bytes.fromhex(self._sm3.sm3_hash(list(data)))

    def open_key(self, scalar: bytes) -> NoReturn:
        """Always refused."""
        raise SmBackendError("gmssl is a cross-check: it never holds a private key")

    def sign(self, handle: Any, message: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> NoReturn:
        """Always refused."""
        raise SmBackendError("gmssl is a cross-check: it never signs")
