"""settle_files: a year of quarter hours of 100 points out of files, ledger, statements and report included.

The bounds are those of the year on two cores: 3 minutes, and less than 2 GiB of memory. Readings are whole Wh out of the numbers of point and slot,
so that every run has the same folder; making it is not measured. What the process took of processor time, memory and disk goes to standard error: on a busy machine the first says more than the clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement

POINTS: Final = 100
SLOTS: Final = 35_040
MOST_S: Final = 180.0
MOST_BYTES: Final = 2 * 2**30
FIRST: Final = datetime(2025, 1, 1, tzinfo=UTC)
QUARTER: Final = timedelta(minutes=15)

_RULES: Final = """[timeline]
slot_s = 900
timezone = "UTC"

[market]
contract = "mid_market_rate/1"

[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
network_traded_micro_per_kwh = 150000
network_residual_micro_per_kwh = 170000
levy_micro_per_kwh = 10000
"""

_MEASURED: Final = """
import json, resource, sys
from gridledger.cli import main
code = main(sys.argv[1:])
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
print(json.dumps({"cpu_s": cpu_s, "peak_kib": sum(one.ru_maxrss for one in used)}), file=sys.stderr)
raise SystemExit(code)
"""


def make_year(folder: Path, points: int = POINTS, slots: int = SLOTS) -> None:
    """The folder of a year: every third point has a roof, whose export follows the hour of the day."""
    folder.mkdir()
    (folder / "rules.toml").write_text(_RULES)
    names = [f"P{number:03}" for number in range(points)]
    (folder / "points.csv").write_text("point,party,area\n" + "".join(f"{name},M{name[1:]},A1\n" for name in names))
    with (folder / "readings.csv").open("w") as file:
        file.write("start,point,import_kwh,export_kwh\n")
        for slot in range(slots):
            start, hour = f"{FIRST + slot * QUARTER:%Y-%m-%dT%H:%M:%SZ}", slot // 4 % 24
            for number, name in enumerate(names):
                import_wh = (7 * slot + 31 * number) % 250
                export_wh = (11 * slot + 17 * number) % 400 if number % 3 == 0 and 7 <= hour < 18 else 0
                file.write(f"{start},{name},0.{import_wh:03},0.{export_wh:03}\n")


def year() -> Measurement:
    """The command as its user gives it, in a process of its own: from its begin to its end."""
    with TemporaryDirectory() as folder:
        make_year(Path(folder, "in"))
        command = [
            sys.executable,
            "-c",
            _MEASURED,
            "settle",
            "files",
            f"{folder}/in",
            "--out",
            f"{folder}/out",
            "--json",
        ]
        start_s = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start_s
        require(json.loads(done.stdout)["slots"] == SLOTS, "every slot of the year is settled")
        used = json.loads(done.stderr.splitlines()[-1])
        peak_bytes = 1024 * int(used["peak_kib"])
        disk_bytes = sum(path.stat().st_size for path in Path(folder, "out").rglob("*") if path.is_file())
        words = f"{used['cpu_s']:.0f} s of processor time, {peak_bytes / 2**30:.2f} GiB of memory, {disk_bytes / 1e9:.2f} GB of disk"
        sys.stderr.write(f"settle_files: {words}\n")
        require(peak_bytes < MOST_BYTES, "less than 2 GiB of memory")
        return Measurement(POINTS * SLOTS, seconds, "bound", MOST_S)


BENCHMARKS: dict[str, Benchmark] = {"settle_files/year": year}
