"""What a monitoring system asks for, in Prometheus text: few names, few labels, none that grows with the number of meters."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SERIES_MAX: Final = 512
"""Label sets of one metric; further ones are counted as "other" (routes and codes stay far below)."""


@dataclass(frozen=True)
class CounterKind:
    """A counter of a process's own: its name without prefix, what it counts, and the one label that splits it."""

    name: str
    words: str
    label: str


class Metrics:
    """Counters of one process; used by its event loop alone. Names begin with ``gridledger_<part>_``."""

    def __init__(self, part: str, *kinds: CounterKind) -> None:
        self._prefix = f"gridledger_{part}_"
        self._kinds = kinds
        self._counts: dict[str, Counter[str]] = {kind.name: Counter() for kind in kinds}
        self._requests: Counter[tuple[str, str]] = Counter()
        self._microseconds: Counter[str] = Counter()
        self._started_s = time.monotonic()

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """One answered request: ``route`` is the template, "none" where no route matched."""
        key = (route, f"{status // 100}xx")
        if key not in self._requests and len(self._requests) >= SERIES_MAX:
            key = ("other", key[1])
        self._requests[key] += 1
        self._microseconds[key[0]] += int(seconds * 1_000_000)

    def count(self, name: str, value: str) -> None:
        """One event of the counter ``name`` with this value of its label (a word out of a fixed list)."""
        self._counts[name][value] += 1

    def render(self, gauges: Mapping[str, tuple[str, int]]) -> str:
        """The whole page. ``gauges``: name -> (help, value), as of now."""
        lines: list[str] = []
        uptime_s = int(time.monotonic() - self._started_s)
        for name, (words, value) in {
            **gauges,
            "uptime_seconds": ("Time since the process was started.", uptime_s),
        }.items():
            lines += [*self._head(name, "gauge", words), f"{self._prefix}{name} {value}"]
        for kind in self._kinds:
            lines += self._head(kind.name, "counter", kind.words)
            lines += [
                f'{self._prefix}{kind.name}{{{kind.label}="{value}"}} {count}'
                for value, count in sorted(self._counts[kind.name].items())
            ]
        lines += self._head("http_requests_total", "counter", "Answered requests by route and class of status.")
        lines += [
            f'{self._prefix}http_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self._requests.items())
        ]
        lines += self._head("http_request_microseconds_total", "counter", "Time spent on answered requests by route.")
        lines += [
            f'{self._prefix}http_request_microseconds_total{{route="{route}"}} {count}'
            for route, count in sorted(self._microseconds.items())
        ]
        return "\n".join(lines) + "\n"

    def _head(self, name: str, kind: str, words: str) -> list[str]:
        return [f"# HELP {self._prefix}{name} {words}", f"# TYPE {self._prefix}{name} {kind}"]
