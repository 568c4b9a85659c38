"""``gridledger simulate``: what a seed decides. ``consensus``: nodes of a consortium under faults, all in this process."""

from __future__ import annotations

import argparse

from gridledger.commands import print_result, whole_number

EXAMPLE = "gridledger simulate consensus --seed 7"
LOG_LEVEL = "error"
SEED_MAX = 2**63 - 1
COUNT_MAX = 10**9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``consensus``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="consensus")
    consensus = actions.add_parser("consensus", help="nodes of a consortium on a virtual clock, network and disk")
    consensus.add_argument(
        "--seed", type=whole_number(0, SEED_MAX), required=True, metavar="N", help="what goes wrong, and when"
    )
    consensus.add_argument(
        "--count", type=whole_number(1, COUNT_MAX), default=1, metavar="K", help="run the K seeds from N on (default 1)"
    )


def run(args: argparse.Namespace) -> int:
    """Run one seed and tell what happened, or several and what they come to; 1 where a promise was broken."""
    from simulators.consensus.run import simulate
    from simulators.consensus.series import run_series

    if args.count == 1:
        report = simulate(args.seed)
        print_result(args, report.as_json(), report.text())
        return 1 if report.violations else 0
    series = run_series(range(args.seed, args.seed + args.count))
    print_result(args, series.as_json(), series.summary)
    return 1 if series.failed else 0
