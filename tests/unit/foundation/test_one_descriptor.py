"""A database that is open keeps SQLite's locks whatever else its process does: POSIX drops them with any closed descriptor."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edge.outbox_file import read_outbox
from gridcore.files import make_private
from gridseries.config import MEBIBYTE
from gridseries.embedded import EmbeddedSeries
from gridweb.database import check_database, open_database
from ledger.store.schema import connect
from tests.unit.edge_agent.edge_world import CHAIN, new_outbox

OPEN_AND_CLOSE = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM sqlite_master').fetchall()"
"""Another process, such as ``--list-users``. Whoever closes last deletes the write-ahead log."""


@contextmanager
def open_users(path: Path) -> Iterator[None]:
    with closing(open_database(path)) as database:
        database.execute("DELETE FROM user")
        yield


@contextmanager
def open_state(path: Path) -> Iterator[None]:
    with closing(connect(path)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS some (number INTEGER)")
        yield


@contextmanager
def open_series(path: Path) -> Iterator[None]:
    series = EmbeddedSeries(path, MEBIBYTE)
    asyncio.run(series.claim(CHAIN))
    try:
        yield
    finally:
        asyncio.run(series.close())


@contextmanager
def open_outbox(path: Path) -> Iterator[None]:
    with closing(new_outbox(path, batches=1)):
        yield


def again(opened: Callable[[Path], object]) -> Callable[[Path], None]:
    """Open and close once more."""

    def run(path: Path) -> None:
        with opened(path):  # type: ignore[attr-defined]  # a context manager
            pass

    return run


@pytest.mark.parametrize(
    ("opened", "once_more"),
    [
        (open_users, again(open_users)),
        (open_users, check_database),
        (open_state, again(open_state)),
        (open_series, again(open_series)),
        (open_outbox, read_outbox),
    ],
)
def test_a_database_opened_twice_in_a_process_keeps_its_locks_when_one_is_closed(
    tmp_path: Path, opened: Callable[[Path], object], once_more: Callable[[Path], object]
) -> None:
    path = tmp_path / "file.db"
    with opened(path):  # type: ignore[attr-defined]  # a context manager
        once_more(path)
        subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, path], check=True)
        assert path.with_name("file.db-wal").exists()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_private_file_is_made_once_and_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    make_private(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("ours")
    path.chmod(0o640)
    make_private(path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("ours", 0o640)
    with pytest.raises(FileNotFoundError):
        make_private(tmp_path / "none" / "file")
