"""``gridledger settle replay``: make settlement runs again from the blocks alone, a folder's documents or balance from their ledger, and compare."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gridcore.errors import UsageError
from gridledger.commands import Actions, instant, print_progress, print_result, whole_number
from gridledger.commands.settle import replay_span

if TYPE_CHECKING:
    from gridledger.settling.replaying_balance import BalanceAgain
    from gridledger.settling.replaying_documents import Differing, DocumentsAgain
    from ledger.store.rerun import Rerun

_LAST_SLOT_S = 253_402_300_799


class _Replay(NamedTuple):
    """Something that is made again. takes: options that may stand beside the one that asks for it; refusal: what is said of another one, ``{}``.

    refusal_of: of some of these by their names, where something else is to be said.
    """

    takes: Collection[str]
    refusal: str
    refusal_of: Mapping[str, str] = {}


_NOT_OF_DOCUMENTS: Final = "{}: is of a run, with --data alone; --settled and --documents make documents again"
_OF_A_NODE: Final = "{}: is of the node behind --documents, --balance or --book"
_REPLAYS: Final[Mapping[str, _Replay]] = {
    "--balance": _Replay(
        takes=["--guard"],
        refusal="{}: the slots of --balance stand in its folder",
        refusal_of=dict.fromkeys(["--settled", "--documents", "--book"], "--balance: is of --data alone, without {}"),
    ),
    "--book": _Replay(takes=["--guard"], refusal="--book: is of --data alone: months and areas stand in its issues"),
    "--documents": _Replay(
        takes=["--guard", "--month"],
        refusal=_NOT_OF_DOCUMENTS,
        refusal_of={"--settled": "--documents: is of --data; --settled holds its ledger itself"},
    ),
    "--settled": _Replay(takes=["--month"], refusal=_NOT_OF_DOCUMENTS, refusal_of={"--guard": _OF_A_NODE}),
}
"""By the option that asks for it; of several the first one."""
_RUNS: Final = _Replay(
    takes=["--area", "--slot", "--day", "--from", "--until", "--run", "--archive", "--month"], refusal=_OF_A_NODE
)
"""Where none of these stands: a run, or those of several slots."""


def declare(actions: Actions) -> None:
    """Declare the action."""
    replay = actions.add_parser("replay", help="make a settlement run, documents or a balance again and compare")
    where = replay.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--settled",
        type=Path,
        metavar="OUT",
        help="a folder that settle files has made: its documents, from its ledger",
    )
    where.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="a ledger's data directory that no node uses (OUT/ledger): a run, or --documents, --balance or --book",
    )
    replay.add_argument(
        "--documents", type=Path, metavar="OUT", help="of --data: a folder that settle documents has made of it"
    )
    replay.add_argument(
        "--balance", type=Path, metavar="OUT", help="of --data: a folder that settle balance has made of it"
    )
    replay.add_argument("--book", type=Path, metavar="BOOK", help="of --data: a book that settle issue has made of it")
    replay.add_argument("--guard", type=Path, metavar="FILE", help="that node's guard, where it lies outside --data")
    replay.add_argument(
        "--month", metavar="YYYY-MM", help="of --settled: the documents of one month (of all); of --area: its runs"
    )
    replay.add_argument("--area", metavar="ID", help="of --data: of which area; the run is of its whole zone")
    replay.add_argument("--slot", type=whole_number(0, _LAST_SLOT_S), metavar="S", help="slot start, UTC seconds")
    replay.add_argument("--day", metavar="YYYY-MM-DD", help="in place of --slot: all slots of a local day of --area")
    for name, words in (("--from", "in place of --slot: slots that start then or later"), ("--until", "and before")):
        replay.add_argument(
            name, dest=name[2:] + "_s", type=instant, metavar="TIME", help=f"{words}, ISO 8601 with its offset"
        )
    replay.add_argument(
        "--run", dest="run_name", metavar="NAME", help="settlement run (of --slot the last one, of several slots all)"
    )
    replay.add_argument("--archive", type=Path, metavar="DIR", help="an archive with the blocks that are not in DIR")


def run(args: argparse.Namespace) -> int:
    """Print what came out again; 1 where it is not what the ledger or the files keep."""
    given = _given(args)
    asked = next((option for option in _REPLAYS if option in given), None)
    replay = _RUNS if asked is None else _REPLAYS[asked]
    for other in given:
        if other != asked and other not in replay.takes:
            raise UsageError(replay.refusal_of.get(other, replay.refusal).format(other))
    makes = {"--balance": _balance, "--book": _book, "--documents": _documents, "--settled": _documents, None: _runs}
    return makes[asked](args)


def _given(args: argparse.Namespace) -> list[str]:
    """The options that stand there, beside ``--data``."""
    values = {
        "--settled": args.settled,
        "--documents": args.documents,
        "--balance": args.balance,
        "--book": args.book,
        "--guard": args.guard,
        "--area": args.area,
        "--slot": args.slot,
        "--day": args.day,
        "--from": args.from_s,
        "--until": args.until_s,
        "--run": args.run_name,
        "--archive": args.archive,
        "--month": args.month,
    }
    return [option for option, value in values.items() if value is not None]


def _runs(args: argparse.Namespace) -> int:
    is_span = replay_span.is_asked(args)
    if args.area is None or (args.slot is None and not is_span):
        missing = "--area" if args.area is None else "--slot"
        raise UsageError(f"{missing} is missing: name runs by --area and --slot, --day, --month or --from and --until")
    return replay_span.run(args) if is_span else _run(args)


def _documents(args: argparse.Namespace) -> int:
    from gridledger.settling.documents import DocumentFolder
    from gridledger.settling.replaying_documents import documents_again

    folder = DocumentFolder(args.settled) if args.settled else DocumentFolder(args.documents, args.data, args.guard)
    again = documents_again(folder, args.month, print_progress)
    print_progress("")
    print_result(args, _documents_json(again), _documents_text(again))
    return 1 if again.differing else 0


def _balance(args: argparse.Namespace) -> int:
    from gridledger.settling.replaying_balance import balance_again

    again = balance_again(args.balance, args.data, args.guard)
    print_result(args, _balance_json(again), _balance_text(again))
    return 0 if again.is_same else 1


def _book(args: argparse.Namespace) -> int:
    from gridledger.settling.outgoing.again import book_again

    again = book_again(args.data, args.book, args.guard, print_progress)
    print_progress("")
    found = again.differing
    answer = {
        "issues": again.issues,
        "documents": again.documents,
        "differing": None if found is None else found._asdict(),
        "same": found is None,
    }
    text = f"the same: {again.documents} documents of {again.issues} issues computed again from the ledger"
    print_result(args, answer, text if found is None else _differing_text(found))
    return 0 if found is None else 1


def _run(args: argparse.Namespace) -> int:
    from ledger.store.archive import Archive
    from ledger.store.rerun import RunName, rerun
    from settlement.catalogue import CONTRACTS, pins

    again = rerun(
        args.data,
        RunName(args.area, args.slot, args.run_name),
        CONTRACTS,
        pins=pins(),
        archive=Archive(args.archive) if args.archive else None,
        progress=lambda done, of: print_progress(f"block {done} of {of}"),
    )
    print_progress("")
    print_result(args, _as_json(again), _text(again))
    return 1 if again.differing else 0


def _as_json(again: Rerun) -> dict[str, object]:
    leaf = again.leaf
    return {
        "run_id": again.run_id.hex(),
        "zone": leaf.zone,
        "slot_start_s": leaf.slot_start_s,
        "run": leaf.run,
        "height": again.height,
        "as_of_height": leaf.as_of_height,
        "state_root": again.state_root.hex(),
        "contract": leaf.contract,
        "contract_pin": leaf.contract_pin.hex(),
        "rows": leaf.rows,
        "points": leaf.points,
        "rows_root": leaf.rows_root.hex(),
        "received_nano": dict(again.received_nano),
        "compared": again.compared,
        "differing": list(again.differing),
        "same": not again.differing,
    }


def _text(again: Rerun) -> str:
    leaf = again.leaf
    lines = [
        f"run {leaf.run} of slot {leaf.slot_start_s}, zone {leaf.zone}: {leaf.points} points settled by {leaf.contract}",
        f"  run id      {again.run_id.hex()}",
        f"  made from   state {again.state_root.hex()} of height {leaf.as_of_height}, in block {again.height}",
        f"  rows root   {leaf.rows_root.hex()}",
        *(f"  {account:<11} {nano} nano" for account, nano in sorted(again.received_nano.items())),
        f"  sum of points {sum(again.received_nano.values())} nano",
    ]
    if again.differing:
        lines.append(
            f"NOT THE SAME: {', '.join(again.differing)}; the data directory was changed: gridledger node check"
        )
    else:
        lines.append(f"the same: {again.compared} leaves made again from the blocks, bit by bit")
    return "\n".join(lines)


def _documents_json(again: DocumentsAgain) -> dict[str, object]:
    found = again.differing
    return {
        "months": list(again.months),
        "documents": again.documents,
        "lines": again.lines,
        "differing": None if found is None else found._asdict(),
        "same": found is None,
    }


def _documents_text(again: DocumentsAgain) -> str:
    found, span = again.differing, " to ".join(dict.fromkeys((again.months[0], again.months[-1])))
    if found is None:
        return f"the same: {again.documents} documents and {again.lines} lines of {span} computed again from the ledger"
    return _differing_text(found)


def _differing_text(found: Differing) -> str:
    where = "behind its end" if found.row is None else f"row {found.row}"
    says = "nothing" if found.stated is None else ",".join(found.stated)
    gives = "nothing" if found.computed is None else ",".join(found.computed)
    return f"NOT THE SAME: {found.file}, {where}, says {says}; the ledger gives {gives}"


def _balance_json(again: BalanceAgain) -> dict[str, object]:
    return {
        "area": again.area,
        "slots": again.slots,
        "entries": again.entries,
        "differing": None if again.differing is None else again.differing._asdict(),
        "underived": None if again.underived is None else again.underived._asdict(),
        "same": again.is_same,
    }


def _balance_text(again: BalanceAgain) -> str:
    if again.differing is not None:
        return _differing_text(again.differing)
    if again.underived is not None:
        return f"NOT THE SAME: plain sums do not give the entry {','.join(map(str, again.underived))}"
    what = f"{again.entries} entries of {again.slots} slots of area {again.area}"
    return f"the same: {what} computed again from the ledger, by the program that posts them and by plain sums"
