"""A DL/T 645 meter by itself: values, refusals, its clock, freeze commands, broadcasts, and what two meters do to a wildcard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dlt645 import decode_frame, decode_load_record
from simulators.meters.bus import Heard
from simulators.meters.dlt645 import ANYBODY, BROADCAST, Dlt645Speech, Dlt645Station, address_of
from simulators.meters.faults import NO_LINE_FAULT, Fault, Shows
from simulators.meters.station import MeterClock, Quantities

NUMBER = 123_456_789_012
NOON_MS = round(datetime(2026, 3, 29, 4, 0, tzinfo=UTC).timestamp() * 1000)
"""Noon of China."""


@dataclass
class Time:
    now_ms: int = NOON_MS

    def __call__(self) -> int:
        return self.now_ms


def _station(time: Time, number: int = NUMBER, drift_ppm: int = 0) -> Dlt645Station:
    clock = MeterClock(drift_ppm=drift_ppm, true_ms=time)
    station = Dlt645Station(address_of(number), serial=77, clock=clock, freeze_interval_min=15)
    station.count(Quantities(1_234_567, 89_990, power_w=-1500.0, voltage_v=229.5))
    return station


def _frame(address: str, control: int, data: bytes) -> bytes:
    frame = b"\x68" + bytes.fromhex(address)[::-1] + bytes((0x68, control, len(data)))
    frame += bytes((byte + 0x33) % 256 for byte in data)
    return frame + bytes((sum(frame) % 256, 0x16))


def _ask(speech: Dlt645Speech, address: str, control: int, data: bytes = b"") -> bytes | None:
    frame = _frame(address, control, data)
    heard, rest = speech.take(b"\xfe\xfe" + frame)
    assert heard == Heard(frame, len(frame) + 2)
    assert rest == b""
    reply = speech.answer(heard, NO_LINE_FAULT)
    return None if reply is None else reply.frame


def _value(station: Dlt645Station, data_id: str) -> str | None:
    """The digits of a data item; None when it is refused."""
    answer = station.answer(b"\x11" + bytes.fromhex(data_id)[::-1])
    assert answer is not None
    return None if answer.body[0] == 0xD1 else answer.body[5:][::-1].hex()


@pytest.mark.parametrize(
    ("data_id", "value", "unit"),
    [
        ("00010000", "1234.56", "kWh"),
        ("00020000", "89.99", "kWh"),
        ("00000000", "1324.55", "kWh"),
        ("00010300", "1234.56", "kWh"),
        ("00010100", "0", "kWh"),
        ("02010100", "229.5", "V"),
        ("02030000", "-1.5", "kW"),
        ("02030200", "-0.5", "kW"),
    ],
)
def test_the_edge_s_codec_reads_what_the_meter_shows(data_id: str, value: str, unit: str) -> None:
    reply = _ask(Dlt645Speech({NUMBER: _station(Time())}), address_of(NUMBER), 0x11, bytes.fromhex(data_id)[::-1])
    assert reply is not None
    frame = decode_frame(reply)
    assert frame.reading is not None
    assert (frame.address, str(float(frame.reading.value)), frame.reading.unit) == (
        address_of(NUMBER),
        str(float(value)),
        unit,
    )


def test_a_block_brings_total_and_tariffs() -> None:
    assert _value(_station(Time()), "0001ff00") == "00000000" + "00123456" + "00000000" * 2 + "00123456"


def test_clock_address_and_meter_number_are_told_in_local_time() -> None:
    station = _station(Time())
    told = [_value(station, data_id) for data_id in ("04000101", "04000102", "04000401", "04000402")]
    assert told == ["26032900", "120000", "123456789012", "000000000077"]  # a Sunday


def test_what_the_meter_does_not_have_is_refused() -> None:
    station = _station(Time())
    assert [_value(station, data_id) for data_id in ("00010500", "05010101", "06000001", "04000801")] == [None] * 4


def test_a_broadcast_freeze_keeps_the_moment_and_nobody_answers() -> None:
    time = Time()
    stations = {number: _station(time, number) for number in (1, 2)}
    speech = Dlt645Speech(stations)
    time.now_ms += 30_000
    assert _ask(speech, BROADCAST, 0x16, b"\x99" * 4) is None
    for station in stations.values():
        station.count(Quantities(1_999_990))
    told = [_value(station, data_id) for station in stations.values() for data_id in ("05010001", "05010101")]
    assert [text[-8:] if text else None for text in told] == ["03291200", "00123456"] * 2


def test_a_meter_without_a_value_freezes_none_and_one_that_has_it_again_keeps_what_it_froze() -> None:
    time = Time()
    station = _station(time)
    station.set_fault(Fault(shows="no_value"))
    speech = Dlt645Speech({NUMBER: station})
    assert _ask(speech, BROADCAST, 0x16, b"\x99" * 4) is None
    time.now_ms = NOON_MS + 900_000
    assert [_value(station, data_id) for data_id in ("00010000", "05010101", "05040101")] == [
        "f" * 8,
        "f" * 40,
        "f" * 8,
    ]
    assert _value(station, "05010001") == "2603291200"
    station.set_fault(None)
    time.now_ms += 900_000
    assert [_value(station, f"050401{which:02}") for which in (1, 2)] == ["00123456", "f" * 8]
    assert [energies for _, energies in _records(station, "06040000", "02")] == ["f" * 16, "56341200" + "99890000"]


@pytest.mark.parametrize("shows", ["zero", "ones"])
def test_a_meter_that_boots_freezes_what_it_has_counted(shows: Shows) -> None:
    station = _station(Time())
    station.set_fault(Fault(shows=shows))
    assert _ask(Dlt645Speech({NUMBER: station}), BROADCAST, 0x16, b"\x99" * 4) is None
    assert _value(station, "00010000") == {"zero": "0" * 8, "ones": "f" * 8}[shows]
    assert (_value(station, "05010101") or "").endswith("00123456")


def test_the_meter_freezes_each_quarter_of_an_hour_by_its_own_clock() -> None:
    time = Time()
    station = _station(time)
    for step in range(1, 4):
        time.now_ms = NOON_MS + step * 900_000
        station.count(Quantities(2_000_000 + step * 10_000))
    time.now_ms += 60_000
    told = [_value(station, data_id) for data_id in ("05040001", "05040101", "05040201", "05040102", "05040003")]
    assert told == ["2603291245", "00202000", "00000000", "00201000", "2603291215"]
    assert _value(station, "05040104") is None


def _records(station: Dlt645Station, data_id: str, behind: str) -> list[tuple[str, str]]:
    """(stamp, energies) of each load record that is sent."""
    answer = station.answer(b"\x11" + bytes.fromhex(data_id)[::-1] + bytes.fromhex(behind))
    assert answer is not None
    data, found = answer.body[5:], []
    while answer.body[0] == 0x91 and data:
        record = decode_load_record(data)
        found.append((record.stamp, record.energies[:8].hex()))
        data = data[data[2] + 5 :]
    return found


def test_the_meter_stores_a_load_record_each_quarter_of_an_hour_and_gives_that_of_a_time() -> None:
    time = Time()
    station = _station(time)
    for step in range(1, 4):
        time.now_ms = NOON_MS + step * 900_000
        station.count(Quantities(2_000_000 + step * 10_000, 40))
    time.now_ms += 60_000
    half_past = ("2603291230", "00102000" + "04000000")
    assert _records(station, "06040001", "01" + "3012290326") == [half_past]
    assert _records(station, "06000001", "01" + "2912290326") == [half_past], "the next one, of all classes"
    assert _records(station, "06040002", "01") == [("2603291245", "00202000" + "04000000")]
    oldest = _records(station, "06040000", "02")
    assert [stamp for stamp, _ in oldest] == ["2603291215", "2603291230"]
    assert _records(station, "06040001", "01" + "0013290326") == [], "nothing of a time that has not been"
    assert _records(station, "06040001", "00" + "3012290326") == []
    assert _records(station, "06010001", "01" + "3012290326") == []


def test_a_clock_that_drifts_freezes_another_moment() -> None:
    time = Time()
    station = _station(time, drift_ppm=100_000)
    time.now_ms += 14 * 60_000
    assert (_value(station, "05040001"), _value(station, "04000102")) == ("2603291215", "121524")


def test_a_broadcast_time_sets_the_clock_unless_it_is_too_far_off() -> None:
    time = Time()
    station = _station(time, drift_ppm=100_000)
    time.now_ms += 600_000
    speech = Dlt645Speech({NUMBER: station})
    assert _ask(speech, BROADCAST, 0x08, bytes.fromhex("260329120900")[::-1]) is None
    assert _value(station, "04000102") == "120900"
    assert _ask(speech, BROADCAST, 0x08, bytes.fromhex("260329130000")[::-1]) is None
    assert _ask(speech, BROADCAST, 0x08, bytes.fromhex("269999999999")[::-1]) is None
    assert _value(station, "04000102") == "120900"


def test_a_daily_freeze_is_kept_apart_from_the_others() -> None:
    time = Time()
    station = _station(time)
    assert station.answer(b"\x16" + bytes((0x10, 0x12, 0x99, 0x99))) is not None
    time.now_ms += 600_000
    assert (_value(station, "05000001"), _value(station, "05000101")) == (
        "2603291210",
        "00000000" + "00123456" + "00000000" * 2 + "00123456",
    )


def test_a_wildcard_finds_the_only_meter_and_two_spoil_each_other_s_answer() -> None:
    alone = _ask(Dlt645Speech({NUMBER: _station(Time())}), ANYBODY, 0x13)
    assert alone is not None
    assert alone[4 + 10 : -2] == bytes((byte + 0x33) % 256 for byte in bytes.fromhex(address_of(NUMBER))[::-1])
    both = _ask(Dlt645Speech({1: _station(Time(), 1), 2: _station(Time(), 2)}), ANYBODY, 0x13)
    assert both is not None
    assert sum(both[4:-2]) % 256 != both[-2]


@given(st.binary(max_size=60))
def test_nonsense_before_a_frame_never_costs_the_frame(noise: bytes) -> None:
    frame = _frame(address_of(1), 0x11, b"\0\0\1\0")
    speech = Dlt645Speech({1: _station(Time(), 1)})
    rest = noise.replace(b"\x68", b"") + frame
    heard, left = speech.take(rest)
    assert heard is not None
    assert (heard.frame, left) == (frame, b"")
