"""Files that TLS rests on: what a server proves itself by, and whom a client believes."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from gridcore.errors import UsageError


@dataclass(frozen=True)
class TlsFiles:
    """What a server proves itself by: ``certificate``, PEM, with its chain; ``key``: its private key, PEM, without a password."""

    certificate: Path
    key: Path


def check_tls(files: TlsFiles) -> None:
    """UsageError unless the files are a certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_refuse_password)
    except (OSError, ValueError) as error:
        raise UsageError(f"{files.certificate}, {files.key}: no certificate with its key, in PEM ({error})") from None


def _refuse_password() -> str:
    raise ValueError("the key has a password")


def trusting(authority: Path | None) -> ssl.SSLContext:
    """What a client compares a server's certificate with: a file of certificates (PEM), None for those of this machine.

    UsageError when the file is none.
    """
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:  # also what is no PEM
        raise UsageError(f"{authority}: no file of certificates in PEM ({error}); check node_authority") from None
