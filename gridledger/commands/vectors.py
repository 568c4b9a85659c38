"""``gridledger vectors``: run the conformance cases in a folder, ours or another organisation's."""

from __future__ import annotations

import argparse
from pathlib import Path

from gridledger.commands import add_actions, print_result

EXAMPLE = "gridledger vectors run tests/vectors --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``run DIR``."""
    actions = add_actions(parser)
    run_parser = actions.add_parser("run", help="run every case below a folder")
    run_parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of <handler>/<case>/case.toml")


def run(args: argparse.Namespace) -> int:
    """Run the cases; 0 when at least one ran and all of them passed, else 1."""
    from gridledger.vectors import run_vectors

    report = run_vectors(args.folder)
    print_result(args, report.as_json(), report.text())
    return 0 if report.is_conformant else 1
