"""Periods: what a contract sums over a month, and settles with its last slot (docs/spec/state.md, "Periods")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gridcore.sm3 import sm3
from tests.twin.contracts import Month
from tests.twin.estimates import known_instants
from tests.twin.forms import ZEROS, Column, Leaf

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK = 1_024


def month_of(twin: Twin, zone: str, slot: int) -> tuple[int, int | None]:
    """Begin and end of the month of a slot in the calendar of the zone's first area; the end None where nobody knows it."""
    area = twin.registry.value("area/" + twin.registry.areas[zone][0], slot, twin.height - 1)
    months = [] if area is None else known_instants(twin, area["calendar"], "months")
    begun = [instant for instant in months if instant <= slot]
    return max(begun, default=0), min((instant for instant in months if instant > slot), default=None)


def month_to_close(
    twin: Twin, zone: str, slot: int, last: str | None, names: tuple[Sequence[str], Sequence[str]]
) -> Month:
    """What the contract is told of a slot's month; ``names``: what it sums of points and of areas."""
    start, end = month_of(twin, zone, slot)
    if end != slot + twin.slot_s:
        return Month(start, False, {}, {})
    sizes = len(twin.registry.points[zone]), len(twin.registry.areas[zone])
    others = []
    for (sums, said), own, size in zip(
        (("period", "positions"), ("period_areas", "results")), names, sizes, strict=True
    ):
        table = read(twin, f"{sums}/{start}/{zone}", own, size)
        if last is not None and said_start(twin, last) == start:
            mine = read(twin, f"{said}/{last}", own, size)
            table = {row: tuple(a - b for a, b in zip(table[row], mine[row], strict=True)) for row in table}
        others.append(table)
    return Month(start, True, *others)


def read(twin: Twin, prefix: str, names: Sequence[str], size: int) -> dict[int, tuple[int, ...]]:
    """Columns by row, over all chunks, 0 where there is none."""
    table = {}
    for row in range(size):
        leaf = twin.leaves.get(f"{prefix}/{row // CHUNK}", {"columns": {}})
        columns = [leaf["columns"].get(name, []) for name in names]
        table[row] = tuple(column[row % CHUNK] if row % CHUNK < len(column) else 0 for column in columns)
    return table


def said_start(twin: Twin, last: str) -> int:
    """In which period a run said that its slot lies."""
    start: int = twin.leaves[f"results/{last}/0"]["columns"]["period_start_s"][0]
    return start


def count(
    twin: Twin,
    zone: str,
    start: int,
    last: str | None,
    leaves: tuple[Sequence[Leaf], Sequence[Leaf]],
    names: tuple[Sequence[str], Sequence[str]],
    seed: bytes,
) -> None:
    """Count a run's chunks of positions and results, and those of the run before it no more."""
    kinds = ("period", "positions"), ("period_areas", "results")
    for (sums, said), new, own in zip(kinds, leaves, names, strict=True):
        for chunk, leaf in enumerate(new):
            old = None if last is None else twin.leaves.get(f"{said}/{last}/{chunk}")
            if last is not None and old is not None:
                add(twin, f"{sums}/{said_start(twin, last)}/{zone}/{chunk}", old["columns"], own, (-1, seed))
            add(twin, f"{sums}/{start}/{zone}/{chunk}", leaf["columns"], own, (1, seed))


def add(twin: Twin, key: str, more: Mapping[str, Sequence[int]], names: Sequence[str], how: tuple[int, bytes]) -> None:
    """Add columns of one chunk, or take them away, and mix the seed of the run in."""
    sign, seed = how
    before = twin.leaves.get(key, {"columns": {name: [] for name in names}, "seed": ZEROS})
    columns = {}
    for name in names:
        size = max(len(more[name]), len(before["columns"][name]))
        both = ([*column, *[0] * (size - len(column))] for column in (before["columns"][name], more[name]))
        columns[name] = Column(old + sign * new for old, new in zip(*both, strict=True))
    twin.leaves[key] = {"columns": columns, "seed": sm3(before["seed"] + seed)}
