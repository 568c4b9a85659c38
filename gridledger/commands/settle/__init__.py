"""``gridledger settle``: settle energies that exist already, from a folder of files; a month's documents of a ledger; explain, make again, compare."""

from __future__ import annotations

import argparse
from typing import Final

from gridledger.commands import add_actions
from gridledger.commands.settle import (
    balance,
    certificates,
    compare,
    documents,
    exceptions,
    explain,
    extract,
    files,
    imbalance,
    issue,
    replay,
    what_if,
)

EXAMPLE = "gridledger settle files examples/settle-community --out settled"


_ACTIONS: Final = {
    "files": files,
    "documents": documents,
    "issue": issue,
    "explain": explain,
    "replay": replay,
    "compare": compare,
    "extract": extract,
    "imbalance": imbalance,
    "balance": balance,
    "certificates": certificates,
    "exceptions": exceptions,
    "what-if": what_if,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    for action in _ACTIONS.values():
        action.declare(actions)


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    status: int = _ACTIONS[args.action].run(args)
    return status
