"""What each kind of line comes to for each party under two settlements, tariffs' components among them, and the difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.column import I64_MAX
from gridcore.errors import UsageError
from gridcore.report.markup import kilo
from gridledger.settling.comparison import aligned, hundredths, signed
from gridledger.settling.files.fault import FilesError
from gridledger.settling.files.fields import integers
from gridledger.settling.files.table import Header, Table
from gridledger.settling.results.invoices import INVOICE_LINES, InvoiceLineRow
from settlement.catalogue import CATALOGUE


class LineSum(NamedTuple):
    """All lines of a kind: energy, and the exact amount before tax, above 0 where the party owes it."""

    energy_wh: int = 0
    amount_nano: int = 0


class LineDifference(NamedTuple):
    """A kind of line of a party, or of all of them (party ""), under both settlements: 0 where one has none."""

    party: str
    line_kind: str
    a: LineSum
    b: LineSum

    @property
    def change(self) -> LineSum:
        """What ``b`` has more than ``a``."""
        return LineSum(self.b.energy_wh - self.a.energy_wh, self.b.amount_nano - self.a.amount_nano)


SHOWN_MAX: Final = 400
"""Rows of a table on a terminal."""
_WORDS: Final = {
    "en": (
        "party", "line", "kWh", "amount", "all", "{} rows with those of each party: what-if --out and compare --lines write them",
        "amounts of lines are before tax and before rounding",
    ),
    "zh_CN": (
        "用户", "费用项目", "电量 kWh", "金额", "合计", "含各用户共 {} 行：由 what-if --out、compare --lines 写出", "各项金额不含税，且未舍入",
    ),
}  # fmt: skip
LineSums = Mapping[tuple[str, str], LineSum]
"""By party and kind of line."""
COLUMNS: Final = ("party", "line_kind", *(f"{of}_{name}" for of in ("a", "b", "change") for name in LineSum._fields))


def read_lines(out: Path) -> LineSums:
    """The lines of all documents of a settled folder. UsageError where it has none, FilesError for what ``settle files`` does not write."""
    path = out / INVOICE_LINES
    if not path.is_file():
        raise UsageError(f"{out}: holds no {INVOICE_LINES}; settle it again")
    energy_wh, amount_nano = defaultdict[tuple[str, str], int](int), defaultdict[tuple[str, str], int](int)
    try:
        for block in Table(path, Header(InvoiceLineRow._fields)).blocks():
            named = zip(block.columns["party"].texts(), block.columns["line_kind"].texts(), strict=True)
            columns = (integers(block.columns[name], -I64_MAX, I64_MAX).tolist() for name in LineSum._fields)
            for of, energy, amount in zip(named, *columns, strict=True):
                energy_wh[of] += energy
                amount_nano[of] += amount
    except FilesError as error:
        raise FilesError(f"{out}/{error}") from None
    return {of: LineSum(energy_wh[of], amount_nano[of]) for of in amount_nano}


def compare_lines(a: LineSums, b: LineSums) -> list[LineDifference]:
    """Of each party, then of all together: the kinds that either has, by the bytes of their names."""
    by_name = sorted(a.keys() | b.keys(), key=lambda of: (of[0].encode(), of[1].encode()))
    found = [LineDifference(*of, a.get(of, LineSum()), b.get(of, LineSum())) for of in by_name]
    kinds = sorted({one.line_kind for one in found}, key=str.encode)
    return [*found, *(_together([one for one in found if one.line_kind == kind]) for kind in kinds)]


def csv_rows(lines: Sequence[LineDifference]) -> list[tuple[str | int, ...]]:
    """The rows of COLUMNS, without those of all parties together."""
    return [(one.party, one.line_kind, *one.a, *one.b, *one.change) for one in lines if one.party]


def as_json(lines: Sequence[LineDifference]) -> list[dict[str, object]]:
    """Every number, by names; party "" for all together."""
    return [
        {
            "party": one.party,
            "line_kind": one.line_kind,
            "a": one.a._asdict(),
            "b": one.b._asdict(),
            "change": one.change._asdict(),
        }
        for one in lines
    ]


def text(lines: Sequence[LineDifference], language: str, contracts: Collection[str] = ()) -> str:
    """A table for a terminal, of all parties together where there are many; "" where nobody has a line. contracts: whose words are used, none for those that have all these kinds of lines."""
    words = _WORDS[language]
    shown = lines if len(lines) <= SHOWN_MAX else [one for one in lines if not one.party]
    if not shown:
        return ""
    titles = _titles(language, contracts or _contracts_of({one.line_kind for one in lines}))
    rows = [words[:4]]
    for one in shown:
        (energy_wh, nano), more = one.b, one.change
        energy = f"{kilo(energy_wh)} ({signed(kilo(more.energy_wh), more.energy_wh)})"
        amount = f"{hundredths(nano)} ({signed(hundredths(more.amount_nano), more.amount_nano)})"
        rows.append((one.party or words[4], titles.get(one.line_kind, one.line_kind), energy, amount))
    left = [words[5].format(len(lines))] if len(shown) < len(lines) else []
    return "\n".join([aligned(rows, left=2), words[6], *left])


def _contracts_of(kinds: Collection[str]) -> list[str]:
    """Contracts that have all of the kinds of lines that are a contract's, others being components of tariffs; none for lines of several."""
    own = {kind for entry in CATALOGUE.values() for kind in entry.vocabulary.line_kinds}.intersection(kinds)
    return [contract_id for contract_id, entry in CATALOGUE.items() if own <= entry.vocabulary.line_kinds.keys()]


def _titles(language: str, contracts: Collection[str]) -> dict[str, str]:
    """What people read of each kind of line of which contracts say the same."""
    found: dict[str, set[str]] = {}
    for contract_id, entry in CATALOGUE.items():
        if not contracts or contract_id in contracts:
            for kind, said in entry.vocabulary.line_kinds.items():
                found.setdefault(kind, set()).add(said.title[language])
    return {kind: titles.pop() for kind, titles in found.items() if len(titles) == 1}


def _together(lines: Sequence[LineDifference]) -> LineDifference:
    sums = ((LineSum(*map(sum, zip(*(one[side] for one in lines), strict=True)))) for side in (2, 3))
    return LineDifference("", lines[0].line_kind, *sums)
