"""Which addresses of a Modbus line answer, and which known models stand there: the first look at a bus that nobody has described.

A device that answers anything is there, an exception too. What model it is, its identity registers say, where a profile knows some;
of all others ``edge probe`` decides, with the profile that is on the plate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from edge.readers import DeviceRefusedError, LineDownError, LineError
from edge.readers.modbus import GATEWAY_EXCEPTIONS, ModbusLine
from firmware_profiles.decode import decode_identity
from firmware_profiles.modbus import Identity, ModbusProfile
from gridcore.errors import EncodingError
from gridcore.logs import clean_text

FIRST_REQUEST = (3, 0, 1)
"""Function, address and count of what everybody is asked: whoever has no such register answers with an exception."""
SERIAL_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Found:
    """A device that answers. profiles: ids of the known models that its registers name; serial: "" where none is known."""

    unit_id: int
    profiles: tuple[str, ...]
    serial: str


async def scan(
    line: ModbusLine, unit_ids: Iterable[int], profiles: Sequence[ModbusProfile], timeout_ms: int
) -> AsyncIterator[Found]:
    """Ask every unit id in order, each device as it is found. LineDownError when there is no connection."""
    for unit_id in unit_ids:
        if await _answers(line, unit_id, timeout_ms):
            named = [profile for profile in profiles if await _is_named(line, unit_id, profile)]
            serial = await _serial(line, unit_id, named[0]) if named else ""
            yield Found(unit_id, tuple(profile.id for profile in named), serial)


async def _answers(line: ModbusLine, unit_id: int, timeout_ms: int) -> bool:
    function_code, address, count = FIRST_REQUEST
    try:
        await line.read_words(unit_id, function_code, address, count, timeout_ms=timeout_ms)
    except LineDownError:
        raise
    except DeviceRefusedError as error:
        return error.code not in GATEWAY_EXCEPTIONS
    except LineError:
        return False
    return True


async def _is_named(line: ModbusLine, unit_id: int, profile: ModbusProfile) -> bool:
    """Whether all identity registers of a profile, if it has some, hold what it expects."""
    items = profile.modbus.identity
    return bool(items) and all([await _holds(line, unit_id, item, profile) for item in items])


async def _holds(line: ModbusLine, unit_id: int, item: Identity, profile: ModbusProfile) -> bool:
    try:
        words = await line.read_words(
            unit_id,
            item.function_code,
            item.address,
            item.count,
            timeout_ms=profile.timeout_ms,
            min_gap_ms=profile.modbus.min_gap_ms,
        )
        return decode_identity(words, item.type, item.order) in (item.expect_text or item.expect)
    except LineDownError:
        raise
    except (LineError, EncodingError):
        return False


async def _serial(line: ModbusLine, unit_id: int, profile: ModbusProfile) -> str:
    """The serial number that a known model shows; "" where it shows none."""
    item = profile.modbus.serial
    if item is None:
        return ""
    try:
        words = await line.read_words(
            unit_id, item.function_code, item.address, item.count, timeout_ms=profile.timeout_ms
        )
        found = decode_identity(words, item.type, item.order)
    except LineDownError:
        raise
    except (LineError, EncodingError):
        return ""
    return "" if found is None else clean_text(str(found))[:SERIAL_CHARACTERS_MAX]
