"""Certificates of TLS connections: an authority of P-256 keys, and what it issues for nodes and gateways (RFC 5280).

Apart from the certificates of SM2 keys (``gridcore.x509``), which stand on the ledger: these only say who is at the other end.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridcore.errors import UsageError
from gridcore.files import read_bounded, save_new

AUTHORITY_DAYS: Final = 3_650
DAYS: Final = 1_095
"""How long a node's or a gateway's certificate holds."""
FILE_BYTES_MAX: Final = 16_384
_EARLIER_S: Final = 3_600
"""A certificate holds from a little before it was made: clocks differ."""


class Authority(NamedTuple):
    """Who issues: its certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_authority(name: str, now_s: int, folder: Path) -> Authority:
    """A new authority, as ``authority.crt`` and ``authority.key`` (mode 0600) in ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, key.public_key(), now_s, AUTHORITY_DAYS)
    builder = builder.issuer_name(_name(name)).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    certificate = builder.add_extension(_usage(is_authority=True), critical=True).sign(key, SHA256())
    _save(folder, "authority", certificate, key)
    return Authority(certificate, key)


def load_authority(folder: Path) -> Authority:
    """The authority that ``make_authority`` left in ``folder``. UsageError when there is none."""
    certificate, key = (
        read_bounded(folder / f"authority.{end}", FILE_BYTES_MAX, "name the folder") for end in ("crt", "key")
    )
    try:
        found = load_pem_private_key(key, None)
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise UsageError(f"{folder / 'authority.key'}: is no key of an elliptic curve")
        return Authority(x509.load_pem_x509_certificate(certificate), found)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{folder}: authority.crt and authority.key are no certificate and key ({error})") from None


def issue(authority: Authority, name: str, hosts: Sequence[str], now_s: int, folder: Path, days: int = DAYS) -> None:
    """A certificate and its new key, as ``<name>.crt`` and ``<name>.key`` in ``folder``.

    ``hosts``: names and addresses of a server; none for a client, whose common name is whom it may speak for.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    kind = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = _builder(name, key.public_key(), now_s, days).issuer_name(authority.certificate.subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(is_authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([kind]), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    _save(folder, name, builder.sign(authority.key, SHA256()), key)


def _builder(name: str, public_key: ec.EllipticCurvePublicKey, now_s: int, days: int) -> x509.CertificateBuilder:
    begins = datetime.fromtimestamp(now_s - _EARLIER_S, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _save(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    save_new(folder / f"{name}.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    save_new(folder / f"{name}.crt", certificate.public_bytes(Encoding.PEM))
