"""``gridledger settle``: settle energies that exist already, from a folder of files; explain lines, make runs again."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Final

from gridledger.settling import comparing, explaining, from_files, replaying

EXAMPLE = "gridledger settle files examples/settle-community --out settled"

ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "files": from_files.run,
    "explain": explaining.run,
    "replay": replaying.run,
    "compare": comparing.run_compare,
    "what-if": comparing.run_what_if,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``files``, ``explain``, ``replay``, ``compare`` and ``what-if``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    from_files.declare(actions)
    explaining.declare(actions)
    replaying.declare(actions)
    comparing.declare(actions)


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    return ACTIONS[args.action](args)
