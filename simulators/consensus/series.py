"""Many seeds, on all processors: what was found, and how fast."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from simulators.consensus.run import Report, simulate

Check = Callable[[Report], Sequence[str]]
"""A further look at a run: what does not hold of it."""


@dataclass
class Series:
    """Runs added up. failed: violations by seed; simulated_s: virtual seconds; wall_s: real ones."""

    seeds: int = 0
    height: int = 0
    acknowledged: int = 0
    crashes: int = 0
    rejected_proposals: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    failed: dict[int, Sequence[str]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """A paragraph for people."""
        per_hour = self.seeds / self.wall_s * 3_600 if self.wall_s else 0
        speed = f"{per_hour:.0f} seeds an hour, {self.simulated_s / 3_600:.1f} simulated hours"
        seen = (
            f"{self.height} blocks, {self.acknowledged} transactions with receipts, {self.crashes} ends of nodes, "
            f"{self.rejected_proposals} proposals rejected; {len(self.failed)} seeds failed"
        )
        lines = [f"{self.seeds} seeds in {self.wall_s:.0f} s: {speed}", seen]
        for seed, violations in sorted(self.failed.items()):
            lines.append(f"seed {seed}: {violations[0]}\n  again: {reproduce(seed)}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def reproduce(seed: int) -> str:
    """The command that runs a seed again."""
    return f"gridledger simulate consensus --seed {seed}"


def run_series(seeds: Sequence[int], check: Check | None = None, processes: int | None = None) -> Series:
    """Run seeds, each in one of ``processes`` (as many as there are processors); ``check`` looks at each run, in its process."""
    series, started = Series(), time.monotonic()
    for report, more in _runs(seeds, check, processes or os.cpu_count() or 1):
        series.seeds += 1
        series.height += report.height
        series.acknowledged += report.acknowledged
        series.crashes += report.crashes
        series.rejected_proposals += report.rejected_proposals
        series.simulated_s += report.simulated_s
        if found := [*report.violations, *more]:
            series.failed[report.seed] = found
    series.wall_s = time.monotonic() - started
    return series


def _runs(seeds: Sequence[int], check: Check | None, processes: int) -> Iterator[tuple[Report, Sequence[str]]]:
    if processes == 1 or len(seeds) == 1:
        yield from (_run(seed, check) for seed in seeds)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(partial(_run, check=check), seeds, chunksize=4)


def _run(seed: int, check: Check | None) -> tuple[Report, Sequence[str]]:
    report = simulate(seed)
    return report.without_blocks(), () if check is None else check(report)
