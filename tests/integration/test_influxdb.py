"""InfluxDB as it is used: killed while written, asked by the vendor's own client, away, full of refusals."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient

from gridcore.errors import UsageError
from gridseries.embedded import EmbeddedSeries
from gridseries.influx import InfluxSeries
from gridseries.projection import Projector
from gridseries.series import ALL_SERIES, INTERVALS, SLOTS, AnyRow, AnySeries, Row, SeriesUnavailable
from tests.external import NEEDS_INFLUXD, Influxd, influxd
from tests.unit.timeseries.projection_world import catch_up
from tests.unit.timeseries.scripted_node import ScriptedNode, by_key
from tests.waiting import until
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.two_areas import one_settled_slot

__all__ = ["influxd"]
pytestmark = NEEDS_INFLUXD
KILLS = 4
FAR_S = FIRST_S + 10_000 * SLOT_S
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Influxd]:
    """An influxd of this test's own, to be killed and started again."""
    server = Influxd(tmp_path)
    server.start()
    try:
        server.set_up()
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def opened(server: Influxd, bucket: str, token: str | None = None) -> AsyncIterator[InfluxSeries]:
    store = InfluxSeries(server.url, server.org, bucket, token or server.token)
    try:
        yield store
    finally:
        await store.close()


async def everything(store: InfluxSeries | EmbeddedSeries) -> dict[str, list[AnyRow]]:
    return {series.name: await store.read(series, 0, FAR_S) for series in ALL_SERIES}


