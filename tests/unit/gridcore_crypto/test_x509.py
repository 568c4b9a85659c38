"""X.509 certificates of SM2 keys: OpenSSL takes ours, we take OpenSSL's, and nothing else is taken."""

from __future__ import annotations

import base64
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import der
from gridcore.errors import EncodingError
from gridcore.sm import DISTINGUISHING_ID, SigningKey, is_valid_signature
from gridcore.sm.keystore import encode_private_key
from gridcore.x509 import CERTIFICATE_BYTES_MAX, Certificate, Subject, decode_certificate, issue

AUTHORITY_KEY = SigningKey.from_scalar(bytes(31) + b"\7")
KEY = SigningKey.from_scalar(bytes(31) + b"\t")
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl on PATH: apt-get install openssl")
FROM_S, TO_S = 1_782_000_000, 2_600_000_000


def authority(not_before_s: int = FROM_S, not_after_s: int = TO_S) -> bytes:
    subject = Subject("Grid Company CA", AUTHORITY_KEY.public_key, not_before_s, not_after_s, is_authority=True)
    return issue(1, b"", subject, AUTHORITY_KEY.sign)


def leaf(serial: int = 2, common_name: str = "grid-administrator") -> bytes:
    subject = Subject(common_name, KEY.public_key, FROM_S, FROM_S + 86_400 * 730)
    return issue(serial, decode_certificate(authority()).subject, subject, AUTHORITY_KEY.sign)


def pem(data: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(data).decode()}-----END CERTIFICATE-----\n"


def holds(certificate: Certificate, public_key: bytes) -> bool:
    return is_valid_signature(public_key, certificate.signed, certificate.signature)


def test_what_was_issued_is_read_back_and_holds_by_the_authority_alone() -> None:
    root, own = decode_certificate(authority()), decode_certificate(leaf())
    assert (root.common_name, root.is_authority, root.issuer) == ("Grid Company CA", True, root.subject)
    assert (own.common_name, own.is_authority, own.serial, own.issuer) == ("grid-administrator", False, 2, root.subject)
    assert own.public_key == KEY.public_key
    assert holds(root, root.public_key)
    assert holds(own, root.public_key)
    assert not holds(own, own.public_key)
    assert own.holds_at(FROM_S)
    assert own.holds_at(FROM_S + 86_400 * 730)
    assert not own.holds_at(FROM_S - 1)
    assert not own.holds_at(FROM_S + 86_400 * 730 + 1)


@needs_openssl
def test_openssl_verifies_a_chain_that_we_issued(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pem(authority()))
    (tmp_path / "own.pem").write_text(pem(leaf()))
    words = ["openssl", "verify", "-vfyopt", f"distid:{DISTINGUISHING_ID.decode()}", "-attime", str(FROM_S + 60)]
    done = subprocess.run(
        [*words, "-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "own.pem")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@needs_openssl
def test_a_certificate_that_openssl_issued_is_read_and_holds(tmp_path: Path) -> None:
    key_file, made = tmp_path / "key.pem", tmp_path / "ca.pem"
    key_file.write_bytes(encode_private_key(AUTHORITY_KEY, b"word", iterations=1_024, openssl_compatible=True))
    options = ["-sm3", "-sigopt", f"distid:{DISTINGUISHING_ID.decode()}", "-subj", "/C=CN/O=Grid Company/CN=Root"]
    words = ["openssl", "req", "-x509", "-new", "-key", str(key_file), "-passin", "pass:word", "-days", "30"]
    subprocess.run([*words, *options, "-out", str(made)], check=True, capture_output=True)
    certificate = decode_certificate(base64.b64decode("".join(made.read_text().splitlines()[1:-1])))
    assert (certificate.common_name, certificate.is_authority) == ("Root", True)
    assert certificate.public_key == AUTHORITY_KEY.public_key
    assert certificate.not_after_s - certificate.not_before_s == 30 * 86_400
    assert holds(certificate, AUTHORITY_KEY.public_key)


@given(st.integers(0, 253_402_300_799), st.integers(0, 253_402_300_799))
def test_times_are_those_of_the_calendar(not_before_s: int, not_after_s: int) -> None:
    data = authority(not_before_s, not_after_s)
    certificate = decode_certificate(data)
    assert (certificate.not_before_s, certificate.not_after_s) == (not_before_s, not_after_s)
    when = datetime.fromtimestamp(not_before_s, UTC)
    text = f"{when:%y%m%d%H%M%SZ}" if 1970 <= when.year < 2050 else f"{when.year:04}{when:%m%d%H%M%SZ}"
    assert text.encode() in data


def changed(at: int, by: int) -> bytes:
    return bytes([*LEAF[:at], LEAF[at] ^ by, *LEAF[at + 1 :]])


def still_holds(data: bytes) -> bool:
    """Whether the bytes are a certificate that says something else under the authority's signature."""
    try:
        read = decode_certificate(data)
    except EncodingError:
        return False
    return holds(read, AUTHORITY_KEY.public_key) and read != decode_certificate(LEAF)


@given(st.data())
def test_a_certificate_with_any_byte_changed_is_refused_or_does_not_hold(data: st.DataObject) -> None:
    assert not still_holds(changed(data.draw(st.integers(0, len(LEAF) - 1)), data.draw(st.integers(1, 255))))


LEAF = leaf()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no DER element"),
        (LEAF + b"\0", "bytes too many"),
        (LEAF[:-1], "runs past the end"),
        (bytes(CERTIFICATE_BYTES_MAX + 1), "at most 2048 bytes"),
        (LEAF.replace(bytes.fromhex("06082a811ccf55018375"), bytes.fromhex("06082a811ccf55018376")), "SM2 with SM3"),
        (LEAF.replace(bytes.fromhex("06082a811ccf5501822d"), bytes.fromhex("06082a811ccf5501822e")), "an SM2 key"),
        (LEAF.replace(KEY.public_key[1:], bytes(64)), "a point of the curve"),
        (
            LEAF.replace(bytes.fromhex("0603551d130101ff"), bytes.fromhex("0603551d200101ff")),
            "critical extension 2.5.29.32",
        ),
        (LEAF.replace(bytes.fromhex("0603551d130101ff"), bytes.fromhex("0603551d20010101")), "absence says false"),
        (LEAF.replace(bytes.fromhex("0603551d13"), bytes.fromhex("0603551d0f")), "2.5.29.15 once"),
        (LEAF.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101")), "version 3"),
        (LEAF.replace(b"260621", b"261321"), "dates that there are"),
    ],
    ids=[
        "empty",
        "more",
        "cut",
        "too long",
        "other signature",
        "other curve",
        "no point",
        "critical",
        "neither true nor false",
        "twice",
        "version",
        "date",
    ],
)
def test_what_is_no_such_certificate_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(EncodingError, match=reason):
        decode_certificate(data)


SIGNER_USAGE, AUTHORITY_USAGE = bytes.fromhex("03020780"), bytes.fromhex("03020106")


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        ("03020520", "digitalSignature"),  # keyEncipherment: the certificate of a key for encryption
        ("03020284", "keyCertSign exactly"),
        ("03020204", "keyCertSign exactly"),
        ("03020680", "without zeros behind the last"),
        ("03020080", "without zeros behind the last"),
        ("03020700", "at least one of nine bits"),
        ("03020880", "at least one of nine bits"),
        ("03010080", "bytes too many"),
        ("04020780", "no DER element"),
    ],
)
def test_a_signers_certificate_whose_key_is_not_for_signatures_is_refused(usage: str, reason: str) -> None:
    with pytest.raises(EncodingError, match=reason):
        decode_certificate(LEAF.replace(SIGNER_USAGE, bytes.fromhex(usage)))


