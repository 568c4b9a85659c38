"""X.509 certificates of SM2 keys (RFC 5280; GM/T 0015): read strictly, told apart, issued; the form alone, no signature is checked.

What is read: version 3, signed by SM2 with SM3, for an SM2 key, times in UTC, no critical extension but basicConstraints and
keyUsage; where keyUsage is there, it fits. Whoever checks a certificate verifies ``signature`` over ``signed`` by the issuer's key, under the standard's ID.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from gridcore import der
from gridcore.errors import EncodingError
from gridcore.public_key import PUBLIC_KEY_INFO_PREFIX, point_of

CERTIFICATE_BYTES_MAX: Final = 2048
"""So that a registry row has room for one; they have 400 to 700."""

READ_MAX: Final = 4096
"""Certificates that are not read again when they are asked for again."""
COMMON_NAME_CHARACTERS_MAX: Final = 64
"""RFC 5280, ub-common-name."""

_SM2_WITH_SM3: Final = "1.2.156.10197.1.501"
_COMMON_NAME: Final = "2.5.4.3"
_BASIC_CONSTRAINTS: Final = "2.5.29.19"
_KEY_USAGE: Final = "2.5.29.15"
_DIGITAL_SIGNATURE, _KEY_CERT_SIGN = 0x80, 0x04  # bits 0 and 5 of keyUsage
_VERSION_3: Final = 2
_SERIAL_BITS_MAX: Final = 160
_INTEGER_BYTES: Final = 32
_DAYS_BEFORE_1970: Final = 719_468
"""From 1 March of the year 0, in the proleptic Gregorian calendar."""
_FOREVER_S: Final = 253_402_300_799
"""The end of the year 9999: "no well-defined expiry" (RFC 5280, 4.1.2.5)."""


class Certificate(NamedTuple):
    """issuer, subject: the names as they stand there (DER), which are equal when their bytes are; common_name: of the subject;
    not_before_s, not_after_s: UTC seconds, both inside; public_key: 65 bytes; is_authority: it may issue; signed: the bytes that
    the issuer signed; signature: 64 bytes r||s.
    """

    serial: int
    issuer: bytes
    subject: bytes
    common_name: str
    not_before_s: int
    not_after_s: int
    public_key: bytes
    is_authority: bool
    signed: bytes
    signature: bytes

    def holds_at(self, time_s: int) -> bool:
        """Whether ``time_s`` (UTC seconds) lies in its validity."""
        return self.not_before_s <= time_s <= self.not_after_s


class Subject(NamedTuple):
    """Whom a certificate is for. common_name: the signer's id, or what an authority is called; times: UTC seconds, both inside."""

    common_name: str
    public_key: bytes
    not_before_s: int
    not_after_s: int
    is_authority: bool = False


@lru_cache(maxsize=READ_MAX)
def decode_certificate(data: bytes) -> Certificate:
    """Read one certificate (DER). EncodingError for anything else, for more than it needs, and for what is not read here."""
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise EncodingError(f"a certificate has at most {CERTIFICATE_BYTES_MAX} bytes, not {len(data)}")
    outer = der.Reader(data)
    whole = outer.read_sequence()
    outer.check_end()
    signed = whole.read_whole(der.SEQUENCE)
    _check_algorithm(whole)
    signature = _read_signature(whole)
    whole.check_end()
    return _read_signed_part(signed, signature)


def certificate_to_sign(serial: int, issuer: bytes, subject: Subject) -> bytes:
    """The part of a new certificate that its issuer signs. issuer: its name (DER), or b"" for an authority's own certificate."""
    name = _encode_name(subject.common_name)
    extensions = [
        _encode_extension(_BASIC_CONSTRAINTS, der.encode(der.SEQUENCE, *([_TRUE] if subject.is_authority else []))),
        _encode_extension(_KEY_USAGE, der.encode(der.BIT_STRING, b"\x01\x06" if subject.is_authority else b"\x07\x80")),
    ]
    return der.encode(
        der.SEQUENCE,
        der.encode(der.CONTEXT_0, der.encode_integer(_VERSION_3)),
        der.encode_integer(serial),
        _ALGORITHM,
        issuer or name,
        der.encode(der.SEQUENCE, _encode_time(subject.not_before_s), _encode_time(subject.not_after_s)),
        name,
        PUBLIC_KEY_INFO_PREFIX + subject.public_key,
        der.encode(der.CONTEXT_3, der.encode(der.SEQUENCE, *extensions)),
    )


