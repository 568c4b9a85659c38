"""``gridledger watch``: the rules of the risk monitor over a ledger, and how well they find fraud in simulated months."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from gridcore.errors import UsageError
from gridledger.commands import add_actions, print_progress, print_result, whole_number

if TYPE_CHECKING:
    from gridwatch.alerts import Alert
    from gridwatch.rules import Rules

EXAMPLE = "gridledger watch replay --data ledger --rules rules.toml"
SEEDS_MAX = 1_000
FIRST_SEED_MAX = 1_000_000
EVERY_S_MAX = 3_600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    replay = actions.add_parser("replay", help="what the rules find in a whole ledger; its node must not run")
    replay.add_argument("--data", type=Path, required=True, metavar="DIR", help="the node's data directory")
    _add_rules(replay)
    replay.add_argument("--metrics", type=Path, metavar="FILE", help="what a node of the chain answered at /metrics")
    follow = actions.add_parser("follow", help="the same beside a running node, as its blocks come")
    follow.add_argument("--data", type=Path, required=True, metavar="DIR", help="the node's data directory")
    follow.add_argument("--copy", type=Path, required=True, metavar="DIR", help="the watch's own; made if absent")
    _add_rules(follow)
    follow.add_argument(
        "--every",
        type=whole_number(1, EVERY_S_MAX),
        default=5,
        metavar="S",
        help="look for blocks so often (default 5)",
    )
    follow.add_argument("--once", action="store_true", help="end when it has all that the node has certified")
    check = actions.add_parser("check", help="whether a file of rules can be used, and which rules are on")
    _add_rules(check)
    table = actions.add_parser("table", help="how often and how late each kind of simulated fraud is found")
    _add_rules(table)
    table.add_argument(
        "--seeds",
        type=whole_number(1, SEEDS_MAX),
        default=100,
        metavar="N",
        help="how many months (default 100)",
    )
    table.add_argument(
        "--first-seed",
        type=whole_number(0, FIRST_SEED_MAX),
        metavar="N",
        help="the first month's; 1001 with --seeds 40: those that the limits were set on (default 2001, held out)",
    )


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", type=Path, metavar="FILE", help="TOML (docs/watch.md); by itself those of a village")


def run(args: argparse.Namespace) -> int:
    """Do it; 1 where ``replay`` has alerts, or ``follow`` in the end, or ``table`` has figures that must not stand."""
    return {"replay": _replay, "follow": _follow, "check": _check, "table": _table}[args.action](args)


def _rules(args: argparse.Namespace) -> Rules:
    from gridwatch.rules import load_rules

    if args.rules is not None:
        return load_rules(args.rules)
    with resources.as_file(resources.files("gridwatch") / "rules.toml") as path:
        return load_rules(path)


def _replay(args: argparse.Namespace) -> int:
    from gridwatch.ledger_source import watched_ledger
    from gridwatch.metrics_file import read_metrics
    from gridwatch.watch import alerts_of, without_data
    from ledger.store.offline import reading
    from settlement.catalogue import CONTRACTS

    rules = _rules(args)
    metrics = () if args.metrics is None else read_metrics(args.metrics)
    with reading(args.data, CONTRACTS) as reader:
        watched = watched_ledger(reader)._replace(metrics=metrics)
    if not watched.areas:
        what = "holds no readings and no imported energies: there is nothing to watch"
        raise UsageError(f"gridledger watch replay: {args.data}: {what}; give it a ledger that has some")
    alerts, lacking = alerts_of(watched, rules), without_data(watched, rules)
    if lacking and len(lacking) == len(rules.on):
        words = "; ".join(f"{rule}: {what}" for rule, what in lacking.items())
        raise UsageError(f"gridledger watch replay: {args.data}: no rule has anything to look at ({words})")
    unlooked = [f"not looked at: {rule}, {what}" for rule, what in lacking.items()]
    text = "\n".join([*map(_line, alerts), *unlooked, f"areas: {len(watched.areas)}, alerts: {len(alerts)}"])
    found = {"areas": len(watched.areas), "alerts": [alert.as_json() for alert in alerts], "without_data": lacking}
    print_result(args, found, text)
    return 1 if alerts else 0


def _follow(args: argparse.Namespace) -> int:
    import signal
    from threading import Event

    from gridledger.watching import News, follow

    rules, stop = _rules(args), Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    standing: list[Alert] = []

    def tell(news: News) -> None:
        for is_found, alerts in ((True, news.found), (False, news.withdrawn)):
            for alert in alerts:
                word = "" if is_found else "no longer: "
                print_result(args, {"found": is_found, **alert.as_json()}, f"{word}{_line(alert)}")
        standing[:] = news.standing
        print_progress(f"block {news.height}: {len(news.standing)} alerts in {news.areas} areas")

    follow(args.data, args.copy, rules, tell, lambda: args.once or stop.wait(args.every))
    print_progress("")
    return 1 if standing else 0


def _check(args: argparse.Namespace) -> int:
    on = _rules(args).on
    print_result(args, {"rules": on}, f"rules that are on: {', '.join(on)}")
    return 0


def _table(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from simulators.detection.scoring import HELD_OUT_SEED, score_seeds, table_text

    rules = _rules(args)
    first = HELD_OUT_SEED if args.first_seed is None else args.first_seed
    seeds = range(first, first + args.seeds)
    score = score_seeds(seeds, rules, lambda seed: print_progress(f"month of seed {seed}, up to {seeds[-1]}"))
    print_progress("")
    faults = list(score.faults())
    print_result(args, {**asdict(score), "faults": faults}, "\n".join([table_text(score), *faults]))
    return 1 if faults else 0


def _line(alert: Alert) -> str:
    at, since = (
        datetime.fromtimestamp(time_s, UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
        for time_s in (alert.at_s, alert.from_s)
    )
    blocks = f" (blocks {', '.join(map(str, alert.blocks))})" if alert.blocks else ""
    return f"{at} {alert.rule} {alert.subject}: {alert.value}, more than {alert.limit}; readings since {since}{blocks}"
