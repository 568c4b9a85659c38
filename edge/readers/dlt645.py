"""DL/T 645-2007: data items of the meters on one line, and a meter's exact values out of them by its profile.

An answer names the meter and the data item, so that only an older value of the same item could be taken for it. What answers for
another meter or another item is refused and named.

Meters that freeze their registers are told to at the boundary, all at once by one broadcast, or do so by themselves. What they froze
counts if their own stamp says that it is of this boundary; else they are read as they stand. Meters that keep load records are asked
for those of boundaries that nobody read (``read_record``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from edge.dlt645 import (
    ANSWER,
    AT_ONCE,
    ERROR_ANSWER,
    EVERYBODY,
    FREEZE,
    LOAD_RECORD_BYTES,
    MORE,
    REQUEST,
    LoadRecord,
    decode_load_record,
    encode_frame,
    encode_record_request,
    next_frame,
)
from edge.lines import Line, LineConfig, Request
from edge.readers import BillingRead, DeviceRefusedError, LineError, Quantity, QuarantinedError, RawAnswer, Register
from firmware_profiles.dlt645 import Dlt645Point, Dlt645Profile, decode_value
from gridcore.clock import monotonic_ms, wall_ms
from gridcore.column import I64_MAX
from gridcore.errors import EncodingError
from gridcore.logs import get_logger

ERROR_BITS = (
    "other error",
    "no such data",
    "wrong password",
    "baud rate cannot be changed",
    "too many zones of the year",
)
"""What the bits of an error byte mean, from the lowest on (DL/T 645-2007, 7.1.3)."""
FREEZE_TOLERANCE_S = 5
"""A meter's clock is read to the second, and moves against ours between two looks."""
WAKE_BYTES = 4
GAP_MS = 30
"""Of the broadcast, which is for meters of any profile."""
_FRAME_BYTES = 16
_SERIAL_BYTES, _STAMP_BYTES, _DATE_BYTES, _TIME_BYTES = 6, 5, 4, 3
_BUFFER_BYTES_MAX = 512

_log = get_logger(__name__)


class Dlt645Framing:
    """Frames of DL/T 645 in a stream: wake bytes, noise and the echo of a request before an answer are passed over."""

    numbers_requests = False
    owed = 0

    def __init__(self) -> None:
        self.stray = ""
        self._address, self._data_id = "", b""
        self._may_have_more = False

    def frame(self, address: str, data_id: bytes, wake_bytes: int, behind: bytes = b"") -> bytes:
        """The bytes of the next request. ``behind``: what stands behind the data id, of a load record."""
        self.stray = ""
        self._address, self._data_id = address, data_id
        self._may_have_more = bool(behind)  # of the records after the one that was asked for
        return encode_frame(address, REQUEST, data_id[::-1] + behind, wake_bytes)

    def take(self, buffer: bytearray) -> bytes | None:
        """See ``Framing``: the control byte and the data of the answer."""
        if len(buffer) > _BUFFER_BYTES_MAX:
            del buffer[:-_BUFFER_BYTES_MAX]
        while (frame := next_frame(buffer)) is not None:
            control = frame.control & ~MORE if self._may_have_more else frame.control
            if control not in (ANSWER, ERROR_ANSWER):
                continue  # the echo of a request, or what another master says
            data_id = frame.data[3::-1] if control == ANSWER else self._data_id
            if frame.address != self._address:
                self.stray = f"an answer of meter {frame.address} was refused, meter {self._address} was asked"
            elif data_id != self._data_id:
                self.stray = f"an answer with data item {data_id.hex()} was refused, {self._data_id.hex()} was asked"
            else:
                return bytes((control,)) + frame.data
        return None

    def discard(self, buffer: bytearray) -> None:
        """See ``Framing``."""
        buffer.clear()

    def give_up(self) -> None:
        """See ``Framing``."""

    def forget(self) -> None:
        """See ``Framing``."""


class Freeze(NamedTuple):
    """The boundary at which registers are frozen (UTC), and the moment (monotonic ms) at which they were."""

    boundary_s: int
    at_ms: float


