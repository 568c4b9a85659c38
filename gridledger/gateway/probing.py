"""``gridledger edge probe``: one meter, one MQTT device, or every meter of a configuration, asked all that its profile says."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge.readers import UNIT_ID_MAX
from gridcore.errors import UsageError, excerpt
from gridcore.logs import configure_logs
from gridledger.commands import Actions, print_result, whole_number
from gridledger.gateway.columns import aligned
from gridledger.gateway.scanning import add_serial_arguments, meter_address

if TYPE_CHECKING:
    from edge.lines import LineConfig
    from edge.meters import MeterConfig
    from edge.probe import Probed
    from edge.probed import ProbeReport
    from firmware_profiles import Profile

WAIT_S = 330
"""Tasmota speaks every 300 s unless told otherwise."""
WAIT_S_MAX = 86_400
MQTT_PORT = 1883
ADDRESS_DIGITS = 12
DLT645_BAUD = 2400
"""What DL/T 645-2007 meters come with."""


def declare(actions: Actions) -> None:
    """Declare the action."""
    probing = actions.add_parser(
        "probe", help="ask a meter or device, or every meter of a configuration, all that its profile says"
    )
    probing.add_argument(
        "address",
        nargs="?",
        metavar="ADDRESS",
        help="tcp://HOST:PORT, rtu:/dev/ttyUSB0 or dlt645:/dev/ttyUSB0 of a meter's line; mqtt://HOST:PORT/ADDRESS of a "
        "device at a broker",
    )
    probing.add_argument("--config", type=Path, metavar="FILE", help="in place of an address: the agent's TOML file")
    probing.add_argument("--meter", metavar="NAME", help="of the configuration this meter alone, in full")
    probing.add_argument("--profiles", type=Path, metavar="FOLDER", help="one's own profiles, beside those shipped")
    probing.add_argument("--profile", metavar="ID", help="firmware profile, or a device's profile")
    probing.add_argument("--unit", type=whole_number(0, UNIT_ID_MAX), metavar="N", help="Modbus unit id")
    probing.add_argument("--address", dest="place", metavar="DIGITS", help="address of a DL/T 645 meter, 12 digits")
    probing.add_argument("--framer", choices=("socket", "rtu"), default="socket", help="rtu: RTU frames over TCP")
    add_serial_arguments(probing, f"9600, of DL/T 645 {DLT645_BAUD}")
    probing.add_argument(
        "--wait",
        type=whole_number(1, WAIT_S_MAX),
        default=WAIT_S,
        metavar="S",
        help="for a device that only speaks (default: %(default)s)",
    )
    probing.add_argument("--user", metavar="NAME", help="user at the broker")
    probing.add_argument("--password", metavar="REF", help="its password: file:PATH or env:NAME")


def run(args: argparse.Namespace) -> int:
    """Print what was answered; 1 when a meter must not be used like this."""
    if not (args.log_level or os.environ.get("GRIDLEDGER_LOG_LEVEL")):
        configure_logs(
            json=args.json or not sys.stderr.isatty(), level="error"
        )  # what a line would warn of stands in the answer
    if (args.config is None) == (args.address is None):
        raise UsageError("give the ADDRESS of a meter or device, or --config FILE for every meter of a configuration")
    if args.config is not None:
        return _probe_config(args)
    if args.profile is None:
        raise UsageError("give --profile ID: by which profile it is read ('gridledger profiles list' shows them)")
    return _probe_device(args) if args.address.startswith("mqtt:") else _probe_meter(args)


def _probe_meter(args: argparse.Namespace) -> int:
    from edge.probe import probe_meter
    from firmware_profiles import load_profile

    profile = load_profile(args.profile, args.profiles)
    report = asyncio.run(probe_meter(_line(args, profile), _row(args, profile), profile))
    print_result(args, report.as_table(), report_text(report))
    return 0 if report.is_fine else 1


def _line(args: argparse.Namespace, profile: Profile) -> LineConfig:
    """The line that the address names, for a meter of this profile."""
    from edge.lines import LineConfig, serial_path
    from firmware_profiles import Dlt645Profile, ModbusProfile

    is_dlt645 = isinstance(profile, Dlt645Profile)
    if not is_dlt645 and not isinstance(profile, ModbusProfile):
        raise UsageError(f"profile {profile.id!r} is one of an MQTT device; write mqtt://HOST:PORT/ADDRESS")
    scheme, _, path = args.address.partition(":")
    if scheme in ("rtu", "dlt645"):
        if is_dlt645 != (scheme == "dlt645"):
            right = "dlt645" if is_dlt645 else "rtu"
            raise UsageError(f"profile {profile.id!r} is read by {right}; write {right}:{path}")
        baud = args.baud or (DLT645_BAUD if is_dlt645 else 9600)
        port = Path(path)
        return LineConfig(
            path or "probe", serial=port, framer=scheme, baud=baud, parity=args.parity, stop_bits=args.stop_bits
        )
    serial = serial_path(args.address)
    if serial:
        raise UsageError(f"{excerpt(args.address)} is a serial port; write rtu:{serial}, or dlt645:{serial}")
    host, number = meter_address(args.address)
    return LineConfig(f"{host}:{number}", host, number, "dlt645" if is_dlt645 else args.framer)


def _row(args: argparse.Namespace, profile: Profile) -> MeterConfig:
    """A row of the table for the meter that was asked for."""
    from edge.meters import MeterConfig
    from edge.probe import PROBE_LIMIT_WH
    from firmware_profiles import Dlt645Profile

    if isinstance(profile, Dlt645Profile):
        if args.place is None or args.unit is not None:
            raise UsageError("a DL/T 645 meter has an address; give --address with its 12 digits, and no --unit")
        if len(args.place) != ADDRESS_DIGITS:
            raise UsageError(f"--address {excerpt(args.place)} is not {ADDRESS_DIGITS} digits, as printed on the meter")
        return MeterConfig(0, args.place, "probe", profile.id, PROBE_LIMIT_WH, address=args.place)
    if args.unit is None or args.place is not None:
        raise UsageError("a Modbus meter has a unit id; give --unit N, and no --address")
    return MeterConfig(0, f"unit {args.unit}", "probe", profile.id, PROBE_LIMIT_WH, unit_id=args.unit)


def _probe_config(args: argparse.Namespace) -> int:
    """``edge probe --config``: one line a meter, or one meter in full."""
    from dataclasses import replace

    from edge.config import EdgeConfig, load_profiles, open_profiles
    from edge.probe import probe_table
    from gridcore.config import load_config

    config = load_config(args.config, EdgeConfig)
    if args.meter is not None:
        wanted = tuple(row for row in config.meters if row.meter == args.meter)
        if not wanted:
            names = ", ".join(row.meter for row in config.meters[:16])
            raise UsageError(f"--meter {args.meter!r} is not in {args.config}; meters are {names}")
        config = replace(config, meters=wanted)
    profiles = load_profiles(config, open_profiles(config))

    async def main() -> list[Probed]:
        done = []
        async for probed in probe_table(config.lines, config.meters, profiles):
            done.append(probed)
            if not args.json and args.meter is None:
                print(_line_text(probed), flush=True)
        return done

    done = asyncio.run(main())
    fine = sum(probed.is_fine for probed in done)
    result = {
        "fine": fine,
        "meters": [
            {
                **({} if probed.report is None else probed.report.as_table()),
                "number": probed.meter.number,
                "name": probed.meter.meter,
                "fine": probed.is_fine,
                "trouble": _trouble(probed) or None,
            }
            for probed in sorted(done, key=lambda probed: probed.meter.number)
        ],
    }
    text = f"{fine} of {len(done)} meters may produce billable readings"
    if args.meter is not None:
        (probed,) = done
        text = probed.trouble if probed.report is None else report_text(probed.report)
    print_result(args, result, text)
    return 0 if fine == len(done) else 1


def _line_text(probed: Probed) -> str:
    """One meter in one line: its registers and serial number, or what is wrong."""
    row, report = probed.meter, probed.report
    head = f"{row.meter:<16} {f'{row.line}/{row.place}':<20} {row.profile:<20}"
    if report is None or not report.is_fine:
        return f"{head} NOT FINE: {_trouble(probed)}"
    energies = [f"{point.obis} {point.kwh} kWh" for point in report.points if point.obis in ("1.8.0", "2.8.0")]
    serial = [f"serial number {report.serial}"] if report.serial else []
    return f"{head} fine: {', '.join([*energies, *serial, f'slowest answer {report.slowest_ms:.0f} ms'])}"


def _trouble(probed: Probed) -> str:
    """What is wrong with a meter, the first thing; "" where nothing is."""
    report = probed.report
    if report is None:
        return probed.trouble
    wrong = [
        f"{point.obis}: {point.verdict} {point.detail}"
        for point in (*report.identity, *report.points)
        if not point.is_fine
    ]
    wrong += [] if report.double_read == "ok" else [report.double_read]
    more = f" (and {len(wrong) - 1} more: --meter {probed.meter.meter} shows them)" if len(wrong) > 1 else ""
    return f"{wrong[0]}{more}" if wrong else ""


def report_text(report: ProbeReport) -> str:
    """A report for a person: every point with what the meter sent."""
    rows = [("point", "place", "value", "unit", "kWh", "verdict", "ms", "raw", "")]
    for point in (*report.identity, *report.points):
        latency, raw = f"{point.latency_ms:.1f}", point.raw.hex(" ", 2)
        rows.append(
            (point.obis, point.place, point.shown, point.unit, point.kwh, point.verdict, latency, raw, point.detail)
        )
    answer = "may produce billable readings" if report.is_fine else "must not be used for billing like this"
    head = f"meter {report.meter} at {report.line} read as {report.profile}: {answer}"
    tail = [f"billing registers read twice: {report.double_read}"]
    tail += [f"byte order: {report.order_guess}"] if report.order_guess else []
    return "\n".join([head, *aligned(rows), *tail])


def _probe_device(args: argparse.Namespace) -> int:
    """``edge probe`` of an MQTT device."""
    from edge.links.broker import BrokerConfig
    from edge.probe_device import probe_device
    from edge.readers.mqtt import DeviceConfig
    from firmware_profiles import MqttProfile, load_profile
    from gridcore.logs import clean_text
    from gridcore.secrets import read_secret

    try:
        parts = urlsplit(args.address)
        port = MQTT_PORT if parts.port is None else parts.port
    except ValueError:  # a port beyond 65535, a bracket that is not closed
        parts, port = urlsplit(""), 0
    place = parts.path.removeprefix("/")
    if not parts.hostname or not port or not place or parts.query or parts.fragment or parts.username:
        shown = excerpt(clean_text(args.address))
        raise UsageError(f"{shown} is no address of a device; write mqtt://HOST:PORT/ADDRESS")
    profile = load_profile(args.profile, args.profiles, kind=MqttProfile)
    row = DeviceConfig(0, "probe", "probe", place, profile.id)
    password = None if args.password is None else read_secret(args.password)
    config = BrokerConfig("probe", parts.hostname, port, user=args.user, password=args.password)
    report = asyncio.run(probe_device(config, row.address, profile, args.wait, password))
    rows = [("point", "value", "unit", "verdict", "path", "")]
    rows += [(value.obis, value.value, value.unit, value.verdict, value.path, value.detail) for value in report.values]
    answer = "can be observed" if report.is_fine else "must not be observed like this"
    head = f"{place} at {report.host}:{report.port} read as {report.profile}: {answer}"
    print_result(args, report.as_table(), "\n".join([head, *aligned(rows)]))
    return 0 if report.is_fine else 1
