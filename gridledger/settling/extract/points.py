"""Points as ``points.csv`` and ``keys.csv`` have them: who is billed from when on, and sharing keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from gridcore.errors import UsageError
from gridcore.forms import TIME_S_MAX
from gridcore.registry.grid_connection import GRID_CONNECTION
from gridcore.registry.point import ENERGY_KINDS, Point
from gridledger.settling.chain.partners import NamesOfRuns
from gridledger.settling.dataset import KeyRow, PointRow
from gridledger.settling.extract.changes import Change, RowChanges
from gridledger.settling.files.points import MOVES_MAX
from gridledger.settling.files.stamps import to_iso
from gridledger.settling.partners import Partners
from ledger.leaves.columns import Int64
from ledger.leaves.run import RunLeaf
from ledger.registry.bodies import open_entity
from ledger.registry.zones import Zone, ZoneInForce
from ledger.store.reader import LedgerReader

_KEYS: Final = ("share_ppm", "priority")
_CONSTANT: Final = ("grid_place", "energy_kind")
_NOT_BILLED: Final = -2
"""Stands for what a point says in a slot in which nobody is billed there: before it begins it says nothing."""


class _Named(NamedTuple):
    """Whom a point names, "" for nobody: its partners, and its balance responsible parties."""

    supplier: str = ""
    offtaker: str = ""
    grid_operator: str = ""
    balance_responsible_import: str = ""
    balance_responsible_export: str = ""

    @classmethod
    def of(cls, point: Point) -> _Named:
        """Whom an entry of a point names."""
        responsible = point.balance_responsible_import, point.balance_responsible_export
        return cls(*Partners.of(point), *(name or "" for name in responsible))


class PointFacts:
    """What slots say of some rows of a zone beside their energies."""

    def __init__(self, reader: LedgerReader, zone: Zone, rows: Int64) -> None:
        self._reader, self._zone, self._rows = reader, zone, rows
        self._span_s = (TIME_S_MAX, 0)
        self._changes = {name: RowChanges() for name in ("area", "party", *_KEYS, *_CONSTANT)}
        self._named, self._names = NamesOfRuns(reader, _Named.of, _Named()), RowChanges()
        self._billed_slots = np.zeros(len(rows), dtype=np.int64)

    def note(self, run: RunLeaf, in_force: ZoneInForce) -> None:
        """A zone as a slot's run saw it; slots come in order."""
        slot_start_s = run.slot_start_s
        self._span_s = (min(slot_start_s, self._span_s[0]), slot_start_s)
        named = self._named.of_zone(in_force, run, self._rows)[self._rows]
        is_billed = in_force.party[self._rows] >= 0
        self._billed_slots += is_billed
        self._names.note(slot_start_s, np.where(is_billed, named, _NOT_BILLED))
        for name, changes in self._changes.items():
            column = getattr(in_force, name)[self._rows]
            changes.note(slot_start_s, np.where(is_billed, column, _NOT_BILLED) if name in _CONSTANT else column)

    def billed(self) -> Int64:
        """int64[n]: the places of those rows for which somebody is billed in some slot, by the bytes of their points' names."""
        billed = [at for at in range(len(self._rows)) if any(self._parties(at))]
        return np.array(sorted(billed, key=lambda at: self.name(int(self._rows[at])).encode()), dtype=np.int64)

    def name(self, row: int) -> str:
        """The name of a row's point."""
        return self._zone.points[row]

    def rows(self, own: Int64) -> list[PointRow]:
        """The points of some rows. UsageError for one that changes in what a folder says once."""
        return [self._point(at) for at in self._places(own)]

    def keys(self, own: Int64, terms: Mapping[str, Any]) -> list[KeyRow]:
        """Their keys: priorities where the terms share by them, else shares. UsageError for one that ends."""
        name = "priority" if terms.get("method") == "priority" else "share_ppm"
        return [key for at in self._places(own) for key in self._keys(at, name)]

    def notes(self, own: Int64, slots: int) -> Iterator[str]:
        """Lines of points for which nobody is billed in some of the slots, and of whom points name from a slot on.

        No line of a statement rests on whom they name: a folder without those that change is settled as the ledger was.
        """
        places = self._places(own)
        partly = [self.name(int(self._rows[at])) for at in places if self._billed_slots[at] < slots]
        if partly:
            words = "here their party is, without energy, and is charged for these days by prices of a day or of power"
            yield f"nobody is billed for {len(partly)} points in some slots ({partly[0]} first): {words}"
        for field in _Named._fields:
            points = [self.name(int(self._rows[at])) for at in places if len(self._named_at(at)[field]) > 1]
            if points:
                what = f"points name another {field} from a slot on ({len(points)}, {points[0]} first)"
                yield f"{what}, which points.csv cannot say: it is empty there"

    def _places(self, own: Int64) -> list[int]:
        place: list[int] = np.searchsorted(self._rows, own).tolist()
        return place

    def _parties(self, at: int) -> dict[int, str]:
        """By when it begins, the party of each span in which somebody is billed, one for each time that it changes."""
        found: dict[int, str] = {}
        for from_s, party in self._changes["party"].of(at):
            name = "" if party < 0 else self._reader.registry.parties[party]
            if name and name != next(reversed(found.values()), ""):
                found[from_s] = name
        return found

    def _point(self, at: int) -> PointRow:
        name, (first, *later) = self.name(int(self._rows[at])), self._parties(at).items()
        if len(later) > MOVES_MAX:
            raise UsageError(f"point {name} is billed to {len(later) + 1} parties in turn; name fewer days")
        constant = {key: self._constant(name, key, self._changes[key].of(at)) for key in _CONSTANT}
        kind = constant["energy_kind"]
        *partners, by_import, by_export = (names[0] if len(names) == 1 else "" for names in self._named_at(at).values())
        return PointRow(
            name,
            first[1],
            self._zone.areas[self._changes["area"].of(at)[-1].value],
            later=later,
            grid_place=constant["grid_place"] or None,
            energy_kind=None if kind < 0 else ENERGY_KINDS[kind],
            voltage_level=self._level(name, first[0]),
            partners=Partners(*partners),
            balance_responsible_import=by_import or None,
            balance_responsible_export=by_export or None,
        )

    def _named_at(self, at: int) -> dict[str, list[str]]:
        """Whom a row's point names in slots in which it is billed, by the field of ``_Named``: each name once, "" for nobody."""
        places = [change.value for change in self._names.of(at) if change.value != _NOT_BILLED]
        said = [self._named.named[place] for place in places]
        return {field: list(dict.fromkeys(getattr(one, field) for one in said)) for field in _Named._fields}

    def _level(self, point: str, billed_from_s: int) -> str | None:
        """The voltage level that ``points.csv`` says for all slots in which it is billed, by the newest block; None where none is registered."""
        opened = open_entity(self._reader, GRID_CONNECTION, point)
        if opened is None:
            return None
        first_s, last_s = max(self._span_s[0], billed_from_s), self._span_s[1]
        later = sorted({entry.from_s for entry in opened.leaf.entries if first_s < entry.from_s <= last_s})
        first, *others = ((at_s, self._reader.in_force(GRID_CONNECTION, point, at_s)) for at_s in (first_s, *later))
        if changed := [at_s for at_s, said in others if said != first[1]]:
            raise UsageError(
                f"point {point} has another voltage_level from {to_iso(changed[0])} on; name days of one of them"
            )
        return None if first[1] is None else first[1].voltage_level

    def _constant(self, point: str, key: str, changes: Sequence[Change]) -> int:
        """A value that ``points.csv`` says for all slots: the same in all in which the point is billed."""
        first, *others = [change for change in changes if change.value != _NOT_BILLED]
        if other := next((change for change in others if change.value != first.value), None):
            raise UsageError(
                f"point {point} has another {key} from {to_iso(other.from_s)} on; name days of one of them"
            )
        return first.value

    def _keys(self, at: int, name: str) -> Iterator[KeyRow]:
        point, changes = self.name(int(self._rows[at])), self._changes[name].of(at)
        for before, after in pairwise(changes):
            if before.value >= 0 > after.value:
                raise UsageError(
                    f"point {point} has no {name} any more from {to_iso(after.from_s)} on; name days before"
                )
        for number, (from_s, value) in enumerate(changes):
            if value >= 0:
                stated = {key: value if key == name else None for key in _KEYS}
                yield KeyRow(point, **stated, valid_from_s=from_s if number else None)
