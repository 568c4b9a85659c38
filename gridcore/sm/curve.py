"""The SM2 recommended curve (GB/T 32918.5-2017) and the checks every backend shares.

All strictness lives here, before a library sees anything: exact lengths, 1 <= r, s < n, r + s != 0 mod n, coordinates
below p, the point on the curve. Backends differ only in arithmetic, so they cannot differ in what they tolerate.
"""

from __future__ import annotations

from typing import Final

from gridcore.errors import EncodingError
from gridcore.public_key import A, B, point_of
from gridcore.sm3 import sm3

N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G: Final = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)

DISTINGUISHING_ID: Final = b"1234567812345678"
"""The ID of GB/T 32918; passed explicitly everywhere, because libraries disagree about what "no ID" means."""

DISTINGUISHING_ID_BYTES_MAX: Final = 8191
"""The length stands in bits in two bytes."""

SCALAR_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_DER_SIGNATURE_BYTES_MAX = 72
_CURVE_BYTES = b"".join(value.to_bytes(32, "big") for value in (A, B, *G))


def parse_public_key(public_key: bytes) -> tuple[int, int] | None:
    """(x, y) of a 65-byte 04||x||y key, or None unless it is a point of the curve (never infinity, never compressed)."""
    check_bytes(public_key, "public key")
    return point_of(public_key)


def parse_signature(signature: bytes) -> tuple[int, int] | None:
    """(r, s) of a 64-byte r||s signature, or None unless both and their sum are in range."""
    check_bytes(signature, "signature")
    if len(signature) != SIGNATURE_BYTES:
        return None
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N) or r + s == N:
        return None
    return r, s


def signature_in_question(
    public_key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes
) -> tuple[int, int] | None:
    """(r, s) of a signature that a backend has to decide on; None where its form, or that of the ID, decides: not valid.

    The public key is left to the backend, which keeps those it has parsed. TypeError for what is not bytes.
    """
    check_bytes(public_key, "public key")
    check_bytes(message, "message")
    values = parse_signature(signature)
    return values if is_well_formed_id(distinguishing_id) else None


def parse_scalar(scalar: bytes) -> int:
    """The private scalar d in [1, n-2] of 32 bytes. EncodingError otherwise, without repeating the value."""
    check_bytes(scalar, "private scalar")
    if len(scalar) != SCALAR_BYTES:
        raise EncodingError(f"an SM2 private scalar has {SCALAR_BYTES} bytes, not {len(scalar)}")
    value = int.from_bytes(scalar, "big")
    if not 1 <= value <= N - 2:
        raise EncodingError("an SM2 private scalar lies in 1..n-2")
    return value


def encode_point(point: tuple[int, int]) -> bytes:
    """04||x||y, 65 bytes."""
    return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def encode_signature(r: int, s: int) -> bytes:
    """r||s, 64 bytes, leading zeros kept."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def identity_digest(public_key: bytes, distinguishing_id: bytes) -> bytes:
    """ZA of GB/T 32918.2 section 5.5: SM3 over the ID's bit length, the ID, the curve and the public key."""
    return sm3((8 * len(distinguishing_id)).to_bytes(2, "big") + distinguishing_id + _CURVE_BYTES + public_key[1:])


def message_digest(public_key: bytes, message: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> bytes:
    """E of GB/T 32918.2 section 6.1, SM3(ZA||M): the 32 bytes that a module signs which has no SM3 of its own."""
    return sm3(identity_digest(public_key, distinguishing_id) + message)


def is_well_formed_id(distinguishing_id: bytes) -> bool:
    """Whether the ID's length fits its 16-bit field."""
    check_bytes(distinguishing_id, "distinguishing ID")
    return len(distinguishing_id) <= DISTINGUISHING_ID_BYTES_MAX


def check_bytes(value: bytes, what: str) -> None:
    """Raise TypeError naming ``what`` for anything but bytes: text has no one encoding, a buffer may change."""
    if not isinstance(value, bytes):
        raise TypeError(f"{what} is {type(value).__name__}, not bytes")


# ------------------------------------------------------------------------------------- DER, at the edges only


def der_of(r: int, s: int) -> bytes:
    """SEQUENCE { r INTEGER, s INTEGER } for integers in range."""
    body = _der_integer(r) + _der_integer(s)
    return bytes((0x30, len(body))) + body


def decode_der_signature(der: bytes) -> bytes:
    """The raw 64 bytes of a DER signature. EncodingError unless ``der`` is exactly the encoding of values in range."""
    check_bytes(der, "signature")
    refused = EncodingError("not a DER signature: SEQUENCE of two minimal positive INTEGERs below n, nothing after it")
    if not 8 <= len(der) <= _DER_SIGNATURE_BYTES_MAX or der[0] != 0x30 or der[1] != len(der) - 2 or der[2] != 0x02:
        raise refused
    s_start = 4 + der[3]
    if s_start + 2 > len(der) or der[s_start] != 0x02:
        raise refused
    r = int.from_bytes(der[4:s_start], "big", signed=True)
    s = int.from_bytes(der[s_start + 2 :], "big", signed=True)
    # Comparing with our own encoding catches every other form: padding, long lengths, bytes left over.
    if not (0 < r < N and 0 < s < N) or r + s == N or der_of(r, s) != der:
        raise refused
    return encode_signature(r, s)


def _der_integer(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1, "big")  # one more bit than needed: the sign
    return bytes((0x02, len(content))) + content
