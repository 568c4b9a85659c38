"""direct: a day of many metering points through ``simulate run --direct --no-bills``; direct_1m: of a million.

The demonstration's feeder again and again, 154 meters each, 96 slots: the world and its power flow, its tables, a ledger founded, a day imported
and settled, read back and written. ``keys``: every area shares by keys; ``orders``: every home trades in an auction, each slot. CPU seconds of
all processes, the peak memory of the largest one, and of all of them together, go to stderr. A million needs 48 GB of disk with keys.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.memory_together import Together, watched
from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement

HOMES_OF_FEEDER: Final = 113
METERS_OF_FEEDER: Final = 154
MIB_MAX: Final = 6 * 1024
KEYS: Final = """
[market]
contract = "sharing_keys/1"
method = "static"
trade_price_micro_per_kwh = 370000

[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
network_traded_micro_per_kwh = 150000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
"""


def _day(feeders: int, *, has_orders: bool, limit_s: int | None = None) -> Benchmark:
    """limit_s: of a million meters, which have a limit of memory too."""

    def measure() -> Measurement:
        from simulators.scenarios.gallery import DEMONSTRATION, find_scenario

        with TemporaryDirectory() as folder:
            text = find_scenario(DEMONSTRATION).data.decode()
            path, rules = Path(folder) / "many.toml", Path(folder) / "rules.toml"
            homes = feeders * HOMES_OF_FEEDER
            path.write_text(text.replace(f"trading = {HOMES_OF_FEEDER}\n", f"trading = {homes}\n"))
            rules.write_text(KEYS)
            command = [sys.executable, "-m", "gridledger", "simulate", "run", str(path), "--direct", "--no-bills"]
            command += ["--out", f"{folder}/out", "--json", *([] if has_orders else ["--rules", str(rules)])]
            begin = time.perf_counter()
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running, watched(running.pid) as seen:
                answer, _ = running.communicate()
            seconds = time.perf_counter() - begin
            require(running.returncode == 0, "the run has ended well")
            require(json.loads(answer)["meters"] == feeders * METERS_OF_FEEDER, "every meter is settled")
            _say(feeders * METERS_OF_FEEDER, seen)
        measured = Measurement(feeders * METERS_OF_FEEDER, seconds)
        if limit_s is None:
            return measured
        words = f"{limit_s} s, {MIB_MAX} MiB of all processes together (here {seen.peak_mib})"
        return measured.limited(words, seconds <= limit_s and seen.peak_mib < MIB_MAX)

    return measure


def _say(meters: int, seen: Together) -> None:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s, mib = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    together = f"all together {seen.peak_mib}, of these in no file {seen.peak_anonymous_mib}"
    print(f"{meters} meters: cpu_s so far {cpu_s:.1f}, mib {mib:.0f}, {together}", file=sys.stderr, flush=True)  # noqa: T201


BENCHMARKS: dict[str, Benchmark] = {
    "direct/keys": _day(130, has_orders=False),
    "direct/orders": _day(130, has_orders=True),
    "direct_1m/keys": _day(6_494, has_orders=False, limit_s=900),
    "direct_1m/orders": _day(6_494, has_orders=True, limit_s=1_500),
}
