"""``gridledger settle compare`` and ``what-if``: what each party pays by one settlement and by another, as a table.

Both compare what ledgers decided: ``what-if`` settles the same folder twice, by its own rules and by others, and compares that.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gridcore.errors import UsageError
from gridledger.commands import print_progress, print_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gridledger.settling.dataset import Dataset

STATEMENTS: Final = "statements.csv"
_NANO: Final = 10**9


class Difference(NamedTuple):
    """What a party pays in all (negative: receives), by each of two settlements."""

    party: str
    before_nano: int
    after_nano: int

    @property
    def more_nano(self) -> int:
        """What it pays more by the second."""
        return self.after_nano - self.before_nano


def declare(actions: Any) -> None:
    """Declare the actions."""
    compare = actions.add_parser("compare", help="what each party pays in two settled folders, and the difference")
    compare.add_argument("before", type=Path, metavar="OUT", help="a folder that settle files has made")
    compare.add_argument("after", type=Path, metavar="OTHER", help="another one")
    what_if = actions.add_parser(
        "what-if", help="settle a folder by its rules and by others, and compare; nothing is kept"
    )
    what_if.add_argument("folder", type=Path, metavar="DIR", help="as for settle files")
    what_if.add_argument(
        "--rules", type=Path, required=True, metavar="FILE", help="in place of rules.toml: another tariff or contract"
    )
    what_if.add_argument("--preset", metavar="NAME", help="the layout of the readings")


def run_compare(args: argparse.Namespace) -> int:
    """Compare two settled folders."""
    differences = _differences(_paid(args.before), _paid(args.after))
    _show(args, differences, ("before", "after"))
    return 0


def run_what_if(args: argparse.Namespace) -> int:
    """Settle twice in a folder that is taken away, and compare."""
    from gridledger.settling.files.folder import read_folder

    dataset = read_folder(args.folder, args.preset)
    try:
        other = read_folder(args.folder, args.preset, args.rules)
    except UsageError as error:
        raise UsageError(f"--rules {args.rules}: {error}") from None
    with tempfile.TemporaryDirectory(prefix="gridledger-what-if-") as work:
        paid = [_settled(each, Path(work, name)) for name, each in (("before", dataset), ("after", other))]
    names = [f"{each.rules.contract}" for each in (dataset, other)]
    words = names if names[0] != names[1] else ["rules.toml", args.rules.name]
    _show(args, _differences(*paid), (words[0], words[1]))
    return 0


def _settled(dataset: Dataset, out: Path) -> Mapping[str, int]:
    from gridledger.settling import whole

    whole.check_disk(dataset, out)
    progress = whole.Progress(
        settled=lambda done, of: print_progress(f"{dataset.rules.contract}: settled {done} of {of} slots"),
        written=lambda done, of: print_progress(f"{dataset.rules.contract}: written {100 * done // max(of, 1)} %"),
    )
    whole.settle(dataset, out, progress)
    print_progress("")
    return _paid(out)


def _paid(out: Path) -> Mapping[str, int]:
    """By party the sum of its statement lines, all runs together."""
    import numpy as np

    from gridledger.settling.files.fields import Names, integers
    from gridledger.settling.files.table import Header, Table

    path = out / STATEMENTS
    if not path.is_file():
        raise UsageError(f"{path}: is not there; name a folder that settle files has made")
    paid: dict[str, int] = {}
    for block in Table(path, Header(("party", "amount_nano"), others=True)).blocks():
        parties = sorted(set(block.columns["party"].texts()))
        code = Names(parties).codes(block.columns["party"], "party")
        amount_nano = integers(block.columns["amount_nano"], -(10**17), 10**17)
        sums = np.zeros(len(parties), dtype=np.int64)
        np.add.at(sums, code, amount_nano)
        for party, amount in zip(parties, sums.tolist(), strict=True):
            paid[party] = paid.get(party, 0) + amount
    return paid


def _differences(before: Mapping[str, int], after: Mapping[str, int]) -> Sequence[Difference]:
    names = sorted({*before, *after}, key=str.encode)
    return [Difference(name, before.get(name, 0), after.get(name, 0)) for name in names]


def _show(args: argparse.Namespace, differences: Sequence[Difference], names: tuple[str, str]) -> None:
    total = Difference("all", sum(d.before_nano for d in differences), sum(d.after_nano for d in differences))
    result = {
        "before": names[0],
        "after": names[1],
        "parties": [{**d._asdict(), "difference_nano": d.more_nano} for d in differences],
        "before_nano": total.before_nano,
        "after_nano": total.after_nano,
        "difference_nano": total.more_nano,
    }
    rows = [("party", *names, "difference"), *(_row(each) for each in (*differences, total))]
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(row[place].rjust(widths[place]) for place in (1, 2, 3))]) for row in rows
    ]
    print_result(args, result, "\n".join(lines))


def _row(each: Difference) -> tuple[str, str, str, str]:
    return each.party, _money(each.before_nano), _money(each.after_nano), _money(each.more_nano)


def _money(amount_nano: int) -> str:
    """In the currency, exact: what is shown adds up."""
    whole, rest = divmod(abs(amount_nano), _NANO)
    sign = "-" if amount_nano < 0 else ""
    return f"{sign}{whole}.{rest:09}"