def issue(serial: int, issuer: bytes, subject: Subject, sign: Callable[[bytes], bytes]) -> bytes:
    """A certificate (DER). serial: positive, never used before by this issuer; sign: 64 bytes r||s over a message, by the issuer's key."""
    signed = certificate_to_sign(serial, issuer, subject)
    signature = sign(signed)
    r, s = (int.from_bytes(half, "big") for half in (signature[:_INTEGER_BYTES], signature[_INTEGER_BYTES:]))
    encoded = der.encode(der.SEQUENCE, der.encode_integer(r), der.encode_integer(s))
    return der.encode(der.SEQUENCE, signed, _ALGORITHM, der.encode(der.BIT_STRING, b"\0" + encoded))


# ---------------------------------------------------------------------------------------------------------- reading


def _read_signed_part(signed: bytes, signature: bytes) -> Certificate:
    reader = der.Reader(signed).read_sequence()
    version = der.Reader(reader.read(der.CONTEXT_0))
    if version.read_integer() != _VERSION_3:
        raise EncodingError("a certificate of version 3")
    version.check_end()
    serial = reader.read_integer()
    if not 0 < serial.bit_length() <= _SERIAL_BITS_MAX:
        raise EncodingError("a certificate's serial number is positive, of at most 20 bytes")
    _check_algorithm(reader)
    issuer = reader.read_whole(der.SEQUENCE)
    validity = reader.read_sequence()
    not_before_s, not_after_s = _read_time(validity), _read_time(validity)
    validity.check_end()
    subject = reader.read_whole(der.SEQUENCE)
    info = reader.read_whole(der.SEQUENCE)
    public_key = info[len(PUBLIC_KEY_INFO_PREFIX) :]
    if not info.startswith(PUBLIC_KEY_INFO_PREFIX) or point_of(public_key) is None:
        raise EncodingError("a certificate of an SM2 key, a point of the curve, uncompressed")
    is_authority = _read_extensions(reader)
    reader.check_end()
    return Certificate(
        serial=serial,
        issuer=issuer,
        subject=subject,
        common_name=_common_name(subject),
        not_before_s=not_before_s,
        not_after_s=not_after_s,
        public_key=public_key,
        is_authority=is_authority,
        signed=signed,
        signature=signature,
    )


def _check_algorithm(reader: der.Reader) -> None:
    algorithm = reader.read_sequence()
    if (name := algorithm.read_object_identifier()) != _SM2_WITH_SM3:
        raise EncodingError(f"a certificate that is signed by SM2 with SM3 ({_SM2_WITH_SM3}), not {name}")
    if algorithm.next_tag() == der.NULL:
        algorithm.read(der.NULL)
    algorithm.check_end()


def _read_signature(reader: der.Reader) -> bytes:
    bits = reader.read(der.BIT_STRING)
    if bits[:1] != b"\0":
        raise EncodingError("a certificate's signature has whole bytes")
    outer = der.Reader(bits[1:])
    pair = outer.read_sequence()
    outer.check_end()
    r, s = pair.read_integer(), pair.read_integer()
    pair.check_end()
    if max(r, s).bit_length() > 8 * _INTEGER_BYTES:
        raise EncodingError("a certificate's signature is two numbers of at most 32 bytes")
    return r.to_bytes(_INTEGER_BYTES, "big") + s.to_bytes(_INTEGER_BYTES, "big")


def _common_name(name: bytes) -> str:
    found: list[str] = []
    outer = der.Reader(name).read_sequence()
    while not outer.is_at_end:
        several = der.Reader(outer.read(der.SET))
        while not several.is_at_end:
            attribute = several.read_sequence()
            kind, tag = attribute.read_object_identifier(), attribute.next_tag()
            value = attribute.read(tag if tag is not None else der.UTF8_STRING)
            attribute.check_end()
            if kind == _COMMON_NAME and tag in (der.UTF8_STRING, der.PRINTABLE_STRING):
                found.append(_text(value))
    if len(found) != 1:
        raise EncodingError("a certificate whose subject has one common name")
    return found[0]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EncodingError("a certificate's common name is UTF-8") from None


def _read_extensions(reader: der.Reader) -> bool:
    """Whether the certificate is an authority's; without extensions it is none."""
    if reader.next_tag() != der.CONTEXT_3:
        return False
    outer = der.Reader(reader.read(der.CONTEXT_3))
    extensions = outer.read_sequence()
    outer.check_end()
    values: dict[str, bytes] = {}
    while not extensions.is_at_end:
        extension = extensions.read_sequence()
        kind = extension.read_object_identifier()
        if kind in values:
            raise EncodingError(f"a certificate with the extension {kind} once")
        is_critical = extension.read_true_or_absent()
        values[kind] = extension.read(der.OCTET_STRING)
        extension.check_end()
        if is_critical and kind not in (_BASIC_CONSTRAINTS, _KEY_USAGE):
            raise EncodingError(f"a certificate without the critical extension {kind}")
    is_authority = _BASIC_CONSTRAINTS in values and _read_constraints(values[_BASIC_CONSTRAINTS])
    if _KEY_USAGE in values:
        _check_usage(values[_KEY_USAGE], is_authority=is_authority)
    return is_authority


