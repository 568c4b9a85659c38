"""``gridledger certificate``: an organisation's certificate authority, and the X.509 certificates of its signers' SM2 keys."""

from __future__ import annotations

import argparse
import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridcore.errors import EncodingError, UsageError
from gridcore.files import read_bounded, save_new
from gridledger.commands import add_actions, print_result, whole_number

if TYPE_CHECKING:
    from gridcore.x509 import Certificate, Subject

EXAMPLE = "gridledger certificate authority --name 'Grid Company CA' --days 3650 --out authority"
DAYS_MAX: Final = 36_500
SERIAL_BYTES: Final = 16
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_KEY, _PASSWORD, _CERTIFICATE = "authority.pem", "authority.password", "authority.crt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``authority``, ``issue`` and ``show``."""
    actions = add_actions(parser)
    authority = actions.add_parser("authority", help="make an authority: its key, the key's password, its certificate")
    authority.add_argument("--name", required=True, metavar="TEXT", help="what it is called, such as 'Grid Company CA'")
    _add_days(authority)
    authority.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or an empty folder")
    issue = actions.add_parser("issue", help="issue the certificate of a signer's key")
    issue.add_argument("--authority", type=Path, required=True, metavar="DIR", help="the folder that authority made")
    issue.add_argument("--signer", required=True, metavar="ID", help="the signer's id on the ledger")
    issue.add_argument("--public-key", required=True, metavar="HEX", help="its public key, 130 hex digits")
    _add_days(issue)
    issue.add_argument("--out", type=Path, required=True, metavar="FILE", help="the certificate, PEM; a new file")
    connection = actions.add_parser(
        "connection", help="issue a TLS certificate and key for a gateway's or a node's connection"
    )
    connection.add_argument(
        "--authority", type=Path, required=True, metavar="DIR", help="the folder tls of genesis new"
    )
    connection.add_argument("--name", required=True, metavar="ID", help="the gateway's id, or what a node is called")
    connection.add_argument(
        "--host", action="append", default=[], metavar="HOST", help="of a node: its name or address"
    )
    connection.add_argument("--out", type=Path, required=True, metavar="DIR", help="where NAME.crt and NAME.key go")
    show = actions.add_parser("show", help="say what a certificate says")
    show.add_argument("file", type=Path, metavar="FILE", help="a certificate, PEM or DER")


def _add_days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=whole_number(1, DAYS_MAX), required=True, metavar="N", help="how long it holds, from now on"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    actions = {"authority": _make_authority, "issue": _issue, "connection": _connect, "show": _show}
    return actions[args.action](args)


def _make_authority(args: argparse.Namespace) -> int:
    from gridcore.sm import SigningKey
    from gridcore.x509 import decode_certificate, issue
    from gridledger.founding.folder import save_key_and_password, take_folder

    key = SigningKey.generate()
    subject = _subject(args.name, "--name", key.public_key, args.days, is_authority=True)
    folder = take_folder(args.out, "--out")
    data = issue(_serial(), b"", subject, key.sign)
    save_key_and_password(folder, Path(_KEY).stem, key)
    save_new(folder / _CERTIFICATE, _encode_pem(data))
    return _tell(
        args, decode_certificate(data), data, f"{folder}: key, password and certificate; keep it off the nodes"
    )


def issued(authority: Path, signer: str, public_key: bytes, days: int) -> bytes:
    """The certificate (DER) of a signer's key by the authority in a folder. UsageError: none there, or it does not hold so long."""
    from gridcore.clock import WallClock
    from gridcore.signers import open_signer
    from gridcore.x509 import issue

    issuer, _ = _read(authority / _CERTIFICATE)
    if not issuer.is_authority or not issuer.holds_at(WallClock().now_s()):
        raise UsageError(f"{authority / _CERTIFICATE}: is no authority's, or does not hold today; make a new authority")
    key = open_signer(f"file:{authority / _KEY}", f"file:{authority / _PASSWORD}", origin="--authority")
    if key.public_key != issuer.public_key:
        raise UsageError(f"{authority / _KEY}: is not the key of {_CERTIFICATE} beside it")
    subject = _subject(signer, "--signer", public_key, days)
    if subject.not_after_s > issuer.not_after_s:
        left_days = (issuer.not_after_s - subject.not_before_s) // 86_400
        raise UsageError(f"--days {days}: the authority's own certificate holds for {left_days} days more")
    return issue(_serial(), issuer.subject, subject, key.sign)


