"""``prices.csv``: prices that vary. A price holds from its start until the next start of the same key for the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.dataset import FileRules, InputFile, PointRow, SeriesRows
from gridledger.settling.files.dated_prices import RULES
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import ABSENT, Names, integers
from gridledger.settling.files.instants import of_slot_starts
from gridledger.settling.files.stamps import Zone, to_iso
from gridledger.settling.files.table import Fields, Header, Table
from settlement.contract_kit_1 import Int64Column

PRICE_MICRO_PER_KWH_MAX: Final = 10**9
PRICES_MAX: Final = 1 << 24
"""Rows of one file."""
NAME: Final = "prices.csv"
_HEADER: Final = Header(("start", "key", "price_micro_per_kwh"), ("area", "point"))


class PricesRead(NamedTuple):
    """Series by key, then area, then point, those for all first; and the file."""

    series: list[SeriesRows]
    input_file: InputFile


def read_prices(
    path: Path, keys: Sequence[str], points: Sequence[PointRow], zone: Zone | None, slot_s: int, known_by: str
) -> PricesRead:
    """Read the file. ``keys``: the prices that the contract knows; known_by: what names the points. FilesError at the first fault."""
    table = Table(path, _HEADER)
    point_names = [point.point for point in points]
    areas = sorted({point.area for point in points})
    known = Names(list(keys)), Names(areas), Names(point_names)
    parts: list[tuple[Int64Column, ...]] = []
    prices = 0
    for block in table.blocks():
        columns = block.columns
        key = known[0].codes(columns["key"], "price of this contract")
        nobody = np.full(len(block.row), ABSENT)
        area = (
            known[1].codes(columns["area"], f"area of {known_by}", may_be_empty=True) if "area" in columns else nobody
        )
        point = (
            known[2].codes(columns["point"], f"point of {known_by}", may_be_empty=True)
            if "point" in columns
            else nobody
        )
        _check_scope(columns.get("point"), area, point)
        price = integers(columns["price_micro_per_kwh"], -PRICE_MICRO_PER_KWH_MAX, PRICE_MICRO_PER_KWH_MAX)
        start_s = of_slot_starts(columns["start"], zone, slot_s, "a price holds")
        parts.append((start_s, key, area, point, price, block.row))
        prices += len(block.row)
        if prices > PRICES_MAX:
            raise fault(table.name, f"holds more than {PRICES_MAX} prices", "settle fewer points or slots at once")
    if not parts:
        return PricesRead([], table.input_file())
    start_s, key, area, point, price, row = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((start_s, point, area, key))
    start_s, key, area, point, price, row = (column[order] for column in (start_s, key, area, point, price, row))
    scope = np.stack([key, area, point])
    is_new = np.append(True, (np.diff(scope, axis=1) != 0).any(axis=0))
    again = np.flatnonzero(~is_new[1:] & (np.diff(start_s) == 0)) + 1
    if len(again):
        at = int(again[np.argmin(row[again])])
        what = f"{keys[key[at]]} from {to_iso(int(start_s[at]))} on stands in row {row[at - 1]} already"
        raise fault(table.name, what, "give each price one start", row=int(row[at]), column="start")
    bounds = [*np.flatnonzero(is_new).tolist(), len(key)]
    series = [
        SeriesRows(
            keys[key[first]],
            None if area[first] == ABSENT else areas[area[first]],
            None if point[first] == ABSENT else point_names[point[first]],
            start_s[first:end],
            price[first:end],
        )
        for first, end in pairwise(bounds)
    ]
    return PricesRead(series, table.input_file())


def first_prices(series: Sequence[SeriesRows], first_s: int) -> dict[str, int]:
    """By key the price for all that holds in the slot from ``first_s`` on, of keys that have one."""
    found = {}
    for rows in series:
        if rows.area is None and rows.point is None and rows.start_s[0] <= first_s:
            at = int(np.searchsorted(rows.start_s, first_s, side="right")) - 1
            found[rows.key] = int(rows.price_micro_per_kwh[at])
    return found


def check_prices(
    series: Sequence[SeriesRows],
    rules: FileRules,
    points: Sequence[PointRow],
    slots: Int64Column,
    fault_of: Callable[[Mapping[str, int]], str],
) -> None:
    """FilesError where the prices of some slot do not go together. ``rules``: have the prices that hold where no series does; ``fault_of``: says what is wrong with some."""
    later_s = np.array([later.from_s for later in rules.later_prices], dtype=np.int64)
    changes = [slots[:1], later_s, *(rows.start_s for rows in series)]
    at_s = np.unique(np.concatenate(changes))
    at_s = at_s[(at_s >= slots[0]) & (at_s <= slots[-1])]
    scopes = dict.fromkeys([(None, None), *((rows.area, rows.point) for rows in series)])
    area_of = {point.point: point.area for point in points}
    said: dict[tuple[str | None, str | None], list[SeriesRows]] = {}
    for rows in series:
        said.setdefault((area_of.get(rows.point or "", rows.area), rows.point), []).append(rows)
    for area, point in scopes:
        of_area = area_of.get(point or "", area)
        columns = {key: rules.price_column(key, at_s) for key in rules.prices}
        # the widest first: what is nearer to the point takes its place
        for scope in ((None, None), (of_area, None), (of_area, point)):
            for rows in said.get(scope, ()):
                _lay_over(columns[rows.key], rows, at_s)
        vectors, first = np.unique(np.stack(list(columns.values())), axis=1, return_index=True)
        for place, vector in zip(first.tolist(), vectors.T.tolist(), strict=True):
            words = fault_of(dict(zip(columns, vector, strict=True)))
            if words:
                whose = f" of {point or area}" if point or area else ""
                file = NAME if series else RULES
                raise fault(
                    file, f"the prices{whose} from {to_iso(int(at_s[place]))} on: {words}", "change one of them"
                )


def _lay_over(column: Int64Column, rows: SeriesRows, at_s: Int64Column) -> None:
    place = np.searchsorted(rows.start_s, at_s, side="right") - 1
    holds = place >= 0
    column[holds] = rows.price_micro_per_kwh[place[holds]]


def _check_scope(fields: Fields | None, area: Int64Column, point: Int64Column) -> None:
    both = (area != ABSENT) & (point != ABSENT)
    if fields is not None and both.any():
        at = int(np.argmax(both))
        raise fields.fault(at, "the price is for an area and for a point", "leave one of the two empty")
