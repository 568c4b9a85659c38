"""``gridledger sealed``: seal a file for named recipients, and open one; keys and contents stay on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from gridcore.errors import EncodingError, UsageError
from gridcore.files import read_bounded, save_new
from gridledger.commands import add_actions, print_result

EXAMPLE = "gridledger sealed seal incident.pdf --context village-0123456789abcdef --for 04… --out incident.sealed"
FILE_BYTES_MAX: Final = 1 << 24
SEALED_BYTES_MAX: Final = FILE_BYTES_MAX + (1 << 16)
"""What stands around the contents: a key for each of 64 recipients."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``seal``, ``open`` and ``show``."""
    actions = add_actions(parser)
    seal = actions.add_parser("seal", help="so that only the named recipients can read it, and nobody can change it")
    seal.add_argument("file", type=Path, metavar="FILE", help="at most 16 MiB")
    seal.add_argument(
        "--for",
        dest="recipients",
        action="append",
        required=True,
        metavar="HEX",
        help="a recipient's public key, 130 hex digits; once for each recipient",
    )
    _add_common(seal)
    opened = actions.add_parser("open", help="read what was sealed for the holder of a key")
    opened.add_argument("file", type=Path, metavar="FILE", help="made by seal")
    opened.add_argument("--key", required=True, metavar="URI", help="the recipient's key, file:KEYSTORE")
    opened.add_argument("--password", required=True, metavar="URI", help="of the key: file:PATH or env:NAME")
    _add_common(opened)
    show = actions.add_parser("show", help="say for which keys a file is sealed")
    show.add_argument("file", type=Path, metavar="FILE", help="made by seal")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--context", required=True, metavar="TEXT", help="where it belongs, such as the chain id; opens there alone"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file, readable by its owner")


def run(args: argparse.Namespace) -> int:
    """Do what was asked; 1 for sealed bytes that this key cannot open."""
    actions = {"seal": _seal, "open": _open, "show": _show}
    return actions[args.action](args)


def _seal(args: argparse.Namespace) -> int:
    from gridcore.sealed import seal

    contents = read_bounded(args.file, FILE_BYTES_MAX, "name the file to seal")
    try:
        recipients = [bytes.fromhex(text) for text in args.recipients]
    except ValueError:
        raise UsageError("--for is a public key, 130 hex digits that begin with 04") from None
    try:
        sealed = seal(contents, recipients, args.context)
    except EncodingError as error:
        raise UsageError(f"{args.file}: cannot be sealed: {error}") from None
    save_new(args.out, sealed)
    count = len(set(recipients))
    result = {"file": str(args.out), "recipients": count, "bytes": len(sealed)}
    print_result(args, result, f"{args.out}: {len(contents)} bytes, sealed for {count} recipients")
    return 0


def _open(args: argparse.Namespace) -> int:
    from gridcore.sealed import open_sealed
    from gridcore.signers import open_signer
    from gridcore.sm import SigningKey

    data = _read_sealed(args.file)
    key = open_signer(args.key, args.password, origin="--key")
    if not isinstance(key, SigningKey):
        raise UsageError(f"--key {args.key}: keys of files alone decrypt in this release; use file:KEYSTORE")
    try:
        contents = open_sealed(data, key, args.context)
    except EncodingError as error:
        raise _no_sealed_file(args.file, error) from None
    save_new(args.out, contents)
    print_result(args, {"file": str(args.out), "bytes": len(contents)}, f"{args.out}: {len(contents)} bytes")
    return 0


def _show(args: argparse.Namespace) -> int:
    from gridcore.sealed import recipients_of

    try:
        recipients = [digest.hex() for digest in recipients_of(_read_sealed(args.file))]
    except EncodingError as error:
        raise _no_sealed_file(args.file, error) from None
    lines = [f"{args.file}: sealed for {len(recipients)} keys, by their fingerprints (SM3)", *recipients]
    print_result(args, {"file": str(args.file), "recipients": recipients}, "\n".join(lines))
    return 0


def _read_sealed(path: Path) -> bytes:
    return read_bounded(path, SEALED_BYTES_MAX, "name a sealed file")


def _no_sealed_file(path: Path, error: EncodingError) -> UsageError:
    return UsageError(f"{path}: not a sealed file: {error}")
