"""The store that needs nothing installed: one SQLite file, kept by one thread.

WAL with synchronous=NORMAL: rows and cursor go through one log in the order of their transactions, so a process that is killed
loses nothing, and a power failure at most the newest rows together with the cursor that stood for them.
A projection can be made again, so a file of an older form of ours is emptied, not converted; a file that is not ours is left alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from gridcore.errors import UsageError, require
from gridcore.files import make_private
from gridseries.config import MEBIBYTE
from gridseries.form import FORM
from gridseries.series import (
    ALL_SERIES,
    ROWS_READ_MAX,
    START,
    AnyRow,
    AnySeries,
    Columns,
    Cursor,
    Row,
    Series,
    SeriesUnavailable,
    Tags_co,
    Values_co,
)

APPLICATION_ID: Final = 0x474C5453
BUSY_MS_MAX: Final = 10_000
LOG_BYTES_MAX: Final = 16 * MEBIBYTE
"""Of the write-ahead log between two checkpoints."""
CACHE_KIB: Final = 16 * 1024
_MARK: Final = (
    "CREATE TABLE mark(only INTEGER PRIMARY KEY CHECK (only = 1), chain TEXT NOT NULL, height INTEGER NOT NULL, "
    "digest BLOB NOT NULL)"
)

T = TypeVar("T")


class EmbeddedSeries:
    """A ``TimeSeries`` in a file, made at the first use. Methods may be called from one event loop."""

    def __init__(self, path: Path, size_mib_max: int) -> None:
        """``size_mib_max``: MiB that the file may have; beyond it writes are refused as by a full disk."""
        if not path.parent.is_dir():
            raise UsageError(f"{path}: its folder does not exist; make it, or give another path for the series")
        self.path = path
        self._pages_max_bytes = size_mib_max * MEBIBYTE
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="series")

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return "embedded"

    async def claim(self, chain: str) -> None:
        """Take the file for a chain. UsageError when it is another's."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                standing, _ = _load_mark(connection)
                if standing not in ("", chain):
                    raise UsageError(
                        f"{self.path}: holds the series of chain {standing}, not of {chain}; give another path"
                    )
                if not standing:
                    connection.execute("INSERT OR REPLACE INTO mark VALUES (1, ?, ?, ?)", (chain, *START))

        await self._run(work)

    async def write(self, series: AnySeries, rows: Sequence[AnyRow]) -> None:
        """Keep rows in one transaction, replacing those of the same tags and instant."""
        width = len(series.tags) + 1 + len(series.fields)
        statement = f"INSERT OR REPLACE INTO {_table(series)} VALUES ({', '.join('?' * width)})"  # noqa: S608 - names are ours

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(statement, ((*row.tags, row.time_s, *row.values) for row in rows))

        await self._run(work)

    async def read(
        self, series: Series[Tags_co, Values_co], start_s: int, end_s: int, tags: Mapping[str, str] | None = None
    ) -> list[Row[Tags_co, Values_co]]:
        """Rows with start_s <= time_s < end_s whose tags have these values, ascending by instant, then tags."""
        names, end = ("time_s", *series.tags, *series.fields), 1 + len(series.tags)

        def rows_of(found: list[tuple[Any, ...]]) -> list[Row[Tags_co, Values_co]]:
            return [series.row(values[1:end], values[0], values[end:]) for values in found]

        return await self._select(series, names, start_s, end_s, dict(tags or {}), rows_of)

    async def read_columns(
        self,
        series: AnySeries,
        start_s: int,
        end_s: int,
        tags: Mapping[str, str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Columns:
        """What ``read`` gives, as columns; ``fields``: the values that are wanted, by themselves all."""
        wanted = dict(tags or {})
        free = [tag for tag in series.tags if tag not in wanted]
        valued = series.fields if fields is None else fields
        require(set(valued) <= set(series.fields), f"the values of {series.name} are {series.fields}")
        names = (*free, *valued)

        def columns_of(found: list[tuple[Any, ...]]) -> Columns:
            time_s, *columns = zip(*found, strict=True) if found else [()] * (1 + len(names))
            named = dict(zip(names, columns, strict=True))
            return Columns({name: named[name] for name in free}, time_s, {name: named[name] for name in valued})

        return await self._select(series, ("time_s", *names), start_s, end_s, wanted, columns_of)

    async def _select(
        self,
        series: AnySeries,
        names: Sequence[str],
        start_s: int,
        end_s: int,
        wanted: Mapping[str, str],
        make: Callable[[list[tuple[Any, ...]]], T],
    ) -> T:
        """What ``make`` makes, in the store's thread, of these columns of the rows of a span, ascending by instant, then tags."""
        require(set(wanted) <= set(series.tags), f"the tags of {series.name} are {series.tags}")
        # One range of the key where all tags are given; else one of the index by the first tags and instant, or by instant alone.
        free = [tag for tag in series.tags if tag not in wanted]
        conditions = ["time_s >= ?", "time_s < ?", *(f"{tag} = ?" for tag in wanted)]
        statement = (
            f"SELECT {', '.join(names)} FROM {_table(series)} "  # noqa: S608 - names are ours
            f"WHERE {' AND '.join(conditions)} ORDER BY {', '.join(['time_s', *free])} LIMIT {ROWS_READ_MAX + 1}"
        )

        def work(connection: sqlite3.Connection) -> T:
            found = connection.execute(statement, (start_s, end_s, *wanted.values())).fetchall()
            if len(found) > ROWS_READ_MAX:
                raise UsageError(f"{series.name}: more than {ROWS_READ_MAX:,} rows; ask for a shorter span")
            return make(found)

        return await self._run(work)

    async def load_cursor(self) -> Cursor:
        """How far the ledger has been projected."""
        return (await self._run(_load_mark))[1]

    async def save_cursor(self, cursor: Cursor) -> None:
        """Say that everything up to there has been written."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                if not connection.execute("UPDATE mark SET height = ?, digest = ?", cursor).rowcount:
                    raise SeriesUnavailable(f"{self.path}: has been emptied meanwhile")

        await self._run(work)

    async def drop(self) -> None:
        """Forget everything; the file keeps its size, and its pages are used again."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                _make_tables(connection)

        await self._run(work)

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Let the store's thread do ``work`` on the open file."""

        def in_thread() -> T:
            try:
                if self._connection is None:
                    self._connection = self._open()
                return work(self._connection)
            except sqlite3.Error as error:
                self._let_go()  # what is wrong with the connection or the file may be over when it is opened again
                raise SeriesUnavailable(f"{self.path}: {error}; check its disk, owner and size_mib_max") from None
            except OverflowError:  # a row as another store refuses it, too
                raise UsageError(
                    f"{self.path}: a value beyond 64 bits is not kept; check the node that it came from"
                ) from None

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        """The connection, with tables of this form. UsageError for a file that is not ours."""
        try:  # load curves are personal data: the file, and the log beside it, are their owner's alone
            make_private(self.path)
        except OSError as error:
            raise SeriesUnavailable(
                f"{self.path}: cannot be opened ({error.strerror}); check its folder and owner"
            ) from None
        connection = sqlite3.connect(
            self.path, timeout=BUSY_MS_MAX / 1000, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        try:
            owner, form = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            owner, form, tables = 0, 0, 1
        if owner != APPLICATION_ID and tables:
            raise UsageError(f"{self.path}: is not a file of ours and stays as it is; give another path for the series")
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {max(self._pages_max_bytes // page_bytes, 1)}").fetchone()
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_MAX}").fetchone()
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if owner != APPLICATION_ID or form != FORM:
            with _transaction(connection):
                _make_tables(connection)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing. Some errors (a full disk) have rolled back by themselves."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _make_tables(connection: sqlite3.Connection) -> None:
    """Empty tables of this form, whatever there was."""
    with closing(connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")) as found:
        names = [name for (name,) in found]
    for name in names:
        connection.execute(f'DROP TABLE "{name}"')
    connection.execute(_MARK)
    for series in ALL_SERIES:
        tags = [f"{tag} TEXT NOT NULL" for tag in series.tags]
        fields = [f"{name} INTEGER" for name in series.fields]
        key = f"PRIMARY KEY ({', '.join([*series.tags, 'time_s'])})"
        columns = ", ".join([*tags, "time_s INTEGER NOT NULL", *fields, key])
        connection.execute(f"CREATE TABLE {_table(series)}({columns}) WITHOUT ROWID")
        connection.execute(f"CREATE INDEX {_table(series)}_time ON {_table(series)}(time_s)")
        for count in range(1, len(series.tags)):
            first = ", ".join(series.tags[:count])
            connection.execute(f"CREATE INDEX {_table(series)}_{count} ON {_table(series)}({first}, time_s)")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORM}")


def _load_mark(connection: sqlite3.Connection) -> tuple[str, Cursor]:
    """(chain or "", cursor)."""
    found = connection.execute("SELECT chain, height, digest FROM mark").fetchone()
    return (found[0], Cursor(found[1], found[2])) if found else ("", START)


def _table(series: AnySeries) -> str:
    return f"series_{series.name}"
