"""The store at scale: a bucket of InfluxDB 2, through the vendor's client.

A row is one point: measurement = series, tags, integer fields, whole seconds. A None is a field that the point does not have.
InfluxDB merges the fields of two writes of one point; where an older value would stay under a None, the point is deleted first,
so a reader may miss it for a moment, and after a crash until the projection goes on from its cursor.
The cursor is a point of the measurement ``projection`` at instant 0, tagged with the chain, written after its data.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple, Self, TypeVar

from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.flux_csv_parser import FluxCsvParserException, FluxQueryException
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.dialect import Dialect
from influxdb_client.domain.write_precision import WritePrecision
from urllib3.exceptions import HTTPError

from gridcore.errors import EncodingError, UsageError, broken, require
from gridcore.secrets import SecretError, read_secret
from gridcore.strict_json import decode_json
from gridseries.config import SeriesConfig
from gridseries.form import FORM
from gridseries.influx_text import escaped, lines_of, quoted, rows_of
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
    columns_of,
)

LINES_MAX: Final = 5_000
"""Points of one request, as the vendor advises."""
ATTEMPTS_MAX: Final = 4
"""Of one request, before the caller is told; it goes on trying."""
BACKOFF_S: Final = 0.2
"""Before the second attempt; twice as long before each further one."""
TIMEOUTS_MS: Final = (3_000, 10_000)
"""For a connection, and for an answer."""
DROP_TIMEOUTS_MS: Final = (3_000, 600_000)
"""Deleting all points of a measurement takes its time."""
THREADS_MAX: Final = 4
CURVES_ASKED_MAX: Final = 50
REASON_BYTES_MAX: Final = 64 * 1024
"""Curves that one question names; about more of them it asks by what they have in common."""
_DIGEST: Final = struct.Struct(">4q")
"""A header's digest as four of the integers that a point holds."""
_FIRST_S, _LAST_S = 0, 9_214_646_400  # 1970 to 2262: what nanoseconds in 64 bits reach
_RETRY_STATUS: Final = frozenset([429, 500, 502, 503, 504])
_HEADER_ONLY: Final = Dialect(header=True, annotations=[])  # type: ignore[no-untyped-call] # the vendor's
_QUERY: Final = """\
from(bucket: bucket)
  |> range(start: start, stop: stop)
  |> filter(fn: (r) => {conditions})
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> drop(columns: ["_start", "_stop", "_measurement"])
"""

T = TypeVar("T")


class ChainTag(NamedTuple):
    """Whose ledger the bucket is a projection of."""

    chain: str


class Progress(NamedTuple):
    """A cursor, and the form of what is kept."""

    height: int | None
    form: int | None
    digest_0: int | None
    digest_1: int | None
    digest_2: int | None
    digest_3: int | None


PROJECTION: Final = Series("projection", ChainTag, Progress)
"""One point: how far the projection is."""


class _TryAgain(Exception):  # noqa: N818 - between the attempts of one request
    """Not there or too busy: the same request can succeed in a moment."""


