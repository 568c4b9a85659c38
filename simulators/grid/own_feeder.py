"""A feeder out of a table: each row a node, the line by which it hangs on another, and the homes or other loads that stand there.

The columns are those of docs/scenarios.md. Load shapes are those of the shipped extract; what a load takes in a year scales its shape.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import UsageError
from gridcore.files import read_bounded
from simulators.grid.feeder import HOUSEHOLD_PREFIX, Feeder, TransformerRating, load_feeder, rated_w, reactive_ratio
from simulators.scenarios.keys import PPM
from simulators.scenarios.schema import Transformer

BUSBAR: Final = "busbar"
TABLE_BYTES_MAX: Final = 1 << 20
NODES_MAX: Final = 2_000
LOADS_MAX: Final = 2_000
HOMES_MIN: Final = 2
_U_LOWER_V: Final = 400.0
_NODE_CHARACTERS_MAX: Final = 40
_FIGURES_MAX: Final = 9
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs"}
"""What a spreadsheet may write between columns in place of commas."""


class Numbers(NamedTuple):
    """A range of numbers, with so many digits behind the point at most."""

    low: int
    high: int
    digits: int = 0

    def read(self, cell: str) -> int | None:
        """The number in units of its last digit; None where it is none of these."""
        whole, point, behind = cell.strip().partition(".")
        figures = whole + behind
        is_number = figures.isascii() and figures.isdecimal() and whole and bool(behind) == bool(point)
        if not is_number or len(whole) > _FIGURES_MAX or len(behind) > self.digits:
            return None
        value = int(figures) * 10 ** (self.digits - len(behind))
        return value if self.low * 10**self.digits <= value <= self.high * 10**self.digits else None

    def __str__(self) -> str:
        """In the words of a refusal."""
        if not self.digits:
            return f"whole number from {self.low} to {self.high}"
        return f"number from {self.low} to {self.high} with at most {self.digits} digits behind the point"


COLUMNS: Final = {
    "node": None,
    "from": None,
    "length_m": Numbers(1, 10_000, 3),
    "r_micro_ohm_per_m": Numbers(1, 100_000, 3),
    "x_micro_ohm_per_m": Numbers(1, 100_000, 3),
    "i_max_a": Numbers(1, 10_000),
    "units": Numbers(0, 200),
    "profile": None,
    "annual_kwh": Numbers(0, 1_000_000),
}
"""Columns of the table, and what those hold that hold numbers."""
OPTIONAL: Final = {"c_pico_farad_per_m": Numbers(0, 100_000, 3)}
"""Columns that may be left out: 0 then."""


@dataclass(frozen=True)
class _Row:
    node: str
    feeding: str
    length_mm: int
    r_nano_ohm_per_m: int
    x_nano_ohm_per_m: int
    c_femto_farad_per_m: int
    i_max_a: int
    units: int
    profile: str
    annual_kwh: int


def read_own_feeder(path: Path, transformer: Transformer) -> Feeder:
    """The feeder of a table and its transformer; UsageError names file, row and column."""
    text = read_bounded(path, TABLE_BYTES_MAX, "check the key grid.table")
    try:
        rows = list(_rows(path, text.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except csv.Error:
        message = "a quotation mark does not end, or rows end in a carriage return alone"
        raise UsageError(
            f"{path}: is no CSV table: {message}; save it as CSV in UTF-8, without quotation marks"
        ) from None
    _check_connected(path, rows)
    return _feeder(path, rows, transformer)


def _rows(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.reader(StringIO(text), strict=True)
    head = next(reader, [])
    for name in COLUMNS:
        if name not in head:
            raise UsageError(f"{path}: {_lacking(name, head)}")
    known = {**COLUMNS, **OPTIONAL}
    more = [name for place, name in enumerate(head) if name not in known or name in head[:place]]
    if more:
        raise UsageError(f"{path}: the column {more[0]!r} is unknown or there twice; known: {', '.join(known)}")
    for number, cells in enumerate(reader, 2):
        if not cells:
            continue
        if number > NODES_MAX + 1:
            raise UsageError(f"{path}: more than {NODES_MAX} rows")
        where = f"{path}: row {number}"
        if len(cells) != len(head):
            raise UsageError(f"{where} has {len(cells)} cells and the head {len(head)}")
        yield _row(where, dict(zip(head, cells, strict=True)))


def _lacking(name: str, head: Sequence[str]) -> str:
    """Why a head has no column of this name, and what would be right."""
    for separator, words in _SEPARATORS.items():
        if name in ",".join(head).split(separator):
            return f"row 1: columns are separated by {words}; use commas, and a point in decimals"
    if name in [cell.strip().lower() for cell in head]:
        return f"row 1: write the column {name!r} in small letters, without spaces around it"
    return f"has no column {name!r}; it needs {', '.join(COLUMNS)}"


def _row(where: str, cells: dict[str, str]) -> _Row:
    for name in ("node", "from"):
        if not 1 <= len(cells[name]) <= _NODE_CHARACTERS_MAX or not cells[name].isprintable():
            raise UsageError(f"{where}: {name} is a name of 1 to {_NODE_CHARACTERS_MAX} characters")
    numbers = dict.fromkeys(OPTIONAL, 0)
    for name, bounds in {**COLUMNS, **OPTIONAL}.items():
        if bounds is None or name not in cells:
            continue
        value = bounds.read(cells[name])
        if value is None:
            raise UsageError(f"{where}: {name} = {cells[name]!r:.40} is no {bounds}")
        numbers[name] = value
    if numbers["units"] and not (cells["profile"] and numbers["annual_kwh"]):
        raise UsageError(f"{where}: a node with units has a profile and annual_kwh")
    return _Row(
        cells["node"],
        cells["from"],
        length_mm=numbers["length_m"],
        r_nano_ohm_per_m=numbers["r_micro_ohm_per_m"],
        x_nano_ohm_per_m=numbers["x_micro_ohm_per_m"],
        c_femto_farad_per_m=numbers["c_pico_farad_per_m"],
        i_max_a=numbers["i_max_a"],
        units=numbers["units"],
        profile=cells["profile"],
        annual_kwh=numbers["annual_kwh"],
    )


def _check_connected(path: Path, rows: Sequence[_Row]) -> None:
    feeding: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        if row.node == BUSBAR or row.node in feeding:
            raise UsageError(f"{path}: row {number}: the node {row.node!r} is there already")
        feeding[row.node] = row.feeding
    reached = {BUSBAR}
    for number, row in enumerate(rows, 2):
        walked: list[str] = []
        node = row.node
        while node not in reached:
            if node not in feeding:
                raise UsageError(f"{path}: row {number}: the node {row.node!r} hangs on {node!r}, which no row has")
            if len(walked) > len(rows):
                raise UsageError(f"{path}: row {number}: the node {row.node!r} is not connected to {BUSBAR!r}")
            walked.append(node)
            node = feeding[node]
        reached.update(walked)


def _feeder(path: Path, rows: Sequence[_Row], transformer: Transformer) -> Feeder:
    shipped = load_feeder()
    number_of = {BUSBAR: 1} | {row.node: number for number, row in enumerate(rows, 2)}
    loads: list[tuple[int, int, float]] = []  # node, profile, rated power
    for number, row in enumerate(rows, 2):
        if row.units and row.profile not in shipped.load_profile_names:
            known = ", ".join(shipped.load_profile_names)
            raise UsageError(f"{path}: row {number}: the profile {row.profile!r} is not there; known: {known}")
        if row.units:
            profile = shipped.load_profile_names.index(row.profile)
            loads += [(number_of[row.node], profile, rated_w(shipped, profile, row.annual_kwh))] * row.units
    loads.sort(key=lambda load: not shipped.load_profile_names[load[1]].startswith(HOUSEHOLD_PREFIX))
    homes = sum(shipped.load_profile_names[profile].startswith(HOUSEHOLD_PREFIX) for _, profile, _ in loads)
    if homes < HOMES_MIN or len(loads) > LOADS_MAX:
        message = (
            f"{homes} homes and {len(loads)} loads; there are at least {HOMES_MIN} homes and at most {LOADS_MAX} loads"
        )
        raise UsageError(f"{path}: {message} (a home's profile begins with {HOUSEHOLD_PREFIX})")
    node = np.array([each[0] for each in loads], dtype=np.int32)
    profiles = np.array([each[1] for each in loads], dtype=np.int32)
    power_w = np.array([each[2] for each in loads], dtype=np.float64)
    length_mm = np.array([row.length_mm for row in rows])
    return replace(
        shipped,
        node_u_rated_v=np.array([transformer.upper_v, *[_U_LOWER_V] * (len(rows) + 1)], dtype=np.float64),
        line_nodes=np.array([[number_of[row.feeding], number_of[row.node]] for row in rows], dtype=np.int32).T,
        line_r_ohm=length_mm * np.array([row.r_nano_ohm_per_m for row in rows]) / 1e12,
        line_x_ohm=length_mm * np.array([row.x_nano_ohm_per_m for row in rows]) / 1e12,
        line_c_f=length_mm * np.array([row.c_femto_farad_per_m for row in rows]) / 1e18,
        line_i_max_a=np.array([row.i_max_a for row in rows], dtype=np.float64),
        line_names=tuple(f"to {row.node}" for row in rows),
        source_u_pu=transformer.source_ppm / PPM,
        transformer=_rating(transformer),
        load_node=node,
        load_profile=profiles,
        load_p_w=power_w,
        load_q_var=power_w * np.array([reactive_ratio(shipped, int(each)) for each in profiles]),
        households=homes,
    )


def _rating(transformer: Transformer) -> TransformerRating:
    return TransformerRating(
        node_upper=0,
        node_lower=1,
        u_upper_v=float(transformer.upper_v),
        u_lower_v=_U_LOWER_V,
        sn_va=transformer.rating_kva * 1000.0,
        uk=transformer.short_circuit_ppm / PPM,
        pk_w=float(transformer.load_loss_w),
        i0=transformer.no_load_current_ppm / PPM,
        p0_w=float(transformer.no_load_loss_w),
        clock=5,
        tap_position=0,
        tap_min=0,
        tap_max=0,
        tap_neutral=0,
        tap_step_v=0.0,
    )
