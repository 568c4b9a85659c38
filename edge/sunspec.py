"""Walk the chain of SunSpec models of one device, so that profiles can be made from it."""

from __future__ import annotations

from edge.readers import DeviceRefusedError
from edge.readers.modbus import WordReader
from firmware_profiles.decode import decode_text
from firmware_profiles.modbus import ADDRESS_MAX
from firmware_profiles.sunspec import (
    BASES,
    COMMON_MODEL,
    COMMON_WORDS,
    END_MODEL,
    MARK,
    MODELS_MAX,
    SunSpecDevice,
    SunSpecModel,
)
from gridcore.errors import EncodingError

FUNCTION_CODE = 3
TIMEOUT_MS = 2000


async def read_chain(line: WordReader, unit_id: int) -> SunSpecDevice:
    """Ask device ``unit_id`` what it is. LineError when it does not answer, EncodingError when it shows no SunSpec models."""
    base = await _find_base(line, unit_id)
    models: list[SunSpecModel] = []
    address = base + len(MARK)
    while address < ADDRESS_MAX:
        model, length = await _words(line, unit_id, address, 2)
        if model == END_MODEL:
            break
        if len(models) == MODELS_MAX:
            raise EncodingError(f"its SunSpec chain has more than {MODELS_MAX} models")
        models.append(SunSpecModel(model, address, length))
        address += 2 + length
        if address > ADDRESS_MAX:
            raise EncodingError(f"its SunSpec chain leads to register {address}; the last is {ADDRESS_MAX}")
    if not models or models[0].model != COMMON_MODEL or models[0].length < COMMON_WORDS - 1:
        raise EncodingError("its SunSpec chain does not begin with the common model")
    common = await _words(line, unit_id, models[0].address + 2, COMMON_WORDS - 1)
    return SunSpecDevice(
        manufacturer=decode_text(common[:16]),
        model=decode_text(common[16:32]),
        version=decode_text(common[40:48]),
        serial=decode_text(common[48:64]),
        models=tuple(models),
    )


async def _find_base(line: WordReader, unit_id: int) -> int:
    for base in BASES:
        try:
            words = await _words(line, unit_id, base, len(MARK))
        except DeviceRefusedError:  # no such registers there
            continue
        if tuple(words) == MARK:
            return base
    raise EncodingError(f"no SunSpec mark at {', '.join(map(str, BASES))}")


async def _words(line: WordReader, unit_id: int, address: int, count: int) -> list[int]:
    return list(await line.read_words(unit_id, FUNCTION_CODE, address, count, timeout_ms=TIMEOUT_MS))
