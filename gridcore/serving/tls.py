"""Files that TLS rests on: what a server proves itself by, and whom a client believes."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridcore.errors import UsageError


@dataclass(frozen=True)
class TlsFiles:
    """What a server or a client proves itself by: ``certificate``, PEM, with its chain; ``key``: its private key, PEM, without a
    password. ``client_authority``: certificates (PEM) of whoever signs clients' certificates; with it a server speaks TLS 1.3 alone,
    and to nobody without a certificate.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None


REFUSALS: Final[Sequence[tuple[str, str]]] = (
    ("alert unknown ca", "it does not know who signed our certificate: node_certificate is by another authority"),
    ("alert certificate expired", "our certificate has expired: have a new one issued for node_certificate"),
    ("alert certificate required", "it wants a certificate: give node_certificate and node_certificate_key"),
    ("alert bad certificate", "it refuses our certificate: check node_certificate"),
    ("certificate has expired", "its certificate has expired, or this machine's clock is wrong"),
    ("certificate is not yet valid", "its certificate is not valid yet, or this machine's clock is wrong"),
    ("hostname mismatch", "its certificate is of another host"),
    ("ip address mismatch", "its certificate is of another host"),
    ("certificate verify failed", "its certificate is by none of node_authority"),
)
"""What a failed handshake says (OpenSSL's words, lower case), and what that means to whom it happens: the first that fits."""


def check_tls(files: TlsFiles) -> None:
    """UsageError unless the files are a certificate and its key, and certificates of authorities."""
    server_context(files)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """What a server speaks TLS by. UsageError as ``check_tls``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_own(context, files)
    if files.client_authority is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authority(context, files.client_authority, "client_authority")
    return context


def trusting(authority: Path | None, own: TlsFiles | None = None) -> ssl.SSLContext:
    """What a client compares a server's certificate with: a file of certificates (PEM), None for those of this machine; and
    what it proves itself by, where it has to, by TLS 1.3 alone.

    UsageError when the files are none.
    """
    context = ssl.create_default_context()
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load_authority(context, authority, "node_authority")
    if own is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        _load_own(context, own)
    return context


def refusal_words(error: BaseException) -> str:
    """What a failed handshake means, in words, wherever it stands among an error's causes; "" for what is none."""
    reasons = ""
    cause: BaseException | None = error
    while cause is not None:
        reasons += f" {cause}"
        cause = cause.__cause__ or cause.__context__
    plain = reasons.lower().replace("_", " ")
    return next((words for sign, words in REFUSALS if sign in plain), "")


def client_name(certificate: Mapping[str, Any] | None) -> str:
    """The common name of the certificate that a client proved itself by (``SSLObject.getpeercert``); "" where it showed none.

    Of a certificate without a name, or with several, it is none that a signer could have: such a client speaks for nobody.
    """
    if not certificate:
        return ""
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return " and ".join(names) or "nobody in particular"


def _load_own(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        context.load_cert_chain(files.certificate, files.key, password=_refuse_password)
    except (OSError, ValueError) as error:
        raise UsageError(f"{files.certificate}, {files.key}: no certificate with its key, in PEM ({error})") from None


def _load_authority(context: ssl.SSLContext, authority: Path, key: str) -> None:
    try:
        context.load_verify_locations(authority)
    except OSError as error:  # also what is no PEM
        raise UsageError(f"{authority}: no file of certificates in PEM ({error}); check {key}") from None


def _refuse_password() -> str:
    raise ValueError("the key has a password")
