"""The openssl command line as an unrelated signer, verifier and keystore tool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gridcore import sm
from gridcore.sm import curve, keystore
from gridcore.sm.curve import DISTINGUISHING_ID
from gridcore.sm.keystore import decode_private_key, encode_private_key
from gridcore.sm3 import sm3
from tests.unit.gridcore_crypto.test_sm2_traps import der_signature

OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(OPENSSL is None, reason="no openssl on PATH: apt-get install openssl"),
]
PASSWORD = b"interop password"
MESSAGES = [b"", b"message digest", bytes(range(256)) * 5]


def openssl(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """Standard output of one openssl command, which must succeed."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def key() -> sm.SigningKey:
    return sm.SigningKey.generate()


@pytest.fixture
def key_file(key: sm.SigningKey, tmp_path: Path) -> Path:
    """The key as openssl holds it, unencrypted, from our own encrypted file."""
    stored, plain = tmp_path / "stored.pem", tmp_path / "plain.pem"
    stored.write_bytes(encode_private_key(key, PASSWORD, iterations=1_024, openssl_compatible=True))
    openssl("pkey", "-in", stored, "-passin", f"pass:{PASSWORD.decode()}", "-out", plain)
    return plain


@pytest.mark.parametrize("message", MESSAGES, ids=["empty", "short", "long"])
def test_openssl_accepts_our_signatures_and_we_accept_openssls(
    key: sm.SigningKey, key_file: Path, message: bytes
) -> None:
    signature_file, message_file, public_file = (key_file.with_suffix(suffix) for suffix in (".sig", ".msg", ".pub"))
    message_file.write_bytes(message)
    openssl("pkey", "-in", key_file, "-pubout", "-out", public_file)
    identity = f"distid:{DISTINGUISHING_ID.decode()}"
    for name in [name for name in sm.BACKEND_NAMES if sm.load_backend(name).can_sign]:
        signer = sm.SigningKey.from_scalar(key.reveal_scalar(), sm.load_backend(name))
        signature_file.write_bytes(der_signature(signer.sign(message)))
        openssl("dgst", "-sm3", "-verify", public_file, "-sigopt", identity, "-signature", signature_file, message_file)
    signature = curve.decode_der_signature(
        openssl("dgst", "-sm3", "-sign", key_file, "-sigopt", identity, message_file)
    )
    for name in sm.BACKEND_NAMES:
        assert sm.load_backend(name).is_valid_signature(key.public_key, message, signature)


def test_trap_01_openssl_without_an_id_signs_under_the_empty_one(key: sm.SigningKey, key_file: Path) -> None:
    message_file = key_file.with_suffix(".msg")
    message_file.write_bytes(b"m")
    signature = curve.decode_der_signature(openssl("dgst", "-sm3", "-sign", key_file, message_file))
    for name in sm.BACKEND_NAMES:
        verify = sm.load_backend(name).is_valid_signature
        assert not verify(key.public_key, b"m", signature)
        assert verify(key.public_key, b"m", signature, b"")


def test_trap_15_we_read_what_openssl_stores(key: sm.SigningKey, key_file: Path) -> None:
    for extra in ([], ["-v2prf", "hmacWithSHA256", "-iter", "3000"]):
        stored = openssl(
            "pkcs8", "-topk8", "-in", key_file, "-v2", "sm4-cbc", *extra, "-passout", f"pass:{PASSWORD.decode()}"
        )
        assert decode_private_key(stored, PASSWORD).public_key == key.public_key


def test_a_keystore_with_another_cipher_says_which_one_is_expected(key_file: Path) -> None:
    stored = openssl("pkcs8", "-topk8", "-in", key_file, "-v2", "aes-256-cbc", "-passout", f"pass:{PASSWORD.decode()}")
    with pytest.raises(keystore.KeystoreError, match="SM4-CBC"):
        decode_private_key(stored, PASSWORD)


def test_openssl_gives_the_same_sm3_digests() -> None:
    for message in MESSAGES:
        assert openssl("dgst", "-sm3", "-binary", stdin=message) == sm3(message)
