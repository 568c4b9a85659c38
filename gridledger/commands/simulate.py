"""``gridledger simulate``: what a scenario and a seed decide. ``run``, ``compare``, ``score``, ``check``, ``import-grid`` and ``list``: grids with meters, agents and ledger;
``consensus``: nodes of a consortium under faults, all in this process.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gridcore.errors import UsageError
from gridledger.commands import add_actions, add_speed_argument, print_progress, print_result, whole_number

if TYPE_CHECKING:
    from gridledger.demo.run import Outcome
    from simulators.scenarios.gallery import Found

EXAMPLE = "gridledger simulate run village_day --seed 7 --out village"
LOG_LEVEL = "error"
SEED_MAX = 2**63 - 1
COUNT_MAX = 10**9
ANNUAL_KWH_MAX = 1_000_000
EXIT_TERMINATED = 143
_SCENARIO = "a name of the gallery (gridledger simulate list), or a path ending in .toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    run_it = actions.add_parser("run", help="a scenario through real meters' protocols, agents, ledger and settlement")
    run_it.add_argument("scenario", metavar="SCENARIO", help=_SCENARIO)
    run_it.add_argument(
        "--seed", type=whole_number(0, SEED_MAX), metavar="N", help="what is drawn (default: the scenario's)"
    )
    run_it.add_argument("--out", type=Path, required=True, metavar="DIR", help="an absent or empty folder")
    add_speed_argument(run_it)
    run_it.add_argument(
        "--resume", action="store_true", help="go on with a run of this scenario and seed into DIR that was killed"
    )
    run_it.add_argument("--parquet", action="store_true", help="write every table as Parquet too (needs pyarrow)")
    run_it.add_argument(
        "--direct", action="store_true", help="feed the ledger what meters would show, without meters and agents"
    )
    run_it.add_argument(
        "--rules",
        type=Path,
        metavar="PATH",
        help="in place of the scenario's tariff: a rules.toml of settle files, or a folder with one and its prices, keys, agreements and points",
    )
    run_it.add_argument("--no-bills", action="store_true", help="with --direct, for scale: no statements and invoices")
    check = actions.add_parser("check", help="whether a scenario can be run, without running it")
    check.add_argument("scenario", metavar="SCENARIO", help=_SCENARIO)
    check.add_argument("--rules", type=Path, metavar="PATH", help="in place of the scenario's tariff, as run takes it")
    imported = actions.add_parser(
        "import-grid", help="a net of pandapower as the table of an own grid, with a scenario"
    )
    imported.add_argument("net", type=Path, metavar="NET.json", help="a file that pandapower.to_json has written")
    imported.add_argument("--out", type=Path, required=True, metavar="DIR", help="an absent or empty folder")
    imported.add_argument(
        "--profile", default="H0-A", metavar="NAME", help="load shape of loads that name none of ours (default H0-A)"
    )
    imported.add_argument(
        "--annual-kwh",
        type=whole_number(1, ANNUAL_KWH_MAX),
        metavar="N",
        help="what each of these takes in a year (default: what its p_mw comes to as the shape's largest power)",
    )
    compare = actions.add_parser("compare", help="two runs of the same time and homes, party by party")
    compare.add_argument("a", type=Path, metavar="A", help="a folder that simulate run has made")
    compare.add_argument("b", type=Path, metavar="B", help="another one: another tariff, mechanism, or other devices")
    compare.add_argument("--out", type=Path, metavar="DIR", help="an absent or empty folder for a table and a picture")
    score = actions.add_parser("score", help="what the ledger made of a run's faults: recall and precision by kind")
    score.add_argument("run", type=Path, metavar="DIR", help="a folder that simulate run has made, without --direct")
    actions.add_parser("list", help="the scenarios of the gallery")
    consensus = actions.add_parser("consensus", help="nodes of a consortium on a virtual clock, network and disk")
    consensus.add_argument(
        "--seed", type=whole_number(0, SEED_MAX), required=True, metavar="N", help="what goes wrong, and when"
    )
    consensus.add_argument(
        "--count", type=whole_number(1, COUNT_MAX), default=1, metavar="K", help="run the K seeds from N on (default 1)"
    )


def run(args: argparse.Namespace) -> int:
    """Do it; the exit status is 1 where readings are missing that no event explains, books do not balance, or a promise was broken."""
    actions = {
        "run": _run,
        "check": _check,
        "import-grid": _import_grid,
        "compare": _compare,
        "score": _score,
        "list": _list,
    }
    return {**actions, "consensus": _consensus}[args.action](args)


def _run(args: argparse.Namespace) -> int:
    from gridledger.tables.parquet_file import check_parquet

    if not args.direct and args.no_bills:
        raise UsageError("gridledger simulate run: --no-bills is of --direct; give it too")
    if args.direct and args.speed is not None:
        raise UsageError("gridledger simulate run: --speed is of agents, and --direct has none; leave one of them out")
    if args.parquet:
        check_parquet("gridledger simulate run: --parquet")
    return _run_direct(args) if args.direct else _run_agents(args)


def _found(args: argparse.Namespace) -> Found:
    """The scenario as the options want it; tells of tables beside its rules that are not read."""
    from gridledger.simulating.manifest import unread_rules
    from simulators.scenarios.gallery import find_scenario

    found = find_scenario(args.scenario).sized(seed=getattr(args, "seed", None), rules=args.rules)
    for note in unread_rules(found.scenario.tariff):
        print(note, file=sys.stderr, flush=True)
    return found


def _run_agents(args: argparse.Namespace) -> int:
    import asyncio

    from gridledger.demo.needed import check_broker, check_engine
    from gridledger.demo.resuming import is_begun
    from gridledger.demo.run import Plan, perform
    from gridledger.settling.settled_folder import check_out

    found = _found(args)
    check_broker(found)
    check_engine(found)
    goes_on = args.resume and is_begun(args.out, found)
    if not goes_on:
        check_out(args.out)
        _say_that_it_begins(args)
    try:
        plan = Plan(
            args.out.resolve(), found, speed=args.speed, has_parquet=args.parquet, is_resumable=True, is_begun=goes_on
        )
        outcome = perform(plan, _Told(args), "gridledger simulate run")
    except asyncio.CancelledError:  # SIGTERM: node and agents have been ended too
        return EXIT_TERMINATED
    summary, lost = outcome.summary, outcome.losses.readings_dropped if outcome.losses else 0
    return 0 if summary.readings_missing <= lost and summary.postings_sum_nano == 0 else 1


def _say_that_it_begins(args: argparse.Namespace) -> None:
    """Whoever wanted to go on may have named another folder."""
    if args.resume:
        what = "there is nothing to go on with; the run begins at its first slot"
        print(f"gridledger simulate run: --resume: --out {args.out}: {what}", file=sys.stderr, flush=True)


def _run_direct(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from gridledger.settling.settled_folder import check_out
    from gridledger.simulating.begun import has_ledger
    from gridledger.simulating.direct import DirectPlan, run_direct

    found = _found(args)
    check_out(args.out)
    if not has_ledger(args.out):
        _say_that_it_begins(args)
    plan = DirectPlan(args.out, found, has_parquet=args.parquet, has_bills=not args.no_bills, goes_on=args.resume)
    try:
        outcome = run_direct(plan, print_progress).outcome
    except KeyboardInterrupt:
        print_progress("")
        print("stopped; the same command with --resume goes on", file=sys.stderr, flush=True)
        raise
    print_progress("")
    print_result(args, asdict(outcome), outcome.text())
    return 0


def _check(args: argparse.Namespace) -> int:
    from gridledger.demo.needed import check_broker, check_engine
    from gridledger.demo.prepare import prepare_for_agents

    found = _found(args)
    world, terms = prepare_for_agents(found)
    check_broker(found)
    check_engine(found)
    scenario = world.scenario
    facts = {"title": scenario.title, "slots": world.slots, "areas": len(world.areas), "meters": len(world.meters)}
    facts |= {"trading": len(world.traders), "seed": scenario.seed, "contract": terms.rules.contract}
    what = f"{len(world.meters)} meters, {len(world.traders)} homes that trade"
    text = f"{scenario.title}: {world.slots} slots, {what}, {terms.rules.contract}; it can be run"
    print_result(args, facts, text)
    return 0


def _import_grid(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from gridledger.settling.settled_folder import check_out
    from gridledger.simulating.import_grid import import_net
    from simulators.grid.pandapower_grid import Homes

    check_out(args.out)
    imported = import_net(args.net, args.out, Homes(args.profile, args.annual_kwh))
    print_result(args, asdict(imported), imported.text())
    return 0


def _compare(args: argparse.Namespace) -> int:
    from gridledger.founding.folder import take_folder
    from gridledger.simulating.comparing import PAGE, as_json, compare, read_run, text, write_comparison

    found = compare(read_run(args.a), read_run(args.b))
    shown = text(found)
    if args.out is not None:
        out = take_folder(args.out, "gridledger simulate compare: --out")
        write_comparison(out, found)
        shown = f"{shown}\n{out / PAGE}"
    print_result(args, {**as_json(found), "out": str(args.out) if args.out else None}, shown)
    return 0


def _score(args: argparse.Namespace) -> int:
    from gridledger.simulating.fault_scores import as_json, score_run, table_text

    scores = score_run(args.run)
    print_result(args, {"kinds": [as_json(score) for score in scores]}, table_text(scores))
    return 0


def _list(args: argparse.Namespace) -> int:
    from simulators.scenarios.gallery import find_scenario, names

    titles = {name: find_scenario(name).scenario.title for name in names()}
    width = max(map(len, titles))
    print_result(args, titles, "\n".join(f"{name:{width}}  {title}" for name, title in titles.items()))
    return 0


def _consensus(args: argparse.Namespace) -> int:
    from simulators.consensus.run import simulate
    from simulators.consensus.series import run_series

    if args.count == 1:
        report = simulate(args.seed)
        print_result(args, report.as_json(), report.text())
        return 1 if report.violations else 0
    series = run_series(range(args.seed, args.seed + args.count))
    print_result(args, series.as_json(), series.summary)
    return 1 if series.failed else 0


class _Told:
    """Tells the person who started a run."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args

    def show_progress(self, line: str) -> None:
        print_progress(line)

    def show_pages(self, url: str, is_answering: bool) -> None:
        """A run of a scenario has none."""
        print(url, file=sys.stderr)

    def show_outcome(self, outcome: Outcome) -> None:
        from gridledger.demo.summary import to_json

        print_progress("")
        numbers = to_json(outcome.summary, outcome.losses) | {"faults": outcome.faults}
        print_result(self._args, numbers, outcome.text)
