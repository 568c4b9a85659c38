"""How long the pages' server takes for a page, over two ledgers: a finished demonstration (113 homes, one day), and a district of 50,000
households with the 96 slots of their day, a few of whom have been there for 365 days (``benchmarks.district``).

``pages/demo/<page>_p50`` and ``…_p95`` are quantiles over REQUESTS requests of the demonstration, one after the other over one connection,
as a browser on this machine waits for the HTML (or a chart for its JSON). They go around: each asks for another slot, home or line, so
that answers kept at hand help no more than they help people. ``pages/district/<page>_p95`` is the same of the district, and
``…_first`` the first request of pages that have just been started, whose node has just been started, too. PAST_PAGES are of a household
with 35,040 slots: a month of it, its year, all its days, all its slots. The first run of any of a ledger's measures all of it.

``python -m benchmarks.pages DIR`` measures a district that ``python -m benchmarks.district DIR`` has made, and keeps it.
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
from datetime import datetime
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from benchmarks.district import (
    DAY_LENGTH_S,
    DAY_S,
    END_S,
    SLOT_S,
    SLOTS_OF_DAY,
    TIME_ZONE,
    YEAR,
    District,
    Served,
    area_name,
    make,
    meter_name,
    party_name,
    serving,
)
from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement

REQUESTS = 40
SEED = 7
TIMEOUT_S = 60
SIGN_IN = "/sign-in"
PUBLIC = (SIGN_IN, "/verify", "/interface")
DEMO, DISTRICT = "demo", "district"
PAGES = {
    "sign_in": SIGN_IN,
    "verify": "/verify",
    "interface": "/interface",
    "overview": "/overview",
    "overview_area": "/overview?area={area}",
    "slot": "/slots/{area}/{slot}",
    "flow": "/flow?area={area}",
    "quality": "/quality",
    "fleet": "/fleet",
    "gateway": "/gateways/{gateway}",
    "meters": "/meters?area={area}",
    "meter": "/meters/{meter}",
    "parties": "/households?area={area}",
    "blocks": "/blocks",
    "block": "/blocks/{height}",
    "consortium": "/consortium",
    "proposals": "/consortium/proposals",
    "contracts": "/consortium/contracts",
    "registry": "/registry",
    "registry_kind": "/registry/party",
    "registry_entity": "/registry/party/{party}",
    "runs": "/runs?area={area}",
    "imbalance": "/imbalance?area={area}",
    "balance": "/balance?area={area}",
    "exports": "/exports",
    "tariffs": "/tariffs?area={area}",
    "disputes": "/disputes",
    "condition": "/condition",
    "sample": "/sample",
    "household": "/households/{party}",
    "month": "/households/{party}/month",
    "year": "/households/{party}/year",
    "statement": "/households/{party}/statement",
    "orders": "/households/{party}/orders",
    "own_tariff": "/households/{party}/tariff",
    "own_disputes": "/households/{party}/disputes",
    "line": "/households/{party}/lines/{slot}/{kind}",
    "curve_json": "/api/v1/households/{party}/intervals",
}
"""Address of each page, with what goes around."""
PAST_PAGES = {
    "past_day": "/households/{resident}?day={past_day}",
    "past_statement": "/households/{resident}/statement?day={past_day}",
    "past_month": "/households/{resident}/month?month={past_month}",
    "past_year": "/households/{resident}/year?year={past_year}",
    "past_slot": "/slots/{past_area}/{past_slot}",
    "days_json": "/api/v1/households/{resident}/days?start_s={first_s}&end_s={end_s}",
    "slots_json": "/api/v1/households/{resident}/intervals?start_s={first_s}&end_s={end_s}",
}
"""The same of the area YEAR."""
DISTRICT_PAGES = {**PAGES, **PAST_PAGES}


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
        return {name: sorted(seconds) for name, seconds in _measure(visitor, PAGES, turns).items()}


@cache
def measure_district() -> dict[str, list[float]]:
    """Seconds of the first request and of REQUESTS further ones, by page of a district that is made for it."""
    with tempfile.TemporaryDirectory(prefix="gridledger-bench-") as scratch:
        folder = Path(scratch) / "district"
        make(folder, District())
        return measure_folder(folder, District())


def measure_folder(folder: Path, district: District) -> dict[str, list[float]]:
    """Seconds of the first request and of REQUESTS further ones, by page, over a folder that ``benchmarks.district`` has filled."""
    found: dict[str, list[float]] = {}
    for pages in (PAGES, PAST_PAGES):
        with serving(folder) as served, closing(Visitor(served.url)) as visitor:
            height = wait_until_projected(visitor)
            turns = [_turn_of(district, height, turn) for turn in range(REQUESTS + 1)]
            found |= _measure(visitor, pages, turns, served)
    return found


def _turn_of(district: District, height: int, turn: int) -> dict[str, str]:
    """A household of another area, its slot and its line, each time."""
    area = turn * 37 % district.areas
    number = district.homes_of(area)[turn * 11 % district.homes]
    return {
        "area": area_name(area),
        "gateway": area_name(area),
        "meter": meter_name(number),
        "party": party_name(number),
        "slot": str(DAY_S + (turn * 7 % SLOTS_OF_DAY) * SLOT_S),
        "height": str(height - turn),
        **_past_of(district, turn),
    }


def _past_of(district: District, turn: int) -> dict[str, str]:
    """A household of the area YEAR and a day of its past, another one each time."""
    residents = district.neighbourhoods[-1].homes
    past_s = DAY_S - (turn * 37 % district.days) * DAY_LENGTH_S
    date = datetime.fromtimestamp(past_s, ZoneInfo(TIME_ZONE)).date().isoformat()
    return {
        "resident": party_name(residents[turn % len(residents)]),
        "past_area": YEAR,
        "past_slot": str(past_s + (turn * 7 % SLOTS_OF_DAY) * SLOT_S),
        "past_day": date,
        "past_month": date[:7],
        "past_year": date[:4],
        "first_s": str(district.first_s),
        "end_s": str(END_S),
    }


def _measure(
    visitor: Visitor, pages: Mapping[str, str], turns: Sequence[Mapping[str, str]], served: Served | None = None
) -> dict[str, list[float]]:
    """Seconds of each request in turn, by page; a line a page goes to stderr, with the CPU of node and pages where they are ``served``."""
    found: dict[str, list[float]] = {}
    for name, path in pages.items():
        if path not in PUBLIC:
            visitor.sign_in()
        asked = turns if "{kind}" not in path else [_with_line(visitor, turn) for turn in turns]
        before_s = served.cpu_s() if served else 0.0
        found[name] = list(_seconds(visitor, path, asked))
        first, *others = found[name]
        shown = f"{name:16} first {1_000 * first:7.0f}  p95 {1_000 * _quantile(others, 95).seconds:6.0f} ms"
        cpu = f"  CPU {1_000 * (served.cpu_s() - before_s) / len(asked):5.0f} ms a request" if served else ""
        print(shown + cpu, file=sys.stderr, flush=True)  # noqa: T201
    return found


def _with_line(visitor: Visitor, turn: Mapping[str, str]) -> Mapping[str, str]:
    """A line of the household's newest day, where the turn names none."""
    if "kind" in turn:
        return turn
    table = json.loads(visitor.get(f"/api/v1/households/{turn['party']}/lines"))
    line = dict(zip((column["key"] for column in table["columns"]), table["rows"][-1], strict=True))
    return {**turn, "slot": str(line["slot_start_s"]), "kind": line["line_kind"]}


