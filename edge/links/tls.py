"""TLS towards meters and brokers: who may vouch for them, and who we are to them."""

from __future__ import annotations

import ssl
from pathlib import Path

from gridcore.errors import UsageError


def open_tls(where: str, ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """The settings of a client that checks who is there. ``ca``: PEM file of authorities (None: the system's).

    ``certificate`` and ``key``: ours, PEM, the key unencrypted and readable by nobody else. UsageError names ``where``.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"{where}: ca {ca} cannot be used ({error.strerror or error})") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None and key is not None:
        _check_key_file(where, key)
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no certificate, or no key that belongs to it"
            raise UsageError(f"{where}: certificate {certificate} with key {key} cannot be used ({reason})") from None
    return context


def _check_key_file(where: str, key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise UsageError(f"{where}: key {key}: cannot be read ({error.strerror})") from None
    if mode & 0o077:
        raise UsageError(f"{where}: key {key}: others may read it (mode {mode & 0o777:04o}); set 0600")


def _no_password() -> str:
    """Asked for when the key is encrypted: nobody sits at a gateway to type it."""
    return ""
