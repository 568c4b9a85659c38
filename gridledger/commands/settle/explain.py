"""``gridledger settle explain``: how one bill line comes about, step by step, recomputed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gridcore.errors import EncodingError, UsageError, excerpt
from gridledger.commands import Actions, add_language_argument, language_of, print_result

if TYPE_CHECKING:
    from gridledger.settling.balance_derivation import BalanceDerivation
    from gridledger.settling.derivation import Derivation, Step, Text
    from gridledger.settling.month_derivation import MonthDerivation

BUNDLE_BYTES_MAX: Final = 1024 * 1024
BILL_LINE: Final = (
    "PARTY/SLOT/KIND, as H001/1781971200/levy: the slot's start in UTC seconds;"
    " a document's line is PARTY/MONTH/KIND, as P01/2026-06/levy, its totals PARTY/MONTH"
)
BALANCE_LINE: Final = "ACCOUNT/SLOT/KIND, as grid/1781971200/loss: the slot's start in UTC seconds"
"""What --line has to say, without and with --area."""
_WORDS: Final = {
    "en": {
        "run": "run",
        "recomputed": "recomputed",
        "differs": "DIFFERS",
        "sum": "What the point pays",
        "not": "not checked",
    },
    "zh_CN": {"run": "结算批次", "recomputed": "重算一致", "differs": "不一致", "sum": "本计量点应付", "not": "未核查"},
}

_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


class LineName(NamedTuple):
    """A line of a slot as it is named on the command line: PARTY/SLOT_START_S/KIND."""

    party: str
    slot_start_s: int
    kind: str


def declare(actions: Actions) -> None:
    """Declare the action."""
    explain = actions.add_parser("explain", help="show how a bill line comes about, step by step, and recompute it")
    where = explain.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--data", type=Path, metavar="DIR", help="a ledger's data directory that no node uses (OUT/ledger)"
    )
    where.add_argument("--bundle", type=Path, metavar="FILE", help="an evidence bundle of the line (.evd)")
    where.add_argument(
        "--settled", type=Path, metavar="OUT", help="a folder that settle files has made: its slots and its documents"
    )
    explain.add_argument(
        "--documents", type=Path, metavar="OUT", help="of --data: a folder that settle documents has made of it"
    )
    explain.add_argument(
        "--book",
        type=Path,
        metavar="BOOK",
        help="of --data: a book that settle issue has made of it; the line is NUMBER/KIND",
    )
    explain.add_argument("--guard", type=Path, metavar="FILE", help="that node's guard, where it lies outside --data")
    explain.add_argument(
        "--line",
        required=True,
        metavar="PARTY/SLOT/KIND",
        help="H001/1781971200/levy: slot start in UTC seconds; of --settled and --documents also P01/2026-06/levy, and P01/2026-06 for a document's totals",
    )
    explain.add_argument(
        "--area",
        metavar="ID",
        help="the line is an entry of this area's balance, ACCOUNT/SLOT/KIND: grid/1781971200/loss, or of a document for it, grid/2026-06/loss",
    )
    explain.add_argument("--run", dest="run_name", metavar="NAME", help="settlement run (the last one)")
    explain.add_argument("--point", metavar="ID", help="which of the party's points (the first that has the line)")
    add_language_argument(explain)


def run(args: argparse.Namespace) -> int:
    """Print the derivation; 1 where a step does not give what the ledger says."""
    if args.documents is not None and args.data is None:
        raise UsageError(f"--documents {args.documents}: is of a ledger; name its data directory with --data")
    if args.book is not None:
        return _explain_issued(args)
    parts = args.line.rsplit("/", 2)
    is_of_month = len(parts) == 3 and all(parts) and _MONTH.fullmatch(parts[1]) is not None
    if args.area is not None and not is_of_month:
        return _explain_balance(args)
    if is_of_month:
        return _explain_document(args, *parts)
    if len(parts) == 2 and parts[0] and _MONTH.fullmatch(parts[1]):
        return _explain_document(args, parts[0], parts[1], "")
    return _explain_slot(args)


def _explain_slot(args: argparse.Namespace) -> int:
    from gridevidence.view import decode_bundle
    from gridledger.settling.derivation import derive_line
    from gridledger.settling.settled_folder import LEDGER

    name = _line_name(args.line, BILL_LINE)
    data_dir = args.data or (args.settled / LEDGER if args.settled else None)
    data = _read(args.bundle) if data_dir is None else _export(args, data_dir, name)
    try:
        view = decode_bundle(data)
    except EncodingError as error:
        raise UsageError(f"{args.bundle or data_dir}: {error}") from None
    if (view.party, view.run.slot_start_s) != (name.party, name.slot_start_s):
        raise UsageError(f"--line {args.line}: {args.bundle} is of {view.party}/{view.run.slot_start_s}")
    derivation = derive_line(view, name.kind)
    language = language_of(args)
    head = f"{derivation.title[language]} ({derivation.line_kind}), {derivation.contract}, {_WORDS[language]['run']} {derivation.run}"
    lines = _lines(head, derivation.steps, derivation.not_checked, language)
    print_result(args, _as_json(derivation, language), "\n".join(lines))
    return 0 if derivation.holds else 1


def _explain_document(args: argparse.Namespace, party: str, month: str, kind: str) -> int:
    from gridledger.settling.balance_month_derivation import derive_balance_line
    from gridledger.settling.documents import DocumentFolder
    from gridledger.settling.month_derivation import DocumentName, derive_document

    if args.settled is None and (args.data is None or args.documents is None):
        words = "names a month; name the folder of its document: --settled OUT, or --data DIR --documents OUT"
        raise UsageError(f"--line {excerpt(args.line)}: {words}")
    if args.point is not None:
        raise UsageError(f"--point {args.point}: a document is of all points of its party; leave --point out")
    folder = DocumentFolder(args.settled) if args.settled else DocumentFolder(args.documents, args.data, args.guard)
    name = DocumentName(party, month, kind, args.run_name)
    derivation = derive_document(folder, name) if args.area is None else derive_balance_line(folder, args.area, name)
    return _print_month(args, derivation)


def _explain_issued(args: argparse.Namespace) -> int:
    from gridledger.settling.outgoing.explained import derive_issued_line

    others = {"--documents": args.documents, "--area": args.area, "--run": args.run_name, "--point": args.point}
    if args.data is None or any(value is not None for value in others.values()):
        words = "is of --data alone: the document says its run, area and party"
        raise UsageError(f"--book {args.book}: {words}")
    number, _, kind = args.line.rpartition("/")
    if not number or not kind:
        raise UsageError(f"--line {excerpt(args.line)}: write NUMBER/KIND, as utility-2026-000017/levy")
    return _print_month(args, derive_issued_line(args.data, args.book, number, kind, args.guard))


def _print_month(args: argparse.Namespace, derivation: MonthDerivation) -> int:
    language = language_of(args)
    head = f"{derivation.title[language]} ({args.line}), {_WORDS[language]['run']} {derivation.run}"
    lines = _lines(head, derivation.steps, derivation.not_checked, language)
    print_result(args, _document_json(derivation, language), "\n".join(lines))
    return 0 if derivation.holds else 1


def _explain_balance(args: argparse.Namespace) -> int:
    from gridledger.settling.area_slots import slot_histories
    from gridledger.settling.balance_derivation import EntryName, check_kind, derive_entry
    from gridledger.settling.settled_folder import LEDGER
    from ledger.leaves.chain import CHAIN
    from ledger.store.offline import reading
    from settlement.catalogue import CONTRACTS

    for flag, value in (("--bundle", args.bundle), ("--documents", args.documents), ("--point", args.point)):
        if value is not None:
            raise UsageError(f"{flag}: no entry of a balance is there; name its ledger with --data or --settled")
    line = _line_name(args.line, BALANCE_LINE)
    check_kind(line.kind)
    name = EntryName(args.area, line.party, line.slot_start_s, line.kind, args.run_name)
    with reading(args.data or args.settled / LEDGER, CONTRACTS, args.guard) as reader:
        chain = CHAIN.must(reader)
        found = [*slot_histories(reader, args.area, name.slot_start_s, name.slot_start_s + chain.slot_s)]
    if not found or found[0].slot_start_s != name.slot_start_s:
        raise UsageError(f"--line {excerpt(args.line)}: area {args.area} has no settled slot that starts then")
    derivation = derive_entry(found[0], name, chain.currency)
    language = language_of(args)
    head = f"{derivation.title[language]} ({args.area}, {args.line}), {_WORDS[language]['run']} {derivation.run}"
    lines = _lines(head, derivation.steps, derivation.not_checked, language)
    print_result(args, _balance_json(derivation, language), "\n".join(lines))
    return 0 if derivation.holds else 1


def _line_name(text: str, form: str) -> LineName:
    parts = text.rsplit("/", 2)
    if len(parts) != 3 or not all(parts) or not (parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) <= 12):
        raise UsageError(f"--line {excerpt(text)}: write {form}")
    return LineName(parts[0], int(parts[1]), parts[2])


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(BUNDLE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"--bundle {path}: {error.strerror}") from None
    if len(data) > BUNDLE_BYTES_MAX:
        raise UsageError(f"--bundle {path}: more than {BUNDLE_BYTES_MAX} bytes: no evidence bundle")
    return data


def _export(args: argparse.Namespace, data_dir: Path, name: LineName) -> bytes:
    from ledger.evidence import build_bundle
    from ledger.store.offline import reading
    from settlement.catalogue import CONTRACTS

    with reading(data_dir, CONTRACTS, args.guard) as reader:
        return build_bundle(
            reader,
            CONTRACTS,
            party=name.party,
            slot_start_s=name.slot_start_s,
            line_kind=name.kind,
            run=args.run_name,
            point=args.point,
        )


def _lines(head: str, steps: Sequence[Step], not_checked: Sequence[Text], language: str) -> list[str]:
    words, found = _WORDS[language], [head]
    for number, step in enumerate(steps, start=1):
        formula = step.formula[language]
        shown = f"{formula} = {step.result}" if formula != str(step.result) else str(step.result)
        mark = words["recomputed"] if step.holds else words["differs"]
        found += [f"{number:2}. {step.what[language]}", f"    {shown} {step.unit}  [{mark}]"]
    found += [f"{words['not']}: {text[language]}" for text in not_checked]
    return found


def _as_json(derivation: Derivation, language: str) -> dict[str, object]:
    return {
        "line_kind": derivation.line_kind,
        "title": derivation.title[language],
        "contract": derivation.contract,
        "run": derivation.run,
        "amount_nano": derivation.amount_nano,
        "pays_nano": derivation.pays_nano,
        "holds": derivation.holds,
        "steps": _steps_json(derivation.steps, language),
        "not_checked": [text[language] for text in derivation.not_checked],
    }


def _document_json(derivation: MonthDerivation, language: str) -> dict[str, object]:
    name = derivation.name
    return {
        "party": name.party,
        "month": name.month,
        "line_kind": name.kind or None,
        "title": derivation.title[language],
        "run": derivation.run,
        "currency": derivation.terms.currency,
        "quantum_nano": derivation.terms.quantum_nano,
        **derivation.amounts,
        "holds": derivation.holds,
        "steps": _steps_json(derivation.steps, language),
        "not_checked": [text[language] for text in derivation.not_checked],
    }


def _balance_json(derivation: BalanceDerivation, language: str) -> dict[str, object]:
    name = derivation.name
    return {
        "area": name.area,
        "account": name.account,
        "slot_start_s": name.slot_start_s,
        "kind": name.kind,
        "title": derivation.title[language],
        "run": derivation.run,
        "height": derivation.height,
        "energy_wh": derivation.energy_wh,
        "pays_nano": derivation.pays_nano,
        "holds": derivation.holds,
        "steps": _steps_json(derivation.steps, language),
        "entries": [entry._asdict() for entry in derivation.entries],
        "not_checked": [text[language] for text in derivation.not_checked],
    }


def _steps_json(steps: Sequence[Step], language: str) -> list[dict[str, object]]:
    return [{**step._asdict(), "what": step.what[language], "formula": step.formula[language]} for step in steps]