class InfluxSeries:
    """A ``TimeSeries`` in a bucket whose data never expire. Methods may be called from one event loop."""

    def __init__(self, url: str, org: str, bucket: str, token: str) -> None:
        self._url, self._bucket = url.rstrip("/"), bucket
        self._open_client = partial(InfluxDBClient, self._url, token, org=org)
        self._client = self._open_client(timeout=TIMEOUTS_MS)
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="series")

    @classmethod
    def of(cls, config: SeriesConfig) -> Self:
        """The store of a configuration with kind "influxdb". SecretError for a token that cannot be had."""
        url, org, bucket, reference = (
            value or broken("an influxdb store has url, org, bucket and token")
            for value in (config.url, config.org, config.bucket, config.token)
        )
        token = read_secret(reference)
        if not token.isascii() or not token.decode("ascii").isprintable():
            raise SecretError(f"{reference}: is no token of InfluxDB; put the token there, and nothing else")
        return cls(url, org, bucket, token.decode("ascii"))

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return "influxdb"

    async def claim(self, chain: str) -> None:
        """Take the bucket for a chain. UsageError when it is another's, or when its data expire."""
        await self._run(self._check_bucket)
        claims = await self._run(partial(self._select, PROJECTION, 0, 1))
        for other in (row.tags.chain for row in claims if row.tags.chain != chain):
            raise UsageError(f"{self._place}: holds the series of chain {other}, not of {chain}; give another bucket")
        if claims and claims[0].values.form != FORM:
            await self.drop()
            claims = []
        if not claims:
            await self._post(PROJECTION, [_cursor_row(ChainTag(chain), START)])

    async def write(self, series: AnySeries, rows: Sequence[AnyRow]) -> None:
        """Keep rows, request by request, replacing those of the same tags and instant."""
        for start in range(0, len(rows), LINES_MAX):
            part = rows[start : start + LINES_MAX]
            for row in await self._losers(series, part):
                await self._run(partial(self._delete, self._client, series, row.tags, row.time_s, row.time_s))
            await self._post(series, part)

    async def read(
        self, series: Series[Tags_co, Values_co], start_s: int, end_s: int, tags: Mapping[str, str] | None = None
    ) -> list[Row[Tags_co, Values_co]]:
        """Rows with start_s <= time_s < end_s whose tags have these values, ascending by instant, then tags."""
        wanted = dict(tags or {})
        require(set(wanted) <= set(series.tags), f"the tags of {series.name} are {series.tags}")
        start_s, end_s = max(start_s, _FIRST_S), min(end_s, _LAST_S)
        if end_s <= start_s:
            return []
        # One attempt: a page says sooner that the store is away than a person would like to wait.
        return await self._run(
            partial(self._select, series, start_s, end_s, [wanted], rows_max=ROWS_READ_MAX), attempts=1
        )

    async def read_columns(
        self,
        series: AnySeries,
        start_s: int,
        end_s: int,
        tags: Mapping[str, str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Columns:
        """What ``read`` gives, as columns; ``fields``: the values that are wanted, by themselves all."""
        return columns_of(series, await self.read(series, start_s, end_s, tags), tags or {}, fields)

    async def load_cursor(self) -> Cursor:
        """How far the ledger has been projected."""
        claims = await self._run(partial(self._select, PROJECTION, 0, 1))
        return _cursor_of(claims[0]) if claims else START

    async def save_cursor(self, cursor: Cursor) -> None:
        """Say that everything up to there has been written."""
        claims = await self._run(partial(self._select, PROJECTION, 0, 1))
        if not claims:
            raise SeriesUnavailable(f"{self._place}: has been emptied meanwhile")
        await self._post(PROJECTION, [_cursor_row(claims[0].tags, cursor)])

    async def drop(self) -> None:
        """Delete our measurements; others in the bucket stay."""
        with self._open_client(timeout=DROP_TIMEOUTS_MS) as client:
            for series in (PROJECTION, *ALL_SERIES):  # the cursor first: it never stands for what is gone
                await self._run(partial(self._delete, client, series, (), _FIRST_S, _LAST_S))

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()  # type: ignore[no-untyped-call] # the vendor's

    @property
    def _place(self) -> str:
        return f"{self._url}, bucket {self._bucket}"

    async def _losers(self, series: AnySeries, rows: Sequence[AnyRow]) -> list[AnyRow]:
        """The rows under whose None an older value would stay."""
        holes = {(row.tags, row.time_s): row for row in rows if None in row.values}
        if not holes:
            return []
        curves = {tags for tags, _ in holes}
        wanted = [dict(zip(series.tags, tags, strict=True)) for tags in sorted(curves)]
        if len(wanted) > CURVES_ASKED_MAX:
            wanted = [dict(set.intersection(*(set(tags.items()) for tags in wanted)))]
        fields = [
            name
            for name, *values in zip(series.fields, *(row.values for row in holes.values()), strict=True)
            if None in values
        ]
        times = [time_s for _, time_s in holes]
        standing = await self._run(partial(self._select, series, min(times), max(times) + 1, wanted, fields=fields))
        return [
            row
            for old in standing
            if (row := holes.get((old.tags, old.time_s))) is not None
            and any(new is None and value is not None for new, value in zip(row.values, old.values, strict=True))
        ]

    async def _post(self, series: AnySeries, rows: Sequence[AnyRow]) -> None:
        def work() -> None:
            self._writer.write(self._bucket, record=lines_of(series, rows), write_precision=WritePrecision.S)  # type: ignore[arg-type] # texts, whatever it says

        await self._run(work)

    def _select(
        self,
        series: Series[Tags_co, Values_co],
        start_s: int,
        end_s: int,
        wanted: Sequence[Mapping[str, str]] = (),
        *,
        fields: Sequence[str] = (),
        rows_max: int | None = None,
    ) -> list[Row[Tags_co, Values_co]]:
        """Rows of a span that have the tags of one of ``wanted`` (none given: all), with these ``fields`` (none: all) alone."""
        params: dict[str, object] = {"bucket": self._bucket, "measurement": series.name}
        params |= {"start": _instant(start_s), "stop": _instant(end_s)}
        curves = []
        for at, tags in enumerate(wanted):
            # As parameters of the query, values are never part of its text.
            params |= {f"{tag}{at}": escaped(text) for tag, text in tags.items()}
            curves.append(" and ".join(f"r.{tag} == {tag}{at}" for tag in tags) or "true")
        alternatives = ["r._measurement == measurement", " or ".join(f'r._field == "{name}"' for name in fields)]
        alternatives.append(" or ".join(curves))
        query = _QUERY.format(conditions=" and ".join(f"({words})" for words in alternatives if words))
        rows = []
        for row in rows_of(series, self._client.query_api().query_csv(query, dialect=_HEADER_ONLY, params=params)):
            rows.append(row)
            if rows_max is not None and len(rows) > rows_max:
                raise UsageError(f"{series.name}: more than {rows_max:,} rows; ask for a shorter span")
        rows.sort(key=lambda row: (row.time_s, row.tags))
        return rows

    def _delete(
        self, client: InfluxDBClient, series: AnySeries, tags: tuple[str, ...], first_s: int, last_s: int
    ) -> None:
        terms = [("_measurement", series.name), *zip(series.tags, map(escaped, tags), strict=False)]
        predicate = " AND ".join(f"{name}={quoted(text)}" for name, text in terms)
        client.delete_api().delete(_instant(first_s), _instant(last_s), predicate, self._bucket)

    def _check_bucket(self) -> None:
        found = self._client.buckets_api().find_buckets(name=self._bucket).buckets  # type: ignore[no-untyped-call] # the vendor's
        if not found:
            raise SeriesUnavailable(
                f"{self._place}: no such bucket that this token may read; make it, or another token"
            )
        if any(rule.every_seconds for rule in found[0].retention_rules):
            raise UsageError(f"{self._place}: its data expire; give a bucket without a retention period")

    async def _run(self, work: Callable[[], T], attempts: int = ATTEMPTS_MAX) -> T:
        """Let a thread do one request, again with growing pauses where that can help. SeriesUnavailable in the end."""
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(BACKOFF_S * 2 ** (attempt - 1))
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, _judged, work)
            except _TryAgain as error:
                reason = str(error)
            except InfluxDBError as error:
                raise SeriesUnavailable(f"{self._place}: {_reason(error)}") from None
            except (FluxQueryException, FluxCsvParserException) as error:
                raise SeriesUnavailable(f"{self._place}: {' '.join(str(error).split())}") from None
        raise SeriesUnavailable(f"{self._place}: {reason}")


def _cursor_row(chain: ChainTag, cursor: Cursor) -> Row[ChainTag, Progress]:
    """The point that says how far the projection is."""
    digest = _DIGEST.unpack(cursor.digest) if cursor.digest else (None,) * 4
    return Row(chain, 0, Progress(cursor.height, FORM, *digest))


def _cursor_of(row: Row[ChainTag, Progress]) -> Cursor:
    """Inverse of ``_cursor_row``."""
    height, _form, *digest = row.values
    whole = [part for part in digest if part is not None]
    return Cursor(height or 0, _DIGEST.pack(*whole) if len(whole) == len(digest) else b"")


def _judged(work: Callable[[], T]) -> T:
    """``work``, with what may be over in a moment told apart from what is not."""
    try:
        return work()
    except HTTPError as error:
        raise _TryAgain(_connection_reason(error)) from None
    except InfluxDBError as error:
        if getattr(error, "status", None) in _RETRY_STATUS:
            raise _TryAgain(_reason(error)) from None
        raise


def _connection_reason(error: HTTPError) -> str:
    text = str(getattr(error, "reason", None) or error)
    return f"no InfluxDB answers there ({text.rpartition(': ')[2] or type(error).__name__})"


def _reason(error: InfluxDBError) -> str:
    """The server's own line."""
    status = getattr(error, "status", None)
    body = getattr(error, "body", None) or b"{}"  # bytes, or a text
    try:
        said = decode_json(body if isinstance(body, bytes) else str(body).encode(), REASON_BYTES_MAX).get("message", "")
    except (EncodingError, AttributeError):
        said = ""
    said = " ".join(str(said or error.message or type(error).__name__).split())
    hint = {401: "; check the token", 403: "; the token needs read and write for the bucket"}.get(status or 0, "")
    return f"{said} (status {status}){hint}" if status else said


def _instant(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
