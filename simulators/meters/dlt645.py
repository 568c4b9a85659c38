"""DL/T 645-2007 of virtual meters, byte by byte: reading, addresses, broadcast time, freeze commands, frozen values, load records.

Written on its own, not with the edge's codec, so that the two check each other. A frame is 68H, six bytes of address (least
significant first), 68H, control, length, data (33H added to each byte), checksum, 16H; FEH bytes wake the line before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from simulators.meters.bus import Heard, Reply
from simulators.meters.faults import LineFault, Shows
from simulators.meters.models import FREQUENCY_HZ, POWER_FACTOR
from simulators.meters.station import Answer, MeterClock, Quantities, Station

READ, READ_ADDRESS, SET_TIME, FREEZE = 0x11, 0x13, 0x08, 0x16
BROADCAST: Final = "99" * 6
ANYBODY: Final = "aa" * 6
CHINA_TIME: Final = timedelta(hours=8)
"""Meters show local time, and freeze by it."""
NO_SUCH_DATA: Final = 0x02
"""Error byte: the requested data does not exist."""
SET_TIME_S_MAX: Final = 300
"""A broadcast time that is further off is not taken: the meter's clock is set on the spot then."""
CATCH_UP_MIN_MAX: Final = 4320
"""A meter that nobody looked at for longer has frozen nothing before these minutes."""

_ANSWER, _REFUSAL = 0x80, 0x40
_WAKE, _START, _END, _OFFSET = 0xFE, 0x68, 0x16, 0x33
_HEADER_BYTES, _TRAILER_BYTES, _DATA_ID_BYTES = 10, 2, 4
_WAKE_BYTES: Final = 4
_MODULUS_WH: Final = 1_000_000_000
_WH_PER_STEP: Final = 10
_TARIFFS: Final = 4
_FLAT_TARIFF: Final = 3
_ANY: Final = 99
_ONES: Final = b"\xff"
_LOAD_RECORDS_KEPT: Final = 5_760
"""Sixty days of a record each quarter of an hour."""
_LOAD_CLASSES: Final = 6
_TOTAL_CLASS, _ENERGY_CLASS = 0, 4
_OLDEST, _OF_TIME, _NEWEST = range(3)
_RECORD_START, _RECORD_END, _CLASS_END = b"\xa0\xa0", b"\xe5", b"\xaa"
_FROZEN_KEPT: Final = {0: 12, 1: 3, 4: 254, 6: 62}
"""Frozen values by the second byte of their data id: timed, at once, hourly (or each few minutes), daily; how many are kept."""


class Frozen(NamedTuple):
    """What a meter showed when it froze; ``at``: its own local time."""

    at: datetime
    quantities: Quantities
    shows: Shows


class FreezeTime(NamedTuple):
    """When a timed freeze comes again: month, day, hour, minute; 99 for each one."""

    month: int
    day: int
    hour: int
    minute: int

    def is_at(self, moment: datetime) -> bool:
        """Whether ``moment`` is such a minute."""
        shown = (moment.month, moment.day, moment.hour, moment.minute)
        return all(wanted in (_ANY, part) for wanted, part in zip(self, shown, strict=True))


