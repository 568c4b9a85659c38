"""The same readings settled under several rules, each on a ledger of its own by the one code that settles, and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import UsageError, excerpt
from gridcore.forms import NAME
from gridledger.settling import compared_lines
from gridledger.settling.compared_lines import LineDifference
from gridledger.settling.comparison import COLUMNS, Comparison, Side, compare, csv_rows
from gridledger.settling.dataset import Dataset
from gridledger.settling.extract import Span, extract
from gridledger.settling.files.folder import read_folder
from gridledger.settling.files.rules import NAME as RULES
from gridledger.settling.participants import read_participants
from gridledger.settling.settled_folder import LEDGER, Progress, made_whole
from gridledger.settling.settled_folder import settle as settle_whole
from gridledger.tables.files import write_rows
from settlement.catalogue import CONTRACTS

VARIANTS_MAX: Final = 16
BASE: Final = "base"
"""Where the folder as it is is settled; no variant has that name."""
OWN_RULES: Final = "the folder's own rules"
VARIANTS: Final = "variants"
COMPARISON: Final = "comparison.csv"
LINES: Final = "comparison_lines.csv"


class Cases(NamedTuple):
    """What is to be settled. base: of the folder as it is, None where ``settled`` is that already; variants: by name; contract: of the base."""

    base: Dataset | None
    settled: Path | None
    variants: Mapping[str, Dataset]
    contract: str

    def datasets(self) -> list[Dataset]:
        """All that will be settled."""
        return [*([] if self.base is None else [self.base]), *self.variants.values()]


class Variant(NamedTuple):
    """Other rules by their name, the contract in them, and what they change against the base."""

    name: str
    contract: str
    results_root: bytes
    comparison: Comparison
    lines: Sequence[LineDifference]


class Compared(NamedTuple):
    """Every variant against the base, by its name for people; contract: of the base."""

    base: str
    contract: str
    variants: Sequence[Variant]


def named(paths: Sequence[Path]) -> Mapping[str, Path]:
    """Files of rules by the names of their variants: without the ending. UsageError for one that is no name, or stands twice."""
    if len(paths) > VARIANTS_MAX:
        raise UsageError(f"--rules: {len(paths)} files; give {VARIANTS_MAX} at most")
    found: dict[str, Path] = {}
    for path in paths:
        name = path.stem
        if not NAME.holds(name) or name == BASE:
            right = f"name the file otherwise, in {NAME.words}, not {BASE}"
            raise UsageError(f"--rules {path}: {excerpt(name)} cannot name a variant; {right}")
        if name in found:
            raise UsageError(f"--rules {path}: {name} names {found[name]} already; name one of the files otherwise")
        found[name] = path
    return found


def of_folder(folder: Path, rules: Mapping[str, Path], preset: str | None) -> Cases:
    """A folder under its own rules and under others; UsageError at the first fault, and where others change the energies."""
    base = read_folder(folder, preset)
    variants: dict[str, Dataset] = {}
    for name, path in rules.items():
        with _said_of(path):
            variant = variants[name] = read_folder(folder, preset, path)
        fault = _fault_of(base, variant)
        if fault:
            raise UsageError(f"--rules {path}: {fault}")
    return Cases(base, None, variants, base.rules.contract)


def of_settled(settled: Path, rules: Mapping[str, Path]) -> Cases:
    """A settled folder under other rules: points, energies, orders, keys and prices are those that its ledger has settled with last."""
    if not (settled / LEDGER).is_dir():
        raise UsageError(f"--from {settled}: holds no ledger; name a folder that settle files has made")
    read_participants(settled)
    with TemporaryDirectory(prefix="gridledger-extracted-") as made:
        extract(settled / LEDGER, None, Span(), Path(made))
        cases = of_folder(Path(made), rules, None)
    for name, variant in cases.variants.items():
        contract = CONTRACTS[variant.rules.contract]
        if contract.takes_orders and not variant.orders.how_many:
            raise UsageError(f"--rules {rules[name]}: {contract.contract_id} needs orders, and the ledger has none")
    return cases._replace(base=None, settled=settled)


def settle(cases: Cases, out: Path, progress: Callable[[str, int, int], None]) -> Compared:
    """Settle all cases into ``out``, absent or an empty folder, of which there is none after a fault.

    ``progress`` is told a case's name, its slots that are settled, and its slots.
    """

    def told(name: str) -> Progress:
        return Progress(lambda done, of: progress(name, done, of), lambda *_: None)

    with made_whole(out) as work:
        base = cases.settled or work / BASE
        if cases.base is not None:
            settle_whole(cases.base, base, told(BASE))
        before = Side(str(cases.settled or OWN_RULES), read_participants(base))
        lines_before = compared_lines.read_lines(base)
        found: list[Variant] = []
        for name, dataset in cases.variants.items():
            place = work / VARIANTS / name
            settled = settle_whole(dataset, place, told(name))
            comparison = compare(before, Side(name, read_participants(place)))
            lines = compared_lines.compare_lines(lines_before, compared_lines.read_lines(place))
            found.append(Variant(name, dataset.rules.contract, settled.results.results_root, comparison, lines))
        rows = [(one.name, *row) for one in found for row in csv_rows(one.comparison)]
        write_rows(work / COMPARISON, ("variant", *COLUMNS), rows)
        of_lines = [(one.name, *row) for one in found for row in compared_lines.csv_rows(one.lines)]
        write_rows(work / LINES, ("variant", *compared_lines.COLUMNS), of_lines)
    return Compared(before.name, cases.contract, found)


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Whatever is wrong within is said of the file that was named."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"--rules {path}: {str(error).removeprefix(f'{RULES}: ')}") from None


def _fault_of(base: Dataset, variant: Dataset) -> str:
    """Why two datasets of one folder cannot be compared; "" where they can."""
    if base.slot_s != variant.slot_s:
        return f"[timeline] slot_s is {variant.slot_s}, and {base.slot_s} in the folder; compare the same slots"
    if base.timezone != variant.timezone:
        return f"[timeline] timezone is {variant.timezone}, and {base.timezone} in the folder; compare the same months"
    ours, theirs = base.rules.invoice.currency, variant.rules.invoice.currency
    if ours != theirs:
        return f"[invoice] currency is {theirs}, and {ours} in the folder; compare one currency"
    for name in ("slot_start_s", "import_wh", "export_wh", "quality"):
        if not np.array_equal(getattr(base, name), getattr(variant, name)):
            return "[timeline] or [estimate] makes other energies of the readings; leave them as they are in the folder"
    return ""
