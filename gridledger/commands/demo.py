"""``gridledger demo``: the whole system on one machine, on simulated meters."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gridcore.errors import UsageError
from gridledger.commands import add_speed_argument, print_progress, print_result, whole_number

if TYPE_CHECKING:
    from gridledger.demo.run import Outcome

EXAMPLE = "gridledger demo --headless --days 1 --households 113 --seed 7 --json"
SLOTS_PER_DAY = 96
ENGINES = ("embedded", "cometbft")
EXIT_TERMINATED = 143


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of INTERFACE.md."""
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--days", type=whole_number(1, 366), metavar="N", help="days to simulate (1)")
    length.add_argument(
        "--slots", type=whole_number(1, 366 * SLOTS_PER_DAY), metavar="N", help="slots instead of whole days"
    )
    parser.add_argument(
        "--households", type=whole_number(1, 11_300), default=113, metavar="N", help="homes that trade (113)"
    )
    parser.add_argument("--seed", type=whole_number(0, 2**63 - 1), default=7, metavar="S", help="seed of the world (7)")
    parser.add_argument(
        "--drop-ppm",
        type=whole_number(0, 500_000),
        default=0,
        metavar="N",
        help="of a million readings, how many are lost and estimated (0)",
    )
    add_speed_argument(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="an absent or empty folder (default: a new one)")
    parser.add_argument(
        "--engine", choices=ENGINES, default=ENGINES[0], help="embedded: one node alone; cometbft: several validators"
    )
    parser.add_argument(
        "--organisations", type=whole_number(1, 16), metavar="N", help="with cometbft: how many have a validator (4)"
    )
    parser.add_argument(
        "--port",
        type=whole_number(1, 65_535),
        metavar="N",
        help="port of the pages on this machine (default: a free one)",
    )
    parser.add_argument(
        "--headless",
        action="store_true",
        help="no pages: end when the days are over (default: serve them until Ctrl-C)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the demonstration; 1 when a reading is missing that was not to be lost, or the books do not balance."""
    import asyncio

    from gridcore.serving.ports import check_free
    from gridledger.demo.folder import choose_folder
    from gridledger.demo.run import Plan, perform
    from simulators.scenarios.gallery import DEMONSTRATION, find_scenario

    if args.headless and args.port is not None:
        raise UsageError("gridledger demo: --port is where pages are, and --headless has none; leave one of them out")
    if args.port is not None:
        try:
            check_free(args.port)  # before anything is made
        except UsageError as error:
            raise UsageError(f"gridledger demo: --{error}") from None
    validators = _validators(args)
    slots = args.slots or (args.days or 1) * SLOTS_PER_DAY
    found = find_scenario(DEMONSTRATION).sized(
        households=args.households, slots=slots, seed=args.seed, validators=validators
    )
    is_there = args.out is not None and args.out.exists()
    out = choose_folder(args.out, args.seed)
    pages_port = None if args.headless else args.port or 0
    plan = Plan(out, found, pages_port, args.drop_ppm, speed=args.speed)
    try:
        outcome = perform(plan, _Terminal(args), "gridledger demo")
    except UsageError:
        if not is_there:
            with contextlib.suppress(OSError):  # it holds something: then it is no trace of a refusal
                out.rmdir()
        raise
    except asyncio.CancelledError:  # SIGTERM: node and agents have been ended too
        return EXIT_TERMINATED
    dropped = outcome.losses.readings_dropped if outcome.losses else 0
    return 0 if outcome.summary.readings_missing == dropped and outcome.summary.postings_sum_nano == 0 else 1


def _validators(args: argparse.Namespace) -> int | None:
    """How many have a validator; None for one node alone. UsageError where the engine is missing."""
    if args.engine == ENGINES[0]:
        if args.organisations is not None:
            raise UsageError("gridledger demo: --organisations is of --engine cometbft; one node alone needs none")
        return None
    from ledger.engines.cometbft.program import find_engine

    find_engine()  # before anything is made
    return args.organisations or 4


class _Terminal:
    """Tells the person who started it: results on stdout, under ``--json`` as one object and all else on stderr."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args

    def show_progress(self, line: str) -> None:
        print_progress(line)

    def show_pages(self, url: str, is_answering: bool) -> None:
        print_progress("")
        note = "" if is_answering else " (still starting)"
        text = f"{url}{note}\nDEMO, SIMULATED: four roles without a password, while the meters' day is running; Ctrl-C ends it"
        print(text, file=sys.stderr if self._args.json else sys.stdout, flush=True)

    def show_outcome(self, outcome: Outcome) -> None:
        from gridledger.demo.summary import to_json

        print_progress("")
        numbers = to_json(outcome.summary, outcome.losses)
        if outcome.url is None:
            print_result(self._args, numbers, outcome.text)
        else:
            go_on = f"\n  the pages go on: {outcome.url}\n  Ctrl-C ends it"
            print_result(self._args, {**numbers, "url": outcome.url}, outcome.text + go_on)
