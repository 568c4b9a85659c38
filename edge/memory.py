"""What the agent itself holds for true of each meter, kept beside the outbox over restarts: last trusted registers, serial numbers.

The file is a help, not evidence: a meter without an entry is judged by the bounds of its profile alone. A damaged or missing
file is said in the log and begun anew. Whoever wants the agent to forget (a profile was mended) deletes it while it is stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edge.identity import SERIAL_CHARACTERS_MAX
from edge.samples import MeterSample, Sample
from edge.truth import MeterMemory, RegisterLimits, RegisterMemory, remember, stuck_registers
from firmware_profiles.schema import BILLING_OBIS
from gridcore.column import I64_MAX
from gridcore.errors import EncodingError, UsageError
from gridcore.files import read_bounded, replace_file
from gridcore.logs import get_logger
from gridcore.quality import FLAG_STUCK, MEASURED
from gridcore.strict_json import decode_json

SUFFIX: Final = ".registers"
MEMORY_BYTES_MAX: Final = 1024 * 1024
"""4,096 meters take 450 kB, and 330 kB with the longest serial numbers."""

_log = get_logger(__name__)


class Memories(Mapping[int, MeterMemory]):
    """Last trusted readings by meter number, and the serial numbers bound to them. ``path``: None: in this process alone."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._meters: dict[int, MeterMemory] = {}
        self._serials: dict[int, str] = {}
        self._stuck: dict[int, tuple[str, ...]] = {}
        if path is None or not path.exists():
            return
        try:
            self._meters, self._serials = _decode(read_bounded(path, MEMORY_BYTES_MAX, "delete it"))
        except (UsageError, EncodingError) as error:
            _log.error("memory_of_registers_lost", path=str(path), reason=str(error))

    def __getitem__(self, number: int) -> MeterMemory:
        return self._meters[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._meters)

    def __len__(self) -> int:
        return len(self._meters)

    def marked(
        self, sample: Sample, limits: Mapping[int, Sequence[RegisterLimits]], powers_w: Mapping[int, int]
    ) -> Sample:
        """``sample`` with FLAG_STUCK at the readings of registers that stand still under load; arguments as for ``note``."""
        return replace(
            sample, meters=tuple(self._marked(reading, sample, limits, powers_w) for reading in sample.meters)
        )

    def note(self, sample: Sample, limits: Mapping[int, Sequence[RegisterLimits]], powers_w: Mapping[int, int]) -> None:
        """Remember the trusted readings of a sample and write the file (blocking).

        ``limits`` and ``powers_w`` by meter number, the latter where power was read with it (import positive). A disk that is
        full or read-only is said in the log.
        """
        news = {
            reading.number: self._remembered(reading, sample.boundary_s, limits[reading.number], powers_w)
            for reading in sample.meters
            if reading.quality == MEASURED
        }
        self._meters.update(news)
        if news:
            self._write()

    @property
    def serials(self) -> Mapping[int, str]:
        """Serial number of the meter that is bound to each number of the table."""
        return self._serials

    def bind(self, serials: Mapping[int, str]) -> None:
        """Bind meters to their serial numbers and write the file (blocking), as ``note`` does."""
        self._serials.update(serials)
        if serials:
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            replace_file(self._path, _encode(self._meters, self._serials))
        except UsageError as error:
            _log.error("memory_of_registers_not_kept", reason=str(error))

    def _marked(
        self,
        reading: MeterSample,
        sample: Sample,
        limits: Mapping[int, Sequence[RegisterLimits]],
        powers_w: Mapping[int, int],
    ) -> MeterSample:
        """The reading, flagged where a register is stuck; that is said once."""
        if reading.quality != MEASURED:
            return reading
        known, power_w = self._meters.get(reading.number), powers_w.get(reading.number)
        registers_wh = _registers_wh(reading, limits[reading.number])
        read_ms = sample.boundary_s * 1000 + reading.offset_ms
        stuck = stuck_registers(limits[reading.number], known, registers_wh, read_ms, power_w)
        if stuck and stuck != self._stuck.get(reading.number):
            _log.error("register_stuck", meter=reading.meter, registers=stuck, power_w=power_w)
        self._stuck[reading.number] = stuck
        return replace(reading, flags=reading.flags | FLAG_STUCK) if stuck else reading

    def _remembered(
        self, reading: MeterSample, boundary_s: int, limits: Sequence[RegisterLimits], powers_w: Mapping[int, int]
    ) -> MeterMemory:
        known, power_w = self._meters.get(reading.number), powers_w.get(reading.number)
        registers_wh = _registers_wh(reading, limits)
        read_ms = boundary_s * 1000 + reading.offset_ms
        return remember(limits, known, registers_wh, read_ms, power_w)


def _registers_wh(reading: MeterSample, limits: Sequence[RegisterLimits]) -> list[int]:
    """The registers of a reading in the order of ``limits``."""
    return [reading.registers_wh[BILLING_OBIS.index(limit.obis)] for limit in limits]


def memory_path(outbox: Path) -> Path:
    """Where the memory of the agent with this outbox lies."""
    return outbox.with_name(outbox.name + SUFFIX)


def _encode(meters: Mapping[int, MeterMemory], serials: Mapping[int, str]) -> bytes:
    table = {
        str(number): [memory.read_ms, *([*register] for register in map(_fields, memory.registers))]
        for number, memory in sorted(meters.items())
    }
    bound = {str(number): serial for number, serial in sorted(serials.items())}
    return json.dumps({"version": 1, "meters": table, "serials": bound}, separators=(",", ":")).encode()


def _fields(register: RegisterMemory) -> tuple[int, int, int]:
    return register.register_wh, register.still_since_ms, register.least_load_w


def _decode(data: bytes) -> tuple[dict[int, MeterMemory], dict[int, str]]:
    content = decode_json(data, MEMORY_BYTES_MAX)
    if not isinstance(content, dict) or content.get("version") != 1:
        raise EncodingError("no tables of version 1")
    table, serials = content.get("meters"), content.get("serials")
    if not isinstance(table, dict) or not isinstance(serials, dict):
        raise EncodingError("no tables of meters and serial numbers")
    if not all(isinstance(serial, str) and 1 <= len(serial) <= SERIAL_CHARACTERS_MAX for serial in serials.values()):
        raise EncodingError(f"a serial number has 1 to {SERIAL_CHARACTERS_MAX} characters")
    meters = {_number(text): _memory(entry) for text, entry in table.items()}
    return meters, {_number(text): serial for text, serial in serials.items()}


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 10:
        raise EncodingError("a meter's number is no number")
    return int(text)


def _memory(entry: Any) -> MeterMemory:
    if not isinstance(entry, list) or not 2 <= len(entry) <= 3 or not _is_count(entry[0]):
        raise EncodingError("an entry is no time and registers")
    registers = []
    for fields in entry[1:]:
        if not isinstance(fields, list) or len(fields) != 3 or not all(map(_is_count, fields)):
            raise EncodingError("a register has three whole numbers that are not negative")
        registers.append(RegisterMemory(*fields))
    return MeterMemory(entry[0], tuple(registers))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= I64_MAX
