"""``gridledger settle``: settle energies that exist already, from a folder of files; explain lines, make runs again."""

from __future__ import annotations

import argparse

from gridledger.settling import explaining, from_files, replaying

EXAMPLE = "gridledger settle files examples/settle-community --out settled"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``files``, ``explain`` and ``replay``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    from_files.declare(actions)
    explaining.declare(actions)
    replaying.declare(actions)


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    status: int = {"files": from_files.run, "explain": explaining.run, "replay": replaying.run}[args.action](args)
    return status
