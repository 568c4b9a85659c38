"""Whose hand signs: a table of signers by the scheme of the key's URI, and the test that each passes before its first use.

    file:PATH            encrypted PKCS#8 (SM4) with a software key (gridcore.sm.keystore); needs a password
    tpm2:HANDLE          an SM2 key inside a TPM 2.0, tpm2-sealed:PATH a software key that a TPM keeps (gridcore.signers.tpm)
    sdf:LIBRARY?key=1    a key in a device by its vendor's library of GM/T 0018 (gridcore.signers.sdf)
    pkcs11:              vendors' mechanisms for SM2 have no common number yet

Passwords and PINs come from a reference to a secret, never from a configuration file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from gridcore.errors import UsageError, excerpt
from gridcore.files import read_bounded, save_new
from gridcore.secrets import read_secret
from gridcore.signers.sdf import open_sdf_key
from gridcore.signers.tpm import make_sealed_key, make_tpm_key, open_sealed_key, open_tpm_key
from gridcore.sm import Signer, SignerError, SigningKey, is_valid_signature
from gridcore.sm.keystore import KEYSTORE_BYTES_MAX, KeystoreError, decode_private_key, encode_private_key

SCHEMES = ("file", "tpm2", "tpm2-sealed", "sdf")
"""What is built and offered; ``pkcs11:`` is known by name alone, so that whoever writes it is told that it is not."""
T = TypeVar("T")
_SELF_TEST = b"gridledger signer self-test"


def open_signer(uri: str, password_uri: str | None = None, *, origin: str = "key") -> Signer:
    """Return the signer behind a key URI, tested. ``password_uri``: reference to a secret (``file:`` or ``env:``).

    ``origin``: the argument or configuration key that gave the URI, named in errors: "--key", "key.uri".
    Raises UsageError in one line: unknown or unbuilt scheme, unreadable file, wrong password or PIN, a module that does not
    answer, a signer that fails its test.
    """
    scheme, _, rest = uri.partition(":")
    opener = _OPENERS.get(scheme)
    if opener is None or not rest:
        raise UsageError(f"{origin} {uri!r}: start it with one of {', '.join(f'{name}:' for name in SCHEMES)}")
    try:
        signer = opener(uri, password_uri, origin)
        check_signer(signer, uri)
    except SignerError as error:
        raise UsageError(f"{origin} {excerpt(uri)}: {error}") from None
    return signer


def make_key(uri: str, password_uri: str | None = None, *, origin: str = "--key") -> bytes:
    """Make the key that ``uri`` names, which is not there yet; its public key (65 bytes). UsageError as ``open_signer``."""
    maker = _MAKERS.get(uri.partition(":")[0])
    if maker is None:
        made = ", ".join(f"{name}:" for name in _MAKERS)
        raise UsageError(f"{origin} {excerpt(uri)}: keys are made here for {made}; others by their module's own tools")
    try:
        return maker(uri, password_uri, origin)
    except SignerError as error:
        raise UsageError(f"{origin} {excerpt(uri)}: {error}") from None


def check_signer(signer: Signer, uri: str) -> None:
    """Sign twice and verify: a signer that repeats its random number gives its key away. UsageError when it fails."""
    first, second = signer.sign(_SELF_TEST), signer.sign(_SELF_TEST)
    if not all(is_valid_signature(signer.public_key, _SELF_TEST, signature) for signature in (first, second)):
        raise UsageError(f"{uri}: its signatures do not verify with its own public key; do not use this signer")
    if first[:32] == second[:32]:
        raise UsageError(f"{uri}: signs twice with the same random number, which gives the key away; do not use it")


def save_key(path: Path, key: SigningKey, password: bytes) -> None:
    """Write ``key``, encrypted under ``password``, as a new file of mode 0600, durably. UsageError when that cannot be."""
    save_new(path, encode_private_key(key, password))


def _open_file(uri: str, password_uri: str | None, origin: str) -> Signer:
    path = Path(uri.removeprefix("file:"))
    if password_uri is None:
        raise UsageError(
            f"{origin} {uri!r}: an encrypted key file needs a password; give a reference such as 'file:PATH'"
        )
    pem = read_bounded(path, KEYSTORE_BYTES_MAX, f"check {origin} and the file's owner")
    try:
        return decode_private_key(pem, read_secret(password_uri))
    except KeystoreError as error:
        raise UsageError(f"{path}: {error}; check {origin} and its password") from None


def _make_file(uri: str, password_uri: str | None, origin: str) -> bytes:
    if password_uri is None:
        raise UsageError(
            f"{origin} {uri!r}: an encrypted key file needs a password; give a reference such as 'file:PATH'"
        )
    key = SigningKey.generate()
    save_key(Path(uri.removeprefix("file:")), key, read_secret(password_uri))
    return key.public_key


def _with_pin(work: Callable[[str, bytes, str], T]) -> Callable[[str, str | None, str], T]:
    """A table's entry of a module that takes a PIN, or none."""
    return lambda uri, pin_uri, origin: work(uri, b"" if pin_uri is None else read_secret(pin_uri), origin)


def _not_built(uri: str, _password_uri: str | None, origin: str) -> Signer:
    scheme = uri.partition(":")[0]
    raise UsageError(f"{origin} {uri!r}: signers of scheme {scheme!r} are not built into this release; use file:PATH")


_OPENERS: Mapping[str, Callable[[str, str | None, str], Signer]] = {
    "file": _open_file,
    "tpm2": _with_pin(open_tpm_key),
    "tpm2-sealed": _with_pin(open_sealed_key),
    "pkcs11": _not_built,
    "sdf": _with_pin(open_sdf_key),
}
_MAKERS: Mapping[str, Callable[[str, str | None, str], bytes]] = {
    "file": _make_file,
    "tpm2": _with_pin(make_tpm_key),
    "tpm2-sealed": _with_pin(make_sealed_key),
}
