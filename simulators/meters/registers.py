"""What a virtual meter shows: its registers as bytes, in the places and codings of its firmware profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from firmware_profiles.modbus import TEXT, Identity, ModbusPoint, ModbusProfile, SerialNumber, known_registers
from simulators.meters.encode import no_value, point_encoder
from simulators.meters.faults import Shows
from simulators.meters.models import FREQUENCY_HZ, MODELS, POWER_FACTOR, Extent, register_point
from simulators.meters.station import Quantities

_PHASE_VOLTAGES = ("32.7.0", "52.7.0", "72.7.0")
_PHASE_CURRENTS = ("31.7.0", "51.7.0", "71.7.0")
_PHASE_POWERS = ("36.7.0", "56.7.0", "76.7.0")
READS_KEPT_MAX = 64
"""Different requests to one meter whose answers are kept between two states: more than any master has."""


class RegisterImage:
    """The registers of one meter: those of its profile, and the others that a real one of its model has (``models``).

    A read outside of them has no answer. A point's registers are written when somebody reads them: of most points nobody does
    between two states. What was read is known until the next state.
    """

    def __init__(self, profile: ModbusProfile) -> None:
        self.profile = profile
        model = MODELS.get(profile.id)
        extents = [Extent(code, register, 1) for code, register in known_registers(profile)]
        extents += [Extent(item.function_code, item.address, item.count) for item in _told(profile)]
        self._model = model
        self._areas = _areas(extents if model is None else [*extents, *model.extents])
        others = {(point.function_code, point.first): point for point in model.points} if model is not None else {}
        others |= {(point.function_code, point.first): point for point in _told_points(profile)}
        for point in profile.points:
            others.pop((point.function_code, point.first), None)
        # Sums last: the first summand holds the whole sum, whatever else is shown there.
        points = sorted((*others.values(), *profile.points), key=lambda point: bool(point.sum_of))
        self._places = [_Place.of(point, self._area(point.function_code, point.first)) for point in points]
        self.show(Quantities())

    def show(self, quantities: Quantities, *, serial: int = 0, shows: Shows = "") -> None:
        """Show another state; ``shows``: what billing registers have in place of a value."""
        self._quantities, self._serial, self._shows = quantities, serial, shows
        self._values: dict[str, float] = {}
        self._unwritten = self._places
        self._read: dict[tuple[int, int, int], bytes] = {}
        for item in _told(self.profile):
            if item.type == TEXT:
                text = f"{serial}" if isinstance(item, SerialNumber) else item.expect_text[0]
                area = self._area(item.function_code, item.address)
                area.put(item.address, text.encode("ascii").ljust(2 * item.count, b"\0")[: 2 * item.count])

    def read(self, function_code: int, address: int, count: int) -> bytes | None:
        """Return the bytes of ``count`` registers, or None where one of them does not exist."""
        asked = function_code, address, count
        known = self._read.get(asked)
        if known is not None:
            return known
        data = self._read_anew(*asked)
        if data is not None and len(self._read) < READS_KEPT_MAX:
            self._read[asked] = data
        return data

    def _read_anew(self, function_code: int, address: int, count: int) -> bytes | None:
        area = self._area(function_code, address)
        if count < 1 or address + count > area.end:
            return None
        asked = [place for place in self._unwritten if place.is_in(area, address, address + count)]
        if asked:
            self._unwritten = [place for place in self._unwritten if place not in asked]
            self._values = self._values or self._all_values()
            for place in asked:
                self._write(place)
        return area.read(address, count)

    def _area(self, function_code: int, address: int) -> _Area:
        for area in self._areas:
            if area.function_code == function_code and area.start <= address < area.end:
                return area
        return _NOWHERE

    def _all_values(self) -> dict[str, float]:
        values = {"serial": self._serial, **_values(self._quantities, self.profile)}
        values |= {_identity_name(item): item.expect[0] for item in self.profile.modbus.identity if item.type != TEXT}
        return values if self._model is None else {**self._model.values(self._quantities, self._serial), **values}

    def _write(self, place: _Place) -> None:
        data = place.encode(self._values.get(place.point.obis, 0))
        if self._shows and place.point.obis in self.profile.billing:
            data = _instead(self._shows, place.point, data)
        place.area.write(place.point, data)


def _instead(shows: Shows, point: ModbusPoint, data: bytes) -> bytes:
    """What stands in the registers of a point in place of its value ``data``."""
    if shows == "words_swapped":
        return b"".join(data[start : start + 2] for start in range(len(data) - 2, -1, -2))
    ones = b"\xff" * len(data)
    if shows == "no_value":
        return no_value(point) or ones
    return bytes(len(data)) if shows == "zero" else ones


class _Area:
    """Registers without a hole between them, behind one function code."""

    def __init__(self, function_code: int, start: int, end: int) -> None:
        self.function_code, self.start, self.end = function_code, start, end
        self.data = bytearray(2 * (end - start))

    def read(self, address: int, count: int) -> bytes:
        first = 2 * (address - self.start)
        return bytes(self.data[first : first + 2 * count])

    def write(self, point: ModbusPoint, data: bytes) -> None:
        """Put a value into a point's registers: of a sum all into the first summand, with 10^0 for its power of ten."""
        words = [data[start : start + 2] for start in range(0, len(data), 2)]
        words += [b"\0\0"] * (len(point.registers) - len(words))
        for register, word in zip(point.registers, words, strict=True):
            self.put(register, word)

    def put(self, address: int, data: bytes) -> None:
        start = 2 * (address - self.start)
        self.data[start : start + len(data)] = data


