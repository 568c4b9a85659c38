"""SunSpec devices describe themselves: from the chain of models that one shows, the profiles by which it is read.

A device has a mark, then models one behind the other: id, length, data. Known here: inverters (101 to 103 as integers with powers of
ten, 111 to 113 as floats) and meters (201 to 204, 211 to 214). Offsets: SunSpec information models, as of pysunspec2 1.3.7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from firmware_profiles.schema import ProfileError

MARK: Final = (0x5375, 0x6E53)
"""The words "SunS"."""
BASES: Final = (40_000, 0, 50_000)
END_MODEL: Final = 0xFFFF
MODELS_MAX: Final = 64
COMMON_MODEL: Final = 1
COMMON_WORDS: Final = 66
_MANUFACTURER, _SERIAL = (2, 16), (50, 16)
"""Offset from the common model's id, and number of words."""
_NOT_IMPLEMENTED: Final = {"u16": "-1", "i16": "-32768", "acc32": "0", "f32": ""}


class SunSpecModel(NamedTuple):
    """One model of a device: where its id lies, and how many words of data follow id and length."""

    model: int
    address: int
    length: int


class SunSpecDevice(NamedTuple):
    """What a device says of itself: texts of its common model, and the models it has."""

    manufacturer: str
    model: str
    version: str
    serial: str
    models: tuple[SunSpecModel, ...]


class _Field(NamedTuple):
    """A value of a model: offset from its id, type, offset of its power of ten (0: none), sign as an import counts."""

    obis: str
    offset: int
    type: str
    power: int
    unit: str
    sign: int = 1


def _phases(
    code: str, offsets: tuple[int, ...], type_name: str, power: int, unit: str, sign: int = 1
) -> tuple[_Field, ...]:
    """Values of phases 1 to 3: OBIS groups C of 20 apart (IEC 62056-6-1)."""
    first = int(code.partition(".")[0])
    return tuple(
        _Field(f"{first + 20 * phase}.7.0", offset, type_name, power, unit, sign)
        for phase, offset in enumerate(offsets)
    )


_INVERTER_INTEGERS = (
    *_phases("31.7.0", (3, 4, 5), "u16", 6, "A"),
    *_phases("32.7.0", (10, 11, 12), "u16", 13, "V"),
    _Field("16.7.0", 14, "i16", 15, "W", -1),
    _Field("14.7.0", 16, "u16", 17, "Hz"),
    _Field("2.8.0", 24, "acc32", 26, "Wh"),
)
_INVERTER_FLOATS = (
    *_phases("31.7.0", (4, 6, 8), "f32", 0, "A"),
    *_phases("32.7.0", (16, 18, 20), "f32", 0, "V"),
    _Field("16.7.0", 22, "f32", 0, "W", -1),
    _Field("14.7.0", 24, "f32", 0, "Hz"),
    _Field("2.8.0", 32, "f32", 0, "Wh"),
)
_METER_INTEGERS = (
    *_phases("31.7.0", (3, 4, 5), "i16", 6, "A"),
    *_phases("32.7.0", (8, 9, 10), "i16", 15, "V"),
    _Field("14.7.0", 16, "i16", 17, "Hz"),
    _Field("16.7.0", 18, "i16", 22, "W"),
    *_phases("36.7.0", (19, 20, 21), "i16", 22, "W"),
    _Field("2.8.0", 38, "acc32", 54, "Wh"),
    _Field("1.8.0", 46, "acc32", 54, "Wh"),
)
_METER_FLOATS = (
    *_phases("31.7.0", (4, 6, 8), "f32", 0, "A"),
    *_phases("32.7.0", (12, 14, 16), "f32", 0, "V"),
    _Field("14.7.0", 26, "f32", 0, "Hz"),
    _Field("16.7.0", 28, "f32", 0, "W"),
    *_phases("36.7.0", (30, 32, 34), "f32", 0, "W"),
    _Field("2.8.0", 60, "f32", 0, "Wh"),
    _Field("1.8.0", 68, "f32", 0, "Wh"),
)
KNOWN_MODELS: Final[Mapping[int, tuple[_Field, ...]]] = {
    **dict.fromkeys((101, 102, 103), _INVERTER_INTEGERS),
    **dict.fromkeys((111, 112, 113), _INVERTER_FLOATS),
    **dict.fromkeys((201, 202, 203, 204), _METER_INTEGERS),
    **dict.fromkeys((211, 212, 213, 214), _METER_FLOATS),
}
"""Model id -> the values that are read of it."""


