"""One demonstration and one browser for all browser tests of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.browser_world import HOUSEHOLDS, SLOTS, BillLine, Visit, find_line, register_tariff
from tests.browser.chromium import Browser, open_browser
from tests.demo.live import LiveDemo, live_demo


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDemo]:
    """A demonstration whose day is over, whose pages go on, and whose newest figures have reached them."""
    with live_demo(tmp_path_factory.mktemp("pages") / "out", households=HOUSEHOLDS, slots=SLOTS) as demo:
        demo.wait_until_over()
        visitor = demo.visitor("utility")
        demo.wait_for(
            lambda: visitor.rows("/api/v1/areas")[0]["settled"] == SLOTS or None, "settled slots on the pages"
        )
        sold = find_line(demo)
        register_tariff(demo, sold.area, sold.party)
        yield demo


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The one window."""
    with open_browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="session")
def line(demonstration: LiveDemo) -> BillLine:
    """A line of the bill of a household that sold to its neighbours."""
    return find_line(demonstration)


@pytest.fixture(scope="module")
def visit(browser: Browser, demonstration: LiveDemo) -> Visit:
    """Somebody at the pages of the demonstration."""
    return Visit(browser, demonstration.url())


@pytest.fixture(autouse=True)
def nothing_remembered(request: pytest.FixtureRequest) -> None:
    """What an earlier test made the console say is not this one's."""
    if "browser" in request.fixturenames:
        found: Browser = request.getfixturevalue("browser")
        found.open("about:blank")  # a page that is left open goes on complaining about its server
        found.complaints()
        found.requests()
