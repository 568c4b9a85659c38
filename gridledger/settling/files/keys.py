"""``keys.csv``: how a community's production is shared: a share in millionths, or a priority, of each point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gridledger.settling.dataset import InputFile, KeyRow, PointRow
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import ABSENT, Names, integers
from gridledger.settling.files.instants import of_slot_starts
from gridledger.settling.files.stamps import Zone, to_iso
from gridledger.settling.files.table import Fields, Header, Table

SHARE_PPM_MAX: Final = 1_000_000
PRIORITY_MAX: Final = 1_000_000
KEYS_MAX: Final = 1 << 20
_HEADER: Final = Header(("point",), ("share_ppm", "priority", "valid_from"))


class KeysRead(NamedTuple):
    """Keys by point, then time, those for always first; and the file."""

    keys: list[KeyRow]
    input_file: InputFile


def read_keys(path: Path, points: Sequence[PointRow], zone: Zone | None, slot_s: int, known_by: str) -> KeysRead:
    """Read the file; FilesError at the first fault, and where the shares of an area are more than all. known_by: what names the points."""
    table = Table(path, _HEADER)
    names = Names([point.point for point in points])
    found: dict[tuple[int, int], tuple[KeyRow, int]] = {}
    for block in table.blocks():
        columns, count = block.columns, len(block.row)
        if "share_ppm" not in columns and "priority" not in columns:
            raise fault(table.name, "has no column 'share_ppm' and none 'priority'", "give one of the two", row=1)
        codes = names.codes(columns["point"], f"point of {known_by}")
        nothing = [ABSENT] * count
        shares = _optional(columns, "share_ppm", SHARE_PPM_MAX) or nothing
        priorities = _optional(columns, "priority", PRIORITY_MAX) or nothing
        starts = nothing
        if "valid_from" in columns:
            fields = columns["valid_from"]
            given = (fields.lengths() > 0).nonzero()[0]
            starts = list(nothing)
            for at, start_s in zip(
                given.tolist(), of_slot_starts(fields.some(given), zone, slot_s, "a key holds").tolist(), strict=True
            ):
                starts[at] = start_s
        for at, code in enumerate(codes.tolist()):
            if (shares[at] == ABSENT) == (priorities[at] == ABSENT):
                what = "has no key" if shares[at] == ABSENT else "has a share and a priority"
                raise columns["point"].fault(
                    at, f"the row of {points[code].point} {what}", "give share_ppm or priority"
                )
            key = KeyRow(
                points[code].point, *(None if n[at] == ABSENT else n[at] for n in (shares, priorities, starts))
            )
            row = int(block.row[at])
            if (code, starts[at]) in found:
                before = found[code, starts[at]][1]
                what = f"the key of {key.point} stands in row {before} already"
                raise fault(table.name, what, "give each point one key at a time", row=row, column="point")
            found[code, starts[at]] = key, row
        if len(found) > KEYS_MAX:
            raise fault(table.name, f"holds more than {KEYS_MAX} keys", "settle fewer points at once")
    _check_sums(found, points, table.name)
    return KeysRead([found[place][0] for place in sorted(found)], table.input_file())


def _optional(columns: Mapping[str, Fields], name: str, high: int) -> list[int]:
    """Whole numbers of a column, ABSENT where it is empty; an empty list where it is not there."""
    return integers(columns[name], 0, high, may_be_empty=True).tolist() if name in columns else []


def _check_sums(found: dict[tuple[int, int], tuple[KeyRow, int]], points: Sequence[PointRow], file: str) -> None:
    """Refuse an area whose shares come to more than all at some time."""
    now: dict[int, int] = {}
    sums: dict[str, int] = defaultdict(int)
    by_time = sorted(found.items(), key=lambda item: (item[0][1], item[1][1]))
    for place, ((code, start_s), (key, row)) in enumerate(by_time):
        area = points[code].area
        share_ppm = key.share_ppm or 0
        sums[area] += share_ppm - now.get(code, 0)
        now[code] = share_ppm
        is_last = place + 1 == len(by_time) or by_time[place + 1][0][1] != start_s
        for name, total in sums.items() if is_last else ():
            if total > SHARE_PPM_MAX:
                when = "" if start_s == ABSENT else f" from {to_iso(start_s)} on"
                what = f"the shares of the area {name} sum to {total} ppm{when}"
                raise fault(file, what, f"give at most {SHARE_PPM_MAX} together", row=row, column="share_ppm")
