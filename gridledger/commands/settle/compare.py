"""``gridledger settle compare``: what two settlements of the same readings come to for each party."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gridcore.errors import UsageError
from gridledger.commands import Actions, add_language_argument, language_of, print_result


def declare(actions: Actions) -> None:
    """Declare the action."""
    compare = actions.add_parser("compare", help="compare two settled folders of the same readings, party by party")
    compare.add_argument("a", type=Path, metavar="OUT_A", help="a folder that settle files has made")
    compare.add_argument("b", type=Path, metavar="OUT_B", help="another one: other rules, the same readings")
    compare.add_argument("--out", type=Path, metavar="FILE", help="a CSV file to make, all numbers exact")
    compare.add_argument("--lines", type=Path, metavar="FILE", help="the same of each kind of line")
    add_language_argument(compare)


def run(args: argparse.Namespace) -> int:
    """Print the table, or all of it as JSON."""
    from gridledger.settling import compared_lines
    from gridledger.settling.comparison import COLUMNS, Side, as_json, compare, csv_rows, text
    from gridledger.settling.participants import read_participants

    comparison = compare(*(Side(str(out), read_participants(out)) for out in (args.a, args.b)))
    lines = compared_lines.compare_lines(*(compared_lines.read_lines(out) for out in (args.a, args.b)))
    if args.out is not None:
        _write("--out", args.out, COLUMNS, csv_rows(comparison))
    if args.lines is not None:
        _write("--lines", args.lines, compared_lines.COLUMNS, compared_lines.csv_rows(lines))
    answer = {"a": str(args.a), "b": str(args.b), **as_json(comparison), "lines": compared_lines.as_json(lines)}
    made = {"out": args.out, "lines_out": args.lines}
    language = language_of(args)
    print_result(
        args,
        {**answer, **{name: str(path) if path else None for name, path in made.items()}},
        f"{text(comparison, language)}\n\n{compared_lines.text(lines, language)}".rstrip(),
    )
    return 0


def _write(option: str, path: Path, columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
    """A file that is not there yet. UsageError for one that is."""
    from gridledger.tables.files import write_rows

    try:
        write_rows(path, columns, rows)
    except FileExistsError:
        raise UsageError(f"{option} {path}: is there already; name a file that is not") from None
