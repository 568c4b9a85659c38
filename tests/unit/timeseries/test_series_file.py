"""The embedded store: a full disk, a killed process, files that are not ours, a year of one household."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridseries.config import SeriesConfig
from gridseries.embedded import EmbeddedSeries
from gridseries.series import INTERVALS, PARTY_DAYS, SLOTS, START, AnyRow, Row, SeriesUnavailable
from tests.unit.timeseries.scripted_node import cursor

YEAR_SLOTS = 35_040

WRITER = """
import asyncio, sys
from pathlib import Path
from gridseries.series import SLOTS, Cursor, Row
from gridseries.embedded import EmbeddedSeries

async def main():
    store = EmbeddedSeries(Path(sys.argv[1]), 1024)
    await store.claim("c")
    for height in range(1, 10**6):
        rows = [Row((f"a{area}",), 900 * height, (height,) * len(SLOTS.fields)) for area in range(20)]
        await store.write(SLOTS, rows)
        await store.save_cursor(Cursor(height, bytes(32)))
        print(height, flush=True)

asyncio.run(main())
"""

FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from gridseries.series import SLOTS, Cursor, Row, SeriesUnavailable
from gridseries.embedded import EmbeddedSeries

async def main():
    store = EmbeddedSeries(Path(sys.argv[1]), 1024)
    await store.claim("c")
    await store.write(SLOTS, [Row(("a",), 0, (1,) * len(SLOTS.fields))])
    await store.save_cursor(Cursor(1, bytes(32)))
    rows = [Row(("a",), 900 * at, (at,) * len(SLOTS.fields)) for at in range(20_000)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    for _ in range(2):
        try:
            await store.write(SLOTS, rows)
        except SeriesUnavailable as error:
            print(type(error).__name__, str(error).partition(":")[0] == sys.argv[1])
    print(await store.read(SLOTS, 0, 10**9) == [Row(("a",), 0, (1,) * len(SLOTS.fields))], (await store.load_cursor()).height)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.write(SLOTS, rows)
    await store.save_cursor(Cursor(2, bytes(32)))
    print(await store.read(SLOTS, 0, 10**9) == rows, (await store.load_cursor()).height)
    await store.close()

asyncio.run(main())
"""


@asynccontextmanager
async def opened(path: Path, size_mib_max: int = 1024) -> AsyncIterator[EmbeddedSeries]:
    store = EmbeddedSeries(path, size_mib_max)
    try:
        yield store
    finally:
        await store.close()


def slot_rows(count: int, *, value: int = 1) -> list[AnyRow]:
    return [Row(("a",), 900 * at, (value,) * len(SLOTS.fields)) for at in range(count)]


async def test_a_full_file_refuses_keeps_what_it_has_and_takes_more_after_a_drop(tmp_path: Path) -> None:
    async with opened(tmp_path / "series.sqlite", size_mib_max=1) as store:
        await store.claim("c")
        await store.write(SLOTS, slot_rows(100))
        await store.save_cursor(cursor(1))
        with pytest.raises(SeriesUnavailable, match=r"series\.sqlite: database or disk is full; check"):
            await store.write(SLOTS, slot_rows(50_000))
        assert await store.read(SLOTS, 0, 10**9) == slot_rows(100)
        assert await store.load_cursor() == cursor(1)
        await store.write(SLOTS, slot_rows(200, value=2))
        assert await store.read(SLOTS, 0, 10**9) == slot_rows(200, value=2)
        await store.drop()
        await store.claim("c")
        await store.write(SLOTS, slot_rows(5_000))
        assert len(await store.read(SLOTS, 0, 10**9)) == 5_000


async def test_a_value_beyond_64_bits_is_refused_and_writing_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "series.sqlite") as store:
        await store.claim("c")
        with pytest.raises(UsageError, match="a value beyond 64 bits is not kept"):
            await store.write(SLOTS, slot_rows(3, value=1 << 63))
        await store.write(SLOTS, slot_rows(3))
        assert await store.read(SLOTS, 0, 10**9) == slot_rows(3)


