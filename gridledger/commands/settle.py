"""``gridledger settle``: settle energies that exist already, from a folder of files; a month's documents of a ledger; explain, make again, compare."""

from __future__ import annotations

import argparse
from typing import Final

from gridledger.commands import add_actions
from gridledger.settling import (
    balance,
    certificates,
    comparing,
    exceptions,
    explaining,
    extracting,
    from_files,
    imbalance,
    issuing,
    replaying,
    what_if,
)
from gridledger.settling.outgoing import issuing as outgoing

EXAMPLE = "gridledger settle files examples/settle-community --out settled"


_ACTIONS: Final = {
    "files": from_files,
    "documents": issuing,
    "issue": outgoing,
    "explain": explaining,
    "replay": replaying,
    "compare": comparing,
    "extract": extracting,
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
