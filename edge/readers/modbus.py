"""Modbus: the registers of the meters on one line, and a meter's exact values out of them by its profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol

from edge.blocks import Block, ReadPlan
from edge.lines import Line, LineConfig, Request
from edge.readers import BillingRead, DeviceRefusedError, LineError, Quantity, QuarantinedError, RawAnswer, Register
from edge.readers.modbus_frames import EXCEPTION, READ_FUNCTIONS, Asked, RtuFraming, SocketFraming
from edge.truth import says_no_data
from firmware_profiles.decode import WORD_MAX, decode_clock, decode_identity, decode_point, register_wh
from firmware_profiles.modbus import ModbusPoint, ModbusProfile
from firmware_profiles.schema import BILLING_OBIS
from gridcore.clock import monotonic_ms, wall_ms
from gridcore.errors import EncodingError, require

GATEWAY_EXCEPTIONS = (10, 11)
"""The gateway speaks, not the meter: no path to it, or no answer from it - one may still be under way on the bus."""
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}
"""Modbus application protocol 1.1b3, section 7."""


class WordReader(Protocol):
    """What reads registers (see ``ModbusLine.read_words``)."""

    async def read_words(
        self,
        unit_id: int,
        function_code: int,
        address: int,
        count: int,
        *,
        timeout_ms: int = 1000,
        min_gap_ms: int = 0,
        until_ms: float = float("inf"),
    ) -> Sequence[int]:
        """Return ``count`` registers; LineError when there is no usable answer."""
        ...


class ModbusLine:
    """Reads registers of the devices on one line (``edge.lines.Line``)."""

    def __init__(self, config: LineConfig, *, clock_ms: Callable[[], float] = monotonic_ms) -> None:
        self.config = config
        self._framing = SocketFraming() if config.framer == "socket" else RtuFraming()
        self.line = Line(config, self._framing, clock_ms=clock_ms)

    async def read_words(
        self,
        unit_id: int,
        function_code: int,
        address: int,
        count: int,
        *,
        timeout_ms: int = 1000,
        min_gap_ms: int = 0,
        until_ms: float = float("inf"),
    ) -> Sequence[int]:
        """Return ``count`` registers from ``address`` of device ``unit_id``.

        ``min_gap_ms`` is kept between requests on RTU lines. Raises LineDownError, NoAnswerError, DeviceRefusedError or
        WrongAnswerError; after the call returns or raises, no late answer can reach another request.
        """
        require(function_code in READ_FUNCTIONS, "only holding and input registers are read")
        asked = Asked(unit_id, function_code, address, count)
        where = f"{self.config.line}: unit {unit_id}, registers {address:#x}+{count}"
        answer = await self.line.ask(
            lambda: Request(where, self._framing.frame(asked), 5 + 2 * count),
            timeout_ms=timeout_ms,
            gap_ms=min_gap_ms if self.config.framer == "rtu" else 0,
            until_ms=until_ms,
        )
        if answer[0] & EXCEPTION:
            is_silence = answer[1] in GATEWAY_EXCEPTIONS
            if is_silence:
                self.line.unsettle()
            meaning = EXCEPTIONS.get(answer[1], "not in the standard")
            message = f"{where}: device answers with exception {answer[1]} ({meaning})"
            raise DeviceRefusedError(message, answer[1], is_silence=is_silence)
        return [answer[i] << 8 | answer[i + 1] for i in range(2, len(answer), 2)]

    async def begin(self, boundary_s: int, boundary_ms: float) -> None:
        """See ``MeterBus``: Modbus has nothing to tell all meters."""

    async def close(self) -> None:
        """Close the connection, if any."""
        await self.line.close()


class ModbusMeter:
    """Reads one meter (``MeterReader``): the requests of its plan, decoded by its profile."""

    def __init__(
        self,
        line: WordReader,
        name: str,
        unit_id: int,
        profile: ModbusProfile,
        plan: ReadPlan,
        observed: Sequence[Block] = (),
        observe: Sequence[str] = (),
        *,
        timeout_ms: int = 0,
        clock_zone_s: int = 0,
        clock_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        """``observed``: the requests for the points ``observe``; ``timeout_ms``: 0, as the profile says; ``clock_zone_s``: how far
        a meter that shows local time is ahead of UTC.
        """
        self.plan = plan
        self._line = line
        self._name, self._unit_id = name, unit_id
        self._profile = profile
        self._observed, self._observe = tuple(observed), frozenset(observe)
        self._timeout_ms = timeout_ms or profile.timeout_ms
        self._clock_zone_s = clock_zone_s
        self._clock_ms = clock_ms

    async def read_billing(self, until_ms: float) -> BillingRead:
        """See ``MeterReader``."""
        return await self._read_registers(self.plan.billing, until_ms)

    async def confirm_billing(self, until_ms: float) -> BillingRead:
        """See ``MeterReader``: where the plan has a neighbour, one register more is asked."""
        return await self._read_registers(self.plan.confirm, until_ms)

    @property
    def records_s(self) -> int:
        """See ``MeterReader``: no register map that we know has a load profile in it."""
        return 0

    async def read_record(self, boundary_s: int, until_ms: float) -> BillingRead | None:
        """See ``MeterReader``."""
        return None

    async def read_serial(self, until_ms: float) -> str:
        """See ``MeterReader``."""
        serial = self._profile.modbus.serial
        if serial is None:
            return ""
        block = Block(serial.function_code, serial.address, serial.count, ())
        words = await self._read_block(block, until_ms)
        if all(word == WORD_MAX for word in words):  # no number was ever set: it would bind all such meters to one
            return ""
        try:
            number = decode_identity(words, serial.type, serial.order)
        except EncodingError as error:
            raise QuarantinedError(f"{self._name}: serial number: {error} (words {_hex(words)})") from None
        return "" if number is None else str(number)

    async def read_misfit(self, until_ms: float) -> str:
        """See ``MeterReader``. A variant that lacks such a register tells nothing by it."""
        for item in self._profile.modbus.identity:
            block = Block(item.function_code, item.address, item.count, ())
            try:
                words = await self._read_block(block, until_ms)
                found = decode_identity(words, item.type, item.order)
            except DeviceRefusedError:
                continue
            except EncodingError as error:
                raise QuarantinedError(f"{self._name}: identity: {error}") from None
            if found is not None and found not in (item.expect_text or item.expect):
                return f"register {item.address:#06x} says {found!r}, which is no model of profile {self._profile.id}"
        return ""

    async def read_clock_ahead(self, until_ms: float) -> int | None:
        """See ``MeterReader``."""
        clock = self._profile.modbus.clock
        if clock is None:
            return None
        words = await self._read_block(Block(clock.function_code, clock.address, clock.count, ()), until_ms)
        try:
            shown_s = decode_clock(words, clock)
        except EncodingError as error:
            raise QuarantinedError(f"{self._name}: clock: {error} (words {_hex(words)})") from None
        return shown_s - (self._clock_zone_s if clock.zone == "local" else 0) - wall_ms() // 1000

    async def read_observed(self, until_ms: float) -> list[Quantity]:
        """See ``MeterReader``. A variant without some of the registers gives the others."""
        found: list[Quantity] = []
        trouble: LineError | EncodingError = EncodingError("the meter says 'no value'")
        for block in self._observed:
            try:
                words = await self._read_block(block, until_ms)
            except DeviceRefusedError as error:
                trouble = error
                continue
            arrived_ms = self._clock_ms()
            for point in block.points:
                if point.obis in self._observe:
                    try:
                        value = _plausible(block.words_of(point, words), point)
                    except EncodingError as error:
                        trouble = error
                    else:
                        found.append(Quantity(point.obis, value, arrived_ms))
        if found:
            return found
        raise trouble if isinstance(trouble, LineError) else QuarantinedError(str(trouble))

    async def _read_registers(self, blocks: Sequence[Block], until_ms: float) -> BillingRead:
        registers: dict[str, Register] = {}
        answers: list[RawAnswer] = []
        for block in blocks:
            words = await self._read_block(block, until_ms)
            answers.append(RawAnswer(f"{block.function_code}:{block.address:#06x}", _bytes(words)))
            for point in block.points:
                if point.obis in self._profile.billing:
                    registers[point.obis] = self._decoded(block.words_of(point, words), point, answers)
        billed = tuple(registers[obis] for obis in BILLING_OBIS if obis in registers)
        return BillingRead(billed, self._clock_ms(), answers=tuple(answers))

    async def _read_block(self, block: Block, until_ms: float) -> Sequence[int]:
        return await self._line.read_words(
            self._unit_id,
            block.function_code,
            block.address,
            block.count,
            timeout_ms=self._timeout_ms,
            min_gap_ms=self._profile.modbus.min_gap_ms,
            until_ms=until_ms,
        )

    def _decoded(self, words: Sequence[int], point: ModbusPoint, answers: Sequence[RawAnswer]) -> Register:
        try:
            register = billed_wh(words, point)
        except EncodingError as error:
            raise QuarantinedError(f"{self._name}: {error} (words {_hex(words)})", tuple(answers)) from None
        return Register(point.obis, register, point.resolution_wh, _bytes(words))


def billed_wh(words: Sequence[int], point: ModbusPoint) -> int:
    """A billing register in whole Wh. EncodingError for what does not decode, and where the meter says "no value"."""
    register = register_wh(words, point)
    if register is None or says_no_data(words[: point.words], point.type):
        raise EncodingError(f"{point.obis} says 'no value'")
    return register


def _plausible(words: Sequence[int], point: ModbusPoint) -> Fraction:
    """The value of a point; EncodingError for "no value", and for one out of the point's bounds."""
    value = decode_point(words, point)
    if value is None:
        raise EncodingError(f"{point.obis}: the meter says 'no value'")
    if (point.min is not None and value < point.min) or (point.max is not None and value > point.max):
        raise EncodingError(f"{point.obis}: {float(value):g} {point.unit} is not plausible")
    return value


def _bytes(words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)


def _hex(words: Sequence[int]) -> str:
    return " ".join(f"{word:04x}" for word in words)
