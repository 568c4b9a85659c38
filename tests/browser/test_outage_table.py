"""The table of docs/outages.md: processes are stopped or killed one at a time while a page is open and the others were looked at; what each says.

With GRIDLEDGER_WRITE_DOCS=1 the rows of the file are made anew, else they are compared. At the end of each row every page is whole again, and the open
one was not loaded anew.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.browser.browser_world import NEEDS_CHROMIUM, PLACES, BillLine, Visit, register_tariff
from tests.browser.chromium import Browser, Look
from tests.browser.rehosted import Rehosted, rehosted
from tests.browser.test_series_away import use_influxdb
from tests.demo.live import LiveDemo, Visitor, demo_that_goes_on
from tests.external import NEEDS_INFLUXD, Influxd
from tests.waiting import wait_until

pytestmark = [*NEEDS_CHROMIUM, *NEEDS_INFLUXD, pytest.mark.slow]
DOCS = Path(__file__).resolve().parents[2] / "docs" / "outages.md"
NOTICED_S, RETURN_S_MAX = 5.0, 90.0
FOR_ONE_ROLE = ("refused", "contest", "contest-document")
OPEN = [place for place in PLACES if place.role in ("utility", "household") and place.name not in FOR_ONE_ROLE]
"""The pages of a household are open to the utility, too, but those on which it contests a line."""
INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( Asia/Shanghai)?")
BAR = """
const shown = (element) => element.checkVisibility();
const signs = [...document.querySelectorAll('.statusbar .badge')].filter(shown);
const alerts = [...document.querySelectorAll('.statusbar .outage')].filter(shown);
return [...signs.slice(0, 1), ...alerts].map((one) => one.innerText.trim().replace(/\\s+/g, ' '));
"""
STATES = ("whole", "marked", "not now")


@dataclass
class Row:
    """A line of the table. ``bar``: what the open page's bar says after NOTICED_S; ``pages``: how many pages are in which state then."""

    what: str
    bar: str
    pages: dict[str, int]

    @property
    def text(self) -> str:
        """As the file has it."""
        asked = sum(self.pages.values())
        words = [
            "–" if not (count := self.pages.get(state, 0)) else "all" if count == asked else "some" for state in STATES
        ]
        return f"| {' | '.join((self.what, self.bar, *words))} |"


class Watch:
    """The overview open in a browser, and somebody who looks at every page."""

    def __init__(self, browser: Browser, url: str, visitor: Visitor, line: BillLine) -> None:
        self.browser = browser
        self.visitor = visitor
        values = {"area": line.area, "party": line.party, "slot": line.slot_start_s, "kind": line.kind}
        self.paths = [place.path.format(**values) for place in OPEN]
        browser.look(Look())
        visit = Visit(browser, url)
        visit.sign_in("utility")
        visit.open("/overview?lang=en")
        visit.settle()
        browser.run("window.isTheSamePage = true")

    def bar(self) -> str:
        """What the open page says at its head."""
        return "; ".join(INSTANT.sub("…", text) for text in self.browser.run(BAR))

    def look(self) -> dict[str, int]:
        """What the pages answer now: how many are in which state."""
        found: dict[str, int] = {}
        for path in self.paths:
            state = state_of(self.visitor, path)
            found[state] = found.get(state, 0) + 1
        return found

    def row(self, what: str, fault: Callable[[], None], mend: Callable[[], None], *, answers: bool = True) -> Row:
        """Do harm, look after NOTICED_S, mend it, and look when the pages have recovered. answers: the pages do meanwhile."""
        wait_until(lambda: self.look() == {"whole": len(self.paths)}, f"before: {what}", RETURN_S_MAX)
        fault()
        time.sleep(NOTICED_S)
        row = Row(what, self.bar(), self.look() if answers else {})
        mend()
        wait_until(self.is_well, f"{what}: {self.bar()}", RETURN_S_MAX)
        wait_until(lambda: self.look() == {"whole": len(self.paths)}, f"{what}: {self.look()}", RETURN_S_MAX)
        assert self.browser.run("return window.isTheSamePage")
        return row

    def is_well(self) -> bool:
        """Whether the open page complains about nothing."""
        return "away" not in self.bar() and "stands still" not in self.bar() and "no contact" not in self.bar()


def state_of(visitor: Visitor, path: str) -> str:
    """What a page is worth at the moment."""
    answer = visitor.get(path)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return "not now"
    assert answer.status_code == httpx.codes.OK, f"{path}: {answer.status_code}"
    is_marked = "which is away since" in answer.text or 'class="outage kept"' in answer.text
    return "marked" if is_marked else "whole"