_NOWHERE = _Area(0, 0, 0)


def _areas(extents: Iterable[Extent]) -> list[_Area]:
    """One area for all extents that overlap or touch."""
    areas: list[_Area] = []
    for function_code, address, words in sorted(extents):
        last = areas[-1] if areas else _NOWHERE
        if last.function_code == function_code and address <= last.end:
            areas[-1] = _Area(function_code, last.start, max(last.end, address + words))
        else:
            areas.append(_Area(function_code, address, address + words))
    return areas


def _told(profile: ModbusProfile) -> tuple[Identity | SerialNumber, ...]:
    """Registers by which a meter tells what and which one it is."""
    serial = profile.modbus.serial
    return profile.modbus.identity if serial is None else (*profile.modbus.identity, serial)


def _told_points(profile: ModbusProfile) -> Iterator[ModbusPoint]:
    """Those of them that are numbers."""
    for item in _told(profile):
        if item.type != TEXT:
            name = "serial" if isinstance(item, SerialNumber) else _identity_name(item)
            yield register_point(name, item.function_code, item.address, item.type, item.order)


def _identity_name(item: Identity) -> str:
    return f"identity {item.function_code} {item.address}"


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a point lies: registers ``first`` to before ``end``; ``encode``: from its value to their bytes."""

    point: ModbusPoint
    area: _Area
    first: int
    end: int
    encode: Callable[[float], bytes]

    @classmethod
    def of(cls, point: ModbusPoint, area: _Area) -> Self:
        return cls(point, area, point.first, point.end, point_encoder(point))

    def is_in(self, area: _Area, first: int, end: int) -> bool:
        """Whether one of the registers ``first`` to before ``end`` is its own."""
        return self.area is area and self.first < end and first < self.end


def _values(quantities: Quantities, profile: ModbusProfile) -> dict[str, float]:
    """Return the value of every point by OBIS. Registers show the floor of their step and start again at their modulus."""
    values: dict[str, float] = {"14.7.0": FREQUENCY_HZ, "13.7.0": POWER_FACTOR, "0.4.2": 1, "0.4.3": 1}
    energies_wh = {"1.8.0": quantities.import_wh, "2.8.0": quantities.export_wh}
    values |= energies_wh
    for point in profile.billing_points:
        energy_wh = energies_wh[point.obis]
        shown_wh = energy_wh % point.modulus_wh if point.modulus_wh else energy_wh
        values[point.obis] = shown_wh // point.resolution_wh * point.resolution_wh
    values["1.8.3"], values["2.8.3"] = values["1.8.0"], values["2.8.0"]  # one tariff: flat
    values["3.8.0"] = quantities.import_wh // 4
    values["16.7.0"] = quantities.power_w
    current_a = quantities.power_w / 3 / quantities.voltage_v / POWER_FACTOR if quantities.voltage_v else 0.0
    for voltage, current, power in zip(_PHASE_VOLTAGES, _PHASE_CURRENTS, _PHASE_POWERS, strict=True):
        values[voltage] = quantities.voltage_v
        values[current] = abs(current_a)
        values[power] = quantities.power_w / 3
    return values
