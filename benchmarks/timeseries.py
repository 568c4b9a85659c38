"""Writing interval rows into a real influxd: our writer, cursor included, beside a bare loop over the vendor's client."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.influxd import Influxd
from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement
from gridseries.series import INTERVALS, Cursor, IntervalRow

METERS, SLOTS = 1_000, 100
ROWS_AT_ONCE, LINES_AT_ONCE = 10_000, 5_000
FIRST_S, SLOT_S = 1_781_971_200, 900
ROUNDS = 3


def _rows() -> list[IntervalRow]:
    """Rows of a settled area, slot by slot: energies of a household, money in nano."""
    return [
        INTERVALS.row(
            ("A1", f"M-H{meter:04}"),
            FIRST_S + SLOT_S * slot,
            (7 * meter % 900, slot, meter % 90, 0, 460_000 * meter, 470_001 * meter, 0),
        )
        for slot in range(SLOTS)
        for meter in range(METERS)
    ]


def _bare_writer(server: Influxd, bucket: str) -> Callable[[Sequence[IntervalRow]], None]:
    """A bare loop over the vendor's client: a line by one format for each row, nothing checked, no cursor."""
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.client.write_api import SYNCHRONOUS
    from influxdb_client.domain.write_precision import WritePrecision

    shape = f"interval,area=%s,meter=%s {','.join(f'{field}=%di' for field in INTERVALS.fields)} %d"
    writer = InfluxDBClient(server.url, server.token, org=server.org).write_api(write_options=SYNCHRONOUS)

    def write(rows: Sequence[IntervalRow]) -> None:
        for at in range(0, len(rows), LINES_AT_ONCE):
            lines = [shape % (*row.tags, *row.values, row.time_s) for row in rows[at : at + LINES_AT_ONCE]]
            writer.write(bucket, record="\n".join(lines), write_precision=WritePrecision.S)  # type: ignore[arg-type] # a text

    return write


async def _round(server: Influxd, rows: Sequence[IntervalRow]) -> tuple[float, float]:
    """Seconds of our writer, saving the cursor as the projection does, and of the bare loop, into new buckets.

    They take turns, part by part, so that whatever else this machine does slows both.
    """
    from gridseries.influx import InfluxSeries

    store = InfluxSeries(server.url, server.org, server.make_bucket(), server.token)
    write_bare = _bare_writer(server, server.make_bucket())
    await store.claim("bench")
    ours = bare = 0.0
    for at in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[at : at + ROWS_AT_ONCE]
        start = time.perf_counter()
        await store.write(INTERVALS, part)
        await store.save_cursor(Cursor(at + 1, bytes(32)))
        between = time.perf_counter()
        write_bare(part)
        ours, bare = ours + between - start, bare + time.perf_counter() - between
    (last,) = await store.read(INTERVALS, rows[-1].time_s, rows[-1].time_s + 1, {"meter": rows[-1].tags.meter})
    require(last == rows[-1], "what was written is read")
    await store.close()
    return ours, bare


def _measure() -> Measurement:
    rows = _rows()
    with tempfile.TemporaryDirectory(prefix="influxd-") as folder:
        server = Influxd(Path(folder))
        try:
            server.start()
            server.set_up()
            _bare_writer(server, server.make_bucket())(rows[:LINES_AT_ONCE])  # a server's first write takes longer
            rounds = [asyncio.run(_round(server, rows)) for _ in range(ROUNDS)]
        finally:
            server.kill()
    ours, bare = min(rounds, key=sum)
    return Measurement(len(rows), ours, "bare influxdb-client loop over the same points", bare)


BENCHMARKS: dict[str, Benchmark] = {"timeseries": _measure}
"""Benchmarks by name, as ``gridledger bench run`` finds them."""
