"""``gridledger settle documents``: the documents of a month of any ledger whose parties name tariffs, as ``settle files`` makes them."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridledger.commands import print_progress, print_result

if TYPE_CHECKING:
    from gridledger.settling.month_documents import Made

_PARTIES_NAMED_MAX: Final = 8


def declare(actions: Any) -> None:
    """Declare the action."""
    documents = actions.add_parser(
        "documents", help="make the documents of a month of a ledger (docs/month-documents.md)"
    )
    documents.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a ledger's data directory that no node uses"
    )
    documents.add_argument("--guard", type=Path, metavar="FILE", help="that node's guard, where it lies outside --data")
    documents.add_argument("--month", required=True, metavar="YYYY-MM", help="a month by the clock of its areas")
    documents.add_argument("--area", metavar="ID", help="of one area alone (of all that the ledger's zone has)")
    documents.add_argument("--out", type=Path, required=True, metavar="OUT", help="an absent or empty folder")


def run(args: argparse.Namespace) -> int:
    """Make the files; 1 where the books do not balance."""
    from gridledger.settling.month_documents import make_documents

    made = make_documents(
        args.data,
        args.month,
        args.out.absolute(),
        area=args.area,
        guard=args.guard,
        progress=lambda done, of: print_progress(f"written {100 * done // max(of, 1)} %"),
    )
    print_progress("")
    for note in _notes(made):
        print(note, file=sys.stderr, flush=True)
    print_result(args, _as_json(made, args.out), _text(made))
    return 0 if made.written.postings_sum_nano == 0 else 1


def _notes(made: Made) -> Iterator[str]:
    """What a person has to know before documents are sent."""
    month = made.month
    if not month.is_complete:
        yield f"{month.month} is not complete: {month.slots_settled} of its {month.slots} slots are settled; these are documents of the month so far"
    if made.without_tariff:
        named = ", ".join(made.without_tariff[:_PARTIES_NAMED_MAX])
        more = len(made.without_tariff) - _PARTIES_NAMED_MAX
        others = f" and {more} more" if more > 0 else ""
        yield f"no documents of {named}{others}: they are billed and name no tariff (docs/tariffs.md)"


def _as_json(made: Made, out: Path) -> dict[str, object]:
    written = made.written
    return {
        **made.month._asdict(),
        "complete": made.month.is_complete,
        "without_tariff": list(made.without_tariff),
        "statements": written.statements,
        "postings": written.postings,
        "postings_sum_nano": written.postings_sum_nano,
        "documents": len(written.issued),
        "payments": len(made.payments),
        "results_root": written.results_root.hex(),
        "out": str(out),
    }


def _text(made: Made) -> str:
    month, written = made.month, made.written
    runs = Counter(one.run for one in written.issued)
    by_run = ", ".join(f"{count} of run {run}" for run, count in runs.items())
    return (
        f"{month.month}, zone {month.zone}, up to block {month.height}: {month.parties} parties, {month.slots_settled} of {month.slots} slots settled\n"
        f"{written.statements} lines, {len(written.issued)} documents ({by_run or 'none'}); debits equal credits\n"
        f"{len(made.payments)} payments of the month"
    )
