"""``gridledger consortium``: what organisations decide together. Each action declares what runs it."""

from __future__ import annotations

import argparse

from gridledger import voting

EXAMPLE = (
    "gridledger consortium proposals --url http://127.0.0.1:7070 --signer admin --key file:keys/admin.pem "
    "--password file:keys/admin.password"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    voting.add_arguments(actions)


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    status: int = args.run(args)
    return status
