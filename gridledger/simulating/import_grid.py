"""A net of pandapower as a folder that can be run: the table of its grid, and a scenario around it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from gridcore.errors import UsageError
from gridledger.demo.prepare import prepare
from gridledger.founding.folder import write_new
from gridledger.settling.settled_folder import made_whole
from simulators.grid.pandapower_file import read_net
from simulators.grid.pandapower_grid import HEAD, Homes, ImportedGrid, import_grid
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import Transformer

TABLE: Final = "grid.csv"
SCENARIO: Final = "scenario.toml"
_AROUND: Final = "village_day"
"""The scenario of the gallery whose weather, devices, market and tariff the new one has."""


@dataclass(frozen=True)
class Imported:
    """What came of a net. ``left_out``: rows by table that a scenario draws itself."""

    nodes: int
    homes: int
    loads: int
    rating_kva: int
    left_out: dict[str, int]
    out: str

    def text(self) -> str:
        """For people."""
        left = ", ".join(f"{rows} of {table}" for table, rows in self.left_out.items())
        lines = [
            f"{self.nodes} nodes, {self.loads} loads, of them {self.homes} homes, below {self.rating_kva} kVA",
            *([f"left out: {left}; the scenario's [pv] and [batteries] draw their own"] if left else []),
            f"gridledger simulate run {self.out}/{SCENARIO} --out DIR",
        ]
        return "\n".join(lines)


def import_net(source: Path, out: Path, homes: Homes) -> Imported:
    """Write ``grid.csv`` and ``scenario.toml`` into ``out``, absent or empty. UsageError in one line for what does not fit; then nothing is written."""
    grid = import_grid(read_net(source), homes)
    with made_whole(out.absolute()) as work:
        write_new(work / TABLE, _table(grid))
        write_new(work / SCENARIO, _scenario(grid))
        try:
            prepare(find_scenario(str(work / SCENARIO)))
        except UsageError as error:
            why = str(error).replace(f"{work / SCENARIO}: ", "").replace(f"{work / TABLE}: ", "")
            raise UsageError(f"{source}: cannot be run: {why}") from None
    return Imported(
        len(grid.rows) + 1, grid.homes, grid.loads, grid.transformer.rating_kva, dict(grid.left_out), str(out)
    )


def _table(grid: ImportedGrid) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEAD, *grid.rows])
    return text.getvalue()


def _scenario(grid: ImportedGrid) -> str:
    """The gallery's scenario with another grid, and all homes trading."""
    found = find_scenario(_AROUND)
    before, _, behind = found.data.decode().partition("[grid]\n")
    _, _, behind = behind.partition("[weather]\n")
    head = "# A grid out of pandapower; weather, devices, market and tariff are those of the gallery's village. Prices are illustrative.\n"
    _, _, before = before.partition("\n")
    before = before.replace(f'title = "{found.scenario.title}"', 'title = "A spring day on a grid out of pandapower"')
    numbers = "".join(f"{each.name} = {getattr(grid.transformer, each.name)}\n" for each in fields(Transformer))
    own = f'[grid]\nsource = "csv"\ntable = "{TABLE}"\n\n[grid.transformer]\n{numbers}\n[weather]\n'
    trading = f"trading = {found.scenario.households.trading}\n"
    return head + before + own + behind.replace(trading, f"trading = {grid.homes}\n")
