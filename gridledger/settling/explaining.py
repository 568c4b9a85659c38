"""``gridledger settle explain``: how one bill line comes about, step by step, recomputed."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gridcore.errors import EncodingError, UsageError, excerpt
from gridledger.commands import print_result

if TYPE_CHECKING:
    from gridledger.settling.derivation import Derivation

BUNDLE_BYTES_MAX: Final = 1024 * 1024
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


class LineName(NamedTuple):
    """A line as it is named on the command line: PARTY/SLOT_START_S/KIND."""

    party: str
    slot_start_s: int
    kind: str


def declare(actions: Any) -> None:
    """Declare the action."""
    explain = actions.add_parser("explain", help="show how a bill line comes about, step by step, and recompute it")
    where = explain.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--data", type=Path, metavar="DIR", help="a ledger's data directory that no node uses (OUT/ledger)"
    )
    where.add_argument("--bundle", type=Path, metavar="FILE", help="an evidence bundle of the line (.evd)")
    explain.add_argument("--guard", type=Path, metavar="FILE", help="that node's guard, where it lies outside --data")
    explain.add_argument(
        "--line", required=True, metavar="PARTY/SLOT/KIND", help="H001/1781971200/levy: slot start in UTC seconds"
    )
    explain.add_argument("--run", dest="run_name", metavar="NAME", help="settlement run (the last one)")
    explain.add_argument("--point", metavar="ID", help="which of the party's points (the first that has the line)")
    explain.add_argument("--language", choices=tuple(_WORDS), help="of the words (of the environment)")


def run(args: argparse.Namespace) -> int:
    """Print the derivation; 1 where a step does not give what the ledger says."""
    from gridevidence.view import decode_bundle
    from gridledger.settling.derivation import derive_line

    name = _line_name(args.line)
    data = _read(args.bundle) if args.bundle else _export(args, name)
    try:
        view = decode_bundle(data)
    except EncodingError as error:
        raise UsageError(f"{args.bundle or args.data}: {error}") from None
    if (view.party, view.run.slot_start_s) != (name.party, name.slot_start_s):
        raise UsageError(f"--line {args.line}: {args.bundle} is of {view.party}/{view.run.slot_start_s}")
    derivation = derive_line(view, name.kind)
    language = args.language or _language()
    print_result(args, _as_json(derivation, language), "\n".join(_lines(derivation, language)))
    return 0 if derivation.holds else 1


def _line_name(text: str) -> LineName:
    parts = text.rsplit("/", 2)
    if len(parts) != 3 or not all(parts) or not (parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) <= 12):
        raise UsageError(
            f"--line {excerpt(text)}: write PARTY/SLOT/KIND, as H001/1781971200/levy: the slot's start in UTC seconds"
        )
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


def _export(args: argparse.Namespace, name: LineName) -> bytes:
    from ledger.evidence import build_bundle
    from ledger.store.offline import reading
    from settlement.catalogue import CONTRACTS

    with reading(args.data, CONTRACTS, args.guard) as reader:
        return build_bundle(
            reader,
            CONTRACTS,
            party=name.party,
            slot_start_s=name.slot_start_s,
            line_kind=name.kind,
            run=args.run_name,
            point=args.point,
        )


def _language() -> str:
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh_CN" if named.startswith("zh") else "en"


def _lines(derivation: Derivation, language: str) -> list[str]:
    words = _WORDS[language]
    found = [
        f"{derivation.title[language]} ({derivation.line_kind}), {derivation.contract}, {words['run']} {derivation.run}"
    ]
    for number, step in enumerate(derivation.steps, start=1):
        formula = step.formula[language]
        shown = f"{formula} = {step.result}" if formula != str(step.result) else str(step.result)
        mark = words["recomputed"] if step.holds else words["differs"]
        found += [f"{number:2}. {step.what[language]}", f"    {shown} {step.unit}  [{mark}]"]
    found += [f"{words['not']}: {text[language]}" for text in derivation.not_checked]
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
        "steps": [
            {**step._asdict(), "what": step.what[language], "formula": step.formula[language]}
            for step in derivation.steps
        ],
        "not_checked": [text[language] for text in derivation.not_checked],
    }
