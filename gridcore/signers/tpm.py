"""Keys in a TPM 2.0.

    tpm2:0x81000010                  an SM2 key that was made in the TPM and lasts under this handle
    tpm2-sealed:PATH                 a software key that only this TPM gives back (for the many TPMs without SM2)
    ...?tpm=/dev/tpmrm0              the TPM's device, or a simulator's socket

A PIN is the authorisation value of the key. The TPM has no SM3: e = SM3(ZA||M) is made here, and the TPM signs these 32 bytes
under a scheme that calls them SHA-256.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.files import read_bounded, save_new
from gridcore.signers.key_uri import KeyUri, parse_key_uri
from gridcore.sm import SignerError, SigningKey, curve
from gridcore.tpm import commands
from gridcore.tpm.commands import OWNER, Wrapped
from gridcore.tpm.objects import (
    ALG_ECC,
    ALG_NULL,
    ALG_SM2,
    CURVE_SM2,
    RESTRICTED,
    SIGN,
    PublicArea,
    sealed_template,
    sm2_template,
    storage_template,
)
from gridcore.tpm.wire import DEVICE_DEFAULT, Tpm

HANDLE_MIN, HANDLE_MAX = 0x81000000, 0x817FFFFF
"""Persistent handles of the owner (TCG registry of reserved handles)."""
SEALED_BYTES_MAX: Final = 4096
SEALED_TYPE: Final = "gridledger-sealed-key/1"
_NO_KEY_THAT_SIGNS: Final = "the object under this handle is none that signs digests by SM2; give another handle"
_NO_SM2: Final = "this TPM has no SM2; use tpm2-sealed:PATH, a software key that the TPM keeps"


class TpmSigner:
    """Signs with an SM2 key that never leaves its TPM. Callable from several threads."""

    def __init__(self, place: Path, handle: int, public_key: bytes, pin: bytes) -> None:
        self.public_key = public_key
        self._place, self._handle, self._pin = place, handle, pin

    def sign(self, message: bytes) -> bytes:
        """See ``Signer``."""
        e = curve.message_digest(self.public_key, message)
        with Tpm(self._place) as tpm:
            r, s = commands.sign_digest(tpm, self._handle, e, self._pin)
        if max(len(r), len(s)) > curve.SCALAR_BYTES:
            raise SignerError(f"{self._place}: the TPM's signature is longer than SM2's")
        return r.rjust(curve.SCALAR_BYTES, b"\0") + s.rjust(curve.SCALAR_BYTES, b"\0")


def open_tpm_key(uri: str, pin: bytes, origin: str) -> TpmSigner:
    """The signer of a ``tpm2:`` URI. UsageError: no SM2, no such handle, a key of another kind."""
    parsed, handle = _handle_of(uri, origin)
    place = place_of(parsed)
    with Tpm(place) as tpm:
        if not commands.has_sm2(tpm):
            raise parsed.fault(_NO_SM2)
        try:
            found = commands.read_public(tpm, handle)
        except SignerError:
            raise parsed.fault("there is no key under this handle; make one: gridledger edge keygen --key") from None
        except EncodingError:
            raise parsed.fault(_NO_KEY_THAT_SIGNS) from None
    if not signs_by_sm2(found):
        raise parsed.fault(_NO_KEY_THAT_SIGNS)
    return TpmSigner(place, handle, found.public_key, pin)


def signs_by_sm2(found: PublicArea) -> bool:
    """Whether an object signs digests that are made outside, by SM2: ECDSA on the same curve is something else."""
    is_sm2 = (found.kind, found.curve) == (ALG_ECC, CURVE_SM2) and found.scheme in (ALG_SM2, ALG_NULL)
    return is_sm2 and bool(found.attributes & SIGN) and not found.attributes & RESTRICTED


def make_tpm_key(uri: str, pin: bytes, origin: str) -> bytes:
    """Make a key inside the TPM and keep it under the URI's handle; its public key. UsageError: no SM2, handle taken."""
    parsed, handle = _handle_of(uri, origin)
    with Tpm(place_of(parsed)) as tpm:
        if not commands.has_sm2(tpm):
            raise parsed.fault(_NO_SM2)
        if commands.is_there(tpm, handle):
            raise parsed.fault("there is an object under this handle already; give another one")
        with commands.primary(tpm, OWNER, storage_template()) as (parent, _):
            wrapped = commands.create(tpm, parent, sm2_template(has_pin=bool(pin)), pin)
            with commands.loaded(tpm, parent, wrapped) as loaded:
                commands.persist(tpm, loaded, handle)
        return commands.read_public(tpm, handle).public_key


def open_sealed_key(uri: str, pin: bytes, origin: str) -> SigningKey:
    """The key of a ``tpm2-sealed:`` URI. UsageError: no such file, sealed by another TPM, wrong PIN."""
    parsed = parse_key_uri(uri, origin, ("tpm",))
    data = read_bounded(Path(parsed.place), SEALED_BYTES_MAX, f"check {origin}")
    try:
        value = cbor.decode(data)
        kind, public_key, *parts = value
        public, private = parts
        if kind != SEALED_TYPE or not all(isinstance(part, bytes) for part in (public_key, public, private)):
            raise EncodingError("another form")
    except (EncodingError, ValueError, TypeError):
        raise parsed.fault("is no key that a TPM has sealed; make one: gridledger edge keygen --key") from None
    try:
        with (
            Tpm(place_of(parsed)) as tpm,
            commands.primary(tpm, OWNER, storage_template()) as (parent, _),
            commands.loaded(tpm, parent, Wrapped(public, private)) as loaded,
        ):
            key = SigningKey.from_scalar(commands.unseal(tpm, loaded, pin))
    except (SignerError, EncodingError) as error:
        raise parsed.fault(str(error)) from None
    if key.public_key != public_key:
        raise parsed.fault("its public key is another one than that of the key in it")
    return key


def make_sealed_key(uri: str, pin: bytes, origin: str) -> bytes:
    """Draw a software key and have the TPM seal it into the URI's file; its public key."""
    parsed = parse_key_uri(uri, origin, ("tpm",))
    key = SigningKey.generate()
    with Tpm(place_of(parsed)) as tpm, commands.primary(tpm, OWNER, storage_template()) as (parent, _):
        template = sealed_template(has_pin=bool(pin))
        wrapped = commands.create(tpm, parent, template, pin, key.reveal_scalar())
    save_new(Path(parsed.place), cbor.encode([SEALED_TYPE, key.public_key, wrapped.public, wrapped.private]))
    return key.public_key


def place_of(uri: KeyUri) -> Path:
    """Device or socket of the TPM that a URI names."""
    return Path(uri.options.get("tpm", DEVICE_DEFAULT))


def handle_and_place(uri: str, origin: str) -> tuple[int, Path]:
    """Persistent handle, and device or socket, of a ``tpm2:`` URI."""
    parsed, handle = _handle_of(uri, origin)
    return handle, place_of(parsed)


def _handle_of(uri: str, origin: str) -> tuple[KeyUri, int]:
    parsed = parse_key_uri(uri, origin, ("tpm",))
    return parsed, parsed.number(parsed.place, HANDLE_MIN, HANDLE_MAX, "persistent handle")
