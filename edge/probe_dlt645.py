"""Ask a DL/T 645 meter everything that its profile says: number, clock, last freeze, every point."""

from __future__ import annotations

from typing import Final

from edge.probe_modbus import Answers
from edge.probe_trouble import out_of_reach
from edge.probed import Asked, ProbedPoint, verdict_of
from edge.readers import LineDownError, LineError
from edge.readers.dlt645 import Dlt645Line
from firmware_profiles.dlt645 import Dlt645Point, Dlt645Profile, decode_value
from gridcore.clock import monotonic_ms
from gridcore.errors import EncodingError

_SERIAL_BYTES: Final = 6
_DATE_BYTES: Final = 4
_TIME_BYTES: Final = 3
_STAMP_BYTES: Final = 5


class Dlt645Probe:
    """Asks one meter. ``timeout_ms``: time for an answer; 0: as the profile says."""

    def __init__(self, line: Dlt645Line, address: str, profile: Dlt645Profile, timeout_ms: int = 0) -> None:
        self._line = line
        self._address = address
        self._profile = profile
        self._timeout_ms = timeout_ms or profile.timeout_ms
        self._troubles: list[LineError] = []
        self._has_answered = False

    async def ask(self) -> Answers:
        """As ``ModbusProbe.ask``."""
        points: list[ProbedPoint] = []
        for point in self._profile.points:
            points.append(await self._point(point))
            error = None if self._has_answered else out_of_reach(self._troubles, len(self._profile.points))
            if error is not None:
                raise error
        if not self._has_answered and self._troubles:
            raise self._troubles[0]
        table = self._profile.dlt645
        facts = [
            await self._fact(name, data_id, size)
            for name, data_id, size in (
                ("serial", table.serial_id, _SERIAL_BYTES),
                ("date", table.date_id, _DATE_BYTES),
                ("time", table.time_id, _TIME_BYTES),
                ("last freeze", table.freeze_time_id, _STAMP_BYTES),
            )
            if data_id
        ]
        return Answers(tuple(facts), tuple(points))

    async def _read(self, data_id: str, value_bytes: int) -> bytes:
        try:
            data = await self._line.read_item(
                self._address,
                data_id,
                value_bytes=value_bytes,
                wake_bytes=self._profile.dlt645.wake_bytes,
                timeout_ms=self._timeout_ms,
                gap_ms=self._profile.dlt645.min_gap_ms,
            )
        except LineError as error:
            self._troubles.append(error)
            raise
        self._has_answered = True
        return data

    async def _point(self, point: Dlt645Point) -> ProbedPoint:
        started_ms = monotonic_ms()
        try:
            data = await self._read(point.data_id, point.bytes)
        except LineDownError:
            raise
        except LineError as error:
            return Asked(point.data_id, monotonic_ms() - started_ms).failed(point, verdict_of(error), str(error))
        asked = Asked(point.data_id, monotonic_ms() - started_ms)
        try:
            return asked.judged(point, data, decode_value(data, point))
        except EncodingError as error:
            return asked.failed(point, "undecodable", str(error), data)

    async def _fact(self, name: str, data_id: str, size: int) -> ProbedPoint:
        """Digits that stand under a data item, the most significant first: shown, and judged by who reads them."""
        started_ms = monotonic_ms()
        data = b""
        try:
            data = await self._read(data_id, size)
            verdict, detail = "ok", data[::-1].hex()
        except LineDownError:
            raise
        except LineError as error:
            verdict, detail = verdict_of(error), str(error)
        return Asked(data_id, monotonic_ms() - started_ms).fact(name, verdict, detail, data)
