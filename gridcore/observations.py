"""Observations: values that inform and bill nothing, beside the readings of a batch (docs/spec/batch.md).

Voltages, currents, powers, frequencies, the registers of devices that no bill is made of. They ride in the signed reading
batch of their boundary; the ledger checks their digest and looks no further. Pure Python, no numpy: a gateway encodes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gridcore import cbor
from gridcore.column import I64_MAX, I64_MIN, decode_column, encode_column
from gridcore.errors import EncodingError

OBSERVATIONS_BYTES_MAX: Final = 65_536
OBSERVATION_ROWS_MAX: Final = 16_384
"""More rows than fit: four columns take at least four bytes a row."""
DEVICES_MAX: Final = 4_096
"""Most devices that one batch names, and most that it lists as absent."""
CODES_MAX: Final = 256
"""Most different OBIS codes in one batch."""
NAME_CHARACTERS_MAX: Final = 64
ITEMS_MAX: Final = 16 + CODES_MAX + 2 * 3 * DEVICES_MAX
"""CBOR items: a map of five keys, four columns, the codes, and a pair for each device named and each absent."""

_KEYS: Final = ("absent", "codes", "columns", "names", "rows")
_OBIS: Final = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_REASON: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_U32_END: Final = 1 << 32
_I32_END: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of one device.

    device: number in the gateway's meter table (an installation's, or one of ``names``), u32; obis: its code, as "32.7.0";
    value_milli: thousandths of the base unit (Wh, varh, W, var, V, A, Hz, or one); offset_ms: time of the value relative to the
    boundary, i32.
    """

    device: int
    obis: str
    value_milli: int
    offset_ms: int


@dataclass(frozen=True, slots=True)
class Observations:
    """All that a gateway saw beside its readings: values in its own order; the first of a device and code is the one that counts.

    names: devices that are no installations; absent: device -> reason in one word (broker_down, no_answer, refused, stale).
    """

    rows: tuple[Observation, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    absent: Mapping[int, str] = field(default_factory=dict)


def encode_observations(observations: Observations) -> bytes:
    """Canonical bytes, at most OBSERVATIONS_BYTES_MAX. EncodingError for a value out of its bounds, or for too many."""
    _check(observations)
    rows = observations.rows
    codes = sorted({row.obis for row in rows})
    place = {code: index for index, code in enumerate(codes)}
    columns = (
        [row.device for row in rows],
        [place[row.obis] for row in rows],
        [row.value_milli for row in rows],
        [row.offset_ms for row in rows],
    )
    data = cbor.encode(
        {
            "absent": [[device, observations.absent[device]] for device in sorted(observations.absent)],
            "codes": codes,
            "columns": [encode_column(column) for column in columns if column],
            "names": [[device, observations.names[device]] for device in sorted(observations.names)],
            "rows": len(rows),
        }
    )
    if len(data) > OBSERVATIONS_BYTES_MAX:
        raise EncodingError(f"observations take {len(data)} bytes, more than {OBSERVATIONS_BYTES_MAX}")
    return data


def decode_observations(data: bytes) -> Observations:
    """Inverse of encode_observations. EncodingError for anything but the one canonical form of values within their bounds."""
    if len(data) > OBSERVATIONS_BYTES_MAX:
        raise EncodingError(f"observations take {len(data)} bytes, more than {OBSERVATIONS_BYTES_MAX}")
    value = cbor.decode(data, items_max=ITEMS_MAX)
    if not isinstance(value, dict) or tuple(sorted(value)) != _KEYS:
        raise EncodingError(f"observations have exactly the keys {', '.join(_KEYS)}")
    observations = Observations(_decode_rows(value), _decode_pairs(value["names"]), _decode_pairs(value["absent"]))
    if encode_observations(observations) != data:
        raise EncodingError("observations in another than their canonical form: codes and devices ascending, each once")
    return observations


def _decode_rows(value: Mapping[str, Any]) -> tuple[Observation, ...]:
    count, codes, columns = value["rows"], value["codes"], value["columns"]
    if not _is_integer(count, 0, OBSERVATION_ROWS_MAX + 1):
        raise EncodingError(f"observations have 0 to {OBSERVATION_ROWS_MAX} rows")
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise EncodingError("codes are an array of texts")
    if not isinstance(columns, list) or not all(isinstance(column, bytes) for column in columns):
        raise EncodingError("columns are an array of byte strings")
    if len(columns) != (4 if count else 0):
        raise EncodingError("observations have four columns, or none where they have no rows")
    if not count:
        return ()
    devices, places, values, offsets = (decode_column(column, count) for column in columns)
    if min(places) < 0 or max(places) >= len(codes):
        raise EncodingError("a row names a code that is not among the codes")
    return tuple(
        Observation(device, codes[place], value_milli, offset_ms)
        for device, place, value_milli, offset_ms in zip(devices, places, values, offsets, strict=True)
    )


def _decode_pairs(pairs: Any) -> dict[int, str]:
    if not isinstance(pairs, list):
        raise EncodingError("names and absent are arrays")
    found: dict[int, str] = {}
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and _is_integer(pair[0], 0, _U32_END)):
            raise EncodingError("names and absent hold pairs of a device's number and a text")
        found[pair[0]] = pair[1]
    return found


def _check(observations: Observations) -> None:
    """Raise EncodingError unless every value lies within its bounds."""
    if len(observations.rows) > OBSERVATION_ROWS_MAX:
        raise EncodingError(f"observations have at most {OBSERVATION_ROWS_MAX} rows")
    for row in observations.rows:
        if not _is_integer(row.device, 0, _U32_END):
            raise EncodingError(f"device {row.device!r}: a number from 0 to 2^32 - 1")
        if not _OBIS.fullmatch(row.obis):
            raise EncodingError(f"device {row.device}: an OBIS code is three numbers with dots, as 32.7.0")
        if not _is_integer(row.value_milli, I64_MIN, I64_MAX + 1):
            raise EncodingError(f"device {row.device}, {row.obis}: a value is a 64-bit signed integer")
        if not _is_integer(row.offset_ms, -_I32_END, _I32_END):
            raise EncodingError(f"device {row.device}, {row.obis}: an offset is a 32-bit signed integer")
    if len({row.obis for row in observations.rows}) > CODES_MAX:
        raise EncodingError(f"observations have at most {CODES_MAX} different codes")
    _check_pairs(observations.names, "name", _is_name)
    _check_pairs(observations.absent, "reason", _is_reason)


def _check_pairs(pairs: Mapping[int, str], what: str, is_good: Callable[[Any], bool]) -> None:
    if len(pairs) > DEVICES_MAX:
        raise EncodingError(f"observations have a {what} for at most {DEVICES_MAX} devices")
    for device, text in pairs.items():
        if not _is_integer(device, 0, _U32_END):
            raise EncodingError("a device is a number from 0 to 2^32 - 1")
        if not is_good(text):
            raise EncodingError(f"device {device}: not a {what}")


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and 1 <= len(text) <= NAME_CHARACTERS_MAX and text.isprintable()


def _is_reason(text: Any) -> bool:
    return isinstance(text, str) and _REASON.fullmatch(text) is not None


def _is_integer(value: Any, low: int, end: int) -> bool:
    return type(value) is int and low <= value < end
