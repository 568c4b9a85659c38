"""What every store of time series promises, asked of each of them: the file, and a bucket of a real influxd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridseries.config import SeriesConfig
from gridseries.series import (
    ALL_SERIES,
    INTERVALS,
    OBSERVATIONS,
    SLOTS,
    START,
    AnyRow,
    AnySeries,
    Cursor,
    Row,
    TimeSeries,
)
from gridseries.stores import open_series
from tests.external import NEEDS_INFLUXD, Influxd, influxd
from tests.unit.timeseries.scripted_node import cursor

__all__ = ["influxd"]
LOW, HIGH = -(1 << 63), (1 << 63) - 1
NAMES = (
    "H001",
    "M 2",
    "c,om=ma",
    'q"uote',
    "it's",
    "back\\slash",
    "tail\\",
    "电表",
    "$x${y}",
    "50%",
    "%5C",
    "'; DROP --",
    "%",
)
Opener = Callable[[], TimeSeries]


@pytest.fixture(params=["embedded", pytest.param("influxdb", marks=NEEDS_INFLUXD)])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the store of this test, again and again the same one."""
    if request.param == "embedded":
        return lambda: open_series(SeriesConfig(path=tmp_path / "series.sqlite"))
    server: Influxd = request.getfixturevalue("influxd")
    bucket = server.make_bucket()
    token = tmp_path / "token"
    token.write_text(server.make_token(bucket, "read", "write") + "\n")
    token.chmod(0o600)
    return lambda: open_series(
        SeriesConfig(kind="influxdb", url=server.url, org=server.org, bucket=bucket, token=f"file:{token}")
    )


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[TimeSeries]:
    opened = opener()
    await opened.claim("test-1")
    yield opened
    await opened.close()


def interval(meter: str, slot: int, *values: int | None, area: str = "a-1") -> AnyRow:
    return Row((area, meter), 900 * slot, (*values, *(None for _ in range(7 - len(values)))))


def full(series: AnySeries, number: int) -> AnyRow:
    """A row with a value in every field."""
    tags = tuple(f"{tag}-{number}" for tag in series.tags)
    return Row(tags, 900 * number, tuple(range(number, number + len(series.fields))))


@pytest.mark.parametrize("series", ALL_SERIES, ids=lambda series: series.name)
async def test_what_is_written_is_read(store: TimeSeries, series: AnySeries) -> None:
    rows = [full(series, number) for number in range(5)]
    await store.write(series, rows)
    assert await store.read(series, 0, 4500) == rows
    assert await store.read(series, 900, 2700) == rows[1:3]
    assert await store.read(series, 0, 4500, {series.tags[0]: f"{series.tags[0]}-3"}) == [rows[3]]
    assert await store.read(series, 0, 4500, dict(zip(series.tags, rows[4].tags, strict=True))) == [rows[4]]
    assert await store.read(series, -(1 << 62), 1 << 62) == rows
    assert await store.read(series, 0, 0) == []
    assert await store.read(series, 5000, 6000) == []


async def test_nothing_to_write_is_written(store: TimeSeries) -> None:
    await store.write(SLOTS, [])
    assert await store.read(SLOTS, 0, 900) == []


async def test_rows_come_by_instant_then_tags_however_they_were_written(store: TimeSeries) -> None:
    rows = [interval(f"M{meter}", slot, meter) for slot in range(3) for meter in range(4)]
    await store.write(INTERVALS, rows[7:])
    await store.write(INTERVALS, rows[:7][::-1])
    assert await store.read(INTERVALS, 0, 2700, {"area": "a-1"}) == rows
    assert await store.read(INTERVALS, 0, 2700, {"meter": "M2"}) == [rows[2], rows[6], rows[10]]


async def test_integers_are_exact_to_64_bits(store: TimeSeries) -> None:
    row = interval("M", 0, LOW, LOW + 1, (1 << 53) + 1, -1, 0, HIGH - 1, HIGH)
    await store.write(INTERVALS, [row])
    assert await store.read(INTERVALS, 0, 900) == [row]


async def test_missing_is_none_and_zero_is_zero(store: TimeSeries) -> None:
    rows = [interval("M", 0, None, 0, None, 1), interval("M", 1, 0, None), interval("N", 1, 5, 5, 5, 5, 5, 5, 5)]
    await store.write(INTERVALS, rows)
    assert await store.read(INTERVALS, 0, 1800) == rows


