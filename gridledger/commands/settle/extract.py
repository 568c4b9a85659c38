"""``gridledger settle extract``: what a ledger has settled with as a folder of files, to be settled under other rules."""

from __future__ import annotations

import argparse
from pathlib import Path

from gridledger.commands import Actions, instant, print_progress, print_result


def declare(actions: Actions) -> None:
    """Declare the action."""
    extract = actions.add_parser("extract", help="write what a ledger has settled with as a folder for settle files")
    extract.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a ledger's data directory that no node uses"
    )
    extract.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="an absent or empty folder to make")
    extract.add_argument("--area", action="append", metavar="ID", help="an area (all of the zone); may be given again")
    for name, words in (("--from", "the first slot starts then or later"), ("--until", "all slots start before")):
        extract.add_argument(
            name, dest=name[2:] + "_s", type=instant, metavar="TIME", help=f"{words}, ISO 8601 with its offset"
        )


def run(args: argparse.Namespace) -> int:
    """Write the folder; print what it holds."""
    from gridledger.commands.settle.files import held, held_text
    from gridledger.settling.extract import Span, extract
    from gridledger.settling.settled_folder import check_out, made_whole
    from gridledger.settling.validation_marks import counts_by_rule, marked_in_files

    check_out(args.out)
    print_progress("reading ...")
    out: Path = args.out.absolute()
    with made_whole(out) as work:
        dataset = extract(args.data, args.area, Span(args.from_s, args.until_s), work)
    print_progress("")
    marked = counts_by_rule(marked_in_files(dataset))
    print_result(args, {**held(dataset, marked), "out": str(out)}, f"{held_text(dataset, marked)}\n{out}")
    return 0