class Dlt645Station(Station):
    """A meter that speaks DL/T 645. ``address``: 12 digits; each so many minutes of its own clock it freezes its registers
    (``freeze_interval_min``) and stores a load record (``load_record_min``, 0: it keeps none).
    """

    def __init__(
        self,
        address: str,
        serial: int = 0,
        turnaround_ms: int = 0,
        clock: MeterClock | None = None,
        *,
        freeze_interval_min: int = 60,
        load_record_min: int = 15,
    ) -> None:
        super().__init__(serial, turnaround_ms, clock)
        self.address = address
        self._freeze_interval_min = freeze_interval_min
        self._load_record_min = load_record_min
        self._load_records: deque[Frozen] = deque(maxlen=_LOAD_RECORDS_KEPT)
        self._timed: FreezeTime | None = None
        self._frozen = {kind: deque[Frozen](maxlen=kept) for kind, kept in _FROZEN_KEPT.items()}
        self._minute = self._local().replace(second=0, microsecond=0)

    def count(self, counted: Quantities) -> None:
        """Move on to another state; what would have been frozen meanwhile is."""
        self._catch_up()
        super().count(counted)

    def answer(self, request: bytes) -> Answer | None:
        """See ``Station``; a request and an answer are the control byte and the data."""
        fault = self.hear()
        self._catch_up()
        if fault.silent:
            return None
        control, data = request[0], request[1:]
        if fault.exception:
            return Answer(bytes((control | _ANSWER | _REFUSAL, fault.exception)), fault.late_ms)
        if control in (FREEZE, SET_TIME):
            self._obey(control, data)
            return Answer(bytes((control | _ANSWER,)), fault.late_ms)
        value = _address_bytes(self.address) if control == READ_ADDRESS else None
        if control == READ and len(data) == _DATA_ID_BYTES:
            value = self._value(data[::-1])
        elif control == READ and len(data) > _DATA_ID_BYTES:
            value = self._records(data[_DATA_ID_BYTES - 1 :: -1], data[_DATA_ID_BYTES:])
            data = data[:_DATA_ID_BYTES]
        if value is None:
            return Answer(bytes((control | _ANSWER | _REFUSAL, NO_SUCH_DATA)), fault.late_ms)
        return Answer(bytes((control | _ANSWER,)) + (data if control == READ else b"") + value, fault.late_ms)

    def _obey(self, control: int, data: bytes) -> None:
        if control == FREEZE and len(data) == 4:
            minute, hour, day, month = (_from_bcd(data[index : index + 1]) for index in range(4))
            if (month, day, hour, minute) == (_ANY,) * 4:
                self._frozen[1].appendleft(self._record(self._local()))
            else:
                self._timed = FreezeTime(month, day, hour, minute)
        elif control == SET_TIME and len(data) == 6:
            try:
                told = datetime.strptime(data[::-1].hex(), "%y%m%d%H%M%S").replace(tzinfo=UTC) - CHINA_TIME
            except ValueError:  # no time of day
                return
            told_ms = round(told.timestamp() * 1000)
            if abs(told_ms - self.clock.now_ms()) <= SET_TIME_S_MAX * 1000:
                self.clock.set(told_ms)

    def _record(self, at: datetime) -> Frozen:
        """What is frozen: no value where the meter has none; one that is booting shows 0 or all ones, and its counter stands as it was."""
        quantities, shows = self.shown()
        return Frozen(at, quantities, shows if shows == "no_value" else "")

    def _local(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC) + CHINA_TIME

    def _catch_up(self) -> None:
        """Freeze for each minute that has begun since the last look: the state has not changed since."""
        now = self._local()
        self._minute = max(self._minute, now.replace(second=0, microsecond=0) - timedelta(minutes=CATCH_UP_MIN_MAX))
        while self._minute + timedelta(minutes=1) <= now:
            self._minute += timedelta(minutes=1)
            record = self._record(self._minute)
            minutes = self._minute.hour * 60 + self._minute.minute
            if minutes % self._freeze_interval_min == 0:
                self._frozen[4].appendleft(record)
            if self._load_record_min and minutes % self._load_record_min == 0:
                self._load_records.append(record)
            if minutes == 0:
                self._frozen[6].appendleft(record)
            if self._timed is not None and self._timed.is_at(self._minute):
                self._frozen[0].appendleft(record)

    def _value(self, data_id: bytes) -> bytes | None:
        """The bytes of a data item, least significant first; None where the meter has none."""
        first, kind, third, last = data_id
        shown, shows = self.shown()
        if first == 0 and last == 0:
            return _energies(shown, kind, third, shows)
        if first == 5 and kind in self._frozen:
            records = self._frozen[kind]
            return _frozen_value(records[last - 1], kind, third) if 1 <= last <= len(records) else None
        now = self._local()
        return {
            "04000101": _bcd_bytes(f"{now:%y%m%d}{now.isoweekday() % 7:02d}"),
            "04000102": _bcd_bytes(f"{now:%H%M%S}"),
            "04000401": _address_bytes(self.address),
            "04000402": _address_bytes(f"{self.serial:012d}"),
            **_instantaneous(shown),
        }.get(data_id.hex())

    def _records(self, data_id: bytes, behind: bytes) -> bytes | None:
        """The load records that are asked for, the oldest first: so many from the oldest, from a given time, or the newest."""
        first, load_class, third, which = data_id
        number = _from_bcd(behind[:1])
        if first != 6 or third != 0 or load_class not in (_TOTAL_CLASS, _ENERGY_CLASS) or not 1 <= number <= 4:
            return None
        records = list(self._load_records)
        if which == _OF_TIME and len(behind) == 6:
            since = behind[:0:-1].hex()
            records = [record for record in records if f"{record.at:%y%m%d%H%M}" >= since]
        elif which == _NEWEST and len(behind) == 1:
            records = records[-1:]
        elif which != _OLDEST or len(behind) != 1:
            return None
        return b"".join(_load_record(record, load_class) for record in records[:number]) or None


