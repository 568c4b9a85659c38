"""A store of time series that is another process and goes away: open pages say so, and recover without a reload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.browser_world import NEEDS_CHROMIUM, BillLine, Visit
from tests.browser.chromium import Browser, Look
from tests.browser.rehosted import Rehosted
from tests.demo.live import LiveDemo
from tests.external import NEEDS_INFLUXD, Influxd

pytestmark = [*NEEDS_CHROMIUM, *NEEDS_INFLUXD, pytest.mark.slow]
OUTAGE = "return document.querySelector('.statusbar .outage')?.innerText"
NO_OUTAGE = "return document.querySelector('.statusbar .outage') === null"
IS_FILLED = "return document.querySelector('.headline-sentence')?.innerText.includes('homes traded')"
PLOTS = "return document.querySelectorAll('figure.chart .u-over').length === arguments[0]"
NOTICED_S_MAX = 60.0
"""Pages ask every 5 s; the projection, with the next block."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """An InfluxDB of this file's own."""
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    try:
        server.set_up()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def copy(demonstration: LiveDemo, database: Influxd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehosted]:
    """A copy of the demonstration whose pages keep their series there."""
    found = Rehosted(demonstration, tmp_path_factory.mktemp("copy"))
    use_influxdb(found.run_dir, database)
    try:
        found.start_node()
        found.start_pages()
        yield found
    finally:
        found.kill()


def use_influxdb(run_dir: Path, database: Influxd) -> None:
    """Change the configuration of pages: their series in a bucket of a database."""
    (run_dir / "influx.token").write_text(database.token)
    (run_dir / "influx.token").chmod(0o600)
    keys = {"kind": "influxdb", "url": database.url, "org": database.org, "bucket": database.make_bucket()}
    lines = [f'{key} = "{value}"' for key, value in {**keys, "token": "file:influx.token"}.items()]
    config = (run_dir / "web.toml").read_text()
    assert 'path = "series.db"' in config
    (run_dir / "web.toml").write_text(config.replace('path = "series.db"', "\n".join(lines)))


def test_open_pages_say_that_the_store_is_away_and_come_back_without_a_reload(
    browser: Browser, copy: Rehosted, database: Influxd, line: BillLine
) -> None:
    browser.look(Look())
    visit = Visit(browser, copy.url)
    visit.sign_in("utility")
    visit.open("/overview?lang=en")
    browser.wait(IS_FILLED, NOTICED_S_MAX)
    browser.wait(NO_OUTAGE)
    browser.run("window.isTheSamePage = true")

    database.kill()
    said = browser.wait(OUTAGE, NOTICED_S_MAX)
    assert re.search(r"the time series store: away since \d{4}-\d\d-\d\d \d\d:\d\d Asia/Shanghai", said)
    assert browser.run("return window.isTheSamePage")
    visit.sign_in("household", line.party)
    visit.open(f"/households/{line.party}?lang=en")
    page = browser.text()
    assert re.search(r"This needs the time series store, which is away since [\d: -]+ Asia/Shanghai\.", page)
    browser.wait("return document.querySelector('.chart-status')?.innerText.includes('it comes by itself')")
    browser.run("window.isTheSamePage = true")

    database.start()
    browser.wait(NO_OUTAGE, NOTICED_S_MAX)
    browser.wait(PLOTS.replace("arguments[0]", "1"), NOTICED_S_MAX)
    browser.wait("return document.querySelector('.saying .paid') !== null", NOTICED_S_MAX)
    assert browser.run("return window.isTheSamePage")
