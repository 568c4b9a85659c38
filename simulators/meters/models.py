"""Registers that a real meter of a model has beside those of its firmware profile: what other people's clients ask for.

The Eastron SDM630 answers every request inside its ranges of input and holding registers; a reserved register reads as 0.
Source: Eastron SDM630-Modbus MID V2 user manual, Modbus protocol, sections 1.2 (input) and 1.3 (holding registers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import acos, degrees, sqrt
from typing import NamedTuple

from firmware_profiles.modbus import ModbusPoint
from simulators.meters.station import Quantities

FREQUENCY_HZ = 50.0
POWER_FACTOR = 0.97
_INPUT, _HOLDING = 4, 3
_PHASES = ("l1", "l2", "l3")


class Extent(NamedTuple):
    """Registers that one request may read: ``words`` from ``address`` behind a function code."""

    function_code: int
    address: int
    words: int


class Model(NamedTuple):
    """What a model has beside its profile: ``points`` (their ``obis`` is a name of ``values``), the ranges that it answers."""

    points: tuple[ModbusPoint, ...]
    extents: tuple[Extent, ...]
    values: Callable[[Quantities, int], Mapping[str, float]]
    """Value of each point by name, from the meter's state and serial number."""


def register_point(
    name: str, function_code: int, address: int, type_name: str = "f32", order: str = "ABCD"
) -> ModbusPoint:
    """A value in registers that no profile has: ``name`` stands where a profile has an OBIS code."""
    return ModbusPoint(
        obis=name,
        address=address,
        type=type_name,
        scale="1/1",
        unit="1",
        order=order,
        function_code=function_code,
    )


def _float_points(function_code: int, places: Mapping[int, str]) -> tuple[ModbusPoint, ...]:
    return tuple(register_point(name, function_code, address) for address, name in sorted(places.items()))


def _by_phase(start: int, quantity: str) -> dict[int, str]:
    return {start + 2 * index: f"{phase}_{quantity}" for index, phase in enumerate(_PHASES)}


_SDM630_INPUT: Mapping[int, str] = {
    **_by_phase(0x0C, "power_w"),
    **_by_phase(0x12, "apparent_va"),
    **_by_phase(0x18, "reactive_var"),
    **_by_phase(0x1E, "power_factor"),
    **_by_phase(0x24, "angle"),
    0x2A: "phase_v",
    0x2E: "l1_current_a",
    0x30: "current_sum_a",
    0x38: "apparent_va",
    0x3C: "reactive_var",
    0x3E: "power_factor",
    0x42: "angle",
    0x50: "apparent_kvah",
    0x54: "import_demand_w",
    0x56: "import_demand_w",
    0x58: "import_demand_w",
    0x5C: "export_demand_w",
    0x64: "apparent_va",
    0x66: "apparent_va",
    **_by_phase(0xC8, "line_v"),
    0xCE: "line_v",
    0xFE: "power_factor",
    **_by_phase(0x102, "current_a"),
    **_by_phase(0x108, "current_a"),
    0x156: "total_kwh",
    0x158: "reactive_kvarh",
    **_by_phase(0x15A, "import_kwh"),
    **_by_phase(0x160, "export_kwh"),
    **_by_phase(0x166, "total_kwh"),
    **_by_phase(0x16C, "reactive_kvarh"),
    **_by_phase(0x178, "reactive_kvarh"),
}
_SDM630_HOLDING: Mapping[int, str] = {
    0x00: "demand_time_min",
    0x02: "demand_period_min",
    0x06: "system_v",
    0x08: "system_a",
    0x0A: "system_type",
    0x0C: "pulse_ms",
    0x12: "parity_stop",
    0x14: "node",
    0x1C: "baud_code",
    0x24: "system_w",
    0xF910: "pulse_divisor",
}
_SDM630_SETTINGS: Mapping[str, float] = {
    "demand_time_min": 60,
    "demand_period_min": 60,
    "system_v": 230,
    "system_a": 100,
    "system_type": 3,
    "pulse_ms": 100,
    "parity_stop": 1,
    "node": 1,
    "baud_code": 2,
    "system_w": 69_000,
    "pulse_divisor": 0,
}


def _sdm630_values(quantities: Quantities, serial: int) -> dict[str, float]:
    power_w, voltage_v = quantities.power_w, quantities.voltage_v
    apparent_va = abs(power_w) / POWER_FACTOR
    reactive_var = apparent_va * sqrt(1 - POWER_FACTOR**2)
    current_a = apparent_va / 3 / voltage_v if voltage_v else 0.0
    imported_kwh, exported_kwh = quantities.import_wh / 1000, quantities.export_wh / 1000
    reactive_kvarh = quantities.import_wh // 4 / 1000
    whole = {
        "power_w": power_w,
        "apparent_va": apparent_va,
        "reactive_var": reactive_var,
        "import_kwh": imported_kwh,
        "export_kwh": exported_kwh,
        "total_kwh": imported_kwh + exported_kwh,
        "reactive_kvarh": reactive_kvarh,
        "current_a": 3 * current_a,
    }
    same = {"power_factor": POWER_FACTOR, "angle": degrees(acos(POWER_FACTOR)), "line_v": voltage_v * sqrt(3)}
    values = {f"{phase}_{name}": value / 3 for phase in _PHASES for name, value in whole.items()}
    values |= {f"{phase}_{name}": value for phase in _PHASES for name, value in same.items()}
    return {
        **values,
        **whole,
        **same,
        **_SDM630_SETTINGS,
        "phase_v": voltage_v,
        "current_sum_a": 3 * current_a,
        "apparent_kvah": (imported_kwh + exported_kwh) / POWER_FACTOR,
        "import_demand_w": max(0.0, power_w),
        "export_demand_w": max(0.0, -power_w),
        "serial": serial,
    }


MODELS: Mapping[str, Model] = {
    "eastron_sdm630": Model(
        points=(
            *_float_points(_INPUT, _SDM630_INPUT),
            *_float_points(_HOLDING, _SDM630_HOLDING),
            register_point("serial", _HOLDING, 0xFC00, "u32"),
        ),
        extents=(
            Extent(_INPUT, 0x0000, 0x180),
            Extent(_HOLDING, 0x0000, 0x26),
            Extent(_HOLDING, 0xF910, 2),
            Extent(_HOLDING, 0xFC00, 4),
        ),
        values=_sdm630_values,
    )
}
"""By id of the firmware profile."""
