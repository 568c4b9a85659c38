"""SM4-GCM (trap 14) and encrypted keystores (trap 15)."""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gridcore import der
from gridcore.errors import EncodingError, InvariantError
from gridcore.sm import SigningKey, keystore, sm4
from gridcore.sm.keystore import KeystoreError, decode_private_key, encode_private_key

KEY = SigningKey.from_scalar(bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"))
PASSWORD = "口令 with spaces".encode()
FAST = 1_024

# RFC 8998 appendix A.1.
SM4_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")
SM4_NONCE = bytes.fromhex("00001234567800000000abcd")
SM4_DATA = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
SM4_PLAIN = bytes.fromhex(
    "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"
)
SM4_CIPHER = bytes.fromhex(
    "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
)
SM4_TAG = bytes.fromhex("83de3541e4c2b58177e065a9bf7b62ec")


def test_trap_14_sm4_gcm_gives_the_rfc_8998_example() -> None:
    assert sm4.gcm_encrypt(SM4_KEY, SM4_NONCE, SM4_PLAIN, SM4_DATA) == SM4_CIPHER + SM4_TAG
    assert sm4.gcm_decrypt(SM4_KEY, SM4_NONCE, SM4_CIPHER + SM4_TAG, SM4_DATA) == SM4_PLAIN


@pytest.mark.parametrize("plain", [b"", b"x", b"y" * 70_000], ids=["empty", "one", "long"])
def test_trap_14_any_length_comes_back(plain: bytes) -> None:
    sealed = sm4.gcm_encrypt(SM4_KEY, SM4_NONCE, plain)
    assert len(sealed) == len(plain) + sm4.TAG_BYTES
    assert sm4.gcm_decrypt(SM4_KEY, SM4_NONCE, sealed) == plain


def test_trap_14_every_altered_part_is_noticed() -> None:
    sealed = SM4_CIPHER + SM4_TAG
    for position in (0, len(SM4_CIPHER) - 1, len(SM4_CIPHER), len(sealed) - 1):
        altered = bytearray(sealed)
        altered[position] ^= 0x80
        with pytest.raises(sm4.Sm4Error, match="tag mismatch"):
            sm4.gcm_decrypt(SM4_KEY, SM4_NONCE, bytes(altered), SM4_DATA)
    for key, nonce, data in (
        (SM4_KEY[::-1], SM4_NONCE, SM4_DATA),
        (SM4_KEY, SM4_NONCE[::-1], SM4_DATA),
        (SM4_KEY, SM4_NONCE, SM4_DATA[:-1]),
    ):
        with pytest.raises(sm4.Sm4Error):
            sm4.gcm_decrypt(key, nonce, sealed, data)


@pytest.mark.parametrize("length", [0, 8, 11, 13, 16])
def test_trap_14_other_nonce_lengths_are_refused(length: int) -> None:
    for call in (sm4.gcm_encrypt, sm4.gcm_decrypt):
        with pytest.raises(EncodingError, match="nonce has 12 bytes"):
            call(SM4_KEY, b"n" * length, b"p" * 32)


def test_trap_14_shortened_tags_and_other_key_lengths_are_refused() -> None:
    with pytest.raises(sm4.Sm4Error):
        sm4.gcm_decrypt(SM4_KEY, SM4_NONCE, SM4_CIPHER + SM4_TAG[:12], SM4_DATA)
    with pytest.raises(EncodingError, match="16-byte tag"):
        sm4.gcm_decrypt(SM4_KEY, SM4_NONCE, SM4_TAG[:15])
    with pytest.raises(EncodingError, match="SM4 key has 16 bytes"):
        sm4.gcm_encrypt(SM4_KEY * 2, SM4_NONCE, b"")


def test_trap_14_only_gcm_is_offered() -> None:
    source = Path(sm4.__file__).read_text(encoding="utf-8")
    assert "ECB" not in source
    assert "CBC" not in source


# ---------------------------------------------------------------------------------------------------------- keystores


def pem(data: bytes, label: str = "ENCRYPTED PRIVATE KEY") -> bytes:
    lines = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def unwrap(text: bytes) -> bytes:
    return base64.b64decode(b"".join(text.splitlines()[1:-1]))


def store(monkeypatch: pytest.MonkeyPatch, plain: bytes) -> bytes:
    """A keystore around any plaintext, under PASSWORD."""
    with monkeypatch.context() as patch:
        patch.setattr(keystore, "_encode_private_key_info", lambda _: plain)
        return encode_private_key(KEY, PASSWORD, iterations=FAST)


def plain_info() -> bytes:
    return keystore._encode_private_key_info(KEY)


@pytest.mark.parametrize("openssl_compatible", [False, True], ids=["HMAC-SM3", "HMAC-SHA256"])
def test_a_stored_key_comes_back(openssl_compatible: bool) -> None:
    text = encode_private_key(KEY, PASSWORD, iterations=FAST, openssl_compatible=openssl_compatible)
    key = decode_private_key(text, PASSWORD)
    assert key.public_key == KEY.public_key
    assert key.reveal_scalar() == KEY.reveal_scalar()
    assert text != encode_private_key(KEY, PASSWORD, iterations=FAST, openssl_compatible=openssl_compatible)


def test_the_default_form_is_the_one_that_gmssl_reads() -> None:
    data = unwrap(encode_private_key(KEY, PASSWORD))
    prf = der.encode(der.SEQUENCE, der.encode_object_identifier("1.2.156.10197.1.401.2"))
    assert der.encode_integer(65_536) + der.encode_integer(16) + prf in data  # keyLength present, no NULL
    assert KEY.reveal_scalar() not in data


@pytest.mark.parametrize("openssl_compatible", [False, True], ids=["HMAC-SM3", "HMAC-SHA256"])
def test_trap_15_a_wrong_password_is_said_to_be_one(openssl_compatible: bool) -> None:
    text = encode_private_key(KEY, PASSWORD, iterations=FAST, openssl_compatible=openssl_compatible)
    for number in range(40):  # one in 256 wrong keys leaves padding that looks right
        with pytest.raises(KeystoreError, match="wrong password") as caught:
            decode_private_key(text, b"wrong %d" % number)
        assert "\n" not in str(caught.value)
    with pytest.raises(KeystoreError, match="wrong password"):
        decode_private_key(text, b"")


@pytest.mark.parametrize("key_length", [b"", der.encode_integer(16)], ids=["no keyLength", "keyLength"])
@pytest.mark.parametrize("null", [b"", der.encode(der.NULL)], ids=["no NULL", "NULL"])
@pytest.mark.parametrize("prf", [keystore._HMAC_SM3, keystore._HMAC_SHA256], ids=["HMAC-SM3", "HMAC-SHA256"])
def test_trap_15_all_written_forms_are_read(key_length: bytes, null: bytes, prf: str) -> None:
    original = unwrap(
        encode_private_key(KEY, PASSWORD, iterations=FAST, openssl_compatible=prf == keystore._HMAC_SHA256)
    )
    salt, iterations, _, vector, encrypted = keystore._parse_scheme(original)
    form = rebuilt(salt, der.encode_integer(iterations) + key_length, prf, null, vector, encrypted)
    assert decode_private_key(pem(form), PASSWORD).public_key == KEY.public_key


def rebuilt(salt: bytes, numbers: bytes, prf: str, null: bytes, vector: bytes, encrypted: bytes, **names: str) -> bytes:
    """An EncryptedPrivateKeyInfo from its parts; ``names`` replaces pbes2, pbkdf2 or cipher."""
    sequence, octets, name = der.SEQUENCE, der.OCTET_STRING, der.encode_object_identifier
    prf_part = der.encode(sequence, name(prf), null) if prf else b""
    derivation = der.encode(sequence, der.encode(octets, salt), numbers, prf_part)
    scheme = der.encode(
        sequence,
        der.encode(sequence, name(names.get("pbkdf2", keystore._PBKDF2)), derivation),
        der.encode(sequence, name(names.get("cipher", keystore._SM4_CBC)), der.encode(octets, vector)),
    )
    return der.encode(
        sequence,
        der.encode(sequence, name(names.get("pbes2", keystore._PBES2)), scheme),
        der.encode(octets, encrypted),
    )


NUMBERS = der.encode_integer(FAST) + der.encode_integer(16)
SM3_PRF = keystore._HMAC_SM3
REFUSED: dict[str, tuple[bytes, str]] = {
    "iterations above the limit": (
        rebuilt(b"s" * 8, der.encode_integer(keystore.ITERATIONS_MAX + 1), SM3_PRF, b"", b"v" * 16, b"e" * 16),
        "asks for 10000001 iterations; at most 10000000",
    ),
    "no iterations": (rebuilt(b"s" * 8, der.encode_integer(0), SM3_PRF, b"", b"v" * 16, b"e" * 16), "asks for 0"),
    "negative iterations": (rebuilt(b"s" * 8, b"\x02\x01\xff", SM3_PRF, b"", b"v" * 16, b"e" * 16), "negative"),
    "iterations in a long form": (
        rebuilt(b"s" * 8, b"\x02\x02\x00\x01", SM3_PRF, b"", b"v" * 16, b"e" * 16),
        "shortest form",
    ),
    "keyLength 32": (
        rebuilt(b"s" * 8, der.encode_integer(FAST) + der.encode_integer(32), SM3_PRF, b"", b"v" * 16, b"e" * 16),
        "16 bytes, not 32",
    ),
    "no salt": (rebuilt(b"", NUMBERS, SM3_PRF, b"", b"v" * 16, b"e" * 16), "salt has 1"),
    "huge salt": (rebuilt(b"s" * 1025, NUMBERS, SM3_PRF, b"", b"v" * 16, b"e" * 16), "salt has 1"),
    "HMAC-SHA1 by default": (rebuilt(b"s" * 8, NUMBERS, "", b"", b"v" * 16, b"e" * 16), "HMAC-SHA1"),
    "another PRF": (rebuilt(b"s" * 8, NUMBERS, "1.2.840.113549.2.11", b"", b"v" * 16, b"e" * 16), "PRF 1.2.840"),
    "short vector": (rebuilt(b"s" * 8, NUMBERS, SM3_PRF, b"", b"v" * 15, b"e" * 16), "vector has 16 bytes"),
    "broken block": (rebuilt(b"s" * 8, NUMBERS, SM3_PRF, b"", b"v" * 16, b"e" * 17), "whole number of SM4 blocks"),
    "nothing encrypted": (rebuilt(b"s" * 8, NUMBERS, SM3_PRF, b"", b"v" * 16, b""), "whole number of SM4 blocks"),
    "another cipher": (
        rebuilt(b"s" * 8, NUMBERS, SM3_PRF, b"", b"v" * 16, b"e" * 16, cipher="2.16.840.1.101.3.4.1.42"),
        "where SM4-CBC",
    ),
    "scrypt": (
        rebuilt(b"s" * 8, NUMBERS, SM3_PRF, b"", b"v" * 16, b"e" * 16, pbkdf2="1.3.6.1.4.1.11591.4.11"),
        "where PBKDF2",
    ),
    "PBES1": (
        rebuilt(b"s" * 8, NUMBERS, SM3_PRF, b"", b"v" * 16, b"e" * 16, pbes2="1.2.840.113549.1.5.3"),
        "where PBES2",
    ),
    "trailing data": (rebuilt(b"s" * 8, NUMBERS, SM3_PRF, b"", b"v" * 16, b"e" * 16) + b"\0", "1 bytes too many"),
    "cut": (rebuilt(b"s" * 8, NUMBERS, SM3_PRF, b"", b"v" * 16, b"e" * 16)[:-1], "runs past the end"),
    "indefinite length": (b"\x30\x80\0\0", "indefinite"),
    "empty": (b"", "no DER element"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_trap_15_a_damaged_or_foreign_keystore_is_refused_in_one_line(data: bytes, reason: str) -> None:
    with pytest.raises(KeystoreError, match=reason) as caught:
        decode_private_key(pem(data), PASSWORD)
    assert "\n" not in str(caught.value)
    assert "wrong password" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not a keystore"),
        (b"hello", "not a keystore"),
        (pem(b"\x30\0") + pem(b"\x30\0"), "nothing else"),
        (pem(b"\x30\0", "PRIVATE KEY"), "this is a 'PRIVATE KEY': encrypt it first"),
        (pem(b"\x30\0", "EC PRIVATE KEY"), "encrypt it first"),
        (pem(b"\x30\0").replace(b"MAA=", b"MAA"), "base64"),
        (b" " * (keystore.KEYSTORE_BYTES_MAX + 1), "at most 16384 bytes"),
    ],
    ids=["empty", "text", "two blocks", "plain PKCS#8", "plain SEC1", "bad base64", "too long"],
)
def test_what_is_no_keystore_says_what_it_is(text: bytes, reason: str) -> None:
    with pytest.raises(KeystoreError, match=reason):
        decode_private_key(text, PASSWORD)


def test_windows_line_ends_are_read() -> None:
    text = encode_private_key(KEY, PASSWORD, iterations=FAST).replace(b"\n", b"\r\n")
    assert decode_private_key(text, PASSWORD).public_key == KEY.public_key


def test_trap_06_a_public_key_that_is_not_the_private_keys_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = SigningKey.from_scalar(b"\1" * 32)
    mixed = plain_info().replace(KEY.public_key, other.public_key)
    with pytest.raises(KeystoreError, match="does not belong to its private key"):
        decode_private_key(store(monkeypatch, mixed), PASSWORD)


@pytest.mark.parametrize("value", [0, 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54122])
def test_trap_06_a_stored_scalar_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, value: int) -> None:
    changed = plain_info().replace(KEY.reveal_scalar(), value.to_bytes(32, "big"))
    with pytest.raises(KeystoreError, match=r"1\.\.n-2"):
        decode_private_key(store(monkeypatch, changed), PASSWORD)


