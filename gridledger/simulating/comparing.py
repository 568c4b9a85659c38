"""Two runs of simulated worlds, party by party: another tariff, another mechanism, other devices in the same time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridcore.errors import UsageError
from gridcore.report.drawing import columns
from gridcore.report.markup import Text, facts, kilo, number, page, paragraph, section, table, tiles, word
from gridledger.founding.folder import write_new
from gridledger.settling.comparison import aligned, hundredths, signed
from gridledger.simulating.manifest import NAME as MANIFEST
from gridledger.simulating.settled import SUMS, PartyRow, read_settlement
from gridledger.tables.files import write_rows

PAGE: Final = "comparison.html"
TABLE: Final = "comparison.csv"
COLUMNS: Final = ("party", *(f"{of}_{name}" for of in ("a", "b", "change") for name in SUMS))
ROWS_MAX: Final = 200
"""Parties that terminal and page show; the table has all of them."""
_ALL: Final = "all"
_SAME: Final = ("currency", "first_slot_start_s", "slots")
_NANO: Final = 10**9


class Run(NamedTuple):
    """A folder of ``simulate run``. name: the folder's, for people."""

    name: str
    manifest: Mapping[str, Any]
    parties: Mapping[str, PartyRow]


class Difference(NamedTuple):
    """A party, or all of them, in both runs."""

    a: PartyRow
    b: PartyRow

    @property
    def change(self) -> PartyRow:
        """What ``b`` has more than ``a``."""
        return PartyRow(self.a.party, *(b - a for a, b in zip(self.a[1:], self.b[1:], strict=True)))


class Comparison(NamedTuple):
    """Every party in the order of ``a``, and their sums."""

    a: Run
    b: Run
    differences: Sequence[Difference]
    sums: Difference