class DeadlySeries(InfluxSeries):
    """Kills its server while some of its writes are under way, and starts it again a while later."""

    def __init__(self, server: Influxd, bucket: str) -> None:
        super().__init__(server.url, server.org, bucket, server.token)
        self._server = server
        self._draw = random.Random(11)
        self._starting: asyncio.Task[None] | None = None
        self.kills = 0

    async def write(self, series: AnySeries, rows: Sequence[AnyRow]) -> None:
        writing = asyncio.create_task(super().write(series, rows))
        is_up = self._starting is None or self._starting.done()
        if is_up and self.kills < KILLS and self._draw.random() < 0.5:
            await asyncio.sleep(0.03 * self._draw.random())
            await asyncio.to_thread(self._server.kill)
            self._starting = asyncio.create_task(self._start_later(3.0 if self.kills == 0 else self._draw.random()))
            self.kills += 1
        await writing

    async def _start_later(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(self._server.start)


@pytest.mark.slow
async def test_killed_and_restarted_while_written_nothing_is_lost_and_nothing_is_there_twice(
    mortal: Influxd, tmp_path: Path
) -> None:
    node = ScriptedNode(11, areas=3, meters=40, page_rows=25, cut=20)
    node.write_history(24)
    bucket, told, stop = mortal.make_bucket(), [""], asyncio.Event()
    store = DeadlySeries(mortal, bucket)
    try:
        projector = Projector(node, store, on_health=lambda name, reason: told.append(f"{name}: {reason}"))
        running = asyncio.create_task(projector.run(stop))
        await until(lambda: projector.height >= node.newest, 120)
        stop.set()
        await running
        found = await everything(store)
        assert await store.load_cursor() == (node.newest, node.digest(node.newest))
    finally:
        await store.close()
    assert store.kills == KILLS
    assert any(re.search(r"series: .*no InfluxDB answers there", line) for line in told)
    assert told[-1] in ("series: None", "projection: None")
    embedded = EmbeddedSeries(tmp_path / "beside.sqlite", 1024)
    await catch_up(Projector(node, embedded))
    assert found == await everything(embedded)
    await embedded.close()
    assert len(by_key(found["interval"])) > 1_000
    # The vendor's client counts the points of one field: as many as there are rows with that value.
    with InfluxDBClient(mortal.url, mortal.token, org=mortal.org) as client:
        flux = f'from(bucket: "{bucket}") |> range(start: 0, stop: 2030-01-01T00:00:00Z) |> filter(fn: (r) => r._measurement == "interval" and r._field == "quality")'
        (record,) = (
            row for table in client.query_api().query(f"{flux} |> group() |> count()") for row in table.records
        )
    assert record.get_value() == len(found["interval"])


async def test_dropped_and_rebuilt_equals_the_first(influxd: Influxd) -> None:
    node = ScriptedNode(12, areas=2, meters=20, page_rows=7, cut=9)
    async with opened(influxd, influxd.make_bucket()) as store:
        for _ in range(4):  # values change, and vanish, between the rounds
            node.write_history(5)
            await catch_up(Projector(node, store))
        first = await everything(store)
        await store.drop()
        assert await everything(store) == {series.name: [] for series in ALL_SERIES}
        await catch_up(Projector(node, store))
        assert await everything(store) == first
        assert len(first["interval"]) == 160


def documented_snippet() -> str:
    """The Python block of docs/timeseries.md that asks InfluxDB; "py", since it does not run without a server as others do."""
    page = (ROOT / "docs" / "timeseries.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return str(block)


async def test_the_documented_query_through_the_vendors_client_gives_the_ledgers_figures(
    influxd: Influxd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = influxd.make_bucket()
    async with running_node(tmp_path / "ledger") as node, opened(influxd, bucket) as store:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        await catch_up(Projector(node.client("util"), store))
        positions = await node.client("util").query(f"areas/a-1/slots/{FIRST_S}/positions")
        clearing = await node.client("util").query(f"areas/a-1/slots/{FIRST_S}/clearing")
    instant = datetime.fromtimestamp(FIRST_S, UTC).isoformat()
    settings = {"url": influxd.url, "token": influxd.token, "org": influxd.org, "bucket": bucket}
    settings |= {"area": "a-1", "meter": "M-1", "start": instant, "stop": "2030-01-01T00:00:00Z"}

    def run_snippet() -> None:
        exec(compile(documented_snippet(), "docs/timeseries.md", "exec"), {"__name__": "snippet", **settings})

    await asyncio.to_thread(run_snippet)
    values = [positions[name][0] for name in ("import_wh", "bought_wh", "pays_nano")]
    assert capsys.readouterr().out.splitlines()[0] == " ".join([instant, *map(str, values)])
    with InfluxDBClient(influxd.url, influxd.token, org=influxd.org) as client:
        records = [
            record
            for table in client.query_api().query(
                'from(bucket: bucket) |> range(start: 0, stop: 2030-01-01T00:00:00Z) |> filter(fn: (r) => r._measurement == "slot" and r.area == "a-1" '
                'and r._field == "price_micro_per_kwh")',
                params={"bucket": bucket},
            )
            for record in table.records
        ]
    assert [(record.get_time().timestamp(), record.get_value()) for record in records] == [
        (FIRST_S, clearing["price_micro_per_kwh"])
    ]


async def test_a_server_that_is_away_is_said_to_be_and_a_read_does_not_wait_for_it(mortal: Influxd) -> None:
    bucket = mortal.make_bucket()
    async with opened(mortal, bucket) as store:
        await store.claim("c")
        await asyncio.to_thread(mortal.kill)
        for call in (
            store.read(SLOTS, 0, 1),
            store.write(SLOTS, [Row(("a",), 0, (1,) * len(SLOTS.fields))]),
            store.load_cursor(),
            store.drop(),
        ):
            with pytest.raises(SeriesUnavailable, match=rf"{mortal.url}, bucket {bucket}: no InfluxDB answers there"):
                await call
        await asyncio.to_thread(mortal.start)
        await store.write(SLOTS, [Row(("a",), 0, (1,) * len(SLOTS.fields))])
        assert await store.read(SLOTS, 0, 1) == [Row(("a",), 0, (1,) * len(SLOTS.fields))]


async def test_refusals_are_one_line_that_says_what_to_do_and_no_token(influxd: Influxd) -> None:
    bucket = influxd.make_bucket()
    reader = influxd.make_token(bucket, "read")
    foreign = influxd.make_token(influxd.make_bucket(), "read", "write")
    row = Row(("a",), 0, (1,) * len(SLOTS.fields))
    for token, said in (("wrong-token", "unauthorized"), (foreign, "no such bucket that this token may read")):
        async with opened(influxd, bucket, token) as store:
            with pytest.raises(SeriesUnavailable, match=said) as refused:
                await store.claim("c")
            assert token not in str(refused.value)
            assert "\n" not in str(refused.value)
    async with opened(influxd, bucket, reader) as store:
        with pytest.raises(SeriesUnavailable, match=r"status 403\); the token needs read and write for the bucket"):
            await store.write(SLOTS, [row])
    async with opened(influxd, "nowhere") as store:
        with pytest.raises(SeriesUnavailable, match="bucket nowhere: no such bucket"):
            await store.claim("c")
    async with opened(influxd, influxd.make_bucket(expire_s=86_400)) as store:
        with pytest.raises(UsageError, match="its data expire; give a bucket without a retention period"):
            await store.claim("c")


async def test_other_measurements_in_the_bucket_stay_when_ours_are_dropped(influxd: Influxd) -> None:
    bucket = influxd.make_bucket()
    async with opened(influxd, bucket) as store:
        await store.claim("c")
        await store.write(INTERVALS, [Row(("a", "m"), 900, (1,) * 7)])
        with InfluxDBClient(influxd.url, influxd.token, org=influxd.org) as client:
            from influxdb_client.client.write_api import SYNCHRONOUS

            client.write_api(write_options=SYNCHRONOUS).write(bucket, record="theirs,area=a value=1i 900000000000")
            await store.drop()
            tables = client.query_api().query(
                f'from(bucket: "{bucket}") |> range(start: 0, stop: 2030-01-01T00:00:00Z)'
            )
    assert [record.get_measurement() for table in tables for record in table.records] == ["theirs"]


async def test_a_name_cannot_widen_a_query(influxd: Influxd) -> None:
    async with opened(influxd, influxd.make_bucket()) as store:
        await store.claim("c")
        await store.write(INTERVALS, [Row(("a", "m"), 900, (1,) * 7), Row(("a", 'x" or "1" == "1'), 900, (2,) * 7)])
        assert await store.read(INTERVALS, 0, 1800, {"meter": 'm" or r.meter != "'}) == []
        (row,) = await store.read(INTERVALS, 0, 1800, {"meter": 'x" or "1" == "1'})
        assert row.values == (2,) * 7
        await store.write(INTERVALS, [Row(("a", 'x" or "1" == "1'), 900, (None, *(2,) * 6))])
        assert len(await store.read(INTERVALS, 0, 1800)) == 2
