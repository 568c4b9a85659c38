"""Runs by their name as columns over all slots and points: what a contract's lines are asked of, party by party."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import require
from gridcore.quality import MEASURED
from gridcore.run_names import run_rank
from gridledger.settling.dataset import Dataset
from gridledger.settling.run_columns import RunColumns
from gridledger.tables.columns import Flags, Places
from ledger.contract import Contract, LineLike, SlotRows, Tariffs
from settlement.contract_kit_1 import Int64Column

Grid = NDArray[np.int64]
"""int64[slots, points]."""


class Group(NamedTuple):
    """What a slot of an area was settled by."""

    trade_price_micro_per_kwh: int | None
    terms: Mapping[str, Any]


class Sheet(NamedTuple):
    """One run, ``initial`` or ``correction-1`` …, of some slots.

    slots: ascending places in ``Dataset.slot_start_s``. has: bool[slots, points], which rows it has; columns: by name
    int64[slots, points], 0 where it has none; tariff: int64[slots, points], places in ``tariffs``, each the prices by key;
    groups: by slot and area; partners: int32[slots, points], as of ``RunColumns``, 0 where it has none.
    """

    slots: Places
    has: Flags
    columns: Mapping[str, Grid]
    tariff: Grid
    tariffs: Sequence[Mapping[str, int]]
    groups: Mapping[tuple[int, str], Group]
    partners: NDArray[np.int32]


class Sheets:
    """The runs of a chain by name.

    Room is taken for every slot and point, but memory only where a run has rows.
    """

    def __init__(self, dataset: Dataset, contract: Contract) -> None:
        self.dataset, self.contract = dataset, contract
        self._sheets: dict[str, _Filling] = {}
        self._tariffs: dict[tuple[tuple[str, int], ...], int] = {}

    def collect(self, runs: Iterable[RunColumns]) -> None:
        """Take in runs; those of one slot and area come in the order in which the ledger made them."""
        first_s, slot_s = int(self.dataset.slot_start_s[0]), self.dataset.slot_s
        shape = self.dataset.import_wh.shape
        for run in runs:
            require(run.contract_id == self.contract.contract_id, "one contract settles all slots of a folder")
            sheet = self._sheets.get(run.run)
            if sheet is None:
                names = ("import_wh", "export_wh", *self.contract.position_columns)
                sheet = self._sheets[run.run] = _Filling(shape, names)
            slot = (run.slot_start_s - first_s) // slot_s
            sheet.has[slot, run.rows] = sheet.is_billed[slot, run.rows] = True
            if run.withdrawn is not None:
                sheet.has[slot, run.withdrawn] = (
                    True  # with nothing in it: what earlier runs billed there is taken back
                )
            for name, column in sheet.columns.items():
                column[slot, run.rows] = run.columns[name]
            sheet.quality[slot, run.rows] = run.quality
            sheet.tariff[slot, run.rows] = self._places(run.tariffs)[run.tariffs.of_row]
            if run.partners is not None:
                sheet.partners[slot, run.rows] = run.partners
            sheet.groups[slot, run.area] = Group(run.trade_price_micro_per_kwh, run.terms)

    @property
    def names(self) -> Sequence[str]:
        """The names of the runs in the order in which the ledger makes those of one slot."""
        return sorted(self._sheets, key=run_rank)

    def sheet(self, name: str) -> Sheet:
        """A run, on the slots that it has."""
        filling = self._sheets[name]
        slots = np.flatnonzero(filling.has.any(axis=1))
        return self._on(slots, filling)

    def before(self, name: str, sheet: Sheet) -> Sheet:
        """What held before the run: on its slots, of each of its rows the last run that was made before."""
        found = _Filling(sheet.has.shape, tuple(sheet.columns))
        found.groups.update(sheet.groups)  # where no run was before its rows are zeros: any terms do
        for earlier in self.names[: self.names.index(name)]:
            other = self._on(sheet.slots, self._sheets[earlier])
            at = sheet.has & other.has
            found.has[at] = True
            found.tariff[at] = other.tariff[at]
            found.partners[at] = other.partners[at]
            for key, column in found.columns.items():
                column[at] = other.columns[key][at]
            found.groups.update((where, group) for where, group in other.groups.items() if where in sheet.groups)
        return Sheet(sheet.slots, found.has, found.columns, found.tariff, sheet.tariffs, found.groups, found.partners)

    def last(self, name: str, until: str | None = None) -> Grid:
        """A column of the rows that hold now, or that held after the run ``until``: of each the last run that has it."""
        found = np.zeros(self.dataset.import_wh.shape, dtype=np.int64)
        for run in self.names:
            filling = self._sheets[run]
            np.copyto(found, filling.columns[name], where=filling.has)
            if run == until:
                break
        return found

    def last_partners(self, until: str) -> NDArray[np.int32]:
        """Whom rows name after a run, int32[slots, points], as of ``RunColumns``: of each the last run up to ``until`` that has it."""
        found: NDArray[np.int32] = np.zeros(self.dataset.import_wh.shape, dtype=np.int32)
        for run in self.names[: self.names.index(until) + 1]:
            np.copyto(found, self._sheets[run].partners, where=self._sheets[run].has)
        return found

    def is_billed(self, until: str) -> Flags:
        """bool[slots, points]: the rows that somebody is billed for after a run: of each by the last run up to ``until`` that has it."""
        found: Flags = np.zeros(self.dataset.import_wh.shape, dtype=np.bool_)
        for run in self.names[: self.names.index(until) + 1]:
            np.copyto(found, self._sheets[run].is_billed, where=self._sheets[run].has)
        return found

    def last_quality(self) -> NDArray[np.uint8]:
        """The quality bytes of the rows that hold now, uint8[slots, points]; of what no run has, measured."""
        found = np.full(self.dataset.import_wh.shape, MEASURED, dtype=np.uint8)
        for run in self.names:
            np.copyto(found, self._sheets[run].quality, where=self._sheets[run].has)
        return found

    def slots_with_later(self, name: str) -> Places:
        """The slots that a later run than this one has."""
        later = [self._sheets[run].has.any(axis=1) for run in self.names[self.names.index(name) + 1 :]]
        return np.flatnonzero(np.logical_or.reduce(later)) if later else np.zeros(0, dtype=np.intp)

    def _on(self, slots: Places, filling: _Filling) -> Sheet:
        every = slots.size == len(filling.has)
        at: Places | slice = slice(None) if every else slots
        columns = {name: column[at] for name, column in filling.columns.items()}
        tariffs = [dict(prices) for prices in self._tariffs]
        return Sheet(slots, filling.has[at], columns, filling.tariff[at], tariffs, filling.groups, filling.partners[at])

    def _places(self, tariffs: Tariffs) -> Int64Column:
        """The place of each tariff of a run among those of all runs."""
        keys = sorted(tariffs.prices)
        rows = zip(*(tariffs.prices[key].tolist() for key in keys), strict=True)
        places = [self._tariffs.setdefault(tuple(zip(keys, row, strict=True)), len(self._tariffs)) for row in rows]
        return np.array(places, dtype=np.int64)


class _Filling:
    """A run while it is read: room for every slot and point."""

    def __init__(self, shape: tuple[int, ...], names: Sequence[str]) -> None:
        self.has: Flags = np.zeros(shape, dtype=np.bool_)
        self.is_billed: Flags = np.zeros(shape, dtype=np.bool_)
        self.columns: dict[str, Grid] = {name: np.zeros(shape, dtype=np.int64) for name in names}
        self.quality: NDArray[np.uint8] = np.full(shape, MEASURED, dtype=np.uint8)
        self.tariff: Grid = np.zeros(shape, dtype=np.int64)
        self.partners: NDArray[np.int32] = np.zeros(shape, dtype=np.int32)
        self.groups: dict[tuple[int, str], Group] = {}


def lines_of(contract: Contract, sheet: Sheet, points: Places, areas: Sequence[str]) -> Sequence[LineLike]:
    """The contract's lines of some points in every slot of a sheet, rows by slot, then by point.

    points: places of columns of the sheet; areas: the area of each.
    """
    names = sorted(set(areas))
    group_of_point = np.array([names.index(area) for area in areas], dtype=np.int64)
    slots = sheet.slots.tolist()
    # where an area has no run in a slot its rows are zeros: any terms do
    absent = Group(None, next(iter(sheet.groups.values())).terms)
    groups = [sheet.groups.get((slot, area), absent) for slot in slots for area in names]
    group = (np.arange(len(slots), dtype=np.int64)[:, np.newaxis] * len(names) + group_of_point).ravel()
    columns = {name: column[:, points].ravel() for name, column in sheet.columns.items()}
    of_row = sheet.tariff[:, points].ravel()
    of_group = np.zeros(len(groups), dtype=np.int64)
    of_group[group] = of_row
    keys = sheet.tariffs[0]
    prices = {key: np.array([tariff[key] for tariff in sheet.tariffs], dtype=np.int64) for key in keys}
    unsaid = np.full(group.size, -1, dtype=np.int64)
    rows = SlotRows(
        group=group,
        import_wh=columns["import_wh"],
        export_wh=columns["export_wh"],
        bought_wh=columns["bought_wh"],
        sold_wh=columns["sold_wh"],
        tariffs=Tariffs(of_group, of_row, prices),
        point_terms=dict.fromkeys(contract.point_terms, unsaid),
    )
    return contract.lines(
        rows,
        {name: columns[name] for name in contract.position_columns},
        trade_prices_micro_per_kwh=[of_slot.trade_price_micro_per_kwh for of_slot in groups],
        terms=[of_slot.terms for of_slot in groups],
    )
