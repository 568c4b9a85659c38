"""``gridledger settle documents``: the documents of a month, or the accounts of a year, of any ledger whose parties name tariffs."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridledger.commands import Actions, print_progress, print_result

if TYPE_CHECKING:
    from gridledger.settling.documented_month import DocumentedMonth
    from gridledger.settling.month_documents import Made
    from gridledger.settling.uncharged_components import Uncharged
    from gridledger.settling.year_documents import DocumentedYear

_PARTIES_NAMED_MAX: Final = 8


def declare(actions: Actions) -> None:
    """Declare the action."""
    documents = actions.add_parser(
        "documents",
        help="make the documents of a month, or the accounts of a year, of a ledger (docs/month-documents.md)",
    )
    documents.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a ledger's data directory that no node uses"
    )
    documents.add_argument("--guard", type=Path, metavar="FILE", help="that node's guard, where it lies outside --data")
    span = documents.add_mutually_exclusive_group(required=True)
    span.add_argument("--month", metavar="YYYY-MM", help="a month by the clock of its areas")
    span.add_argument("--year", metavar="YYYY", help="a year: each party's balances, documents, payments and taxes")
    documents.add_argument("--area", metavar="ID", help="of one area alone (of all that the ledger's zone has)")
    documents.add_argument("--out", type=Path, required=True, metavar="OUT", help="an absent or empty folder")


def run(args: argparse.Namespace) -> int:
    """Make the files; 1 where the books do not balance."""
    return _run_year(args) if args.year is not None else _run_month(args)


def _run_month(args: argparse.Namespace) -> int:
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
    if not made.month.is_complete:
        _say_incomplete(made.month.month, made.month, "documents of the month")
    _say_without_tariff(made.without_tariff)
    _say_without_tariff(made.without_terms, "they answer for balances")
    _say_uncharged(made.uncharged)
    print_result(args, _as_json(made, args.out), _text(made))
    return 0 if made.written.postings_sum_nano == 0 else 1


def _run_year(args: argparse.Namespace) -> int:
    from gridledger.settling.year_documents import make_year

    made = make_year(
        args.data,
        args.year,
        args.out.absolute(),
        area=args.area,
        guard=args.guard,
        progress=lambda done, of: print_progress(f"month {done + 1} of {of}"),
    )
    print_progress("")
    year = made.year
    if not year.is_complete:
        _say_incomplete(year.year, year, "accounts of the year")
    if made.months_missing:
        print(f"no slot is settled of {', '.join(made.months_missing)}", file=sys.stderr, flush=True)
    _say_without_tariff(made.without_tariff)
    _say_uncharged(made.uncharged)
    answer = {
        **year._asdict(),
        "complete": year.is_complete,
        "months_missing": list(made.months_missing),
        "without_tariff": list(made.without_tariff),
        "uncharged": [one._asdict() for one in made.uncharged],
        "entries": made.entries,
        "closing_nano": made.closing_nano,
        "disputed_nano": made.disputed_nano,
        "due_nano": made.closing_nano - made.disputed_nano,
        "out": str(args.out),
    }
    text = (
        f"{year.year}, zone {year.zone}, up to block {year.height}: accounts of {year.parties} parties, {made.entries} entries; "
        f"{year.slots_settled} of {year.slots} slots settled\n"
        f"together they owe {made.closing_nano} nano at the end{_disputed(made.disputed_nano)}"
    )
    print_result(args, answer, text)
    return 0


def _say_incomplete(span: str, settled: DocumentedMonth | DocumentedYear, what: str) -> None:
    words = f"{settled.slots_settled} of its {settled.slots} slots are settled; these are {what} so far"
    print(f"{span} is not complete: {words}", file=sys.stderr, flush=True)


def _say_uncharged(left_out: Sequence[Uncharged]) -> None:
    for one in left_out:
        print(one.words, file=sys.stderr, flush=True)


def _say_without_tariff(parties: Sequence[str], why: str = "they are billed") -> None:
    """Whom a person has to know of before documents are sent."""
    if parties:
        named = ", ".join(parties[:_PARTIES_NAMED_MAX])
        more = len(parties) - _PARTIES_NAMED_MAX
        others = f" and {more} more" if more > 0 else ""
        words = f"no documents of {named}{others}: {why} and name no tariff (docs/tariffs.md)"
        print(words, file=sys.stderr, flush=True)


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
        "balance_documents": len(written.of_balance),
        "balance_without_tariff": list(made.without_terms),
        "uncharged": [one._asdict() for one in made.uncharged],
        "payments": len(made.payments),
        "gross_nano": sum(one.gross_nano for one in made.disputed),
        "disputed_nano": sum(one.disputed_nano for one in made.disputed),
        "due_nano": sum(one.due_nano for one in made.disputed),
        "results_root": written.results_root.hex(),
        "out": str(out),
    }


def _text(made: Made) -> str:
    month, written = made.month, made.written
    runs = Counter(one.run for one in written.issued)
    by_run = ", ".join(f"{count} of run {run}" for run, count in runs.items())
    of_balance = f"; {len(written.of_balance)} documents of balances" if written.of_balance else ""
    return (
        f"{month.month}, zone {month.zone}, up to block {month.height}: {month.parties} parties, {month.slots_settled} of {month.slots} slots settled\n"
        f"{written.statements} lines, {len(written.issued)} documents ({by_run or 'none'}){of_balance}; debits equal credits\n"
        f"{len(made.payments)} payments of the month{_disputed(sum(one.disputed_nano for one in made.disputed))}"
    )


def _disputed(nano: int) -> str:
    """What a person has to know of before anything is collected; nothing where nothing is disputed."""
    return (
        f"\n{nano} nano of it are disputed, and not due while the disputes stand (gridledger dispute list)"
        if nano
        else ""
    )
