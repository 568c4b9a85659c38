"""Public areas of TPM objects (TCG library specification, part 2): the templates that gateways use, and how they are read back."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from gridcore.errors import EncodingError
from gridcore.tpm.wire import Fields, sized

ALG_RSA, ALG_AES, ALG_KEYEDHASH, ALG_SHA256, ALG_NULL, ALG_ECDSA, ALG_SM2, ALG_ECC, ALG_CFB = (
    *(0x0001, 0x0006, 0x0008, 0x000B, 0x0010, 0x0018, 0x001B, 0x0023, 0x0043),
)
CURVE_P256, CURVE_SM2 = 0x0003, 0x0020

FIXED_TPM, FIXED_PARENT, ORIGIN, USER_WITH_AUTH, ADMIN_WITH_POLICY = 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 7
NO_LOCKOUT, RESTRICTED, DECRYPT, SIGN = 1 << 10, 1 << 16, 1 << 17, 1 << 18
BORN_HERE: Final = FIXED_TPM | FIXED_PARENT | ORIGIN
"""Made inside this TPM, and never to leave it."""
EK_POLICY: Final = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
"""PolicySecret of the endorsement hierarchy (TCG EK credential profile, B.3.3): who may use an endorsement key."""
_SYMMETRIC: Final = b"\x00\x06\x00\x80\x00\x43"  # AES, 128 bits, CFB
_NULL: Final = ALG_NULL.to_bytes(2, "big")


class PublicArea(NamedTuple):
    """What is read of an object. ``point``: x and y of an ECC key, ``modulus`` of an RSA one; ``scheme``: ALG_NULL where any is allowed."""

    kind: int
    attributes: int
    curve: int
    scheme: int
    point: tuple[bytes, bytes]
    modulus: bytes
    area: bytes

    @property
    def name(self) -> bytes:
        """The object's name: the algorithm and SHA-256 of the public area."""
        return ALG_SHA256.to_bytes(2, "big") + hashlib.sha256(self.area).digest()

    @property
    def public_key(self) -> bytes:
        """65 bytes 04||x||y of an ECC key."""
        return b"\x04" + b"".join(number.rjust(32, b"\0") for number in self.point)


def sm2_template(*, has_pin: bool) -> bytes:
    """A key that signs digests by SM2. The hash of its scheme is SHA-256, for TPMs without SM3: what it signs is an SM3 value."""
    attributes = BORN_HERE | USER_WITH_AUTH | SIGN | (0 if has_pin else NO_LOCKOUT)
    return _ecc(attributes, b"", _NULL, ALG_SM2, CURVE_SM2)


def storage_template() -> bytes:
    """The parent of what is stored outside: an ECC storage key, the same each time it is made."""
    return _ecc(BORN_HERE | USER_WITH_AUTH | NO_LOCKOUT | RESTRICTED | DECRYPT, b"", _SYMMETRIC, 0, CURVE_P256)


def attestation_template() -> bytes:
    """A key that signs only what the TPM itself says."""
    return _ecc(BORN_HERE | USER_WITH_AUTH | NO_LOCKOUT | RESTRICTED | SIGN, b"", _NULL, ALG_ECDSA, CURVE_P256)


def sealed_template(*, has_pin: bool) -> bytes:
    """A secret that the TPM keeps and gives back."""
    attributes = FIXED_TPM | FIXED_PARENT | USER_WITH_AUTH | (0 if has_pin else NO_LOCKOUT)
    return _head(ALG_KEYEDHASH, attributes, b"") + _NULL + sized(b"")


def endorsement_template(*, is_rsa: bool) -> bytes:
    """The endorsement key of its certificate (TCG EK credential profile, templates L-1 and L-2)."""
    attributes = BORN_HERE | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT
    if not is_rsa:
        return _ecc(attributes, EK_POLICY, _SYMMETRIC, 0, CURVE_P256, bytes(32))
    return _head(ALG_RSA, attributes, EK_POLICY) + _SYMMETRIC + _NULL + b"\x08\x00" + bytes(4) + sized(bytes(256))


def decode_public(area: bytes) -> PublicArea:
    """Read a TPMT_PUBLIC with SHA-256 as its name's hash. EncodingError for other kinds of it."""
    fields = Fields(area)
    kind, name_alg, attributes = fields.number(2), fields.number(2), fields.number(4)
    fields.sized()
    if name_alg != ALG_SHA256 or kind not in (ALG_ECC, ALG_RSA):
        raise EncodingError("an ECC or RSA key whose name is made by SHA-256")
    if fields.number(2) != ALG_NULL:
        fields.take(4)
    scheme = fields.number(2)
    if scheme != ALG_NULL:
        fields.take(2)
    curve, point, modulus = 0, (b"", b""), b""
    if kind == ALG_ECC:
        curve = fields.number(2)
        if fields.number(2) != ALG_NULL:
            fields.take(2)
        point = (fields.sized(), fields.sized())
    else:
        fields.take(6)
        modulus = fields.sized()
    fields.check_end()
    return PublicArea(kind, attributes, curve, scheme, point, modulus, area)


def _head(kind: int, attributes: int, policy: bytes) -> bytes:
    return kind.to_bytes(2, "big") + ALG_SHA256.to_bytes(2, "big") + attributes.to_bytes(4, "big") + sized(policy)


def _ecc(attributes: int, policy: bytes, symmetric: bytes, scheme: int, curve: int, unique: bytes = b"") -> bytes:
    signing = scheme.to_bytes(2, "big") + ALG_SHA256.to_bytes(2, "big") if scheme else _NULL
    parameters = symmetric + signing + curve.to_bytes(2, "big") + _NULL
    return _head(ALG_ECC, attributes, policy) + parameters + sized(unique) * 2
