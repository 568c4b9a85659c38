"""``gridledger edge scan``: which unit ids of a Modbus line answer, and which known models they are."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge.readers import PORT_DEFAULT, UNIT_ID_MAX
from gridcore.errors import UsageError, excerpt
from gridledger.commands import Actions, print_result, whole_number

if TYPE_CHECKING:
    from edge.scan import Found

SCAN_DRAIN_MS = 50
"""Most unit ids of a bus are silent: each costs its time-out and this."""


def declare(actions: Actions) -> None:
    """Declare the action."""
    scanning = actions.add_parser(
        "scan", help="which unit ids of a Modbus line answer, and which known models they are"
    )
    scanning.add_argument(
        "address", metavar="ADDRESS", help="tcp://HOST:PORT of a line, or rtu:/dev/ttyUSB0, a serial port"
    )
    scanning.add_argument("--units", type=unit_range, default=(1, 247), metavar="A-B", help="unit ids (1-247)")
    scanning.add_argument("--framer", choices=("socket", "rtu"), default="socket", help="rtu: RTU frames over TCP")
    add_serial_arguments(scanning, "9600")
    scanning.add_argument(
        "--timeout-ms",
        type=whole_number(10, 10_000),
        default=300,
        metavar="MS",
        help="so long each unit id has to answer (%(default)s)",
    )
    scanning.add_argument("--profiles", type=Path, metavar="DIR", help="a folder of profiles beside the shipped ones")


def add_serial_arguments(parser: argparse.ArgumentParser, baud: str) -> None:
    """Declare how a serial port is set; ``baud``: what it is without --baud."""
    from edge.links.serial import BAUDS, PARITIES

    parser.add_argument("--baud", type=int, choices=BAUDS, metavar="N", help=f"of the serial port ({baud})")
    parser.add_argument("--parity", choices=PARITIES, default="even", help="of the serial port (even)")
    parser.add_argument("--stop-bits", type=int, choices=(1, 2), default=1, help="of the serial port (1)")


def run(args: argparse.Namespace) -> int:
    """Print each device as it is found; 1 when there is none."""
    from edge.lines import LineConfig
    from edge.readers.modbus import ModbusLine
    from edge.scan import scan
    from firmware_profiles import ModbusProfile, open_library

    library = open_library(args.profiles)
    known = [profile for name in library.places if isinstance(profile := library.load(name), ModbusProfile)]
    first, last = args.units
    config = (
        LineConfig(
            "scan",
            serial=Path(args.address.removeprefix("rtu:")),
            baud=args.baud or 9600,
            parity=args.parity,
            stop_bits=args.stop_bits,
            drain_ms=SCAN_DRAIN_MS,
        )
        if args.address.startswith("rtu:")
        else LineConfig("scan", *meter_address(args.address), framer=args.framer, drain_ms=SCAN_DRAIN_MS)
    )

    async def main() -> list[Found]:
        line = ModbusLine(config)
        found = []
        try:
            async for device in scan(line, range(first, last + 1), known, args.timeout_ms):
                found.append(device)
                if not args.json:
                    print(_found_text(device), flush=True)
        finally:
            await line.close()
        return found

    found = asyncio.run(main())
    if args.json:
        print_result(args, {"address": args.address, "devices": [asdict(device) for device in found]}, "")
    elif not found:
        print(f"nothing answers at {args.address} under the unit ids {first} to {last}")
    return 0 if found else 1


def _found_text(device: Found) -> str:
    what = ", ".join(device.profiles) or "a model that no profile names: ask it by edge probe"
    return f"unit {device.unit_id:<3}  {what}" + (f"  serial number {device.serial}" if device.serial else "")


def unit_range(text: str) -> tuple[int, int]:
    """First and last unit id of ``FIRST-LAST`` or of one number. ArgumentTypeError."""
    first, _, last = text.partition("-")
    if not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in (first, last or first)):
        raise argparse.ArgumentTypeError("write FIRST-LAST, such as 1-247")
    pair = int(first), int(last or first)
    if not 0 <= pair[0] <= pair[1] <= UNIT_ID_MAX:
        raise argparse.ArgumentTypeError(f"unit ids go from 0 to {UNIT_ID_MAX}, the first one first")
    return pair


def meter_address(address: str) -> tuple[str, int]:
    """Host and port of ``tcp://HOST[:PORT]``. UsageError for anything else."""
    try:
        parts = urlsplit(address)
        port = PORT_DEFAULT if parts.port is None else parts.port
    except ValueError:  # a port beyond 65535, a bracket that is not closed
        parts, port = urlsplit(""), 0
    if parts.scheme != "tcp" or not parts.hostname or not port or parts.path or parts.query or parts.fragment:
        raise UsageError(f"{excerpt(address)} is no address of a meter; write tcp://HOST:PORT")
    return parts.hostname, port
