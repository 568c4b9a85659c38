"""Runs the benchmarks that the environment offers under the entry point group "gridledger.benchmarks".

An entry point is a function that returns benchmarks by name. A bound is the least work that any program would have to do for the
same answer, measured by the same call; set-up of input counts for neither.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Final

from gridcore.errors import GridError, UsageError, require

GROUP: Final = "gridledger.benchmarks"
CHECKOUT: Final = "benchmarks"
"""The folder of the checkout that our own entry point names; wheels do not carry it."""


@dataclass(frozen=True)
class Limit:
    """What the product asks of a benchmark, in words, and whether this run has met it."""

    words: str
    is_met: bool


@dataclass(frozen=True)
class Measurement:
    """What one benchmark yields: ``n`` pieces of work in ``seconds``; its bound and its limit, if it has them."""

    n: int
    seconds: float
    bound_name: str | None = None
    bound_seconds: float | None = None
    limit: Limit | None = None

    def limited(self, words: str, is_met: bool) -> Measurement:
        """The same with a limit."""
        return replace(self, limit=Limit(words, is_met))

    def within(self, limit_s: float) -> Measurement:
        """The same with a limit of seconds for all of it."""
        return self.limited(f"{limit_s:g} s", self.seconds <= limit_s)


Benchmark = Callable[[], Measurement]


def best_seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the shortest wall time of ``rounds`` calls of ``work``, seconds: the one that other load disturbed least."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def find_benchmarks() -> dict[str, Benchmark]:
    """Return all benchmarks by name; GridError where there are none, as beside an installed wheel."""
    found: dict[str, Benchmark] = {}
    for offer in entry_points(group=GROUP):
        try:
            offered: Mapping[str, Benchmark] = offer.load()()
        except ModuleNotFoundError as error:
            if error.name != CHECKOUT:
                raise
            continue
        require(found.keys().isdisjoint(offered), "a benchmark's name is given once")
        found.update(offered)
    if not found:
        raise GridError(
            "gridledger bench: no benchmarks are installed here; they are part of the source checkout, run there: make bench"
        )
    return found


def select_names(names: Sequence[str], benchmarks: Mapping[str, Benchmark]) -> list[str]:
    """Return the benchmarks meant by ``names`` (``sm2_verify`` means all ``sm2_verify/...``; none given means all)."""
    chosen: list[str] = []
    for name in names or sorted(benchmarks):
        group = [known for known in sorted(benchmarks) if known == name or known.startswith(f"{name}/")]
        if not group:
            near = difflib.get_close_matches(name, benchmarks, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "see: gridledger bench list"
            raise UsageError(f"gridledger bench: no benchmark '{name}'; {hint}")
        chosen.extend(known for known in group if known not in chosen)
    return chosen


def run_benchmark(name: str, benchmark: Benchmark) -> dict[str, object]:
    """Run one benchmark and return its result row as ``bench run --json`` prints it: ``limit`` and ``is_met`` where it has a limit."""
    measured = benchmark()
    bound_seconds, limit = measured.bound_seconds, measured.limit
    return {
        "name": name,
        "n": measured.n,
        "seconds": measured.seconds,
        "per_second": measured.n / measured.seconds if measured.seconds else None,
        "bound_name": measured.bound_name,
        "bound_seconds": bound_seconds,
        "ratio": measured.seconds / bound_seconds if bound_seconds else None,
        **({} if limit is None else {"limit": limit.words, "is_met": limit.is_met}),
    }


def has_missed(result: Mapping[str, object]) -> bool:
    """Whether a result row has a limit that was not met."""
    return not result.get("is_met", True)


def text_line(result: Mapping[str, object]) -> str:
    """Return a result row as one line for a person."""
    line = f"{result['name']}: {result['n']:,} in {result['seconds']:.4f} s ({result['per_second'] or 0:,.0f}/s)"
    if result["ratio"] is not None:
        line += f", {result['ratio']:.2f} x bound ({result['bound_name']}: {result['bound_seconds']:.4f} s)"
    if "limit" in result:
        line += f"; {'MISSES' if has_missed(result) else 'meets'} its limit: {result['limit']}"
    return line
