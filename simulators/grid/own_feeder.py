"""A feeder out of a table: each row a node, the line by which it hangs on another, and the homes or other loads that stand there.

The columns are those of docs/scenarios.md. Load shapes are those of the shipped extract; what a load takes in a year scales its shape.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np

from gridcore.errors import UsageError
from gridcore.files import read_bounded
from simulators.grid.feeder import HOUSEHOLD_PREFIX, Feeder, TransformerRating, load_feeder, rated_w, reactive_ratio
from simulators.scenarios.schema import Transformer

BUSBAR: Final = "busbar"
TABLE_BYTES_MAX: Final = 1 << 20
NODES_MAX: Final = 2_000
LOADS_MAX: Final = 2_000
HOMES_MIN: Final = 2
COLUMNS: Final = {
    "node": None,
    "from": None,
    "length_m": (1, 10_000),
    "r_micro_ohm_per_m": (1, 100_000),
    "x_micro_ohm_per_m": (1, 100_000),
    "i_max_a": (1, 10_000),
    "units": (0, 200),
    "profile": None,
    "annual_kwh": (0, 1_000_000),
}
"""Columns of the table, and the range of those that hold whole numbers."""
_U_LOWER_V: Final = 400.0
_NODE_CHARACTERS_MAX: Final = 40


@dataclass(frozen=True)
class _Row:
    node: str
    feeding: str
    length_m: int
    r_micro_ohm_per_m: int
    x_micro_ohm_per_m: int
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
    except csv.Error as error:
        raise UsageError(f"{path}: is no CSV table ({error})") from None
    _check_connected(path, rows)
    return _feeder(path, rows, transformer)


def _rows(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.reader(StringIO(text), strict=True)
    head = next(reader, [])
    for name in COLUMNS:
        if name not in head:
            raise UsageError(f"{path}: has no column {name!r}; it needs {', '.join(COLUMNS)}")
    if len(head) != len(COLUMNS):
        more = next((name for name in head if name not in COLUMNS), head[-1])
        raise UsageError(f"{path}: the column {more!r} is unknown or there twice; known: {', '.join(COLUMNS)}")
    for number, cells in enumerate(reader, 2):
        if not cells:
            continue
        if number > NODES_MAX + 1:
            raise UsageError(f"{path}: more than {NODES_MAX} rows")
        where = f"{path}: row {number}"
        if len(cells) != len(head):
            raise UsageError(f"{where} has {len(cells)} cells and the head {len(head)}")
        yield _row(where, dict(zip(head, cells, strict=True)))


def _row(where: str, cells: dict[str, str]) -> _Row:
    for name in ("node", "from"):
        if not 1 <= len(cells[name]) <= _NODE_CHARACTERS_MAX or not cells[name].isprintable():
            raise UsageError(f"{where}: {name} is a name of 1 to {_NODE_CHARACTERS_MAX} characters")
    numbers = {}
    for name, bounds in COLUMNS.items():
        if bounds is None:
            continue
        cell, (low, high) = cells[name].strip(), bounds
        digits = cell.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 9 and low <= int(cell) <= high):
            raise UsageError(f"{where}: {name} = {cells[name]!r:.40} is no whole number from {low} to {high}")
        numbers[name] = int(cell)
    if numbers["units"] and not (cells["profile"] and numbers["annual_kwh"]):
        raise UsageError(f"{where}: a node with units has a profile and annual_kwh")
    return _Row(cells["node"], cells["from"], profile=cells["profile"], **numbers)


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
    length_m = np.array([row.length_m for row in rows])
    return replace(
        shipped,
        node_u_rated_v=np.array([transformer.upper_v, *[_U_LOWER_V] * (len(rows) + 1)], dtype=np.float64),
        line_nodes=np.array([[number_of[row.feeding], number_of[row.node]] for row in rows], dtype=np.int32).T,
        line_r_ohm=length_m * np.array([row.r_micro_ohm_per_m for row in rows]) / 1e6,
        line_x_ohm=length_m * np.array([row.x_micro_ohm_per_m for row in rows]) / 1e6,
        line_c_f=np.zeros(len(rows)),
        line_i_max_a=np.array([row.i_max_a for row in rows], dtype=np.float64),
        line_names=tuple(f"to {row.node}" for row in rows),
        source_u_pu=transformer.source_per_mille / 1000,
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
        uk=transformer.short_circuit_per_mille / 1000,
        pk_w=float(transformer.load_loss_w),
        i0=transformer.no_load_current_per_mille / 1000,
        p0_w=float(transformer.no_load_loss_w),
        clock=5,
        tap_position=0,
        tap_min=0,
        tap_max=0,
        tap_neutral=0,
        tap_step_v=0.0,
    )
