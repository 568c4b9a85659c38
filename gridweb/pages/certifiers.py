"""Who certified what: the newest blocks by the validators of their sets, as a grid and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridweb.access import READS_ALL
from gridweb.i18n import N_, _
from gridweb.source import Source
from gridweb.tables import Column, Table, serves_table

HEIGHTS: Final = 64
STATES: Final = {
    "signed": N_("signed"),
    "missing": N_("signature missing"),
    "by_later": N_("certified by a later header"),
    "waiting": N_("not certified yet"),
}
SIGNS: Final = {"signed": "✓", "missing": "✕", "by_later": "›", "waiting": "○"}
"""So that no state is told by colour alone."""
COLUMNS: Final = (
    Column("height", N_("Height"), "count"),
    Column("validator", N_("Validator")),
    Column("state", N_("State"), words=STATES),
)


@dataclass(frozen=True)
class Row:
    """A validator over the heights of a grid. states: keys of STATES, None where it was in no set; signed: how many it signed."""

    validator: str
    states: tuple[str | None, ...]
    signed: int
    missing: int


@dataclass(frozen=True)
class Grid:
    """heights: ascending; rows: by name."""

    heights: tuple[int, ...]
    rows: tuple[Row, ...]


@serves_table("/consortium/certifiers", *READS_ALL)
async def certifiers_table(source: Source) -> Table:
    """A row for each of the newest blocks and each validator of its set."""
    rows = [
        (one["height"], name, state_of(one, name))
        for one in await read_newest_blocks(source)
        for name in sorted([*one["signed"], *one["missing"]])
    ]
    return Table("certifiers", COLUMNS, rows, title=_("Who certified what"))


async def read_newest_blocks(source: Source) -> Sequence[Mapping[str, Any]]:
    """The newest blocks, at most HEIGHTS, the newest first. SourceAway."""
    blocks: Sequence[Mapping[str, Any]] = (await source.cached("blocks"))["blocks"]
    return blocks[:HEIGHTS]


def state_of(block: Mapping[str, Any], validator: str) -> str:
    """What a validator did about a block's header: a key of STATES."""
    if validator in block["signed"]:
        return "signed"
    if block["covered_by"] is None:
        return "waiting"
    return "missing" if block["covered_by"] == block["height"] else "by_later"


def grid_of(blocks: Sequence[Mapping[str, Any]]) -> Grid:
    """The grid of some blocks, the newest first."""
    ascending = blocks[::-1]
    members = [{*one["signed"], *one["missing"]} for one in ascending]
    rows = []
    for name in sorted(set().union(*members)):
        states = tuple(
            state_of(one, name) if name in known else None for one, known in zip(ascending, members, strict=True)
        )
        rows.append(Row(name, states, states.count("signed"), states.count("missing")))
    return Grid(tuple(one["height"] for one in ascending), tuple(rows))
