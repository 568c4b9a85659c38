"""What only named recipients can read: SM4-GCM under a fresh key, which each recipient gets encrypted by SM2 (docs/spec/sealed.md).

Whoever sees the bytes sees how long they are and for which keys; nobody else learns what they say, and nobody can change
them, or pass them off in another place than ``context`` names. It says nothing of who sealed them: what is signed is the
transaction or the file around it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError, GridError
from gridcore.sm.keys import SigningKey
from gridcore.sm.registry import encrypting_backend
from gridcore.sm.sm4 import KEY_BYTES, NONCE_BYTES, Sm4Error, gcm_decrypt, gcm_encrypt
from gridcore.sm3 import DIGEST_BYTES, sm3

TYPE: Final = "sealed/1"
RECIPIENTS_MAX: Final = 64
CONTEXT_CHARACTERS_MAX: Final = 200
_ITEMS_MAX: Final = 8 + 3 * RECIPIENTS_MAX


class SealedError(GridError):
    """These bytes are not for this key, or were altered, or come from another place."""


class _Wrapped(NamedTuple):
    """recipient: SM3 of a public key; key: the SM4 key, encrypted for it."""

    recipient: bytes
    key: bytes


def seal(plaintext: bytes, recipients: Sequence[bytes], context: str) -> bytes:
    """Canonical bytes that the holders of ``recipients`` (public keys, 65 bytes, 1 to 64) can open under the same context.

    context: 1 to 200 characters that say where they belong, such as the chain id. EncodingError for other arguments.
    """
    if not 1 <= len(context) <= CONTEXT_CHARACTERS_MAX:
        raise EncodingError(f"a context has 1 to {CONTEXT_CHARACTERS_MAX} characters, not {len(context)}")
    keys = sorted(set(recipients))
    if not 1 <= len(keys) <= RECIPIENTS_MAX:
        raise EncodingError(f"sealed for 1 to {RECIPIENTS_MAX} recipients, not {len(keys)}")
    key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
    backend = encrypting_backend()
    wrapped = sorted([sm3(public_key), backend.encrypt(public_key, key)] for public_key in keys)
    head = cbor.encode([TYPE, context, wrapped, nonce])
    return cbor.encode([TYPE, context, wrapped, nonce, gcm_encrypt(key, nonce, plaintext, head)])


def open_sealed(data: bytes, key: SigningKey, context: str) -> bytes:
    """What was sealed for ``key``. EncodingError for bytes of another form, SealedError for what cannot be opened."""
    place, wrapped, nonce, ciphertext = _decode(data)
    if place != context:
        raise SealedError(f"sealed for {place!r}, not for {context!r}")
    own = next((one for one in wrapped if one.recipient == sm3(key.public_key)), None)
    if own is None:
        raise SealedError(f"sealed for {len(wrapped)} recipients, this key is none of them")
    content_key = key.decrypt(own.key)
    if content_key is None or len(content_key) != KEY_BYTES:
        raise SealedError("altered: the part for this key cannot be opened")
    head = cbor.encode([TYPE, place, [list(one) for one in wrapped], nonce])
    try:
        return gcm_decrypt(content_key, nonce, ciphertext, head)
    except Sm4Error:
        raise SealedError("altered: its tag does not match") from None


def recipients_of(data: bytes) -> list[bytes]:
    """SM3 of the public keys that can open these bytes, ascending. EncodingError for bytes of another form."""
    return [one.recipient for one in _decode(data)[1]]


def _decode(data: bytes) -> tuple[str, list[_Wrapped], bytes, bytes]:
    value = cbor.decode(data, items_max=_ITEMS_MAX)
    if not isinstance(value, list) or len(value) != 5 or value[0] != TYPE:
        raise EncodingError(f"sealed bytes are an array of five items that begins with {TYPE!r}")
    _, context, wrapped, nonce, ciphertext = value
    is_formed = isinstance(context, str) and isinstance(nonce, bytes) and len(nonce) == NONCE_BYTES
    if not is_formed or not isinstance(ciphertext, bytes) or not _are_wrapped(wrapped):
        raise EncodingError(
            "sealed bytes hold context, [recipient, key] pairs, nonce and ciphertext (docs/spec/sealed.md)"
        )
    return context, [_Wrapped(*pair) for pair in wrapped], nonce, ciphertext


def _are_wrapped(value: Any) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= RECIPIENTS_MAX:
        return False
    pairs = all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, bytes) for x in pair) for pair in value)
    recipients = [pair[0] for pair in value] if pairs else []
    return pairs and recipients == sorted(set(recipients)) and all(len(one) == DIGEST_BYTES for one in recipients)
