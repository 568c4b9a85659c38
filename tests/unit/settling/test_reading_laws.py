"""Columns of files against the obvious way of reading them, for any content; and any bytes give a dataset or one line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridcore.errors import GridError
from gridledger.settling.dataset import PointRow
from gridledger.settling.files.estimates import Gap
from gridledger.settling.files.fields import Names, decimals, integers
from gridledger.settling.files.folder import read_folder
from gridledger.settling.files.grid import Place, _whole_wh
from gridledger.settling.files.instants import of_stamps
from gridledger.settling.files.readings import PARTS_PER_WH
from gridledger.settling.files.registers import _energies
from gridledger.settling.files.stamps import Zone
from gridledger.settling.files.table import FIELD_BYTES_MAX, Fields
from settlement.interval_energy import interval_energy
from tests.unit.settling.folders import VALID, make_folder

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Africa/Casablanca")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime(1981, 1, 1), datetime(2199, 1, 1)  # noqa: DTZ001 - an offset is drawn beside them


def column(texts: list[str]) -> Fields:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) + 1 for text in encoded]) - 1
    data = np.frombuffer(b",".join(encoded) + bytes(FIELD_BYTES_MAX), dtype=np.uint8)
    return Fields("f.csv", "c", np.arange(2, len(texts) + 2), data, np.append(0, ends[:-1] + 1), ends)


@given(st.lists(st.decimals(0, 10**9, places=3) | st.integers(0, 10**9), min_size=1, max_size=30))
def test_decimals_are_the_numbers_that_are_written(numbers: list[Decimal | int]) -> None:
    found = decimals(column([f"{number:f}" if isinstance(number, Decimal) else str(number) for number in numbers]), 3)
    assert found.value.tolist() == [int(number * 1000) for number in numbers]


NUMBER = re.compile(r"[0-9]*(\.[0-9]{1,3})?", re.ASCII)


@given(st.from_regex(NUMBER, fullmatch=True).filter(lambda text: 1 <= len(text) <= 15 and text != "."))
def test_a_number_with_at_most_three_decimal_places_is_exact(text: str) -> None:
    assert decimals(column([text]), 3).value[0] == int(Decimal(text) * 1000)


@given(
    st.text(alphabet="0123456789.+-e _\u0663", min_size=1, max_size=24).filter(lambda text: not NUMBER.fullmatch(text))
)
def test_what_is_no_such_number_is_refused(text: str) -> None:
    with pytest.raises(GridError, match=r"f\.csv, row 2, c: "):
        decimals(column([text]), 3)


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1, max_size=30))
def test_integers_are_the_numbers_that_are_written(numbers: list[int]) -> None:
    assert integers(column([str(number) for number in numbers]), -(10**18), 10**18).tolist() == numbers


@given(
    st.lists(st.text(alphabet="AB1._-", min_size=1, max_size=12), min_size=1, max_size=8, unique=True),
    st.lists(st.text(alphabet="AB1._-", max_size=13), min_size=1, max_size=20),
)
def test_names_are_known_exactly_where_they_are_listed(names: list[str], texts: list[str]) -> None:
    codes, is_known = Names(names).codes_if_known(column(texts))
    assert is_known.tolist() == [text in names for text in texts]
    assert [names[code] for code in codes.tolist() if code >= 0] == [text for text in texts if text in names]


@given(
    st.lists(
        st.tuples(st.datetimes(FIRST, LAST), st.integers(-14 * 4, 14 * 4)),
        min_size=1,
        max_size=20,
    )
)
def test_times_with_an_offset_are_the_instants_that_the_standard_library_reads(
    times: list[tuple[datetime, int]],
) -> None:
    stamps = [
        time.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=15 * quarters))).isoformat()
        for time, quarters in times
    ]
    expected = [int((datetime.fromisoformat(stamp) - EPOCH).total_seconds()) for stamp in stamps]
    assert of_stamps(column(stamps), None).tolist() == expected


@pytest.mark.parametrize(
    "stamp",
    [
        "2025-06-01T00:00:00Z", "2025-06-01T00:00Z", "2025-06-01 00:00:00.000Z", "2025-06-01T02:00:00.000000+02:00",
        "2025-06-01 02:00:00+0200", "2025-05-31T22:00-02", "2025-05-31T24:00:00Z", "2025-06-01T02:00", "2025-06-01 02:00:00.0",
    ],
)  # fmt: skip
def test_usual_shapes_of_one_instant_are_read(stamp: str) -> None:
    assert of_stamps(column([stamp]), Zone("Europe/Berlin")).tolist() == [1_748_736_000]


@given(st.sampled_from(ZONES), st.integers(600_000_000, 4_000_000_000))
def test_local_times_are_resolved_as_the_time_zone_says(zone: str, instant: int) -> None:
    local = datetime.fromtimestamp(instant, tz=ZoneInfo(zone))
    is_twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    times = column([local.replace(tzinfo=None).isoformat()])
    if is_twice:
        with pytest.raises(GridError, match="is shown twice by the clock"):
            of_stamps(times, Zone(zone))
    else:
        assert of_stamps(times, Zone(zone)).tolist() == [instant]


@given(st.sampled_from(ZONES), st.integers(600_000_000, 4_000_000_000))
def test_local_days_begin_where_the_date_changes(zone: str, instant: int) -> None:
    midnights = Zone(zone).midnights(instant, instant + 3 * 86_400).tolist()
    dates = [[datetime.fromtimestamp(at - back, tz=ZoneInfo(zone)).date() for back in (1, 0)] for at in midnights]
    assert midnights[0] <= instant < midnights[1]
    assert all(before < after for before, after in dates)


@given(st.lists(st.none() | st.integers(0, 50 * PARTS_PER_WH), min_size=1, max_size=40))
def test_carried_parts_are_spread_as_fractions_would_be(parts: list[int | None]) -> None:
    expected = []
    residue = Fraction(0)
    for part in parts:
        if part is None:
            expected.append(-1)
            continue
        exact = Fraction(part, PARTS_PER_WH) + residue
        expected.append((exact + Fraction(1, 2)).__floor__())
        residue = exact - expected[-1]
    column_of_parts = np.array([-1 if part is None else part for part in parts], dtype=np.int64)[:, None]
    assert _whole_wh(column_of_parts)[:, 0].tolist() == expected


@given(
    st.lists(st.just(-1) | st.integers(0, 999), min_size=2, max_size=20),
    st.sampled_from([0, 1000]),
    st.integers(1, 400),
)
def test_registers_are_interval_energy_one(registers: list[int], modulus_wh: int, limit_wh: int) -> None:
    found: list[Gap] = []
    point = PointRow("P", "M", "A", limit_wh, modulus_wh)
    energies = _energies(np.array(registers)[:, None], Place((), "time", [point]), found, is_export=False)
    gaps = [(gap.first, gap.slots, gap.energy_wh) for gap in found]
    expected = interval_energy(registers, modulus_wh, limit_wh, sets_aside=False)
    assert energies[:, 0].tolist() == list(expected.energy_wh)
    assert gaps == [tuple(advance) for advance in expected.advances]


TEXT_OF_FILES = st.text(alphabet='start,pointimkwh_expq\n\r";ZT:-+.0123456789P12M\t\0é钱', max_size=200)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(sorted(VALID)),
    st.binary(max_size=80) | TEXT_OF_FILES.map(str.encode),
    st.integers(0, 120),
    st.integers(0, 40),
)
def test_any_bytes_give_a_dataset_or_one_line(tmp_path: Path, name: str, garbage: bytes, place: int, cut: int) -> None:
    whole = VALID[name].encode()
    content = whole[:place] + garbage + whole[place + cut :]
    try:
        import_wh = read_folder(make_folder(tmp_path, {name: content})).import_wh
        line = ""
    except GridError as error:
        import_wh, line = np.zeros((1, 1), dtype=np.int64), str(error)
    assert import_wh.min() >= 0
    assert "\n" not in line