def test_trap_08_a_key_of_another_curve_in_a_keystore_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(KeystoreError, match="not SM2"):
        decode_private_key(store(monkeypatch, foreign), PASSWORD)
    sm2_oid = der.encode_object_identifier("1.2.156.10197.1.301")
    p256_oid = der.encode_object_identifier("1.2.840.10045.3.1.7")
    assert len(sm2_oid) == len(p256_oid)
    head, tail = plain_info().split(sm2_oid, 1)
    inner = head + sm2_oid + tail.replace(sm2_oid, p256_oid)
    with pytest.raises(KeystoreError, match="another curve"):
        decode_private_key(store(monkeypatch, inner), PASSWORD)


@pytest.mark.parametrize("position", range(0, 150, 7))
def test_trap_15_an_altered_plaintext_never_gives_another_key(monkeypatch: pytest.MonkeyPatch, position: int) -> None:
    plain = bytearray(plain_info())
    plain[position % len(plain)] ^= 0x41
    try:
        found = decode_private_key(store(monkeypatch, bytes(plain)), PASSWORD).public_key
    except KeystoreError:
        found = None
    assert found in (None, KEY.public_key)


def test_key_without_optional_parts_and_with_attributes_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    curve_name = der.encode_object_identifier("1.2.156.10197.1.301")
    bare = der.encode(der.SEQUENCE, der.encode_integer(1), der.encode(der.OCTET_STRING, KEY.reveal_scalar()))
    info = der.encode(
        der.SEQUENCE,
        der.encode_integer(0),
        der.encode(der.SEQUENCE, der.encode_object_identifier("1.2.840.10045.2.1"), curve_name),
        der.encode(der.OCTET_STRING, bare),
        der.encode(der.CONTEXT_0, b""),
    )
    assert decode_private_key(store(monkeypatch, info), PASSWORD).public_key == KEY.public_key


