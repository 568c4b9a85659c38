"""``gridledger bench``: measure, each name beside its bound (``gridledger.bench`` finds the names)."""

from __future__ import annotations

import argparse

from gridledger.commands import add_actions, print_progress, print_result

EXAMPLE = "gridledger bench run clear_10k sm2_verify/libcrypto --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``list`` and ``run NAME...``."""
    actions = add_actions(parser)
    actions.add_parser("list", help="the names of all benchmarks")
    run_parser = actions.add_parser("run", help="run benchmarks by name; all of them when none is named")
    run_parser.add_argument("names", nargs="*", metavar="NAME", help="as printed by 'gridledger bench list'")


def run(args: argparse.Namespace) -> int:
    """List or run; the exit status is 1 where a benchmark that has a limit misses it."""
    from gridledger.bench import find_benchmarks, has_missed, run_benchmark, select_names, text_line

    benchmarks = find_benchmarks()
    if args.action == "list":
        print_result(args, {"names": sorted(benchmarks)}, "\n".join(sorted(benchmarks)))
        return 0
    results = []
    for name in select_names(args.names, benchmarks):
        print_progress(f"{name} ...")
        result = run_benchmark(name, benchmarks[name])
        print_progress("")
        results.append(result)
        if not args.json:
            print(text_line(result), flush=True)
    print_result(args, {"results": results}, "")
    return 1 if any(map(has_missed, results)) else 0