def read_run(folder: Path) -> Run:
    """A folder as it was written. UsageError, one line, where it is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        {name: manifest[name] for name in _SAME}
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"{folder}: holds no {MANIFEST} of gridledger simulate run; name a folder that it has made"
        ) from None
    return Run(str(folder), manifest, read_settlement(folder))


def compare(a: Run, b: Run) -> Comparison:
    """UsageError, one line, where both are not of the same slots, currency and parties."""
    for name in _SAME:
        if a.manifest[name] != b.manifest[name]:
            what = f"{name} is {b.manifest[name]}, and {a.manifest[name]} in {a.name}"
            raise UsageError(f"{b.name}: {what}; compare runs of the same time")
    for run, other in ((a, b), (b, a)):
        for party in run.parties:
            if party not in other.parties:
                raise UsageError(f"{other.name}: has no party {party}, and {run.name} has; compare the same homes")
    differences = [Difference(row, b.parties[party]) for party, row in a.parties.items()]
    sums = Difference(_sum(one.a for one in differences), _sum(one.b for one in differences))
    return Comparison(a, b, differences, sums)


def as_json(found: Comparison) -> dict[str, object]:
    """Every number, by names."""
    return {
        "a": found.a.name,
        "b": found.b.name,
        "currency": found.a.manifest["currency"],
        "parties": [_by_name(one) for one in found.differences],
        "sums": _by_name(found.sums),
    }


def text(found: Comparison) -> str:
    """A table for a terminal: what ``b`` comes to, and in brackets what that is more than ``a``."""
    heads = ("party", "taken kWh", "given kWh", "bought kWh", "sold kWh", "pays")
    rows = [heads, *(_shown(one) for one in found.differences[:ROWS_MAX]), _shown(found.sums)]
    left = len(found.differences) - ROWS_MAX
    more = f"\n{left:,} more parties; --out makes a table of all" if left > 0 else ""
    return f"{aligned(rows)}{more}\namounts in {found.a.manifest['currency']}; {found.b.name}, in brackets what it has more than {found.a.name}"


def write_comparison(out: Path, found: Comparison) -> None:
    """Make ``comparison.csv``, every number exact, and ``comparison.html``, a picture, in the folder ``out``."""
    rows = [(one.a.party, *one.a[1:], *one.b[1:], *one.change[1:]) for one in found.differences]
    write_rows(out / TABLE, COLUMNS, rows)
    sections = [_tiles(found), _picture(found), _table(found), _runs(found)]
    title, tag = Text("Two runs compared", "两次运行对比"), Text("SIMULATED", "模拟数据")
    write_new(out / PAGE, page(title, tag, sections, is_zh=False))


def _tiles(found: Comparison) -> str:
    change, currency = found.sums.change, found.a.manifest["currency"]
    pays = [one.change.pays_nano for one in found.differences]
    items = [
        (
            f"{signed(hundredths(change.pays_nano), change.pays_nano)} {currency}",
            Text("change of what all pay together, from A to B", "从 A 到 B 各方合计应付的变化"),
        ),
        (
            f"{signed(kilo(change.bought_wh), change.bought_wh)} kWh",
            Text("change of what comes from neighbours", "来自邻居的电量的变化"),
        ),
        (f"{sum(nano < 0 for nano in pays):,}", Text("parties pay less in B", "方在 B 中少付")),
        (f"{sum(nano > 0 for nano in pays):,}", Text("parties pay more in B", "方在 B 中多付")),
    ]
    return tiles(items)


def _picture(found: Comparison) -> str:
    by_gain = sorted(found.differences, key=lambda one: (one.change.pays_nano, one.a.party))
    values = [-one.change.pays_nano / _NANO for one in by_gain]
    currency = found.a.manifest["currency"]
    title = Text(f"How much less each party pays in B, {currency}", f"各方在 B 中少付金额（{currency}）")
    what = Text("A bar for each party, from who gains most to who loses most.", "每方一条，从获益最多到损失最多。")
    return section(
        title, columns([one.a.party for one in by_gain], values, lambda value: f"{value:,.2f}"), paragraph(what)
    )


def _table(found: Comparison) -> str:
    currency = found.a.manifest["currency"]
    heads = [
        (Text("Party", "用户"), False),
        (Text("Taken, kWh", "用电量"), True),
        (Text("Given, kWh", "上网电量"), True),
        (Text("Bought, kWh", "买入"), True),
        (Text("Sold, kWh", "卖出"), True),
        (Text(f"Pays, {currency}", f"应付，{currency}"), True),
    ]
    shown = [_shown(found.sums), *(_shown(one) for one in found.differences[:ROWS_MAX])]
    rows = [[word(row[0]), *map(number, row[1:])] for row in shown]
    what = Text(
        "Of run B; in brackets what it has more than A. comparison.csv has every number.",
        "为 B 的数值，括号内为比 A 多出的部分。全部数字见 comparison.csv。",
    )
    return section(Text("Party by party", "逐方对比"), table(heads, rows), paragraph(what))


def _runs(found: Comparison) -> str:
    pairs = []
    for letter, run in (("A", found.a), ("B", found.b)):
        words = f"{run.name}: {run.manifest['contract']}, seed {run.manifest['seed']}"
        pairs.append((Text(letter, letter), word(words).content))
    return section(Text("What was compared", "对比对象"), facts(pairs))


def _sum(rows: Iterable[PartyRow]) -> PartyRow:
    return PartyRow(_ALL, *map(sum, zip(*(row[1:] for row in rows), strict=True)))


def _by_name(one: Difference) -> dict[str, object]:
    sides = {"a": one.a, "b": one.b, "change": one.change}
    return {"party": one.a.party, **{name: dict(zip(SUMS, row[1:], strict=True)) for name, row in sides.items()}}


def _shown(one: Difference) -> tuple[str, ...]:
    b, change = one.b, one.change
    names = ("import_wh", "export_wh", "bought_wh", "sold_wh")
    energies = [(getattr(b, name), getattr(change, name)) for name in names]
    pays = f"{hundredths(b.pays_nano)} ({signed(hundredths(change.pays_nano), change.pays_nano)})"
    return (b.party, *(f"{kilo(now)} ({signed(kilo(more), more)})" for now, more in energies), pays)