class Dlt645Line:
    """Reads data items of the meters on one line (``edge.lines.Line``). ``freezes``: whether some obey the broadcast."""

    def __init__(self, config: LineConfig, *, clock_ms: Callable[[], float] = monotonic_ms) -> None:
        self.config = config
        self._framing = Dlt645Framing()
        self.line = Line(config, self._framing, clock_ms=clock_ms)
        self.freezes = False
        self.told: Freeze | None = None
        self.begun: Freeze | None = None

    async def begin(self, boundary_s: int, boundary_ms: float) -> None:
        """See ``MeterBus``: freeze the registers of all meters on the line."""
        self.begun, self.told = Freeze(boundary_s, boundary_ms), None
        if not self.freezes:
            return
        try:
            at_ms = await self.line.tell(encode_frame(EVERYBODY, FREEZE, AT_ONCE, WAKE_BYTES), gap_ms=GAP_MS)
        except LineError as error:
            _log.warning("freeze_not_sent", line=self.config.line, reason=str(error))
        else:
            self.told = Freeze(boundary_s, at_ms)

    async def read_item(
        self,
        address: str,
        data_id: str,
        *,
        value_bytes: int,
        wake_bytes: int,
        timeout_ms: int,
        gap_ms: int,
        until_ms: float = float("inf"),
        behind: bytes = b"",
    ) -> bytes:
        """Return the bytes behind the data item ``data_id`` (8 hex digits) of meter ``address`` (12 digits), 33H taken off.

        ``value_bytes``: how many are hoped for; ``behind``: of a load record, which one. Raises LineDownError, NoAnswerError, DeviceRefusedError or WrongAnswerError.
        """
        where = f"{self.config.line}: meter {address}, data item {data_id}"
        item = bytes.fromhex(data_id)
        answer_bytes = wake_bytes + _FRAME_BYTES + value_bytes
        answer = await self.line.ask(
            lambda: Request(where, self._framing.frame(address, item, wake_bytes, behind), answer_bytes),
            timeout_ms=timeout_ms,
            gap_ms=gap_ms,
            until_ms=until_ms,
        )
        if answer[0] == ERROR_ANSWER:
            code = answer[1] if len(answer) > 1 else 0
            named = [text for bit, text in enumerate(ERROR_BITS) if code >> bit & 1]
            raise DeviceRefusedError(
                f"{where}: the meter answers with error {code:02x} ({', '.join(named) or 'not in the standard'})", code
            )
        return answer[1 + len(item) :]

    async def close(self) -> None:
        """Close the connection, if any."""
        await self.line.close()


