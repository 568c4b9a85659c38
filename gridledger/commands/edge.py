"""``gridledger edge``: the agent on a gateway: run it, check it before it runs, ask a meter, make its key, mend its outbox."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gridledger.commands import add_actions, print_result
from gridledger.gateway import checking, enrolling, probing, replaying, scanning

if TYPE_CHECKING:
    from edge.config import EdgeConfig
    from edge.outbox_file import OutboxState

EXAMPLE = "gridledger edge run --config edge.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    for name, summary in (
        ("run", "sample, sign, queue and submit until stopped"),
        ("status", "what waits in the outbox, and the last verified receipt (offline)"),
    ):
        action = actions.add_parser(name, help=summary)
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's TOML file")
    checking.declare(actions)
    probing.declare(actions)
    scanning.declare(actions)
    replaying.declare(actions)
    keygen = actions.add_parser("keygen", help="make a gateway's key: in a file, in a TPM, or sealed by one")
    where = keygen.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--out", type=Path, metavar="FILE", help="encrypted PKCS#8, SM4; must not exist; needs --password-file"
    )
    where.add_argument("--key", metavar="URI", help="such as tpm2:0x81000010 or tpm2-sealed:gateway.sealed")
    keygen.add_argument("--password-file", type=Path, metavar="FILE", help="file that holds its password, or PIN")
    enrolling.declare(actions)
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
    actions = {
        "run": _run,
        "check": checking.run,
        "status": _status,
        "probe": probing.run,
        "scan": scanning.run,
        "replay": replaying.run,
        "keygen": _keygen,
        "enrol": enrolling.run,
        "epoch": _epoch,
    }
    return actions[args.action](args)


def _run(args: argparse.Namespace) -> int:
    from edge.agent import run_agent
    from gridcore.logs import configure_logs
    from gridcore.serving.systemd import told_to_systemd
    from gridledger import __version__

    # The process that goes on for months tells its story; the other actions are one answer, and only warnings beside it.
    if not (args.log_level or os.environ.get("GRIDLEDGER_LOG_LEVEL")):
        configure_logs(json=args.json or not sys.stderr.isatty(), level="info")

    async def main() -> None:
        stop, reload = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, reload.set)
        async with told_to_systemd():
            await run_agent(args.config, __version__, stop, reload)

    asyncio.run(main())
    return 0


def _status(args: argparse.Namespace) -> int:
    from edge.config import EdgeConfig
    from edge.outbox_file import read_outbox
    from gridcore.config import load_config

    config = load_config(args.config, EdgeConfig)
    outbox = read_outbox(config.outbox)
    status = _status_json(config, outbox)
    print_result(args, status, _status_text(config, outbox, status))
    return 1 if status["alarms"] else 0


def _status_json(config: EdgeConfig, outbox: OutboxState) -> dict[str, object]:
    """How a gateway stands, for programs."""
    from edge.alarms import alarms_of
    from edge.lacks import count_missing
    from edge.progress import NO_BOUNDARY
    from gridcore.remedies import code_name, remedy_of

    progress = outbox.progress
    height, digest = progress.receipt or (None, b"")
    states = dict(progress.seen.brokers)
    return {
        "gateway": progress.gateway,
        "chain": progress.chain,
        "epoch": progress.epoch,
        "counter": progress.counter,
        "outbox_batches": outbox.depth,
        "outbox_bytes": outbox.size,
        "outbox_batches_max": config.outbox_limits.batches_max,
        "outbox_bytes_max": config.outbox_limits.bytes_max,
        "oldest_boundary_s": outbox.oldest_boundary_s,
        "last_boundary_s": None if progress.last_boundary_s == NO_BOUNDARY else progress.last_boundary_s,
        "absent_meters": list(progress.absent),
        "gaps": [gap._asdict() for gap in progress.gaps],
        "records_to_fetch": count_missing(progress.lacks, config.sampling.slot_s),
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
        "receipts_kept": outbox.receipts,
        "alarm": progress.alarm or None,
        "alarms": alarms_of(outbox, config.outbox_limits),
    }


def _status_text(config: EdgeConfig, outbox: OutboxState, status: Mapping[str, object]) -> str:
    """The same for people: a row a key, lists in words, and what is to be done for each row that was refused."""
    from edge.alarms import alarms_of
    from gridcore.remedies import code_name, remedy_of

    progress = outbox.progress
    states = dict(progress.seen.brokers)
    in_words = {
        "gaps": "; ".join(f"{gap.first_s} to {gap.last_s}" for gap in progress.gaps),
        "brokers": "; ".join(
            f"{row.broker} at {row.host}:{row.port} ({states.get(row.broker, 'not seen')})" for row in config.brokers
        ),
        "not_observed": ", ".join(f"{name} ({reason})" for name, reason in progress.seen.absent),
        "refused_rows": len(progress.refused) or "",
        "alarms": "; ".join(alarms_of(outbox, config.outbox_limits)),
    }
    rows = {key: in_words.get(key, value) for key, value in status.items()}
    lines = [f"{key:<19} {'-' if value in (None, '') else value}" for key, value in rows.items()]
    lines += [
        f"  installation {row.meter} at {row.boundary_s}: {code_name(row.code)}: {remedy_of(row.code)}"
        for row in progress.refused
    ]
    return "\n".join(lines)


def _keygen(args: argparse.Namespace) -> int:
    from gridcore.signers import make_key

    uri = args.key or f"file:{args.out}"
    password = None if args.password_file is None else f"file:{args.password_file}"
    public_key = make_key(uri, password, origin="--key" if args.key else "--out").hex()
    print_result(args, {"key": str(args.out or args.key), "public_key": public_key}, public_key)
    return 0


def _epoch(args: argparse.Namespace) -> int:
    from edge.epoch import open_epoch
    from edge.nodes import open_nodes
    from edge.outbox_file import lock_outbox
    from edge.parts import load_parts
    from gridcore.signers import open_signer
    from gridledger import __version__

    parts = load_parts(args.config, __version__)
    signer = open_signer(args.key, args.key_password, origin="--key")

    async def main() -> dict[str, object]:
        async with open_nodes(parts.config, args.organisation, signer) as client:
            return asdict(await open_epoch(parts, args.organisation, signer, args.reason, client))

    with lock_outbox(parts.config.outbox):
        opened = asyncio.run(main())
    opened["aside"] = None if opened["aside"] is None else str(opened["aside"])
    old = f"; the old outbox is kept as {opened['aside']}" if opened["aside"] else ""
    left = f", {opened['left_out']} of a false time left behind" if opened["left_out"] else ""
    text = f"epoch {opened['epoch']} is open, {opened['carried']} batches carried over{left}{old}"
    print_result(args, {"gateway": parts.config.gateway, **opened}, text)
    return 0
