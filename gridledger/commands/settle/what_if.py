"""``gridledger settle what-if``: the same readings under other rules, and what that changes for each party."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from gridcore.errors import UsageError
from gridledger.commands import Actions, add_language_argument, language_of, print_progress, print_result

if TYPE_CHECKING:
    from gridledger.settling.variants import Compared

_COMMAND: Final = "gridledger settle what-if"


def declare(actions: Actions) -> None:
    """Declare the action."""
    what_if = actions.add_parser("what-if", help="settle the same readings under other rules, and compare")
    what_if.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="the folder as settle files takes it")
    what_if.add_argument(
        "--from", dest="settled", type=Path, metavar="OUT", help="in place of DIR: a folder that settle files has made"
    )
    what_if.add_argument(
        "--rules",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="another rules.toml, complete; may be given several times",
    )
    what_if.add_argument(
        "--out", type=Path, metavar="OUT", help="an absent or empty folder to keep all in (nothing is kept)"
    )
    add_language_argument(what_if)
    what_if.add_argument("--preset", metavar="NAME", help="the layout of the readings, as for settle files")


def run(args: argparse.Namespace) -> int:
    """Settle under each of the rules; print a table for each."""
    from gridledger.settling import settled_folder, variants

    if (args.folder is None) == (args.settled is None):
        raise UsageError(f"{_COMMAND}: name DIR or --from OUT, one of them")
    if args.settled is not None and args.preset is not None:
        raise UsageError(f"{_COMMAND}: --preset is of DIR; the readings of --from OUT are in its ledger")
    begun = time.monotonic()
    if args.out is not None:
        settled_folder.check_out(args.out)
    print_progress("reading ...")
    rules = variants.named(args.rules)
    if args.folder is not None:
        cases = variants.of_folder(args.folder, rules, args.preset)
    else:
        cases = variants.of_settled(args.settled, rules)
    print_progress("")
    with TemporaryDirectory(prefix="gridledger-what-if-") as gone:
        out: Path = args.out.absolute() if args.out else Path(gone) / "out"
        needed = settled_folder.check_disk(cases.datasets(), out)
        print(f"{out}: needs about {settled_folder.megabytes(needed)} of disk", file=sys.stderr, flush=True)
        found = variants.settle(cases, out, lambda name, done, of: print_progress(f"{name}: {done} of {of} slots"))
    print_progress("")
    kept = out if args.out else None
    wall_s = round(time.monotonic() - begun, 2)
    print_result(args, _as_json(found, kept, wall_s), _text(found, kept, wall_s, language_of(args)))
    return 0


def _as_json(found: Compared, out: Path | None, wall_s: float) -> dict[str, object]:
    from gridledger.settling.compared_lines import as_json as lines_as_json
    from gridledger.settling.comparison import as_json

    shown = [
        {
            "name": one.name,
            "contract": one.contract,
            "results_root": one.results_root.hex(),
            **as_json(one.comparison),
            "lines": lines_as_json(one.lines),
        }
        for one in found.variants
    ]
    return {"base": found.base, "variants": shown, "wall_s": wall_s, "out": str(out) if out else None}


def _text(found: Compared, out: Path | None, wall_s: float, language: str) -> str:
    from gridledger.settling import compared_lines
    from gridledger.settling.comparison import text
    from gridledger.settling.variants import COMPARISON, LINES, OWN_RULES

    head = {"en": "{} ({}) against {}", "zh_CN": "{}（{}）与 {} 相比"}[language]
    own = {"en": OWN_RULES, "zh_CN": "文件夹自带规则"}[language]
    base = own if found.base == OWN_RULES else found.base
    tables: list[str] = []
    for one in found.variants:
        of_lines = compared_lines.text(one.lines, language, {one.contract, found.contract})
        tables += [
            f"{head.format(one.name, one.contract, base)}\n{text(one.comparison, language)}",
            *([of_lines] if of_lines else []),
        ]
    made = f"{out / COMPARISON}\n{out / LINES}\n" if out else ""
    return "\n\n".join([*tables, f"{made}{wall_s} s"])
