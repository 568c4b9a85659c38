"""``gridledger edge check``: is everything that the agent needs in order; and the bundle for whoever helps from afar."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from gridcore.errors import UsageError
from gridledger.commands import Actions, print_result

if TYPE_CHECKING:
    from edge.outbox_file import OutboxState

UNIT = "gridledger-edge"
JOURNAL_S_MAX = 30
LOG_BYTES_MAX = 16 * 1024 * 1024


def declare(actions: Actions) -> None:
    """Declare the action."""
    checking = actions.add_parser(
        "check", help="is everything that the agent needs in order (offline: configuration, profiles, key, outbox)"
    )
    checking.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's TOML file")
    checking.add_argument(
        "--support",
        type=Path,
        metavar="FILE",
        help="write a .zip for whoever helps: no keys, PINs, passwords or names; also of a configuration that is refused",
    )
    checking.add_argument("--log", type=Path, metavar="FILE", help=f"log for --support (default: journal of {UNIT})")


def run(args: argparse.Namespace) -> int:
    """Print what the agent would run with; with ``--support`` write the bundle first, whatever the check says."""
    from edge.lines import serial_notes
    from edge.parts import check_agent
    from gridcore.enrolment import SOFTWARE, TPM2
    from gridledger import __version__

    if args.support is not None:
        _write_bundle(args, __version__)
    parts, state = check_agent(args.config, __version__)
    config = parts.config
    waiting = None if state is None else state.depth
    outbox = "not there yet" if waiting is None else f"{waiting} batches wait"
    notes = serial_notes(config.lines)
    scheme = config.key.partition(":")[0]
    protection = TPM2 if scheme == "tpm2" else SOFTWARE
    result = {
        "file": str(args.config),
        "ok": True,
        "gateway": config.gateway,
        "chain": config.chain,
        "public_key": parts.signer.public_key.hex(),
        "protection": protection,
        "trusted_signers": parts.trust.signers_count,
        "lines": len(config.lines),
        "meters": len(config.meters),
        "brokers": len(config.brokers),
        "devices": len(config.devices),
        "profiles": parts.maker.profiles.hex(),
        "profile_bundle": None if config.profile_bundle is None else str(config.profile_bundle),
        "outbox_batches": waiting,
        "notes": notes,
        "support": None if args.support is None else str(args.support),
    }
    text = [
        f"{args.config}: in order",
        f"gateway     {config.gateway} on chain {config.chain}, {parts.trust.signers_count} trusted signers",
        f"public key  {parts.signer.public_key.hex()}",
        f"key         {scheme}: enrolled as {protection} at best; the chain's key policy says whether that is enough",
        f"meters      {len(config.meters)} on {len(config.lines)} lines",
        f"profiles    {config.profile_bundle or 'those shipped'}, as batches name them {parts.maker.profiles.hex()}",
        f"devices     {len(config.devices)} on {len(config.brokers)} MQTT brokers, for information",
        f"outbox      {config.outbox}: {outbox}",
        *(f"note        {note}" for note in notes),
        *([f"support     {args.support}"] if args.support else []),
    ]
    print_result(args, result, "\n".join(text))
    return 0


def _write_bundle(args: argparse.Namespace, version: str) -> None:
    """Write the bundle. UsageError for a file that is there already, or cannot be written."""
    from edge.parts import check_agent
    from edge.support import make_bundle
    from gridcore.files import save_new

    found = "in order"
    try:
        check_agent(args.config, version)
    except UsageError as error:
        found = str(error)
    save_new(args.support, make_bundle(args.config, version, found, _outbox_state(args.config), _log_lines(args.log)))


def _outbox_state(path: Path) -> OutboxState | None:
    """What stands in the outbox, where the configuration and the file can be read."""
    from edge.config import EdgeConfig
    from edge.outbox_file import read_outbox
    from gridcore.config import load_config

    try:
        return read_outbox(load_config(path, EdgeConfig).outbox)
    except UsageError:
        return None


def _log_lines(path: Path | None) -> list[str]:
    """The lines of a log, of the service's journal by default; none where there is no journal."""
    from edge.support import LOG_LINES_MAX
    from gridcore.files import read_bounded

    if path is not None:
        return read_bounded(path, LOG_BYTES_MAX, "check --log").decode("utf-8", "replace").splitlines()
    command = ["journalctl", "--unit", UNIT, "--lines", str(LOG_LINES_MAX), "--output", "cat", "--no-pager"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=JOURNAL_S_MAX)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode("utf-8", "replace").splitlines()
