"""SM4-GCM (GB/T 32907, RFC 8998) through ``cryptography``: the only SM4 mode offered, since it alone notices tampering."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from gridcore.errors import EncodingError, GridError

KEY_BYTES: Final = 16
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class Sm4Error(GridError):
    """A ciphertext whose tag does not match: altered, or another key, nonce or associated data."""


def gcm_encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes = b"") -> bytes:
    """Ciphertext with its 16-byte tag at the end.

    ``key`` has 16 bytes, ``nonce`` 12; a nonce is never used twice with one key, else both plaintexts and the
    authentication key are lost. EncodingError for other lengths.
    """
    _check_lengths(key, nonce)
    encryptor = Cipher(SM4(key), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(associated_data)
    return encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag


def gcm_decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated_data: bytes = b"") -> bytes:
    """The plaintext of what ``gcm_encrypt`` gave. Sm4Error unless the 16-byte tag at its end matches."""
    _check_lengths(key, nonce)
    if len(ciphertext) < TAG_BYTES:
        raise EncodingError(f"an SM4-GCM ciphertext ends with a {TAG_BYTES}-byte tag; this has {len(ciphertext)} bytes")
    body, tag = ciphertext[:-TAG_BYTES], ciphertext[-TAG_BYTES:]
    # The full tag length is asked for, because the library would otherwise take a shortened tag.
    decryptor = Cipher(SM4(key), GCM(nonce, tag, min_tag_length=TAG_BYTES)).decryptor()
    decryptor.authenticate_additional_data(associated_data)
    plaintext = decryptor.update(body)
    try:
        return plaintext + decryptor.finalize()
    except InvalidTag as error:
        raise Sm4Error("SM4-GCM tag mismatch: altered, or another key, nonce or associated data") from error


def _check_lengths(key: bytes, nonce: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise EncodingError(f"an SM4 key has {KEY_BYTES} bytes, not {len(key)}")
    if len(nonce) != NONCE_BYTES:
        raise EncodingError(f"an SM4-GCM nonce has {NONCE_BYTES} bytes here, not {len(nonce)}")