class Dlt645Speech:
    """DL/T 645 frames on a line. Two meters that answer at once, to a wildcard, spoil each other's frame."""

    def __init__(self, stations: Mapping[int, Station]) -> None:
        self._stations = stations

    def take(self, buffer: bytes) -> tuple[Heard | None, bytes]:
        """Take the first whole frame off the buffer; what stands before it is noise."""
        start = buffer.find(_START)
        while start >= 0:
            rest = buffer[start:]
            if len(rest) < _HEADER_BYTES or len(rest) < _HEADER_BYTES + rest[9] + _TRAILER_BYTES:
                return None, rest
            frame = rest[: _HEADER_BYTES + rest[9] + _TRAILER_BYTES]
            if frame[7] == _START and frame[-1] == _END and sum(frame[:-2]) % 256 == frame[-2]:
                return Heard(frame, len(frame) + start), rest[len(frame) :]
            start = buffer.find(_START, start + 1)
        return None, b""

    def answer(self, heard: Heard, fault: LineFault) -> Reply | None:
        """The answer of the meter that the request is for; a broadcast has none."""
        frame = heard.frame
        address, control = frame[6:0:-1].hex(), frame[8]
        request = bytes((control,)) + bytes((byte - _OFFSET) % 256 for byte in frame[_HEADER_BYTES:-_TRAILER_BYTES])
        spoken: list[tuple[bytes, Station, int]] = []
        for number, station in self._stations.items():
            own = address_of(number)
            if address in (own, ANYBODY, BROADCAST) and (answer := station.answer(request)) is not None:
                spoken.append((_frame(own, answer.body), station, answer.late_ms))
        if not spoken or address == BROADCAST:
            return None
        wire, station, late_ms = spoken[0]
        if len(spoken) > 1:
            wire = bytes(low & high for low, high in zip(wire, spoken[1][0], strict=False))
        return Reply(bytes((_WAKE,)) * _WAKE_BYTES + wire, len(wire) + _WAKE_BYTES, station.turnaround_ms, late_ms)


def address_of(number: int) -> str:
    """The 12 digits of the address ``number``."""
    return f"{number:012d}"


def _frame(address: str, body: bytes) -> bytes:
    frame = bytes((_START,)) + _address_bytes(address) + bytes((_START, body[0], len(body) - 1))
    frame += bytes((byte + _OFFSET) % 256 for byte in body[1:])
    return frame + bytes((sum(frame) % 256, _END))