def test_a_disk_that_refuses_is_said_to_and_writing_goes_on_once_it_does_not(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["SeriesUnavailable True"] * 2 + ["True 1", "True 2"]


def killed_writer(path: Path) -> int:
    """Let a process write until it has said 30 heights, kill it, and return the last one that it said."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = 0
        for line in writer.stdout:
            said = int(line)
            if said == 30:
                os.kill(writer.pid, signal.SIGKILL)
        return said


async def test_a_killed_writer_leaves_every_row_under_its_cursor(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    said = killed_writer(path)
    async with opened(path) as store:
        await store.claim("c")
        done = (await store.load_cursor()).height
        assert done >= said >= 30
        rows = await store.read(SLOTS, 0, 900 * (done + 1))
        assert [(row.time_s // 900, row.values[0]) for row in rows] == [
            (height, height) for height in range(1, done + 1) for _ in range(20)
        ]


async def test_a_year_of_one_household_is_one_range_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    rows = [Row(("a-1", "H001"), 900 * at, (at, None, None, None, None, None, 0)) for at in range(YEAR_SLOTS)]
    async with opened(path) as store:
        await store.claim("c")
        await store.write(INTERVALS, rows)
        found = await store.read(INTERVALS, 0, 900 * YEAR_SLOTS, {"area": "a-1", "meter": "H001"})
    assert found == rows
    with sqlite3.connect(path) as connection:
        query = "EXPLAIN QUERY PLAN SELECT * FROM series_interval WHERE time_s >= 0 AND time_s < 9 AND "
        by_meter, by_area = (
            connection.execute(query + tags).fetchall()[0][3] for tags in ("area = 'a' AND meter = 'm'", "area = 'a'")
        )
    connection.close()
    assert by_meter.endswith("USING PRIMARY KEY (area=? AND meter=? AND time_s>? AND time_s<?)")
    assert by_area.endswith("USING INDEX series_interval_1 (area=? AND time_s>? AND time_s<?)")


async def test_a_month_of_one_of_an_areas_parties_reads_its_rows_alone(tmp_path: Path) -> None:
    store = EmbeddedSeries(tmp_path / "series.sqlite", 64)
    rows = [
        Row(("a", f"p-{party}", kind), 86_400 * day, (1, 2, 3))
        for party in range(50)
        for kind in ("bought", "levy")
        for day in range(40)
    ]
    await store.write(PARTY_DAYS, rows)
    found = await store.read(PARTY_DAYS, 0, 30 * 86_400, {"area": "a", "party": "p-7"})
    await store.close()
    assert len(found) == 60
    with closing(sqlite3.connect(store.path)) as connection:
        query = (
            "EXPLAIN QUERY PLAN SELECT * FROM series_party_day WHERE time_s >= 0 AND time_s < 9 AND area = 'a'"
            "{} ORDER BY time_s LIMIT 9"
        )
        plans = [connection.execute(query.format(more)).fetchall()[0][3] for more in (" AND party = 'p'", "")]
    assert ["(area=? AND party=? AND time_s>?" in plans[0], "(area=? AND time_s>?" in plans[1]] == [True, True], plans


async def test_a_file_of_an_older_form_is_emptied_and_one_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    async with opened(path) as store:
        await store.claim("c")
        await store.save_cursor(cursor(7))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    async with opened(path) as store:
        await store.claim("d")
        assert await store.load_cursor() == START
    for name, data in (("text.sqlite", b"minutes of the meeting\n" * 99), ("other.sqlite", None)):
        other = tmp_path / name
        if data is None:
            with sqlite3.connect(other) as connection:
                connection.execute("CREATE TABLE theirs(x)")
            connection.close()
        else:
            other.write_bytes(data)
        before = other.read_bytes()
        async with opened(other) as store:
            with pytest.raises(UsageError, match=rf"{name}: is not a file of ours and stays as it is"):
                await store.claim("c")
        assert other.read_bytes() == before


async def test_a_folder_that_goes_away_and_comes_back_is_an_outage(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    async with opened(folder / "series.sqlite") as store:
        folder.rmdir()
        with pytest.raises(SeriesUnavailable, match=r"series\.sqlite: cannot be opened \(No such file or directory\)"):
            await store.load_cursor()
        folder.mkdir()
        assert await store.load_cursor() == START


def modes_in(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}


async def test_the_file_and_its_log_are_their_owners_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "series.sqlite") as store:
        await store.claim("c")
        await store.write(SLOTS, slot_rows(3))
        modes = modes_in(tmp_path)
    assert modes == dict.fromkeys(("series.sqlite", "series.sqlite-wal", "series.sqlite-shm"), "0o600")


async def test_a_store_emptied_by_somebody_else_is_noticed_when_the_cursor_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "series.sqlite"
    async with opened(path) as store, opened(path) as other:
        await store.claim("c")
        await other.drop()
        with pytest.raises(SeriesUnavailable, match="has been emptied meanwhile"):
            await store.save_cursor(cursor(8))
        assert await store.load_cursor() == START


def test_a_folder_that_does_not_exist_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere/series\.sqlite: its folder does not exist; make it"):
        EmbeddedSeries(SeriesConfig(path=tmp_path / "nowhere" / "series.sqlite").path or tmp_path, 1)
