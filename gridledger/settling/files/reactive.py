"""``reactive.csv``: what points took and gave back of reactive energy, each row for a span of one local month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gridcore.registry.reactive_energy import VARH_MAX
from gridledger.settling.dataset import InputFile, PointRow, ReactiveRow
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import Names, decimals
from gridledger.settling.files.instants import of_slot_starts
from gridledger.settling.files.rules import UTC
from gridledger.settling.files.stamps import Zone, to_iso
from gridledger.settling.files.table import Block, Fields, Header, Table
from ledger.registry.entries import ENTRIES_MAX

NAME: Final = "reactive.csv"
_HEADER: Final = Header(("start", "end", "point", "reactive_kvarh", "returned_kvarh"))
_PLACES: Final = 3
SPANS_MAX: Final = 1 << 20
_KVARH_MAX: Final = VARH_MAX // 1_000


class ReactiveRead(NamedTuple):
    """Rows by point, then time; and the file."""

    rows: list[ReactiveRow]
    input_file: InputFile


def read_reactive(
    path: Path, points: Sequence[PointRow], zone: Zone | None, slot_s: int, known_by: str
) -> ReactiveRead:
    """Read the file; FilesError at the first fault. points: at which somebody is billed; known_by: what names them."""
    table, names = Table(path, _HEADER), Names([point.point for point in points])
    found: list[tuple[ReactiveRow, int]] = []
    for block in table.blocks():
        found += zip(_rows(block, names, zone, slot_s, known_by), block.row.tolist(), strict=True)
        if len(found) > SPANS_MAX:
            raise fault(table.name, f"holds more than {SPANS_MAX} spans", "settle fewer points or months at once")
    found.sort(key=lambda one: (one[0].point.encode(), one[0].from_s))
    _check_spans(found, table.name)
    return ReactiveRead([row for row, _ in found], table.input_file())


def _rows(block: Block, names: Names, zone: Zone | None, slot_s: int, known_by: str) -> list[ReactiveRow]:
    columns = block.columns
    codes = names.codes(columns["point"], f"point of {known_by}").tolist()
    starts_s, ends_s = (of_slot_starts(columns[key], zone, slot_s, "a span begins and ends").tolist() for key in ("start", "end"))  # fmt: skip
    energies = [_varh(columns[key]) for key in ("reactive_kvarh", "returned_kvarh")]
    months = ZoneInfo(UTC if zone is None else zone.name)
    rows = [
        ReactiveRow(names.names[code], *span) for code, *span in zip(codes, starts_s, ends_s, *energies, strict=True)
    ]
    for at, row in enumerate(rows):
        if row.until_s <= row.from_s:
            raise columns["end"].fault(at, f"{to_iso(row.until_s)} is not behind its start", "give a later end")
        first, last = (datetime.fromtimestamp(at_s, months) for at_s in (row.from_s, row.until_s - slot_s))
        if (first.year, first.month) != (last.year, last.month):
            right = "give each month a row of its own: a power factor is that of a month"
            raise columns["end"].fault(at, f"the span goes from {first:%Y-%m} into {last:%Y-%m}", right)
    return rows


def _varh(fields: Fields) -> list[int]:
    """Kvarh in varh. FilesError for an empty field: missing is never zero."""
    said = decimals(fields, _PLACES)
    values: list[int] = said.value.tolist()
    for at, (varh, is_present) in enumerate(zip(values, said.is_present.tolist(), strict=True)):
        if not is_present:
            raise fields.fault(at, "is empty", "give the energy, 0 where none was metered, or leave the row out")
        if varh > VARH_MAX:
            raise fields.fault(at, f"{fields.text(at)} is too large", f"give at most {_KVARH_MAX} kvarh in a span")
    return values


def _check_spans(found: Sequence[tuple[ReactiveRow, int]], file: str) -> None:
    """FilesError where two spans of a point overlap, and where a point has more than a ledger takes at once. found: each with its row of the file."""
    of_point = 0
    for at, (row, number) in enumerate(found):
        before, known = found[at - 1] if at else (None, 0)
        if before is None or before.point != row.point:
            of_point = 0
        elif before.until_s > row.from_s:
            what = f"the span of {row.point} overlaps that of row {min(known, number)}"
            right = "give each time of a point one row"
            raise fault(file, what, right, row=max(known, number), column="start")
        of_point += 1
        if of_point > ENTRIES_MAX:
            what, right = f"{row.point} has more than {ENTRIES_MAX} spans", "settle fewer months at once"
            raise fault(file, what, right, row=number, column="point")