def _read_constraints(value: bytes) -> bool:
    """Whether they are an authority's, which alone has a length of path: any does, as it issues signers' certificates itself."""
    outer = der.Reader(value)
    constraints = outer.read_sequence()
    outer.check_end()
    is_authority = constraints.read_true_or_absent()
    if not constraints.is_at_end:
        constraints.read_integer()
        if not is_authority:
            raise EncodingError("a certificate with pathLenConstraint only where it is an authority's")
    constraints.check_end()
    return is_authority


def _check_usage(value: bytes, *, is_authority: bool) -> None:
    """RFC 5280, 4.2.1.3; GM/T 0015: an authority's key issues, a signer's signs and does not issue."""
    outer = der.Reader(value)
    bits = outer.read(der.BIT_STRING)
    outer.check_end()
    if len(bits) not in (2, 3) or bits[0] > 7 or bits[-1] & -bits[-1] != 1 << bits[0]:
        raise EncodingError("a certificate's keyUsage is at least one of nine bits, without zeros behind the last")
    may_issue, may_sign = bool(bits[1] & _KEY_CERT_SIGN), bool(bits[1] & _DIGITAL_SIGNATURE)
    if may_issue != is_authority:
        raise EncodingError("a certificate whose keyUsage has keyCertSign exactly where it is an authority's")
    if not (is_authority or may_sign):
        raise EncodingError("a certificate whose keyUsage has digitalSignature, or is an authority's")


def _read_time(reader: der.Reader) -> int:
    """UTCTime or GeneralizedTime, to the second and in UTC, as UTC seconds."""
    tag = reader.next_tag()
    text = reader.read(tag if tag in (der.UTC_TIME, der.GENERALIZED_TIME) else der.UTC_TIME)
    found = re.fullmatch(rb"(\d{2}|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z", text)
    if found is None or len(found[1]) != (2 if tag == der.UTC_TIME else 4):
        raise EncodingError("a certificate's times are in UTC, to the second")
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    if tag == der.UTC_TIME:
        year += 1900 if year >= 50 else 2000
    is_date = 1 <= month <= 12 and 1 <= day <= _days_in_month(year, month)
    if not is_date or hour > 23 or minute > 59 or second > 59 or year < 1970:
        raise EncodingError("a certificate's times are dates that there are, from 1970 on")
    return ((_days_from_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second


# ---------------------------------------------------------------------------------------------------------- writing


def _encode_name(common_name: str) -> bytes:
    value = der.encode(der.UTF8_STRING, common_name.encode())
    attribute = der.encode(der.SEQUENCE, der.encode_object_identifier(_COMMON_NAME), value)
    return der.encode(der.SEQUENCE, der.encode(der.SET, attribute))


def _encode_extension(kind: str, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_object_identifier(kind), _TRUE, der.encode(der.OCTET_STRING, value))


def _encode_time(time_s: int) -> bytes:
    """UTCTime up to 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5)."""
    days, second = divmod(min(time_s, _FOREVER_S), 86_400)
    year, month, day = _date_of(days)
    clock = f"{month:02}{day:02}{second // 3600:02}{second // 60 % 60:02}{second % 60:02}Z"
    if year < 2050:
        return der.encode(der.UTC_TIME, f"{year % 100:02}{clock}".encode())
    return der.encode(der.GENERALIZED_TIME, f"{year:04}{clock}".encode())


_TRUE: Final = der.encode(der.BOOLEAN, b"\xff")
_ALGORITHM: Final = der.encode(der.SEQUENCE, der.encode_object_identifier(_SM2_WITH_SM3))


# ------------------------------------------------------------------------- dates, as arithmetic: consensus asks no clock


def _days_in_month(year: int, month: int) -> int:
    following = (year, month + 1) if month < 12 else (year + 1, 1)
    return _days_from_1970(*following, 1) - _days_from_1970(year, month, 1)


def _days_from_1970(year: int, month: int, day: int) -> int:
    """Days from 1 January 1970: years that begin in March have their leap day last."""
    year -= month <= 2
    era_years = year // 400
    of_era = year - 400 * era_years
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era_years * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - _DAYS_BEFORE_1970


def _date_of(days: int) -> tuple[int, int, int]:
    """Year, month and day that lie ``days`` after 1 January 1970."""
    era, of_era = divmod(days + _DAYS_BEFORE_1970, 146_097)
    years = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    march_month = (5 * of_year + 2) // 153
    month = march_month + 3 if march_month < 10 else march_month - 9
    return years + 400 * era + (month <= 2), month, of_year - (153 * march_month + 2) // 5 + 1