def _issue(args: argparse.Namespace) -> int:
    from gridcore.x509 import decode_certificate

    data = issued(args.authority, args.signer, _public_key(args.public_key), args.days)
    save_new(args.out, _encode_pem(data))
    return _tell(
        args, decode_certificate(data), data, f"{args.out}: issued; registry rows take it as hex digits (--json)"
    )


def _connect(args: argparse.Namespace) -> int:
    from gridcore.clock import WallClock
    from gridcore.envelope import NAME
    from gridcore.tls_certificates import DAYS, issue, load_authority

    if not NAME.fullmatch(args.name):
        raise UsageError("--name is an id: 1 to 64 of A-Z a-z 0-9 . _ -")
    issue(load_authority(args.authority), args.name, args.host, WallClock().now_s(), args.out)
    result = {
        "certificate": str(args.out / f"{args.name}.crt"),
        "key": str(args.out / f"{args.name}.key"),
        "days": DAYS,
    }
    print_result(args, result, f"{result['certificate']} and {result['key']}: hold for {DAYS} days")
    return 0


def _show(args: argparse.Namespace) -> int:
    certificate, data = _read(args.file)
    return _tell(args, certificate, data, f"{args.file}: read; the issuer's signature was not checked")


def _tell(args: argparse.Namespace, certificate: Certificate, data: bytes, head: str) -> int:
    kind = "authority" if certificate.is_authority else "signer"
    result = {
        "common_name": certificate.common_name,
        "kind": kind,
        "public_key": certificate.public_key.hex(),
        "serial": f"{certificate.serial:x}",
        "not_before_s": certificate.not_before_s,
        "not_after_s": certificate.not_after_s,
        "certificate": data.hex(),
    }
    ends = f"{datetime.fromtimestamp(certificate.not_after_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    print_result(args, result, f"{head}\n{kind} {certificate.common_name}, until {ends}, serial {certificate.serial:x}")
    return 0


def _subject(name: str, argument: str, public_key: bytes, days: int, *, is_authority: bool = False) -> Subject:
    from gridcore.clock import WallClock
    from gridcore.x509 import COMMON_NAME_CHARACTERS_MAX, Subject

    if not 1 <= len(name) <= COMMON_NAME_CHARACTERS_MAX or not name.isprintable():
        raise UsageError(f"{argument} is a printable text of 1 to {COMMON_NAME_CHARACTERS_MAX} characters")
    now_s = WallClock().now_s()
    return Subject(name, public_key, now_s, now_s + days * 86_400, is_authority)


def _public_key(text: str) -> bytes:
    from gridcore.public_key import point_of

    try:
        public_key = bytes.fromhex(text)
    except ValueError:
        public_key = b""
    if point_of(public_key) is None:
        raise UsageError("--public-key is 130 hex digits that begin with 04, a point of the SM2 curve")
    return public_key


def _serial() -> int:
    """A serial number that nobody can guess and no other certificate has."""
    return 1 + int.from_bytes(secrets.token_bytes(SERIAL_BYTES), "big")


def _read(path: Path) -> tuple[Certificate, bytes]:
    from gridcore.x509 import CERTIFICATE_BYTES_MAX, decode_certificate

    data = read_bounded(path, 2 * CERTIFICATE_BYTES_MAX, "name a certificate, PEM or DER")
    text = data.decode("ascii", "replace").strip()
    try:
        if text.startswith(_BEGIN) and text.endswith(_END):
            data = base64.b64decode("".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)
        return decode_certificate(data), data
    except (EncodingError, ValueError) as error:
        raise UsageError(f"{path}: not a certificate of an SM2 key: {error}") from None


def _encode_pem(data: bytes) -> bytes:
    text = base64.b64encode(data).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([_BEGIN, *lines, _END, ""]).encode()
