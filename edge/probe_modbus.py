"""Ask a Modbus meter everything that its profile says: identity, every point, serial number and clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from edge.blocks import Block, ReadPlan
from edge.probe_trouble import out_of_reach
from edge.probed import Asked, ProbedPoint, verdict_of
from edge.readers import DeviceRefusedError, LineDownError, LineError
from edge.readers.modbus import WordReader
from edge.word_order import guess_order
from firmware_profiles.decode import decode_clock, decode_identity, decode_point
from firmware_profiles.modbus import Identity, ModbusClock, ModbusProfile, SerialNumber
from gridcore.clock import monotonic_ms
from gridcore.errors import EncodingError


@dataclass(frozen=True, slots=True)
class Answers:
    """What a meter answered to each of the profile's requests. ``order_guess``: as of ``ProbeReport``."""

    identity: tuple[ProbedPoint, ...]
    points: tuple[ProbedPoint, ...]
    order_guess: str = ""


class ModbusProbe:
    """Asks one meter. ``timeout_ms``: time for an answer; 0: as the profile says."""

    def __init__(self, line: WordReader, unit_id: int, profile: ModbusProfile, timeout_ms: int = 0) -> None:
        self._line = line
        self._unit_id = unit_id
        self._profile = profile
        self._timeout_ms = timeout_ms or profile.timeout_ms
        self._known: dict[tuple[int, int], int] = {}
        self._troubles: list[LineError] = []

    async def ask(self, plan: ReadPlan) -> Answers:
        """Ask everything. LineError for a meter that is ``out_of_reach``; whatever an answering one does is in the answers."""
        identity: list[ProbedPoint] = []
        points: list[ProbedPoint] = []
        parts: tuple[Identity | Block, ...] = (*self._profile.modbus.identity, *plan.billing, *plan.telemetry)
        for part in parts:
            if isinstance(part, Identity):
                identity.append(await self._identity(part))
            else:
                points += await self._block(part)
            error = None if self._known else out_of_reach(self._troubles, len(parts))
            if error is not None:
                raise error
        if not self._known and self._troubles:
            raise self._troubles[0]
        for name, item in (("serial", self._profile.modbus.serial), ("clock", self._profile.modbus.clock)):
            if item is not None:
                identity.append(await self._fact(name, item))
        return Answers(tuple(identity), tuple(points), guess_order(self._profile, self._known))

    async def _read(self, function_code: int, address: int, count: int) -> Sequence[int]:
        gap_ms = self._profile.modbus.min_gap_ms
        try:
            words = await self._line.read_words(
                self._unit_id, function_code, address, count, timeout_ms=self._timeout_ms, min_gap_ms=gap_ms
            )
        except LineError as error:
            self._troubles.append(error)
            raise
        self._known.update({(function_code, address + index): word for index, word in enumerate(words)})
        return words

    async def _block(self, block: Block) -> list[ProbedPoint]:
        """Read a block; when the meter refuses it as a whole, read its points one by one to see which it lacks."""
        started_ms = monotonic_ms()
        try:
            words = await self._read(block.function_code, block.address, block.count)
        except LineDownError:
            raise
        except DeviceRefusedError as error:
            if len(block.points) > 1 and not error.is_silence:
                single = [
                    Block(point.function_code, point.first, point.end - point.first, (point,)) for point in block.points
                ]
                return [probed for part in single for probed in await self._block(part)]
            return self._failed(block, error, started_ms)
        except LineError as error:
            return self._failed(block, error, started_ms)
        latency_ms = monotonic_ms() - started_ms
        probed = []
        for point in block.points:
            asked = Asked(f"{point.function_code}:{point.first:#06x}", latency_ms)
            own = block.words_of(point, words)
            try:
                probed.append(asked.judged(point, _bytes(own), decode_point(own, point)))
            except EncodingError as error:
                probed.append(asked.failed(point, "undecodable", str(error), _bytes(own)))
        return probed

    def _failed(self, block: Block, error: LineError, started_ms: float) -> list[ProbedPoint]:
        latency_ms = monotonic_ms() - started_ms
        return [
            Asked(f"{point.function_code}:{point.first:#06x}", latency_ms).failed(point, verdict_of(error), str(error))
            for point in block.points
        ]

    async def _identity(self, item: Identity) -> ProbedPoint:
        started_ms = monotonic_ms()
        words: Sequence[int] = ()
        value: Fraction | None = None
        try:
            words = await self._read(item.function_code, item.address, item.count)
            found = decode_identity(words, item.type, item.order)
            known = item.expect_text or item.expect
            verdict = "ok" if found in known else "mismatch"
            detail = "" if verdict == "ok" else f"{found!r} instead of {' or '.join(map(repr, known))}"
            value = Fraction(found) if isinstance(found, int) else None
        except EncodingError as error:
            verdict, detail = "undecodable", str(error)
        except LineDownError:
            raise
        except LineError as error:
            verdict, detail = verdict_of(error), str(error)
        asked = Asked(f"{item.function_code}:{item.address:#06x}", monotonic_ms() - started_ms)
        return asked.fact("identity", verdict, detail, _bytes(words), value, required=True)

    async def _fact(self, name: str, item: SerialNumber | ModbusClock) -> ProbedPoint:
        """The meter's serial number or clock: shown, and judged by who reads it."""
        started_ms = monotonic_ms()
        words: Sequence[int] = ()
        verdict = "ok"
        try:
            words = await self._read(item.function_code, item.address, item.count)
            if isinstance(item, SerialNumber):
                detail = str(decode_identity(words, item.type, item.order))
            else:
                detail = f"{datetime.fromtimestamp(decode_clock(words, item), UTC):%Y-%m-%d %H:%M:%S} ({item.zone})"
        except EncodingError as error:
            verdict, detail = "undecodable", str(error)
        except LineDownError:
            raise
        except LineError as error:
            verdict, detail = verdict_of(error), str(error)
        asked = Asked(f"{item.function_code}:{item.address:#06x}", monotonic_ms() - started_ms)
        return asked.fact(name, verdict, detail, _bytes(words))


def _bytes(words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)
