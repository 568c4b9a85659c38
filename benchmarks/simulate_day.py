"""simulate_day: the day of 113 homes through meters on sockets, an agent, ledger and settlement; and that of 452 homes, four feeders.

The bound of the larger one is the smaller one in the same run: four times the homes, so the ratio is to stay near four.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement

SLOTS: Final = 96
HOMES: Final = 113
DAY_S_MAX: Final = 20
TIMES_MAX: Final = 4.2


def day(homes: int) -> float:
    """Seconds of a whole day, from the begin of the process to the last file."""
    from simulators.scenarios.gallery import DEMONSTRATION, find_scenario

    with TemporaryDirectory() as folder:
        text = find_scenario(DEMONSTRATION).data.decode()
        path = Path(folder) / "day.toml"
        path.write_text(text.replace(f"trading = {HOMES}\n", f"trading = {homes}\n"))
        command = [sys.executable, "-m", "gridledger", "simulate", "run", str(path), "--out", f"{folder}/out", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        require(answer["slots"] == SLOTS and answer["readings_missing"] == 0, "a whole day with all readings")
        return float(answer["wall_s"])


def four_feeders() -> Measurement:
    """452 homes beside 113."""
    alone, four = day(HOMES), day(4 * HOMES)
    measured = Measurement(SLOTS, four, f"a day of {HOMES} homes", alone)
    return measured.limited(f"{TIMES_MAX} times the bound", four <= TIMES_MAX * alone)


BENCHMARKS: dict[str, Benchmark] = {
    "simulate_day/113": lambda: Measurement(SLOTS, day(HOMES)).within(DAY_S_MAX),
    "simulate_day/452": four_feeders,
}
