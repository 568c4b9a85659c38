"""``gridledger settle issue``: number and date the documents of a month for good; what changes later is issued as further documents."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridcore.errors import excerpt
from gridledger.commands import Actions, print_result, whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridledger.settling.outgoing.making import LeftOut, MadeIssue

_DUE_DAYS: Final = 14
_DUE_DAYS_MAX: Final = 366
_PARTIES_NAMED_MAX: Final = 8
_ORGANISATIONS_NAMED_MAX: Final = 4
_LATEST: Final = "9998-12-31"
"""So that documents may fall due."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def declare(actions: Actions) -> None:
    """Declare the action."""
    issue = actions.add_parser(
        "issue", help="issue a month's documents into a book that never changes (docs/month-documents.md)"
    )
    issue.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a ledger's data directory that no node uses"
    )
    issue.add_argument("--guard", type=Path, metavar="FILE", help="that node's guard, where it lies outside --data")
    issue.add_argument(
        "--book", type=Path, required=True, metavar="BOOK", help="the folder of all issues; made where there is none"
    )
    issue.add_argument("--month", required=True, metavar="YYYY-MM", help="a month by the clock of its areas")
    issue.add_argument("--area", metavar="ID", help="of one area alone (of all that the ledger's zone has)")
    issue.add_argument("--issuer", required=True, metavar="ID", help="the organisation whose parties are invoiced")
    issue.add_argument(
        "--date", required=True, type=_date, metavar="YYYY-MM-DD", help="of the documents; numbers go by its year"
    )
    issue.add_argument(
        "--due-days",
        type=whole_number(0, _DUE_DAYS_MAX),
        default=_DUE_DAYS,
        metavar="N",
        help=f"until they are due ({_DUE_DAYS})",
    )
    issue.add_argument("--so-far", action="store_true", help="also where slots of the month are not settled yet")
    issue.add_argument(
        "--own-book",
        action="store_true",
        help="the book is of the issuer's parties alone: exit 0, whoever else is told",
    )


def run(args: argparse.Namespace) -> int:
    """Add an issue to the book, or say that there is nothing to issue; 1 where documents of other organisations' parties are still to be issued into it."""
    from gridledger.settling.outgoing.making import Asked, issue

    asked = Asked(args.month, args.area, args.issuer, args.date, args.due_days, args.so_far)
    made = issue(args.data, args.book.absolute(), asked, args.guard)
    if made.without_tariff:
        words = f"no documents of {_named(made.without_tariff)}: they name no tariff (docs/tariffs.md)"
        print(words, file=sys.stderr, flush=True)
    if made.left_out:
        print(_say_left_out(made.left_out), file=sys.stderr, flush=True)
    if made.later_months:
        words = f"{', '.join(made.later_months)}: issued before, and may differ now, as steps of a year go by {args.month} too"
        print(f"{words}; issue them again", file=sys.stderr, flush=True)
    for one in made.disputed:
        words = f"of the documents of {one.month}, {one.gross_nano} nano, {one.disputed_nano} are disputed and not due; {one.due_nano} are due"
        print(f"{one.party}: {words}", file=sys.stderr, flush=True)
    for left_out in made.uncharged:
        print(left_out.words, file=sys.stderr, flush=True)
    print_result(args, _as_json(made), _text(made))
    return 1 if made.left_out and not args.own_book else 0


def _say_left_out(left_out: Sequence[LeftOut]) -> str:
    """How many parties of other organisations still have documents to come, and whose they are: of the first organisations by name."""
    count = sum(len(one.parties) for one in left_out)
    whose = "; ".join(f"{_named(one.parties)} of {one.organisation}" for one in left_out[:_ORGANISATIONS_NAMED_MAX])
    more = len(left_out) - _ORGANISATIONS_NAMED_MAX
    others = f"; and {more} more organisations" if more > 0 else ""
    words = "each organisation issues its own, with --issuer; into another book: --own-book"
    return f"not issued, parties of other organisations: {count} ({whose}{others}); {words}"


def _named(parties: Sequence[str]) -> str:
    """The first parties by name, and how many more there are."""
    more = len(parties) - _PARTIES_NAMED_MAX
    return ", ".join(parties[:_PARTIES_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _as_json(made: MadeIssue) -> dict[str, object]:
    documents = made.batch.documents
    return {
        **made.batch.issue._asdict(),
        "issued": made.out is not None,
        "numbers": [documents[0].number, documents[-1].number] if documents else [],
        "without_tariff": list(made.without_tariff),
        "later_months": list(made.later_months),
        "disputed": [one._asdict() for one in made.disputed],
        "left_out": [{"organisation": one.organisation, "parties": list(one.parties)} for one in made.left_out],
        "uncharged": [one._asdict() for one in made.uncharged],
        "out": str(made.out) if made.out is not None else None,
    }


def _text(made: MadeIssue) -> str:
    issue, documents = made.batch.issue, made.batch.documents
    if not documents:
        return f"{issue.month}, up to block {issue.height}: nothing to issue; what was issued is what is owed"
    sorts = [one.sort for one in documents]
    counted = ", ".join(f"{sorts.count(sort)} {sort}" for sort in dict.fromkeys(sorts))
    return (
        f"{issue.month}, up to block {issue.height}: {len(documents)} documents ({counted}), {documents[0].number} to {documents[-1].number}, due {issue.due_date}\n"
        f"{made.out}"
    )


def _date(text: str) -> date:
    try:
        if _DATE.fullmatch(text) is None or text > _LATEST:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{excerpt(text)} is no date; write YYYY-MM-DD, as 2026-07-03") from None
