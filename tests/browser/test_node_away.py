"""A node that is away for good: pages say what is missing and since when, show what is left, and recover by themselves; and
names out of the ledger that hold markup.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Iterator

import pytest

from gridcore.observations import Observation, Observations, encode_observations
from gridcore.quality import MEASURED
from gridcore.transactions.content import sign_content
from gridcore.transactions.reading_batch import ClockState, ReadingBatch
from gridcore.transactions.readings import SEED_BYTES, Reading, attach
from tests.browser.browser_world import NEEDS_CHROMIUM, BillLine, Visit
from tests.browser.chromium import Browser, Look
from tests.browser.rehosted import Rehosted, rehosted
from tests.demo.live import LiveDemo
from tests.waiting import wait_until

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
NO_OUTAGE = "return document.querySelector('.statusbar .outage') === null"
SCRIPT = "<script>window.isExecuted = 1</script>"
IMAGE = '"><img src=x onerror="window.isExecuted=2">'
GATEWAY = "gateway-1"
RETURN_S_MAX = 30.0
"""On a ledger where nothing happens; the projection holds a question open for half of it."""


@pytest.fixture(scope="module")
def copy(demonstration: LiveDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehosted]:
    """A copy whose processes the tests of this file stop and start."""
    with rehosted(demonstration, tmp_path_factory.mktemp("copy")) as found:
        yield found


def test_while_the_node_is_away_pages_say_so_and_show_what_is_left_and_they_recover_by_themselves(
    browser: Browser, copy: Rehosted, line: BillLine
) -> None:
    browser.look(Look())
    visit = Visit(browser, copy.url)
    visit.sign_in("household", line.party)
    visit.open("/?lang=en")
    visit.settle()
    paid = browser.text(".saying .paid")
    browser.run("window.isTheSamePage = true")

    copy.stop("node")
    outage = browser.text(".statusbar .outage")
    assert "the ledger node: away since 20" in outage
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d", outage)
    assert browser.run("return window.isTheSamePage")
    assert browser.text(".saying .paid") == paid, "the figures come out of the time series"
    for path in ("/", f"/households/{line.party}/statement", line.address, f"/households/{line.party}/year"):
        visit.open(path)
        assert "away since" in browser.text(".statusbar .outage"), path
        assert "A fault of this server" not in browser.text(), path
    visit.open("/")
    browser.run("window.isTheSamePage = true")

    copy.start_node()
    browser.wait(NO_OUTAGE, RETURN_S_MAX)
    assert browser.run("return window.isTheSamePage")
    assert browser.text(".saying .paid") == paid


def test_the_overview_without_a_node_keeps_its_frame_and_says_what_each_part_needs(
    browser: Browser, copy: Rehosted, line: BillLine
) -> None:
    visit = Visit(browser, copy.url)
    visit.sign_in("utility")
    copy.stop("node")
    try:
        for path in (
            "/overview?lang=en",
            "/quality",
            "/households",
            f"/slots/{line.area}/{line.slot_start_s}",
            "/blocks",
        ):
            visit.open(path)
            assert "away since" in browser.text(".statusbar .outage"), path
            assert "A fault of this server" not in browser.text(), path
        copy.stop("web")
        copy.start_pages()
        visit.open("/overview")
        assert "away since" in browser.text(), "pages that were started without a node"
        browser.run("window.isTheSamePage = true")
    finally:
        copy.start_node()
    browser.wait(NO_OUTAGE, RETURN_S_MAX)
    browser.wait("return document.querySelectorAll('figure.chart .u-over').length === 2", RETURN_S_MAX)
    assert browser.run("return window.isTheSamePage")


def test_a_page_of_which_nothing_could_be_shown_opens_again_by_itself(
    browser: Browser, copy: Rehosted, line: BillLine
) -> None:
    visit = Visit(browser, copy.url)
    visit.sign_in("household", line.party)
    copy.stop("node")
    try:
        copy.stop("web")
        copy.start_pages()
        visit.open(f"/households/{line.party}?lang=en")
        assert "Not now" in browser.text("h1")
        assert "opens again by itself" in browser.text("[data-opens-again]")
    finally:
        copy.start_node()
    browser.wait("return document.querySelector('.saying .paid') !== null", RETURN_S_MAX)


def test_names_with_markup_are_shown_and_not_executed(browser: Browser, copy: Rehosted) -> None:
    boundary_s = asyncio.run(observe(copy, {9_001: SCRIPT, 9_002: IMAGE}))
    visit = Visit(browser, copy.url)
    visit.sign_in("utility")
    table = f"/api/v1/gateways/{GATEWAY}/observations?boundary_s={boundary_s}"
    visit.open("/condition?lang=en")
    wait_until(lambda: json.dumps(IMAGE)[1:-1] in browser.fetch_text(table), "the names in the table of the interface")
    visit.open("/quality")
    visit.settle()

    text = browser.run("return document.body.textContent")
    rows = browser.fetch_json(table)["rows"]

    assert SCRIPT in text
    assert IMAGE in text
    assert {SCRIPT, IMAGE} <= {value for row in rows for value in row}
    assert browser.run("return window.isExecuted === undefined")
    assert browser.run("return document.querySelector('img[src=x]') === null")
    assert [text for text in browser.complaints() if "Content Security Policy" in text] == []


async def observe(copy: Rehosted, names: dict[int, str]) -> int:
    """Sign a batch of the gateway with voltages of devices of these names; its boundary."""
    async with copy.client(GATEWAY) as client:
        chain = (await client.status()).chain
        standing = await client.query(f"gateways/{GATEWAY}")
        boundary_s = standing["last_boundary_s"]
        rows = [Reading(1, 0, MEASURED, 1, 1)]
        seen = tuple(Observation(device, "32.7.0", 1_000 * device, 0) for device in names)
        observations = encode_observations(Observations(seen, names, {}))
        attached = attach(secrets.token_bytes(SEED_BYTES), rows, observations)
        content = ReadingBatch(
            agent="test",
            boundary_s=boundary_s,
            clock=ClockState(0, "simulated"),
            configuration=bytes(32),
            counter=standing["counter"] + 1,
            epoch=standing["epoch"],
            previous=bytes.fromhex(standing["last"]),
            profiles=bytes(32),
            rows=attached.rows,
            rows_root=attached.rows_root,
            observations=attached.observations,
        )
        sign = copy.signer(GATEWAY).sign
        wire = sign_content(content, chain=chain, signer=GATEWAY, sign=sign, attachment=attached.attachment).wire
        (answer,) = await client.submit([wire])
        assert answer.name == "ACCEPTED"
        return int(boundary_s)
