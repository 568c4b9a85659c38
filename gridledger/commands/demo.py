"""``gridledger demo``: the whole system on one machine, on simulated meters."""

from __future__ import annotations

import argparse
from pathlib import Path

from gridcore.errors import UsageError
from gridledger.commands import print_progress, print_result, whole_number

EXAMPLE = "gridledger demo --headless --days 1 --households 113 --seed 7 --json"
SLOTS_PER_DAY = 96
EXIT_TERMINATED = 143


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of INTERFACE.md."""
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--days", type=whole_number(1, 366), default=1, metavar="N", help="days to simulate (1)")
    length.add_argument(
        "--slots", type=whole_number(1, 366 * SLOTS_PER_DAY), metavar="N", help="slots instead of whole days"
    )
    parser.add_argument(
        "--households", type=whole_number(1, 11_300), default=113, metavar="N", help="homes that trade (113)"
    )
    parser.add_argument("--seed", type=whole_number(0, 2**63 - 1), default=7, metavar="S", help="seed of the world (7)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="an absent or empty folder (default: a new one)")
    parser.add_argument("--engine", choices=("embedded",), default="embedded", help="embedded")
    parser.add_argument(
        "--headless",
        action="store_true",
        help="end when the days are over, as this release always does: pages come with the next",
    )


def run(args: argparse.Namespace) -> int:
    """Run the demonstration; 1 when a reading is missing or the books do not balance."""
    import asyncio

    from gridledger.demo.run import choose_folder, run_demo
    from gridledger.demo.summary import to_json

    slots = args.slots or args.days * SLOTS_PER_DAY
    out = choose_folder(args.out, args.seed)
    try:
        outcome = asyncio.run(
            run_demo(out=out, slots=slots, households=args.households, seed=args.seed, progress=print_progress)
        )
    except asyncio.CancelledError:  # SIGTERM: node and agents have been ended too
        return EXIT_TERMINATED
    except OSError as error:
        raise UsageError(
            f"gridledger demo: --out {error.filename or out}: {error.strerror}; choose another folder"
        ) from None
    print_progress("")
    print_result(args, to_json(outcome.summary), outcome.text)
    return 0 if outcome.summary.readings_missing == 0 and outcome.summary.postings_sum_nano == 0 else 1
