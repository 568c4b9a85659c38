"""Readings in any layout, as columns of what each row says: the start of a slot, a point, energies and their quality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import excerpt
from gridcore.quality import CORRECTED, ESTIMATED, MEASURED, SUSPECT
from gridledger.settling.dataset import LIMIT_WH_MAX, InputFile
from gridledger.settling.files.fault import fault, nearest
from gridledger.settling.files.fields import ABSENT, Names, decimals
from gridledger.settling.files.instants import Instants
from gridledger.settling.files.layout import Layout, QualityForm
from gridledger.settling.files.records import Records
from gridledger.settling.files.stamps import DAY_S, Zone
from gridledger.settling.files.table import Block, Fields, Form, Header, Table
from settlement.contract_kit_1 import Int64Column

PARTS_PER_WH: Final = 3_600_000
"""Energies are whole milliwatt-seconds until they are on the grid of slots: an average power times a slot is one too."""
_UNIT_PLACES: Final = {"Wh": 3, "kWh": 6, "MWh": 9, "W": 3, "kW": 6}
"""Decimal places that make a unit whole mWh, or whole mW."""
_WHOLE_PLACES: Final = {"Wh": 0, "kWh": 3, "MWh": 6}
"""Decimal places that make a unit whole Wh."""
_CARRY_HINT: Final = ", or set [timeline] sub_wh = 'carry' in rules.toml"
_REGISTERS_MAX: Final = 64


class Reading(NamedTuple):
    """How readings are read: the layout, the points' names, the zone of local times, the length of a slot.

    has_carry: parts of a Wh are carried on (``sub_wh``), else they are refused.
    """

    layout: Layout
    points: Sequence[str]
    zone: Zone | None
    slot_s: int
    has_carry: bool


class Rows(NamedTuple):
    """What rows say, one energy of one direction each.

    file: place in the list of inputs; row: its number in the file; start_s: of the slot; point: place in the points;
    register: of several that add up, twice its number, 1 more where it is export; parts: the energy in PARTS_PER_WH,
    ABSENT where the row has none; quality: a code of ``gridcore.quality``.
    """

    file: NDArray[np.int16]
    row: NDArray[np.int32]
    start_s: Int64Column
    point: NDArray[np.int32]
    register: NDArray[np.int16]
    parts: Int64Column
    quality: NDArray[np.uint8]


class FilesRead(NamedTuple):
    """All rows of all files, the files, and how many readings hold an energy."""

    rows: Rows
    inputs: Sequence[InputFile]
    readings: int


def read_readings(paths: Sequence[Path], how: Reading) -> FilesRead:
    """Read files of one layout; FilesError at the first fault."""
    reader = _Reader(how)
    parts: list[Rows] = []
    inputs: list[InputFile] = []
    readings = 0
    for place, path in enumerate(paths):
        table = Table(path, _header(how.layout), _form(how.layout, how.slot_s))
        point = reader.point_of_file(path, table.name)
        for block in table.blocks():
            said = list(reader.rows_of(block, place, point))
            parts += said
            has_energy = np.stack([rows.parts != ABSENT for rows in said])
            readings += int((has_energy if how.layout.energy.wide else has_energy.any(axis=0)).sum())
        inputs.append(table.input_file())
    reader.instants.check_repeated()
    if not parts:
        raise fault(inputs[-1].name, "holds no rows", "give the readings of at least one slot")
    return FilesRead(Rows(*map(np.concatenate, zip(*parts, strict=True))), inputs, readings)


def value_columns(slot_s: int) -> list[str]:
    """Names of the values of a day that stand side by side."""
    return [f"value {number}" for number in range(1, DAY_S // slot_s + 1)]


def _header(layout: Layout) -> Header:
    energy, time = layout.energy, layout.time
    required = [time.column, layout.point_column, time.time_column, time.number_column, energy.import_column]
    required += [energy.value_column, energy.direction_column, energy.unit_column]
    optional = [energy.export_column, layout.quality.column if layout.quality else None]
    if not layout.file.others:
        required.append(optional.pop(0))
    required_names, optional_names = ([name for name in names if name] for names in (required, optional))
    return Header(required_names, optional_names, layout.file.others)


def _form(layout: Layout, slot_s: int) -> Form:
    records = None
    if (own := layout.records) is not None:
        data_columns = (*own.data_before, *value_columns(slot_s), *own.data_after)
        fields_min = len(data_columns) - len(own.data_after)
        records = Records(own.header, own.header_columns, own.data, data_columns, fields_min, own.skipped)
    file = layout.file
    return Form(file.delimiter, file.encoding, file.header_row, file.short_rows, records)


class _Reader:
    """Reads blocks of one layout."""

    def __init__(self, how: Reading) -> None:
        layout = how.layout
        zone = Zone(layout.time.zone) if layout.time.zone else how.zone
        self.instants = Instants(layout.time, zone, how.slot_s)
        self._how = how
        self._energy = layout.energy
        self._points = Names(how.points)
        self._directions = Names((*self._energy.import_words, *self._energy.export_words, *self._energy.skipped_words))
        self._units = Names(self._energy.unit_words)
        # which register each word is
        registers = [2 * number for number, _ in enumerate(self._energy.import_words)]
        registers += [2 * number + 1 for number, _ in enumerate(self._energy.export_words)]
        self._registers = np.array([*registers, *[ABSENT for _ in self._energy.skipped_words]], dtype=np.int64)
        self._quality = _Qualities(layout.quality) if layout.quality else None

    def point_of_file(self, path: Path, name: str) -> int:
        """The point that a file is about by its name; ABSENT where a column says it."""
        if self._how.layout.point_column is not None:
            return ABSENT
        if path.stem not in self._how.points:
            right = f"name the file POINT.csv; {nearest(path.stem, self._how.points)}"
            raise fault(name, f"{excerpt(path.stem)} is no point of points.csv", right)
        return list(self._how.points).index(path.stem)

    def rows_of(self, block: Block, file: int, point: int) -> Iterator[Rows]:
        """What the rows of a block say, a direction (or a value of a wide row) at a time; ``point``: ABSENT: a column says it."""
        columns, energy = block.columns, self._energy
        register = self._register(columns)
        if register is not None and (register == ABSENT).any():
            kept = np.flatnonzero(register != ABSENT)
            columns = {name: fields.some(kept) for name, fields in columns.items()}
            block, register = Block(block.row[kept], columns), register[kept]
        if energy.unit_column is not None:
            self._units.codes(columns[energy.unit_column], f"name of {energy.unit} here")
        if point == ABSENT:
            points = self._points.codes(columns[self._how.layout.point_column or ""], "point of points.csv")
        else:
            points = np.full(len(block.row), point)
        quality = self._quality.codes(columns) if self._quality else None
        if quality is None:
            quality = np.full(len(block.row), MEASURED, dtype=np.uint8)

        def rows(start_s: Int64Column, parts: Int64Column, register: Int64Column) -> Rows:
            return Rows(
                np.full(len(block.row), file, dtype=np.int16),
                block.row.astype(np.int32),
                start_s,
                points.astype(np.int32),
                register.astype(np.int16),
                parts,
                quality,
            )

        none = np.zeros(len(block.row), dtype=np.int64)
        if energy.wide:
            for number, name in enumerate(value_columns(self._how.slot_s), start=1):
                start_s = self.instants.of_number(columns, none + number, columns[name])
                yield rows(start_s, self._parts(columns[name]), none if register is None else register)
            return
        own = none if register is None else register
        start_s = self.instants.of_rows(columns, points * 2 * _REGISTERS_MAX + own)
        if energy.value_column is not None:
            yield rows(start_s, self._parts(columns[energy.value_column]), own)
            return
        for direction, column in enumerate((energy.import_column, energy.export_column)):
            if column is not None and column in columns:
                yield rows(start_s, self._parts(columns[column]), none + direction)

    def _register(self, columns: Mapping[str, Fields]) -> Int64Column | None:
        """int64[n]: the register that each row is of, ABSENT where its word is skipped; None: there is but one."""
        if self._energy.direction_column is None:
            return None
        return self._registers[
            self._directions.codes(columns[self._energy.direction_column], "direction of this layout")
        ]

    def _parts(self, fields: Fields) -> Int64Column:
        """int64[n]: energies in PARTS_PER_WH, ABSENT where a field is empty."""
        unit = self._energy.unit
        is_power = unit in ("kW", "W")
        places = _UNIT_PLACES[unit]
        allowed = places if is_power or self._how.has_carry else _WHOLE_PLACES[unit]
        found = decimals(fields, allowed, self._how.layout.file.decimal, "" if self._how.has_carry else _CARRY_HINT)
        parts_of_one = self._how.slot_s if is_power else 3600 * 10 ** (places - allowed)
        most = LIMIT_WH_MAX * PARTS_PER_WH // parts_of_one
        if (found.value > most).any():
            at = int(np.argmax(found.value > most))
            right = f"a slot holds at most {LIMIT_WH_MAX // 1000} kWh; check the unit, {unit}"
            raise fields.fault(at, f"{fields.text(at)} is too large", right)
        parts = found.value * parts_of_one
        if not self._how.has_carry and (parts % PARTS_PER_WH).any():
            at = int(np.argmax(parts % PARTS_PER_WH != 0))
            what = f"{fields.text(at)} {unit} over {self._how.slot_s} s is no whole Wh"
            raise fields.fault(at, what, "set [timeline] sub_wh = 'carry' in rules.toml")
        return np.where(found.is_present, parts, ABSENT)


class _Qualities:
    """The words of a column of qualities."""

    def __init__(self, form: QualityForm) -> None:
        self._form = form
        words = {MEASURED: form.measured, ESTIMATED: form.estimated, CORRECTED: form.corrected, SUSPECT: form.suspect}
        self._names = Names([word for of_code in words.values() for word in of_code])
        self._codes = np.array([code for code, of_code in words.items() for _ in of_code] + [MEASURED], dtype=np.uint8)

    def codes(self, columns: Mapping[str, Fields]) -> NDArray[np.uint8] | None:
        """uint8[n]; an empty field is measured. None where the column is not there."""
        fields = columns.get(self._form.column)
        if fields is None:
            return None
        if self._form.characters is not None:
            fields = replace(fields, end=np.minimum(fields.end, fields.start + self._form.characters))
        return self._codes[self._names.codes(fields, "quality", may_be_empty=True)]