def _seconds(visitor: Visitor, path: str, turns: Sequence[Mapping[str, str]]) -> Iterator[float]:
    for turn in turns:
        address = path.format(**turn)
        start = time.perf_counter()
        visitor.get(address)
        yield time.perf_counter() - start


def some_lines(out: Path, count: int) -> list[dict[str, str]]:
    """So many bill lines of homes, spread evenly over the day's: area, party, slot and kind of each."""
    with (out / "meters.csv").open(newline="", encoding="utf-8") as file:
        homes = {row["party"]: row for row in csv.DictReader(file) if row["role"] == "household"}
    with (out / "statements.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["party"] in homes]
    chosen = (rows[turn * len(rows) // count] for turn in range(count))
    return [
        {
            "area": homes[row["party"]]["area"],
            "gateway": "gateway-1",
            "meter": homes[row["party"]]["meter"],
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


def _quantile(seconds: Sequence[float], percent: int) -> Measurement:
    return Measurement(1, sorted(seconds)[-(-percent * len(seconds) // 100) - 1])


def _of_demonstration(page: str, percent: int) -> Benchmark:
    return lambda: _quantile(measure_all()[page], percent)


def _of_district(page: str) -> Benchmark:
    return lambda: _quantile(measure_district()[page][1:], 95)


def _first_of_district(page: str) -> Benchmark:
    return lambda: Measurement(1, measure_district()[page][0])


BENCHMARKS: dict[str, Benchmark] = {
    **{f"pages/{DEMO}/{page}_p{percent}": _of_demonstration(page, percent) for page in PAGES for percent in (50, 95)},
    **{f"pages/{DISTRICT}/{page}_p95": _of_district(page) for page in DISTRICT_PAGES},
    **{f"pages/{DISTRICT}/{page}_first": _first_of_district(page) for page in DISTRICT_PAGES},
}
"""Benchmarks by name, as ``gridledger bench run`` finds them; one piece of work is one request."""


def main() -> None:
    """Measure a district that is there; a line a page goes to stderr."""
    measure_folder(Path(sys.argv[1]), District(*map(int, sys.argv[2:])))


if __name__ == "__main__":
    main()