@pytest.mark.parametrize("curves_asked_max", [2, 50])
async def test_a_row_written_again_replaces_the_old_one_whole(
    store: TimeSeries, curves_asked_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridseries.influx.CURVES_ASKED_MAX", curves_asked_max)
    old = [interval(meter, slot, 1, 2, 3, 4, 5, 6, 7) for slot in range(2) for meter in "MNO"]
    await store.write(INTERVALS, old)
    new = [interval("M", 0, None, 22), interval("N", 0, 9, 9, 9, 9, 9, 9, None), interval("O", 1, None, None, 1)]
    await store.write(INTERVALS, new)
    await store.write(INTERVALS, new)
    assert await store.read(INTERVALS, 0, 1800) == [*new[:2], *old[2:5], new[2]]


async def test_names_of_any_printable_text_stand_for_themselves(store: TimeSeries) -> None:
    rows = sorted(interval(name, 0, number, area=name) for number, name in enumerate(NAMES))
    await store.write(INTERVALS, rows)
    assert await store.read(INTERVALS, 0, 900) == rows
    for row in rows:
        assert await store.read(INTERVALS, 0, 900, {"meter": row.tags[1]}) == [row]
        await store.write(INTERVALS, [Row(row.tags, 0, (None, 1, *[None] * 5))])
    assert [row.values for row in await store.read(INTERVALS, 0, 900)] == [(None, 1, *[None] * 5)] * len(NAMES)


async def test_the_cursor_starts_at_0_moves_with_its_digest_and_outlives_the_process(
    opener: Opener, store: TimeSeries
) -> None:
    assert await store.load_cursor() == START
    for height in (7, 8, 1_000_000):
        await store.save_cursor(cursor(height))
        assert await store.load_cursor() == cursor(height)
    for digest in (bytes(32), b"\xff" * 32, b"\x7f\xff\xff\xff\xff\xff\xff\xff" * 4):
        await store.save_cursor(Cursor(9, digest))
        assert await store.load_cursor() == (9, digest)
    await store.save_cursor(cursor(1_000_000))
    await store.write(SLOTS, [full(SLOTS, 1)])
    again = opener()
    await again.claim("test-1")
    assert await again.load_cursor() == cursor(1_000_000)
    assert await again.read(SLOTS, 0, 1800) == [full(SLOTS, 1)]
    await again.close()


async def test_a_dropped_store_is_as_new(store: TimeSeries) -> None:
    for series in ALL_SERIES:
        await store.write(series, [full(series, 1)])
    await store.save_cursor(cursor(9))
    await store.drop()
    assert [await store.read(series, 0, 10**9) for series in ALL_SERIES] == [[] for _ in ALL_SERIES]
    assert await store.load_cursor() == START
    await store.claim("test-2")
    await store.write(SLOTS, [full(SLOTS, 1)])
    await store.save_cursor(cursor(3))
    assert (await store.load_cursor(), await store.read(SLOTS, 0, 1800)) == (cursor(3), [full(SLOTS, 1)])


async def test_the_series_of_another_chain_stay_untouched(opener: Opener, store: TimeSeries) -> None:
    await store.save_cursor(cursor(5))
    other = opener()
    with pytest.raises(UsageError, match=r"holds the series of chain test-1, not of test-2; give another"):
        await other.claim("test-2")
    await other.close()
    await store.claim("test-1")
    assert await store.load_cursor() == cursor(5)


async def test_more_rows_than_a_read_returns_are_refused(store: TimeSeries, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("embedded", "influx"):
        monkeypatch.setattr(f"gridseries.{module}.ROWS_READ_MAX", 10)
    await store.write(SLOTS, [full(SLOTS, number) for number in range(11)])
    assert len(await store.read(SLOTS, 0, 9_000)) == 10
    with pytest.raises(UsageError, match=r"slot: more than 10 rows; ask for a shorter span"):
        await store.read(SLOTS, 0, 9_001)


async def test_many_rows_at_once_and_readers_beside_the_writer(store: TimeSeries) -> None:
    rows = [Row(("gw", f"d{at % 40:02}", "32.7.0"), 900 * (at // 40), (230_000 + at, at % 7)) for at in range(12_000)]

    async def read_along() -> list[int]:
        return [len(await store.read(OBSERVATIONS, 0, 900 * 300)) for _ in range(5)]

    _, *seen = await asyncio.gather(store.write(OBSERVATIONS, rows), read_along(), read_along())
    assert all(counts == sorted(counts) for counts in seen)
    assert await store.read(OBSERVATIONS, 0, 900 * 300) == rows


async def test_a_store_of_another_form_is_filled_anew(
    opener: Opener, store: TimeSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.write(SLOTS, [full(SLOTS, 1)])
    await store.save_cursor(cursor(5))
    for module in ("embedded", "influx"):
        monkeypatch.setattr(f"gridseries.{module}.FORM", 77)
    newer = opener()
    await newer.claim("test-1")
    assert (await newer.load_cursor(), await newer.read(SLOTS, 0, 1800)) == (START, [])
    await newer.save_cursor(cursor(6))
    await newer.claim("test-1")
    assert await newer.load_cursor() == cursor(6)
    await newer.close()