def _energies(shown: Quantities, kind: int, tariff: int, shows: Shows) -> bytes | None:
    """Registers of 0.01 kWh: combined, import, export, reactive; ``tariff`` 0 total, 1 to 4, FFH all of them."""
    totals_wh = (
        shown.import_wh + shown.export_wh,
        shown.import_wh,
        shown.export_wh,
        shown.import_wh // 4,
        0,
    )
    if kind >= len(totals_wh):
        return None
    of_tariff = [totals_wh[kind] if number in (0, _FLAT_TARIFF) else 0 for number in range(_TARIFFS + 1)]
    if tariff != 0xFF and tariff > _TARIFFS:
        return None
    asked = of_tariff if tariff == 0xFF else [of_tariff[tariff]]
    if shows in ("ones", "no_value"):  # no digit is FH
        return _ONES * 4 * len(asked)
    return b"".join(_register(0 if shows else energy_wh) for energy_wh in asked)


def _frozen_value(record: Frozen, kind: int, third: int) -> bytes | None:
    if third == 0:
        return _bcd_bytes(f"{record.at:%y%m%d%H%M}")
    if third not in (1, 2):
        return None
    # of the freeze each few minutes the total alone, of all others the tariffs behind it
    return _energies(record.quantities, third, 0 if kind == 4 else 0xFF, record.shows)


def _load_record(record: Frozen, load_class: int) -> bytes:
    """A load record (annex B): of all classes, or with the energies alone; classes 5 and 6 are not set to be stored."""
    shown = record.quantities
    classes = [b""] * _LOAD_CLASSES
    if load_class == _TOTAL_CLASS:
        values = _instantaneous(shown)
        voltages = b"".join(values[f"0201{phase:02d}00"] for phase in (1, 2, 3))
        currents = b"".join(values[f"0202{phase:02d}00"] for phase in (1, 2, 3))
        powers = b"".join(values[f"0203{phase:02d}00"] for phase in range(4))
        classes[:3] = voltages + currents + values["02800002"], powers + bytes(12), 4 * values["02060000"]
    classes[_ENERGY_CLASS - 1] = b"".join(_energies(shown, kind, 0, record.shows) or b"" for kind in (1, 2, 3, 4))
    content = _bcd_bytes(f"{record.at:%y%m%d%H%M}") + b"".join(part + _CLASS_END for part in classes)
    block = _RECORD_START + bytes((len(content),)) + content
    return block + bytes((sum(block) % 256,)) + _RECORD_END


def _instantaneous(shown: Quantities) -> Mapping[str, bytes]:
    voltage_v, power_w = shown.voltage_v, shown.power_w
    current_a = abs(power_w) / 3 / voltage_v / POWER_FACTOR if voltage_v else 0.0
    values = {"02060000": _signed(POWER_FACTOR * 1000, 2), "02800002": _signed(FREQUENCY_HZ * 100, 2)}
    for phase in range(4):
        values[f"0203{phase:02d}00"] = _signed(power_w * 10 / (3 if phase else 1), 3)
    for phase in range(1, 4):
        values[f"0201{phase:02d}00"] = _signed(voltage_v * 10, 2)
        values[f"0202{phase:02d}00"] = _signed(current_a * 1000, 3)
    return values


def _register(energy_wh: int) -> bytes:
    return _bcd_bytes(f"{energy_wh % _MODULUS_WH // _WH_PER_STEP:08d}")


def _signed(value: float, width: int) -> bytes:
    """BCD with the sign in the top bit."""
    digits = f"{min(round(abs(value)), 8 * 10 ** (2 * width - 1) - 1):0{2 * width}d}"
    raw = bytearray(_bcd_bytes(digits))
    raw[-1] |= 0x80 if round(value) < 0 else 0
    return bytes(raw)


def _bcd_bytes(digits: str) -> bytes:
    return bytes.fromhex(digits)[::-1]


def _address_bytes(digits: str) -> bytes:
    return bytes.fromhex(digits)[::-1]


def _from_bcd(byte: bytes) -> int:
    text = byte.hex()
    return int(text) if text.isdecimal() else 0
