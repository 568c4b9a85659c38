"""What a monitoring system asks for, in Prometheus text: few names, few labels, none that grows with the number of meters."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SERIES_MAX: Final = 512
"""Label sets of one metric; further ones are counted as "other" (routes and codes stay far below)."""


class Metrics:
    """Counters of one node; used by the event loop alone."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._microseconds: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._started_s = time.monotonic()

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """One answered request: ``route`` is the template, "none" where no route matched."""
        key = (route, f"{status // 100}xx")
        if key not in self._requests and len(self._requests) >= SERIES_MAX:
            key = ("other", key[1])
        self._requests[key] += 1
        self._microseconds[key[0]] += int(seconds * 1_000_000)

    def count_answer(self, name: str) -> None:
        """One answered transaction, by the name of its code."""
        self._answers[name] += 1

    def render(self, gauges: dict[str, tuple[str, int]]) -> str:
        """The whole page. ``gauges``: name -> (help, value), as of now."""
        lines: list[str] = []
        uptime_s = int(time.monotonic() - self._started_s)
        for name, (words, value) in {
            **gauges,
            "uptime_seconds": ("Time since the node was started.", uptime_s),
        }.items():
            lines += [*_head(name, "gauge", words), f"gridledger_node_{name} {value}"]
        lines += _head("transactions_total", "counter", "Answered transactions by the name of the code.")
        lines += [f'gridledger_node_transactions_total{{code="{n}"}} {v}' for n, v in sorted(self._answers.items())]
        lines += _head("http_requests_total", "counter", "Answered requests by route and class of status.")
        lines += [
            f'gridledger_node_http_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self._requests.items())
        ]
        lines += _head("http_request_microseconds_total", "counter", "Time spent on answered requests by route.")
        lines += [
            f'gridledger_node_http_request_microseconds_total{{route="{r}"}} {v}'
            for r, v in sorted(self._microseconds.items())
        ]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP gridledger_node_{name} {words}", f"# TYPE gridledger_node_{name} {kind}"]
