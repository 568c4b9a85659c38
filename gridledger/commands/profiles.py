"""``gridledger profiles``: list and check profiles of meters, make and check signed bundles of them, make one from a SunSpec device."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcore.errors import UsageError
from gridledger.commands import add_actions, print_result, whole_number

if TYPE_CHECKING:
    from firmware_profiles import Profile
    from firmware_profiles.sunspec import SunSpecDevice

EXAMPLE = "gridledger profiles list"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    listing = actions.add_parser("list", help="the profiles that can be named, and which of them bill")
    _add_own(listing)
    check = actions.add_parser("check", help="load every profile of a folder, its fixtures with it")
    check.add_argument("folder", type=Path, metavar="FOLDER", help="one's own profiles")
    bundle = actions.add_parser("bundle", help="sign the profiles as one file for gateways")
    _add_own(bundle)
    bundle.add_argument("--name", required=True, metavar="NAME", help="what the bundle is called, e.g. 2026-11")
    bundle.add_argument("--out", required=True, type=Path, metavar="FILE", help="where to write it; must not exist")
    bundle.add_argument("--key", required=True, metavar="URI", help="key of who vouches for them, e.g. file:maker.pem")
    bundle.add_argument("--password", metavar="REF", help="its password: file:PATH or env:NAME")
    verify = actions.add_parser("verify", help="check a bundle: signature, digests, every profile in it")
    verify.add_argument("bundle", type=Path, metavar="FILE", help="the bundle")
    verify.add_argument("--signer", required=True, metavar="HEX", help="public key that has to have signed it")
    sunspec = actions.add_parser("sunspec", help="make profiles from what a SunSpec device says of itself")
    sunspec.add_argument("address", metavar="ADDRESS", help="tcp://HOST:PORT of the device")
    sunspec.add_argument(
        "--unit", type=whole_number(0, 255), default=1, metavar="N", help="Modbus unit id (%(default)s)"
    )
    sunspec.add_argument("--id", dest="profile_id", required=True, metavar="ID", help="how the profiles' ids begin")
    sunspec.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder of one's own profiles")


def _add_own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profiles", type=Path, metavar="FOLDER", help="one's own profiles, beside those shipped")


def run(args: argparse.Namespace) -> int:
    """Do the action that was asked for."""
    actions = {"list": _list, "check": _check, "bundle": _bundle, "verify": _verify, "sunspec": _sunspec}
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from firmware_profiles import open_library

    library = open_library(args.profiles)
    rows = [_row(library.load(profile_id)) for profile_id in library.ids]
    print_result(args, {"profiles": rows}, _aligned(rows))
    return 0


def _check(args: argparse.Namespace) -> int:
    from firmware_profiles import open_library, profile_ids

    ids = profile_ids(args.folder)
    library = open_library(args.folder)
    if not ids:
        raise UsageError(f"{args.folder}: no profile in it; a profile is a file ID.toml")
    rows = [_row(library.load(profile_id)) for profile_id in ids]
    print_result(args, {"profiles": rows}, f"{_aligned(rows)}\n{args.folder}: {len(rows)} in order")
    return 0


def _bundle(args: argparse.Namespace) -> int:
    from firmware_profiles import make_bundle, open_library
    from gridcore.files import save_new
    from gridcore.signers import open_signer
    from gridcore.sm3 import sm3

    library = open_library(args.profiles)
    for profile_id in library.ids:  # nobody vouches for what does not load
        library.load(profile_id)
    signer = open_signer(args.key, args.password, origin="--key")
    data = make_bundle(args.name, {profile_id: library.read(profile_id) for profile_id in library.ids}, signer)
    save_new(args.out, data)
    result = {
        "file": str(args.out),
        "profiles": len(library.ids),
        "signer": signer.public_key.hex(),
        "sm3": sm3(data).hex(),
    }
    text = f"{args.out}: {len(library.ids)} profiles, signed by\n{signer.public_key.hex()}"
    print_result(args, result, text)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from firmware_profiles import load_bundle, open_library

    try:
        key = bytes.fromhex(args.signer)
    except ValueError:
        raise UsageError("--signer is no public key; write its 65 bytes as 130 hexadecimal digits") from None
    bundle = load_bundle(args.bundle, key)
    library = open_library(None, bundle)
    rows = [_row(library.load(profile_id)) for profile_id in library.ids]
    result = {"name": bundle.name, "digest": bundle.digest.hex(), "profiles": rows}
    print_result(
        args,
        result,
        f"{args.bundle}: {bundle.name}, {len(rows)} profiles as signed\nSM3 of its manifest {bundle.digest.hex()}",
    )
    return 0


def _sunspec(args: argparse.Namespace) -> int:
    from firmware_profiles.loader import decode_profile
    from firmware_profiles.schema import ID
    from firmware_profiles.sunspec import make_profiles
    from gridcore.files import save_new

    if not ID.fullmatch(args.profile_id):
        raise UsageError(f"--id {args.profile_id!r} is not lower-case words joined by '_', such as 'my_inverter'")
    if not args.out.is_dir():
        raise UsageError(f"--out {args.out}: no folder; make it, or give another")
    device = asyncio.run(_ask(args.address, args.unit))
    files = make_profiles(args.profile_id, device)
    for profile_id, text in files.items():
        decode_profile(text.encode("utf-8"), args.out / f"{profile_id}.toml")
    for profile_id, text in files.items():
        save_new(args.out / f"{profile_id}.toml", text.encode("utf-8"))
    made = [str(args.out / f"{profile_id}.toml") for profile_id in files]
    head = f"{device.manufacturer} {device.model} {device.version}, serial number {device.serial}"
    result = {"manufacturer": device.manufacturer, "model": device.model, "serial": device.serial, "files": made}
    print_result(args, result, "\n".join([head, *made]))
    return 0


async def _ask(address: str, unit_id: int) -> SunSpecDevice:
    from edge.lines import LineConfig
    from edge.readers.modbus import ModbusLine
    from edge.sunspec import read_chain
    from gridledger.gateway.scanning import meter_address

    host, port = meter_address(address)
    line = ModbusLine(LineConfig(line=f"{host}:{port}", host=host, port=port))
    try:
        return await read_chain(line, unit_id)
    finally:
        await line.close()


def _row(profile: Profile) -> dict[str, Any]:
    from firmware_profiles.loader import TRANSPORTS

    transport = next(name for name, schema in TRANSPORTS.items() if isinstance(profile, schema))
    return {
        "id": profile.id,
        "vendor": profile.vendor,
        "transport": transport,
        "bills": " ".join(profile.billing),
        "evidence": profile.evidence,
    }


def _aligned(rows: Sequence[dict[str, Any]]) -> str:
    table = [tuple(rows[0]), *(tuple(row.values()) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )
