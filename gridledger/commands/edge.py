"""``gridledger edge``: the agent on a gateway: run it, check it before it runs, ask a meter, make its key, mend its outbox.

``scan`` and ``replay`` come with a later release.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge.drivers import PORT_DEFAULT, UNIT_ID_MAX
from gridcore.errors import UsageError, excerpt
from gridledger.commands import print_result, whole_number

if TYPE_CHECKING:
    from edge.probe import ProbeReport

EXAMPLE = "gridledger edge run --config edge.toml"
PROBE_WAIT_S = 330
"""Tasmota speaks every 300 s unless told otherwise."""
PROBE_WAIT_S_MAX = 86_400
MQTT_PORT = 1883


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare run, check, status, probe, keygen and epoch."""
    later = "scan and replay come with a later release"
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions", description=later)
    for name, summary in (
        ("run", "sample, sign, queue and submit until stopped"),
        ("check", "is everything that the agent needs in order (offline: configuration, profiles, key, outbox)"),
        ("status", "what waits in the outbox, and the last verified receipt (offline)"),
    ):
        action = actions.add_parser(name, help=summary)
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's TOML file")
    probe = actions.add_parser(
        "probe", help="ask one meter or device everything its profile says, and judge the answers"
    )
    probe.add_argument(
        "address",
        metavar="ADDRESS",
        help="tcp://HOST:PORT of a meter or its line; mqtt://HOST:PORT/ADDRESS of a device at a broker",
    )
    probe.add_argument("--profile", required=True, metavar="ID", help="firmware profile, or a device's profile")
    probe.add_argument(
        "--unit", type=whole_number(1, UNIT_ID_MAX), metavar="N", help="Modbus unit id (a meter needs it)"
    )
    probe.add_argument("--framer", choices=("socket", "rtu"), default="socket", help="rtu: RTU frames over TCP")
    probe.add_argument(
        "--wait",
        type=whole_number(1, PROBE_WAIT_S_MAX),
        default=PROBE_WAIT_S,
        metavar="S",
        help="for a device that only speaks (default: %(default)s)",
    )
    probe.add_argument("--user", metavar="NAME", help="user at the broker")
    probe.add_argument("--password", metavar="REF", help="its password: file:PATH or env:NAME")
    keygen = actions.add_parser("keygen", help="make a gateway's key: encrypted PKCS#8, SM4")
    keygen.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write it; must not exist")
    keygen.add_argument(
        "--password-file", type=Path, required=True, metavar="FILE", help="file that holds its password"
    )
    epoch = actions.add_parser("epoch", help="open a new epoch after an outbox was lost, damaged or refused")
    epoch.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's TOML file")
    epoch.add_argument("--organisation", required=True, metavar="ID", help="who signs (role utility)")
    epoch.add_argument("--key", required=True, metavar="URI", help="the organisation's key, e.g. file:utility.pem")
    epoch.add_argument("--key-password", metavar="REF", help="its password: file:PATH or env:NAME")
    epoch.add_argument(
        "--reason", default="outbox lost", metavar="TEXT", help="stands on the ledger (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Do the action that was asked for."""
    actions = {"run": _run, "check": _check, "status": _status, "probe": _probe, "keygen": _keygen, "epoch": _epoch}
    return actions[args.action](args)


def _run(args: argparse.Namespace) -> int:
    from edge.agent import run_agent
    from gridcore.logs import configure_logs
    from gridledger import __version__

    # The process that goes on for months tells its story; the other actions are one answer, and only warnings beside it.
    if not (args.log_level or os.environ.get("GRIDLEDGER_LOG_LEVEL")):
        configure_logs(json=args.json or not sys.stderr.isatty(), level="info")

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run_agent(args.config, __version__, stop)

    asyncio.run(main())
    return 0


def _check(args: argparse.Namespace) -> int:
    from edge.parts import check_agent
    from gridledger import __version__

    parts, state = check_agent(args.config, __version__)
    config = parts.config
    waiting = None if state is None else state.depth
    outbox = "not there yet" if waiting is None else f"{waiting} batches wait"
    result = {
        "file": str(args.config),
        "ok": True,
        "gateway": config.gateway,
        "chain": config.chain,
        "public_key": parts.signer.public_key.hex(),
        "trusted_signers": parts.trust.signers_count,
        "lines": len(config.lines),
        "meters": len(config.meters),
        "brokers": len(config.brokers),
        "devices": len(config.devices),
        "outbox_batches": waiting,
    }
    text = [
        f"{args.config}: in order",
        f"gateway     {config.gateway} on chain {config.chain}, {parts.trust.signers_count} trusted signers",
        f"public key  {parts.signer.public_key.hex()}",
        f"meters      {len(config.meters)} on {len(config.lines)} lines",
        f"devices     {len(config.devices)} on {len(config.brokers)} MQTT brokers, for information",
        f"outbox      {config.outbox}: {outbox}",
    ]
    print_result(args, result, "\n".join(text))
    return 0


def _status(args: argparse.Namespace) -> int:
    from edge.config import EdgeConfig
    from edge.outbox import NO_BOUNDARY, read_outbox
    from gridcore.config import load_config
    from gridcore.remedies import code_name, remedy_of

    config = load_config(args.config, EdgeConfig)
    state = read_outbox(config.outbox)
    progress = state.progress
    height, digest = progress.receipt or (None, b"")
    states = dict(progress.seen.brokers)
    result: dict[str, object] = {
        "gateway": progress.gateway,
        "chain": progress.chain,
        "epoch": progress.epoch,
        "counter": progress.counter,
        "outbox_batches": state.depth,
        "outbox_bytes": state.size,
        "outbox_batches_max": config.outbox_limits.batches_max,
        "outbox_bytes_max": config.outbox_limits.bytes_max,
        "oldest_boundary_s": state.oldest_boundary_s,
        "last_boundary_s": None if progress.last_boundary_s == NO_BOUNDARY else progress.last_boundary_s,
        "absent_meters": list(progress.absent),
        "brokers": [
            {"broker": row.broker, "host": row.host, "port": row.port, "last": states.get(row.broker)}
            for row in config.brokers
        ],
        "not_observed": dict(progress.seen.absent),
        "receipt_height": height,
        "receipt_digest": digest.hex() or None,
        "refused_rows": [
            {**row._asdict(), "name": code_name(row.code), "to_do": remedy_of(row.code)} for row in progress.refused
        ],
        "alarm": progress.alarm or None,
    }
    shown = result | {
        "brokers": "; ".join(
            f"{row.broker} at {row.host}:{row.port} ({states.get(row.broker, 'not seen')})" for row in config.brokers
        ),
        "not_observed": ", ".join(f"{name} ({reason})" for name, reason in progress.seen.absent),
        "refused_rows": len(progress.refused) or "",
    }
    text = [f"{key:<19} {'-' if value in (None, '') else value}" for key, value in shown.items()]
    text += [
        f"  installation {row.meter} at {row.boundary_s}: {code_name(row.code)}: {remedy_of(row.code)}"
        for row in progress.refused
    ]
    print_result(args, result, "\n".join(text))
    return 1 if progress.alarm else 0


def _probe(args: argparse.Namespace) -> int:
    if args.address.startswith("mqtt:"):
        return _probe_device(args)
    from edge.probe import probe
    from firmware_profiles import load_profile

    host, port = _meter_address(args.address)
    if args.unit is None:
        raise UsageError("a meter has a Modbus unit id; give --unit N")
    report = asyncio.run(probe(host, port, args.unit, load_profile(args.profile), framer=args.framer))
    print_result(args, report.as_table(), _probe_text(report))
    return 0 if report.is_fine else 1


def _meter_address(address: str) -> tuple[str, int]:
    """Host and port of ``tcp://HOST[:PORT]``. UsageError for anything else."""
    try:
        parts = urlsplit(address)
        port = PORT_DEFAULT if parts.port is None else parts.port
    except ValueError:  # a port beyond 65535, a bracket that is not closed
        parts, port = urlsplit(""), 0
    if parts.scheme != "tcp" or not parts.hostname or not port or parts.path or parts.query or parts.fragment:
        raise UsageError(f"{excerpt(address)} is no address of a meter; write tcp://HOST:PORT")
    return parts.hostname, port


def _probe_device(args: argparse.Namespace) -> int:
    """``edge probe`` of an MQTT device."""
    from edge.devices import DeviceConfig
    from edge.drivers.mqtt import BrokerConfig
    from edge.probe_device import probe_device
    from firmware_profiles import load_device_profile
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
    profile = load_device_profile(args.profile)
    row = DeviceConfig(0, "probe", "probe", place, profile.id)
    password = None if args.password is None else read_secret(args.password)
    config = BrokerConfig("probe", parts.hostname, port, user=args.user, password=args.password)
    report = asyncio.run(probe_device(config, row.address, profile, args.wait, password))
    rows = [("point", "value", "unit", "verdict", "path", "")]
    rows += [(value.obis, value.value, value.unit, value.verdict, value.path, value.detail) for value in report.values]
    answer = "can be observed" if report.is_fine else "must not be observed like this"
    head = f"{place} at {report.host}:{report.port} read as {report.profile}: {answer}"
    print_result(args, report.as_table(), "\n".join([head, *_aligned(rows)]))
    return 0 if report.is_fine else 1


def _probe_text(report: ProbeReport) -> str:
    rows = [("point", "register", "value", "unit", "kWh", "verdict", "ms", "")]
    for point in (*report.identity, *report.points):
        place = f"{point.function_code}:{point.address:#06x}"
        latency = f"{point.latency_ms:.1f}"
        rows.append((point.obis, place, point.shown, point.unit, point.kwh, point.verdict, latency, point.detail))
    answer = "may produce billable readings" if report.is_fine else "must not be used for billing like this"
    head = f"unit {report.unit_id} at {report.host}:{report.port} read as {report.profile}: {answer}"
    return "\n".join([head, *_aligned(rows), f"billing registers read twice: {report.double_read}"])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _keygen(args: argparse.Namespace) -> int:
    from gridcore.secrets import read_secret
    from gridcore.signers import save_key
    from gridcore.sm import SigningKey

    password = read_secret(f"file:{args.password_file}")
    key = SigningKey.generate()
    save_key(args.out, key, password)
    print_result(args, {"key": str(args.out), "public_key": key.public_key.hex()}, key.public_key.hex())
    return 0


def _epoch(args: argparse.Namespace) -> int:
    from edge.epoch import open_epoch
    from edge.outbox import lock_outbox
    from edge.parts import load_parts, node_client
    from gridcore.signers import open_signer
    from gridledger import __version__

    parts = load_parts(args.config, __version__)
    signer = open_signer(args.key, args.key_password, origin="--key")

    async def main() -> dict[str, object]:
        async with node_client(parts.config, args.organisation, signer) as client:
            return asdict(await open_epoch(parts, args.organisation, signer, args.reason, client))

    with lock_outbox(parts.config.outbox):
        opened = asyncio.run(main())
    opened["aside"] = None if opened["aside"] is None else str(opened["aside"])
    old = f"; the old outbox is kept as {opened['aside']}" if opened["aside"] else ""
    text = f"epoch {opened['epoch']} is open, {opened['carried']} batches carried over{old}"
    print_result(args, {"gateway": parts.config.gateway, **opened}, text)
    return 0