class Dlt645Meter:
    """Reads one meter (``MeterReader``): an item for each register."""

    def __init__(
        self,
        line: Dlt645Line,
        name: str,
        address: str,
        profile: Dlt645Profile,
        observed: Sequence[Dlt645Point] = (),
        *,
        timeout_ms: int = 0,
        clock_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        """``observed``: the points that are configured to be observed; ``timeout_ms``: 0, as the profile says."""
        self._line = line
        self._name, self._address = name, address
        self._profile = profile
        self._observed = tuple(observed)
        self._timeout_ms = timeout_ms or profile.timeout_ms
        self._clock_ms = clock_ms
        self._can_freeze = True
        self._ahead_s: int | None = None
        self._looked: Freeze | None = None  # behind this boundary the clock was looked at for records
        self._wrong_until_s = (
            0  # when its clock was seen to be wrong last (UTC): what it recorded before is of no known time
        )

    async def read_billing(self, until_ms: float) -> BillingRead:
        """See ``MeterReader``: what the meter has frozen at this boundary, else what it shows."""
        freeze = self._freeze()
        if freeze is not None:
            try:
                frozen = await self._read_frozen(freeze, until_ms)
            except DeviceRefusedError as error:
                self._can_freeze = False
                _log.warning("meter_freezes_nothing", meter=self._name, reason=str(error))
            else:
                if frozen is not None:
                    return frozen
        return await self._read_present(until_ms)

    async def confirm_billing(self, until_ms: float) -> BillingRead:
        """See ``MeterReader``: an answer names its item, so the same requests do; a frozen value is held against the present one."""
        return await self._read_present(until_ms)

    @property
    def records_s(self) -> int:
        """See ``MeterReader``."""
        records = self._profile.dlt645.records
        return 0 if records is None else records.depth * records.interval_min * 60

    async def read_record(self, boundary_s: int, until_ms: float) -> BillingRead | None:
        """See ``MeterReader``: the load record with exactly this stamp, of a meter whose clock is right.

        The clock is looked at behind each boundary: it may have stood still, or been set, since the last look.
        """
        records = self._profile.dlt645.records
        if records is None:
            return None
        if self._ahead_s is None or self._looked is not self._line.begun:
            await self.read_clock_ahead(until_ms)
            self._looked = self._line.begun
        if boundary_s <= self._wrong_until_s:
            raise QuarantinedError(
                f"{self._name}: its clock was off at {self._wrong_until_s}, so are the records before; now by {self._ahead_s} s"
            )
        stamp = datetime.fromtimestamp(boundary_s + self._line.config.meters_ahead_s, UTC).strftime("%y%m%d%H%M")
        try:
            data = await self._read(records.data_id, LOAD_RECORD_BYTES, until_ms, encode_record_request(stamp))
        except DeviceRefusedError:
            return None
        if not data:
            return None
        record = self._decoded_record(data)
        if record.stamp != stamp:
            return None
        points = self._profile.billing_points
        answers = (RawAnswer(records.data_id, data),)
        registers = tuple(self._decoded(record_value(record, point), point, answers) for point in points)
        return BillingRead(registers, self._clock_ms(), frozen=True, answers=answers)

    async def read_serial(self, until_ms: float) -> str:
        """See ``MeterReader``."""
        data_id = self._profile.dlt645.serial_id
        digits = (await self._read(data_id, _SERIAL_BYTES, until_ms))[::-1].hex() if data_id else ""
        return digits if digits.strip("f") else ""  # all ones: no number was ever set

    async def read_misfit(self, until_ms: float) -> str:
        """See ``MeterReader``: the standard has no item for it."""
        return ""

    async def read_clock_ahead(self, until_ms: float) -> int | None:
        """See ``MeterReader``. It is asked between boundaries, and remembered for what the meter freezes."""
        table = self._profile.dlt645
        if not table.date_id or not table.time_id:
            return None
        date = (await self._read(table.date_id, _DATE_BYTES, until_ms))[::-1].hex()
        time = (await self._read(table.time_id, _TIME_BYTES, until_ms))[::-1].hex()
        if time.startswith("0000"):  # it may have been the day before when it said the date
            date = (await self._read(table.date_id, _DATE_BYTES, until_ms))[::-1].hex()
        now_s = wall_ms() // 1000
        self._ahead_s = self._utc_s(f"20{date[:6]}{time}") - now_s
        is_off = abs(self._ahead_s) > FREEZE_TOLERANCE_S
        self._wrong_until_s = now_s if is_off else min(self._wrong_until_s, now_s)
        return self._ahead_s

    def _freeze(self) -> Freeze | None:
        """When the meter has frozen its registers for the present boundary; None: it does not, or was not told."""
        table, points = self._profile.dlt645, self._profile.billing_points
        if not self._can_freeze or not all(point.frozen_data_id for point in points):
            return None
        if "timed" in table.freeze:  # by its own clock: until that is known nobody can say of which moment
            return None if self._ahead_s is None else self._line.begun
        return self._line.told

    async def _read_frozen(self, freeze: Freeze, until_ms: float) -> BillingRead | None:
        """The frozen registers; None if the meter's stamp says that they are of another moment."""
        table = self._profile.dlt645
        stamp = await self._read(table.freeze_time_id, _STAMP_BYTES, until_ms)
        minute_s = self._utc_s("20" + stamp[::-1].hex() + "00")
        ahead_s = self._ahead_s or 0
        off_s = _outside_s(freeze.boundary_s + ahead_s, minute_s)
        if (
            "timed" in table.freeze
        ):  # its own clock gave the moment: so far as that is off, so far was it from the boundary
            off_s = max(off_s, abs(ahead_s))
        if off_s > FREEZE_TOLERANCE_S:
            _log.warning("freeze_not_of_this_boundary", meter=self._name, off_s=off_s, clock_ahead_s=ahead_s)
            return None
        registers, answers = await self._read_registers(until_ms, frozen=True)
        return BillingRead(registers, freeze.at_ms, frozen=True, answers=answers)

    def _utc_s(self, digits: str) -> int:
        """Seconds since 1970 of a local time YYYYMMDDhhmmss. QuarantinedError for what is none."""
        try:
            local = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            raise QuarantinedError(f"{self._name}: its clock says {digits}, that is no time") from None
        return round(local.timestamp()) - self._line.config.meters_ahead_s

    async def _read_present(self, until_ms: float) -> BillingRead:
        registers, answers = await self._read_registers(until_ms, frozen=False)
        return BillingRead(registers, self._clock_ms(), answers=answers)

    async def _read_registers(
        self, until_ms: float, *, frozen: bool
    ) -> tuple[tuple[Register, ...], tuple[RawAnswer, ...]]:
        registers: list[Register] = []
        answers: list[RawAnswer] = []
        for point in self._profile.billing_points:
            data_id = point.frozen_data_id if frozen else point.data_id
            data = await self._read(data_id, point.bytes, until_ms)
            answers.append(RawAnswer(data_id, data))
            registers.append(self._decoded(data, point, answers))
        return tuple(registers), tuple(answers)

    async def read_observed(self, until_ms: float) -> list[Quantity]:
        """See ``MeterReader``. A variant without some of the items gives the others."""
        found: list[Quantity] = []
        trouble: LineError | EncodingError = EncodingError("the meter says 'no value'")
        for point in self._observed:
            try:
                value = decode_value(await self._read(point.data_id, point.bytes, until_ms), point)
            except (DeviceRefusedError, EncodingError) as error:
                trouble = error
                continue
            if (
                value is not None
                and (point.min is None or value >= point.min)
                and (point.max is None or value <= point.max)
            ):
                found.append(Quantity(point.obis, value, self._clock_ms()))
            elif value is not None:
                trouble = EncodingError(f"{point.obis}: {float(value):g} {point.unit} is not plausible")
        if found:
            return found
        raise trouble if isinstance(trouble, LineError) else QuarantinedError(str(trouble))

    async def _read(self, data_id: str, value_bytes: int, until_ms: float, behind: bytes = b"") -> bytes:
        table = self._profile.dlt645
        return await self._line.read_item(
            self._address,
            data_id,
            value_bytes=value_bytes,
            wake_bytes=table.wake_bytes,
            timeout_ms=self._timeout_ms,
            gap_ms=table.min_gap_ms,
            until_ms=until_ms,
            behind=behind,
        )

    def _decoded_record(self, data: bytes) -> LoadRecord:
        try:
            return decode_load_record(data)
        except EncodingError as error:
            raise QuarantinedError(f"{self._name}: {error} (bytes {data.hex(' ')})") from None

    def _decoded(self, data: bytes, point: Dlt645Point, answers: Sequence[RawAnswer]) -> Register:
        try:
            return Register(point.obis, billed_wh(data, point), point.resolution_wh, data)
        except EncodingError as error:
            raise QuarantinedError(f"{self._name}: {error} (bytes {data.hex(' ')})", tuple(answers)) from None


def record_value(record: LoadRecord, point: Dlt645Point) -> bytes:
    """The bytes of a point in a load record; too few where the record has no such energy."""
    first = point.record_byte
    return b"" if first is None else record.energies[first : first + point.bytes]


def billed_wh(data: bytes, point: Dlt645Point) -> int:
    """A billing register in whole Wh. EncodingError for what does not decode, and where the meter says "no value"."""
    value = decode_value(data, point)
    if value is None:
        raise EncodingError(f"{point.obis} says 'no value'")
    register_wh = value.numerator // value.denominator
    if not 0 <= register_wh <= I64_MAX or (point.modulus_wh and register_wh >= point.modulus_wh):
        raise EncodingError(f"{point.obis}: {register_wh} Wh is no state of this register")
    return register_wh


def _outside_s(time_s: int, minute_s: int) -> int:
    """How far ``time_s`` lies outside the minute that begins at ``minute_s``; 0: inside."""
    return max(minute_s - time_s, time_s - minute_s - 59, 0)