def test_a_signers_certificate_may_have_further_usages_or_none_said() -> None:
    for usage in ("030206c0", "03020780"):  # with contentCommitment, as GM/T 0015 certificates for signatures have
        assert not decode_certificate(LEAF.replace(SIGNER_USAGE, bytes.fromhex(usage))).is_authority
    assert not decode_certificate(with_constraints("3000", b"")).is_authority
    assert decode_certificate(with_constraints("30030101ff", b"")).is_authority


@pytest.mark.parametrize("usage", ["03020780", "03020102"])
def test_an_authority_whose_key_may_not_issue_is_refused(usage: str) -> None:
    with pytest.raises(EncodingError, match="keyCertSign exactly where it is an authority's"):
        decode_certificate(authority().replace(AUTHORITY_USAGE, bytes.fromhex(usage)))


def with_constraints(constraints: str, usage: bytes) -> bytes:
    """A certificate whose basicConstraints have this content, and whose keyUsage is this (b"": it has none); nobody has signed it."""
    identifier = der.encode_object_identifier("2.5.29.19")
    basic = der.encode(der.SEQUENCE, identifier, der.encode(der.OCTET_STRING, bytes.fromhex(constraints)))
    key_usage = der.encode(der.SEQUENCE, der.encode_object_identifier("2.5.29.15"), der.encode(der.OCTET_STRING, usage))
    whole = der.Reader(authority()).read_sequence()
    signed = der.Reader(whole.read_whole(der.SEQUENCE)).read_sequence()
    parts = [signed.read_whole(tag) for tag in (der.CONTEXT_0, der.INTEGER, *[der.SEQUENCE] * 5)]
    extensions = der.encode(der.CONTEXT_3, der.encode(der.SEQUENCE, basic, key_usage if usage else b""))
    rest = whole.read_whole(der.SEQUENCE) + whole.read_whole(der.BIT_STRING)
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, *parts, extensions), rest)


def test_an_authority_may_say_how_long_a_path_is_and_nobody_else() -> None:
    for path in ("30060101ff020100", "30060101ff020105"):
        assert decode_certificate(with_constraints(path, AUTHORITY_USAGE)).is_authority
    with pytest.raises(EncodingError, match="pathLenConstraint only where it is an authority's"):
        decode_certificate(with_constraints("3003020100", SIGNER_USAGE))
    with pytest.raises(EncodingError, match="INTEGER that is negative"):
        decode_certificate(with_constraints("30060101ff0201ff", AUTHORITY_USAGE))
    with pytest.raises(EncodingError, match="bytes too many"):
        decode_certificate(with_constraints("30090101ff020100020100", AUTHORITY_USAGE))
    with pytest.raises(EncodingError, match="bytes too many"):
        decode_certificate(with_constraints("30030101ff00", AUTHORITY_USAGE))


@pytest.mark.parametrize("content", ["2a80", "2a8001", "2a" + "ff" * 9 + "7f", "2a" + "81" * 2_000 + "00"])
def test_an_object_identifier_that_is_cut_padded_or_without_bound_is_refused(content: str) -> None:
    with pytest.raises(EncodingError, match="OBJECT IDENTIFIER"):
        der.Reader(der.encode(der.OBJECT_IDENTIFIER, bytes.fromhex(content))).read_object_identifier()
