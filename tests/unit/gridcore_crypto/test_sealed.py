"""Sealed bytes: recipients read them, nobody else, nowhere else, and no byte of them can be changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.sealed import RECIPIENTS_MAX, SealedError, open_sealed, recipients_of, seal
from gridcore.sm import SigningKey
from gridcore.sm.keystore import encode_private_key
from gridcore.sm.registry import encrypting_backend
from gridcore.sm3 import sm3

GRID, RETAILER, STRANGER = (SigningKey.from_scalar(bytes(31) + bytes([number])) for number in (3, 5, 7))
CONTEXT = "village-0123456789abcdef"
SEALED = seal(b"the incident of 3 July", [GRID.public_key, RETAILER.public_key], CONTEXT)


@given(st.binary(max_size=300))
def test_every_recipient_opens_what_was_sealed(plaintext: bytes) -> None:
    sealed = seal(plaintext, [RETAILER.public_key, GRID.public_key, GRID.public_key], CONTEXT)
    assert open_sealed(sealed, GRID, CONTEXT) == open_sealed(sealed, RETAILER, CONTEXT) == plaintext
    assert recipients_of(sealed) == sorted([sm3(GRID.public_key), sm3(RETAILER.public_key)])
    assert len(plaintext) < 16 or plaintext not in sealed


def test_a_stranger_and_another_place_are_refused() -> None:
    with pytest.raises(SealedError, match="sealed for 2 recipients, this key is none of them"):
        open_sealed(SEALED, STRANGER, CONTEXT)
    with pytest.raises(SealedError, match="not for 'another'"):
        open_sealed(SEALED, GRID, "another")


def test_the_same_words_sealed_twice_look_different() -> None:
    assert seal(b"a", [GRID.public_key], CONTEXT) != seal(b"a", [GRID.public_key], CONTEXT)


def opens(data: bytes) -> bool:
    try:
        open_sealed(data, GRID, CONTEXT)
    except (EncodingError, SealedError):
        return False
    return True


@given(st.data())
def test_sealed_bytes_with_any_byte_changed_are_refused(data: st.DataObject) -> None:
    at, by = data.draw(st.integers(0, len(SEALED) - 1)), data.draw(st.integers(1, 255))
    assert not opens(bytes([*SEALED[:at], SEALED[at] ^ by, *SEALED[at + 1 :]]))


def test_a_recipient_who_is_left_out_afterwards_is_noticed_by_the_others() -> None:
    kind, context, wrapped, nonce, ciphertext = cbor.decode(SEALED)
    fewer = [pair for pair in wrapped if pair[0] == sm3(GRID.public_key)]
    with pytest.raises(SealedError, match="its tag does not match"):
        open_sealed(cbor.encode([kind, context, fewer, nonce, ciphertext]), GRID, CONTEXT)


BAD_FORMS: dict[str, list[Any]] = {
    "nothing": [],
    "too short": ["sealed/1"],
    "another version": ["sealed/2", CONTEXT, [[bytes(32), b""]], bytes(12), bytes(16)],
    "no recipient": ["sealed/1", CONTEXT, [], bytes(12), bytes(16)],
    "a key that is a number": ["sealed/1", CONTEXT, [[bytes(32), 1]], bytes(12), bytes(16)],
    "a context that is a number": ["sealed/1", 1, [[bytes(32), b""]], bytes(12), b""],
    "a short recipient": ["sealed/1", CONTEXT, [[bytes(31), b""]], bytes(12), b""],
    "recipients twice": ["sealed/1", CONTEXT, [[bytes(32), b""], [bytes(32), b""]], bytes(12), b""],
    "a short nonce": ["sealed/1", CONTEXT, [[bytes(32), b""]], b"", b""],
}


@pytest.mark.parametrize("value", BAD_FORMS.values(), ids=BAD_FORMS.keys())
def test_bytes_of_another_form_are_refused(value: list[Any]) -> None:
    with pytest.raises(EncodingError):
        open_sealed(cbor.encode(value), GRID, CONTEXT)


def test_what_cannot_be_sealed_is_refused() -> None:
    with pytest.raises(EncodingError, match="1 to 64 recipients, not 0"):
        seal(b"", [], CONTEXT)
    with pytest.raises(EncodingError, match="a point of the curve"):
        seal(b"", [bytes(65)], CONTEXT)
    with pytest.raises(EncodingError, match="1 to 200 characters, not 0"):
        seal(b"", [GRID.public_key], "")


def test_as_many_recipients_as_the_limit_and_no_more() -> None:
    keys = [SigningKey.from_scalar(number.to_bytes(32, "big")) for number in range(1, RECIPIENTS_MAX + 2)]
    sealed = seal(b"x", [key.public_key for key in keys[:RECIPIENTS_MAX]], CONTEXT)
    assert open_sealed(sealed, keys[RECIPIENTS_MAX - 1], CONTEXT) == b"x"
    with pytest.raises(EncodingError, match="not 65"):
        seal(b"x", [key.public_key for key in keys], CONTEXT)


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl on PATH: apt-get install openssl")
def test_openssl_decrypts_what_was_encrypted_for_a_key(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(encode_private_key(GRID, b"word", iterations=1_024, openssl_compatible=True))
    (tmp_path / "text").write_bytes(encrypting_backend().encrypt(GRID.public_key, b"sixteen bytes ok"))
    words = ["openssl", "pkeyutl", "-decrypt", "-inkey", "key.pem", "-passin", "pass:word", "-in", "text"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == b"sixteen bytes ok"
