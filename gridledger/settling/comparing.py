"""``gridledger settle compare``: what two settlements of the same readings come to for each party."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gridcore.errors import UsageError
from gridledger.commands import print_result


def declare(actions: Any) -> None:
    """Declare the action."""
    compare = actions.add_parser("compare", help="compare two settled folders of the same readings, party by party")
    compare.add_argument("a", type=Path, metavar="OUT_A", help="a folder that settle files has made")
    compare.add_argument("b", type=Path, metavar="OUT_B", help="another one: other rules, the same readings")
    compare.add_argument("--out", type=Path, metavar="FILE", help="a CSV file to make, all numbers exact")


def run(args: argparse.Namespace) -> int:
    """Print the table, or all of it as JSON."""
    from gridledger.settling.comparison import COLUMNS, Side, as_json, compare, csv_rows, text
    from gridledger.settling.participants import read_participants
    from gridledger.tables.files import write_rows

    comparison = compare(*(Side(str(out), read_participants(out)) for out in (args.a, args.b)))
    if args.out is not None:
        try:
            write_rows(args.out, COLUMNS, csv_rows(comparison))
        except FileExistsError:
            raise UsageError(f"--out {args.out}: is there already; name a file that is not") from None
    print_result(
        args,
        {"a": str(args.a), "b": str(args.b), **as_json(comparison), "out": str(args.out) if args.out else None},
        text(comparison),
    )
    return 0