def make_profiles(profile_id: str, device: SunSpecDevice) -> dict[str, str]:
    """The profile files of ``device`` by their ids: ``profile_id`` and the model's number. ProfileError when it has no known model."""
    known = [model for model in device.models if model.model in KNOWN_MODELS]
    common = next((model for model in device.models if model.model == COMMON_MODEL), None)
    if not known or common is None:
        shown = ", ".join(str(model.model) for model in device.models) or "none"
        raise ProfileError(f"of its SunSpec models ({shown}) none is an inverter or a meter that is known here")
    return {
        f"{profile_id}_{model.model}": _profile(f"{profile_id}_{model.model}", device, common, model) for model in known
    }


def _profile(profile_id: str, device: SunSpecDevice, common: SunSpecModel, model: SunSpecModel) -> str:
    lines = [
        f"# {device.manufacturer} {device.model}, SunSpec model {model.model}: made from what the device says of itself.",
        f'id = "{profile_id}"',
        f"vendor = {_quoted(device.manufacturer)}",
        f"models = [{_quoted(device.model)}]",
        "source = [",
        f'  "SunSpec information model {model.model}",',
        '  "the model chain of the device, read by gridledger profiles sunspec",',
        "]",
        'evidence = "vendor-doc"',
        f"firmware = {_quoted(device.version or 'any')}",
        "timeout_ms = 2000",
        "ratio_applied = true",
        'netting = "unstated"',
        'notes = """',
        "It informs only. To bill, it needs a fixture for each energy from a source other than the model, and its netting.",
        'The standard leaves the sign of a meter\'s power to the installation."""',
        "",
        "[modbus]",
        'framings = ["rtu", "tcp"]',
        "function_code = 3",
        'order = "ABCD"',
        "max_words = 125",
        "zero_based = true",
        "",
        "[[modbus.identity]]",
        *_text(common.address, _MANUFACTURER),
        f"expect_text = [{_quoted(device.manufacturer)}]",
        "",
        "[modbus.serial]",
        *_text(common.address, _SERIAL),
        "",
        "[[modbus.blocks]]",
        f"address = {model.address + 2}",
        f"count = {min(model.length, 125)}",
    ]
    for field in KNOWN_MODELS[model.model]:
        lines += _point(field, model)
    return "\n".join(lines) + "\n"


def _text(address: int, place: tuple[int, int]) -> list[str]:
    offset, words = place
    return [f"address = {address + offset}", 'type = "text"', f"words = {words}"]


def _point(field: _Field, model: SunSpecModel) -> list[str]:
    lines = ["", "[[points]]", f'obis = "{field.obis}"', f"address = {model.address + field.offset}"]
    lines.append(f'type = "{"u32" if field.type == "acc32" else field.type}"')
    if field.power:
        lines.append(f"scale_address = {model.address + field.power}")
    lines += [f'scale = "{field.sign}/1"', f'unit = "{field.unit}"']
    if _NOT_IMPLEMENTED[field.type]:
        lines.append(f"nan = [{_NOT_IMPLEMENTED[field.type]}]")
    if field.unit == "Wh":
        lines += ["min = 0", "monotonic = true"]
        if field.type == "acc32" and not field.power:
            lines.append("modulus_wh = 4_294_967_296")
    lines.append("required = false")
    return lines


def _quoted(text: str) -> str:
    return json.dumps(text)  # printable ASCII: what TOML and JSON write alike
