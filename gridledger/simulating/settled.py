"""What was reported and settled of a simulated world, as columns: the same record whether agents or columns fed the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.column import I64_MAX
from gridcore.errors import UsageError
from gridcore.quality import ABSENT_QUALITY, quality_words
from gridledger.settling.dataset import PointRow
from gridledger.settling.files.fault import FilesError
from gridledger.settling.files.fields import integers
from gridledger.settling.files.table import Header
from gridledger.settling.files.table import Table as FilesTable
from gridledger.simulating.world_files import by_slot
from gridledger.tables.columns import Int64Column, Table, TextColumn
from gridledger.tables.files import write_csv, write_rows
from settlement.contract_kit_1.columns import exact_sum
from simulators.grid.large_arrays import NewArray, in_memory
from simulators.grid.world import World
from simulators.scenarios.schema import EXCHANGED

REPORTED: Final = ("slot_start_s", "meter", "import_wh", "export_wh", "quality", "flags")
REPORTED_NAME: Final = "reported.csv"
SETTLEMENT_NAME: Final = "settlement.csv"


class PartyRow(NamedTuple):
    """What a party came to over all slots, as their last runs settled them: the rows of ``settlement.csv``.

    bought, sold: energy traded or shared among parties. pays: exact, before tax, negative where it is paid; supplier_only:
    what the supplier alone would have asked for the same energy.
    """

    party: str
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int


SUMS: Final = PartyRow._fields[1:]


@dataclass
class Flow:
    """What lines of one kind come to: what parties owe ``account`` by them; what it owes them.

    energy_wh, amount_nano: of each slot, int64[slots]; the amount is what is owed less what is owing.
    """

    account: str
    energy_wh: Int64Column
    amount_nano: Int64Column
    owed_nano: int = 0
    owing_nano: int = 0


class _Move(NamedTuple):
    """Somebody else is billed at a meter, by its column, from a slot on."""

    column: int
    first_slot: int
    party: str


class SettledWorld:
    """Filled slot by slot, area by area. Arrays [slots, meters] have a column for each meter of the world, a feeder's stays absent.

    points: who is billed at each meter, from when on; none: its party in all slots.
    """

    def __init__(self, world: World, new_array: NewArray = in_memory, points: Sequence[PointRow] = ()) -> None:
        shape = world.slots, len(world.meters)
        self.world = world
        self.import_wh = new_array(shape, np.int32)
        self.export_wh = new_array(shape, np.int32)
        self.quality = new_array(shape, np.uint8)
        self.quality[:] = ABSENT_QUALITY
        self.traded_wh: Int64Column = np.zeros(world.slots, dtype=np.int64)
        """int64[slots]: bought of one another, or shared."""
        self.flows: dict[str, Flow] = {}
        """By kind of line."""
        columns = {meter.meter: column for column, meter in enumerate(world.meters)}
        new = {event.other: columns[event.target] for event in world.scenario.events if event.kind == EXCHANGED}
        self.column_of_meter: Mapping[str, int] = columns | new
        self.columns_settled: NDArray[np.intp] = np.array(
            [column for column, meter in enumerate(world.meters) if meter.party], dtype=np.intp
        )
        """int[n]: the meters of parties."""
        self._moves = [
            _Move(columns[point.point], int(np.searchsorted(world.slot_start_s, from_s)), party)
            for point in points
            for from_s, party in point.later
        ]
        self._sums: NDArray[np.int64] = np.zeros((len(SUMS), len(world.meters) + len(self._moves)), dtype=np.int64)
        """Of each meter, then of each move."""

    @cached_property
    def columns_of_area(self) -> Mapping[str, NDArray[np.intp]]:
        """By area, int[n]: its meters of parties."""
        found: dict[str, list[int]] = {area: [] for area in self.world.areas}
        for column in self.columns_settled.tolist():
            found[self.world.meters[column].area].append(column)
        return {area: np.array(columns, dtype=np.intp) for area, columns in found.items()}

    def add_positions(
        self, slot: int, at: Int64Column, columns: Mapping[str, Int64Column], quality: NDArray[np.uint8]
    ) -> None:
        """What the last run of a slot keeps of some meters. at: int64[n], their columns; columns: int64[n] by the names of PartyRow."""
        self.import_wh[slot, at], self.export_wh[slot, at] = columns["import_wh"], columns["export_wh"]
        self.quality[slot, at] = quality
        self.traded_wh[slot] += exact_sum(columns["bought_wh"])
        places = self._places(slot, at)
        for number, name in enumerate(SUMS):
            self._sums[number, places] += columns[name]

    def _places(self, slot: int, at: Int64Column) -> Int64Column:
        """Where the sums of some meters are, of whoever is billed in a slot."""
        if not self._moves:
            return at
        place = np.arange(len(self.world.meters), dtype=np.int64)
        for number, move in enumerate(self._moves, len(place)):
            if move.first_slot <= slot:
                place[move.column] = number
        return place[at]

    def add_line(self, slot: int, kind: str, account: str, energy_wh: int, owed_nano: int, owing_nano: int) -> None:
        """Lines of one kind: what they come to where parties owe (``owed_nano`` >= 0), and where they are owed (``owing_nano`` >= 0)."""
        if kind not in self.flows:
            self.flows[kind] = Flow(account, *np.zeros((2, self.world.slots), dtype=np.int64))
        flow = self.flows[kind]
        flow.energy_wh[slot] += energy_wh
        flow.amount_nano[slot] += owed_nano - owing_nano
        flow.owed_nano += owed_nano
        flow.owing_nano += owing_nano

    def mean_price(self, kind: str, slots: slice) -> float | None:
        """What lines of a kind come to in some slots, in the currency per kWh, for people only; None where they have no energy."""
        flow = self.flows.get(kind)
        energy_wh = 0 if flow is None else int(flow.energy_wh[slots].sum())
        return abs(int(flow.amount_nano[slots].sum())) / energy_wh / 1e6 if flow is not None and energy_wh else None

    @property
    def sums(self) -> Mapping[str, int]:
        """What all parties come to, by the names of ``SUMS``."""
        has_party = np.array([bool(party) for party in self._billed])
        return {name: exact_sum(column[has_party]) for name, column in zip(SUMS, self._sums, strict=True)}

    @property
    def _billed(self) -> list[str]:
        """Whose each sum is; "" for nobody."""
        return [*(meter.party for meter in self.world.meters), *(move.party for move in self._moves)]

    def parties(self) -> list[PartyRow]:
        """Every party, in the order of the world's meters, then who was billed later."""
        sums: dict[str, list[int]] = defaultdict(lambda: [0] * len(SUMS))
        for party, of_place in zip(self._billed, self._sums.T.tolist(), strict=True):
            if party:
                sums[party] = [before + more for before, more in zip(sums[party], of_place, strict=True)]
        return [PartyRow(party, *of_party) for party, of_party in sums.items()]

    def write(self, out: Path) -> None:
        """Make ``reported.csv`` and ``settlement.csv``."""
        write_csv(out / REPORTED_NAME, REPORTED, self._reported())
        write_rows(out / SETTLEMENT_NAME, PartyRow._fields, self.parties())

    def _reported(self) -> Iterator[Table]:
        """Rows of the meters that are settled."""
        settles = self.columns_settled.tolist()
        names = [self.world.meters[place].meter for place in settles]
        order = np.array(sorted(range(len(names)), key=lambda place: names[place].encode()), dtype=np.intp)
        columns = np.array(settles, dtype=np.intp)[order]
        words = [quality_words(code) for code in range(ABSENT_QUALITY + 1)]
        qualities, flags = [word for word, _ in words], [" ".join(of_code) for _, of_code in words]
        first = 0

        def energies(some: slice) -> list[NDArray[np.int32]]:
            return [self.import_wh[some][:, columns], self.export_wh[some][:, columns]]

        names = [names[place] for place in order.tolist()]
        for table in by_slot(REPORTED[:4], self.world.slot_start_s, [names], energies):
            slots = table.rows // len(names)
            codes = self.quality[first : first + slots][:, columns].ravel().astype(np.int32)
            yield Table(REPORTED, [*table.columns, TextColumn(qualities, codes), TextColumn(flags, codes)])
            first += slots


def read_settlement(folder: Path) -> Mapping[str, PartyRow]:
    """The rows of ``settlement.csv`` by party, in the file's order. UsageError where there is none; FilesError for what we do not write."""
    path = folder / SETTLEMENT_NAME
    if not path.is_file():
        raise UsageError(f"{folder}: holds no {SETTLEMENT_NAME}; name a folder that gridledger simulate run has made")
    found: dict[str, PartyRow] = {}
    try:
        for block in FilesTable(path, Header(PartyRow._fields)).blocks():
            sums = [integers(block.columns[name], -I64_MAX, I64_MAX).tolist() for name in SUMS]
            for party, *of_party in zip(block.columns["party"].texts(), *sums, strict=True):
                found[party] = PartyRow(party, *of_party)
    except FilesError as error:
        raise FilesError(f"{folder}/{error}") from None
    return found
