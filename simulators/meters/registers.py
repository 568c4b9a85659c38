"""What a virtual meter shows: its registers as bytes, in the places and codings of its firmware profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from firmware_profiles.schema import BILLING_OBIS, Point, Profile
from simulators.meters.encode import no_value, point_encoder

FREQUENCY_HZ = 50.0
POWER_FACTOR = 0.97
_PHASE_VOLTAGES = ("32.7.0", "52.7.0", "72.7.0")
_PHASE_CURRENTS = ("31.7.0", "51.7.0", "71.7.0")
_PHASE_POWERS = ("36.7.0", "56.7.0", "76.7.0")


@dataclass(frozen=True, slots=True)
class Quantities:
    """The state of a meter on its own (secondary) side: cumulative Wh, active power in W (import positive), phase voltage."""

    import_wh: int = 0
    export_wh: int = 0
    power_w: float = 0.0
    voltage_v: float = 230.0


class RegisterImage:
    """The registers of one meter. A read outside of the points that the profile knows has no answer.

    A point's registers are written when somebody reads them: of most points nobody does between two states.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._areas = {code: _Area(profile, code) for code in (3, 4)}
        self._places = [_Place.of(point, self._areas[point.function_code]) for point in profile.points]
        self.show(Quantities())

    def show(self, quantities: Quantities, *, without_value: bool = False) -> None:
        """Show another state. ``without_value``: billing registers say "no value" where their coding can."""
        self._quantities, self._without_value = quantities, without_value
        self._values: dict[str, float] = {}
        self._unwritten = self._places

    def read(self, function_code: int, address: int, count: int) -> bytes | None:
        """Return the bytes of ``count`` registers, or None where one of them does not exist."""
        area = self._areas.get(function_code)
        if area is None:
            return None
        asked = [place for place in self._unwritten if place.is_in(area, address, address + count)]
        if asked:
            self._unwritten = [place for place in self._unwritten if place not in asked]
            self._values = self._values or _values(self._quantities, self.profile)
            for place in asked:
                self._write(place)
        return area.read(address, count)

    def _write(self, place: _Place) -> None:
        data = place.encode(self._values.get(place.point.obis, 0))
        if self._without_value and place.point.is_billing:
            data = no_value(place.point) or data
        place.area.write(place.first, data)


class _Area:
    """The registers behind one function code: bytes, and which registers exist."""

    def __init__(self, profile: Profile, function_code: int) -> None:
        points = [point for point in profile.points if point.function_code == function_code]
        self.start = min((point.address for point in points), default=0)
        size = max((point.end for point in points), default=0) - self.start
        self.data = bytearray(2 * size)
        self.exists = bytearray(size)
        ranges = [(point.address, point.words) for point in points]
        ranges += [(block.address, block.count) for block in profile.blocks if block.function_code == function_code]
        for address, words in ranges:
            for register in range(max(0, address - self.start), min(size, address + words - self.start)):
                self.exists[register] = 1

    def read(self, address: int, count: int) -> bytes | None:
        first = address - self.start
        if first < 0 or count < 1 or not all(self.exists[first : first + count]) or first + count > len(self.exists):
            return None
        return bytes(self.data[2 * first : 2 * (first + count)])

    def write(self, address: int, data: bytes) -> None:
        start = 2 * (address - self.start)
        self.data[start : start + len(data)] = data


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a point lies: registers ``first`` to before ``end``; ``encode``: from its value to their bytes."""

    point: Point
    area: _Area
    first: int
    end: int
    encode: Callable[[float], bytes]

    @classmethod
    def of(cls, point: Point, area: _Area) -> Self:
        return cls(point, area, point.address, point.end, point_encoder(point))

    def is_in(self, area: _Area, first: int, end: int) -> bool:
        """Whether one of the registers ``first`` to before ``end`` is its own."""
        return self.area is area and self.first < end and first < self.end


def _values(quantities: Quantities, profile: Profile) -> dict[str, float]:
    """Return the value of every point by OBIS. Registers show the floor of their step and start again at their modulus."""
    values: dict[str, float] = {"14.7.0": FREQUENCY_HZ, "13.7.0": POWER_FACTOR, "0.4.2": 1, "0.4.3": 1}
    for point, energy_wh in zip(profile.billing, (quantities.import_wh, quantities.export_wh), strict=True):
        shown_wh = energy_wh % point.modulus_wh if point.modulus_wh else energy_wh
        values[point.obis] = shown_wh // point.resolution_wh * point.resolution_wh
    values["1.8.3"], values["2.8.3"] = values[BILLING_OBIS[0]], values[BILLING_OBIS[1]]  # one tariff: flat
    values["3.8.0"] = quantities.import_wh // 4
    values["16.7.0"] = quantities.power_w
    current_a = quantities.power_w / 3 / quantities.voltage_v / POWER_FACTOR if quantities.voltage_v else 0.0
    for voltage, current, power in zip(_PHASE_VOLTAGES, _PHASE_CURRENTS, _PHASE_POWERS, strict=True):
        values[voltage] = quantities.voltage_v
        values[current] = abs(current_a)
        values[power] = quantities.power_w / 3
    return values