@pytest.fixture
def running(tmp_path: Path, line: BillLine) -> Iterator[LiveDemo]:
    """A demonstration in the middle of its days."""
    with demo_that_goes_on(tmp_path / "out") as demo:
        demo.wait_for_pages()
        nobody = demo.visitor()
        demo.wait_for(lambda: nobody.get("/readyz").status_code == httpx.codes.OK or None, "pages that are ready")
        visitor = demo.visitor("utility")
        demo.wait_for(lambda: visitor.rows("/api/v1/areas")[0]["settled"] > 4 or None, "settled slots")
        register_tariff(demo, line.area, line.party)
        yield demo


def stopped(demo: LiveDemo, name: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """What stops a process of a demonstration, and what lets it go on."""
    pid = demo.pid(name)
    return (lambda: os.kill(pid, signal.SIGSTOP)), (lambda: os.kill(pid, signal.SIGCONT))


def test_pages_say_which_process_of_a_running_day_was_stopped_and_come_back(
    browser: Browser, line: BillLine, running: LiveDemo
) -> None:
    watch = Watch(browser, running.url(), running.visitor("utility"), find_running_line(running, line))
    rows = [watch.row("node stopped", *stopped(running, "node"))]
    rows.append(watch.row("agent stopped", *stopped(running, "edge-1")))
    rows.append(watch.row("broker stopped", *stopped(running, "broker")))
    rows.append(watch.row("pages stopped", *stopped(running, "web"), answers=False))
    check(rows)


def test_pages_say_that_node_and_pages_were_killed_and_come_back(
    browser: Browser, demonstration: LiveDemo, line: BillLine, tmp_path: Path
) -> None:
    with rehosted(demonstration, tmp_path / "copy") as copy, visiting(copy) as visitor:
        watch = Watch(browser, copy.url, visitor, line)
        rows = [watch.row("node killed", lambda: copy.stop("node"), copy.start_node)]
        rows.append(watch.row("pages killed", lambda: copy.stop("web"), copy.start_pages, answers=False))
    check(rows)


def test_pages_say_that_influxd_was_killed_and_come_back(
    browser: Browser, demonstration: LiveDemo, line: BillLine, tmp_path: Path
) -> None:
    (tmp_path / "influxd").mkdir()
    database = Influxd(tmp_path / "influxd")
    with ExitStack() as stack:
        stack.callback(database.kill)
        database.start()
        database.set_up()
        copy = Rehosted(demonstration, tmp_path / "copy")
        stack.callback(copy.kill)
        use_influxdb(copy.run_dir, database)
        copy.start_node()
        copy.start_pages()
        watch = Watch(browser, copy.url, stack.enter_context(visiting(copy)), line)
        row = watch.row("influxd killed", database.kill, database.start)
    check([row])


def test_the_embedded_store_made_read_only(
    browser: Browser, demonstration: LiveDemo, line: BillLine, tmp_path: Path
) -> None:
    with rehosted(demonstration, tmp_path / "copy") as copy, visiting(copy) as visitor:
        watch = Watch(browser, copy.url, visitor, line)

        def restart(mode: int) -> None:
            copy.stop("web")
            for path in copy.run_dir.glob("series.db*"):
                path.chmod(mode)
            copy.start_pages(without_rights=mode == 0o444)

        what = "embedded store read-only, pages started again"
        row = watch.row(what, lambda: restart(0o444), lambda: restart(0o600))
    check([row])


def check(rows: list[Row]) -> None:
    """The rows stand in the file; with GRIDLEDGER_WRITE_DOCS=1 they are put there."""
    lines = DOCS.read_text("utf-8").splitlines()
    if os.environ.get("GRIDLEDGER_WRITE_DOCS"):
        made = {row.what: row.text for row in rows}
        lines = [made.get(line.split("|")[1].strip(), line) if line.startswith("| ") else line for line in lines]
        DOCS.write_text("\n".join(lines) + "\n", "utf-8")
    assert [row.text for row in rows if row.text not in lines] == []


def find_running_line(demo: LiveDemo, line: BillLine) -> BillLine:
    """A settled line of the same household in a demonstration that is still running."""
    rows = demo.visitor("utility").rows(f"/api/v1/households/{line.party}/lines")
    row = rows[0]
    return BillLine(line.area, line.party, int(row["slot_start_s"]), str(row["line_kind"]))


@contextmanager
def visiting(copy: Rehosted) -> Iterator[Visitor]:
    """Somebody of the utility at the pages of a copy."""
    visitor = Visitor(copy.url)
    try:
        assert visitor.sign_in("utility").status_code == httpx.codes.OK
        yield visitor
    finally:
        visitor.close()
