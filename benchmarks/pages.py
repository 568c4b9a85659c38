"""How long the pages' server takes for a page, over the ledger of a finished demonstration: 113 homes, one day.

``pages/<page>_p50`` and ``…_p95`` are quantiles over REQUESTS requests, one after the other over one connection, as a browser on
this machine waits for the HTML (or a chart for its JSON). They go around: each asks for another slot, home or line, so that answers
kept at hand help no more than they help people. The first run of any of them measures all.
"""

from __future__ import annotations

import csv
import http.client
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement

REQUESTS = 40
SEED = 7
TIMEOUT_S = 60
SIGN_IN = "/sign-in"
PAGES = {
    "sign_in": SIGN_IN,
    "overview": "/overview",
    "slot": "/slots/{area}/{slot}",
    "quality": "/quality",
    "parties": "/households",
    "block": "/blocks/{height}",
    "condition": "/condition",
    "household": "/households/{party}",
    "year": "/households/{party}/year",
    "statement": "/households/{party}/statement",
    "line": "/households/{party}/lines/{slot}/{kind}",
    "curve_json": "/api/v1/households/{party}/intervals",
}
"""Address of each page, with what goes around."""


class Visitor:
    """One connection of somebody who may read all."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)
        self._cookies: SimpleCookie = SimpleCookie()
        self._is_signed_in = False

    def sign_in(self) -> None:
        """Choose the utility's role, as the demonstration offers it, unless that has been done."""
        if self._is_signed_in:
            return
        self._is_signed_in = True
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', self.get(SIGN_IN))
        require(token is not None, "the sign-in page has a form")
        form = urlencode({"form_token": token[1] if token else "", "role": "utility", "next": "/"})
        self._ask("POST", f"{SIGN_IN}/demo", form, {"Content-Type": "application/x-www-form-urlencoded"}, status=303)

    def get(self, path: str) -> str:
        """A page."""
        return self._ask("GET", path, None, {}, status=200)

    def close(self) -> None:
        """Let go."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str], *, status: int) -> str:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in self._cookies.items())
        self._connection.request(method, path, body, {**headers, "Accept-Language": "en", "Cookie": cookies})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("Set-Cookie") or ():
            self._cookies.load(line)
        require(answer.status == status, f"{path} is answered with {answer.status}, due is {status}")
        return text


@contextmanager
def finished_demonstration() -> Iterator[tuple[str, Path]]:
    """The URL and the folder of a demonstration whose day is over and whose pages go on."""
    with tempfile.TemporaryDirectory(prefix="gridledger-bench-") as scratch:
        out = Path(scratch) / "demo"
        words = ["demo", "--days", "1", "--seed", str(SEED), "--out", str(out), "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "gridledger", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            require(bool(line), "the demonstration ends with its numbers")
            yield json.loads(line)["url"], out
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=TIMEOUT_S)


@cache
def measure_all() -> dict[str, list[float]]:
    """Seconds of each of REQUESTS requests, ascending, by page."""
    with finished_demonstration() as (url, out):
        return measure_pages(url, out, REQUESTS)


def measure_pages(url: str, out: Path, requests: int) -> dict[str, list[float]]:
    """Seconds of each of ``requests`` requests, ascending, by page; ``out``: folder of the demonstration at ``url``."""
    with closing(Visitor(url)) as visitor:
        height = wait_until_projected(visitor)
        turns = [{**line, "height": str(height - turn)} for turn, line in enumerate(some_lines(out, requests))]
        found = {}
        for name, path in PAGES.items():
            if path != SIGN_IN:
                visitor.sign_in()
            found[name] = sorted(_seconds(visitor, path, turns))
        return found


def _seconds(visitor: Visitor, path: str, turns: Sequence[Mapping[str, str]]) -> Iterator[float]:
    for turn in turns:
        address = path.format(**turn)
        start = time.perf_counter()
        visitor.get(address)
        yield time.perf_counter() - start


def some_lines(out: Path, count: int) -> list[dict[str, str]]:
    """So many bill lines of homes, spread evenly over the day's: area, party, slot and kind of each."""
    with (out / "meters.csv").open(newline="", encoding="utf-8") as file:
        areas = {row["party"]: row["area"] for row in csv.DictReader(file) if row["role"] == "household"}
    with (out / "statements.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["party"] in areas]
    chosen = (rows[turn * len(rows) // count] for turn in range(count))
    return [
        {
            "area": areas[row["party"]],
            "party": row["party"],
            "slot": row["slot_start_s"],
            "kind": row["line_kind"],
        }
        for row in chosen
    ]


def wait_until_projected(visitor: Visitor) -> int:
    """Wait until the pages have what the ledger has; its height."""
    give_up = time.monotonic() + TIMEOUT_S
    while True:
        gauges = dict(
            re.findall(r"^gridledger_web_(node_height|projected_height) (\d+)$", visitor.get("/metrics"), re.MULTILINE)
        )
        if gauges["node_height"] == gauges["projected_height"] != "0":
            return int(gauges["node_height"])
        require(time.monotonic() < give_up, "the time series follow the ledger")
        time.sleep(0.1)


def _benchmark(page: str, percent: int) -> Benchmark:
    def measure() -> Measurement:
        seconds = measure_all()[page]
        return Measurement(1, seconds[-(-percent * len(seconds) // 100) - 1])

    return measure


BENCHMARKS: dict[str, Benchmark] = {
    f"pages/{page}_p{percent}": _benchmark(page, percent) for page in PAGES for percent in (50, 95)
}
"""Benchmarks by name, as ``gridledger bench run`` finds them; one piece of work is one request."""