@pytest.mark.parametrize("iterations", [0, keystore.ITERATIONS_MIN - 1, keystore.ITERATIONS_MAX + 1])
def test_iterations_out_of_range_are_not_written(iterations: int) -> None:
    with pytest.raises(KeystoreError, match=r"iterations lie in 1024\.\.10000000"):
        encode_private_key(KEY, PASSWORD, iterations=iterations)


def test_the_iteration_limits_themselves_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "_derive", lambda *_: b"k" * 16)  # ten million rounds take seconds
    for iterations in (keystore.ITERATIONS_MIN, keystore.ITERATIONS_MAX):
        text = encode_private_key(KEY, PASSWORD, iterations=iterations)
        assert decode_private_key(text, PASSWORD).public_key == KEY.public_key


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(KeystoreError, match="not empty"):
        encode_private_key(KEY, b"")


def test_key_derivation_agrees_with_rfc_7914_and_with_a_plain_loop() -> None:
    # PBKDF2-HMAC-SHA256, P = "passwd", S = "salt", c = 1 (RFC 7914 section 11), first 16 bytes.
    assert keystore._derive(b"passwd", b"salt", 1, SHA256()).hex() == "55ac046e56e3089fec1691c22544b605"


@pytest.mark.parametrize(
    ("dotted", "encoded"),
    [
        ("1.2.156.10197.1.301", "06082a811ccf5501822d"),
        ("2.16.840.1.101.3.4.1.42", "060960864801650304012a"),
        ("2.999", "06028837"),
    ],
)
def test_object_identifiers_in_both_directions(dotted: str, encoded: str) -> None:
    assert der.encode_object_identifier(dotted).hex() == encoded
    assert der.Reader(bytes.fromhex(encoded)).read_object_identifier() == dotted


@pytest.mark.parametrize("length", [0, 127, 128, 255, 256, der.LENGTH_MAX])
def test_der_lengths_have_one_form(length: int) -> None:
    element = der.encode(der.OCTET_STRING, b"x" * length)
    reader = der.Reader(element)
    assert len(reader.read(der.OCTET_STRING)) == length
    assert reader.is_at_end
    assert reader.next_tag() is None


@pytest.mark.parametrize("encoded", ["0481", "04810161", "0482000161", "04830000016161", "0402", "04"])
def test_der_lengths_in_another_form_are_refused(encoded: str) -> None:
    with pytest.raises(EncodingError):
        der.Reader(bytes.fromhex(encoded)).read(der.OCTET_STRING)


def test_der_elements_beyond_the_limit_are_not_written() -> None:
    with pytest.raises(InvariantError):
        der.encode(der.OCTET_STRING, b"x" * (der.LENGTH_MAX + 1))


@pytest.mark.parametrize("content", ["0600", "060181", "06022a81"])
def test_an_object_identifier_that_is_cut_short_is_refused(content: str) -> None:
    reader: Any = der.Reader(bytes.fromhex(content))
    with pytest.raises(EncodingError, match="cut short"):
        reader.read_object_identifier()
