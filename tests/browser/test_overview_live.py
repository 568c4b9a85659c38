"""The overview while the day runs: it fills by itself, and goes on after its server was killed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from simulators.meters.broker import mosquitto_program
from tests.browser.browser_world import NEEDS_CHROMIUM, Visit
from tests.browser.chromium import Browser, Look
from tests.demo.demo_run import read_pid
from tests.demo.live import LiveDemo, demo_that_goes_on

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
SETTLED = "return Number(document.querySelector('.state-initial b')?.textContent ?? 0)"
MORE_SETTLED = """
const settled = Number(document.querySelector(".state-initial b")?.textContent ?? 0);
const cells = document.querySelectorAll(".slot-grid a.state-initial").length;
const says = document.querySelector(".headline").textContent.includes(`${settled} of 96 slots of the day are settled`);
return settled > arguments[0] && cells === settled && says && settled;
"""
ABSENT = """
return [...document.querySelectorAll("p")].map((line) => line.innerText).find((text) => text.includes("Devices without values"))
"""
STREAM = "return document.documentElement.dataset.stream === arguments[0]"


@pytest.fixture
def running(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDemo]:
    """A demonstration whose pages have just begun to answer."""
    with demo_that_goes_on(tmp_path_factory.mktemp("running") / "out") as demo:
        demo.wait_for_pages()
        yield demo


def test_slots_fill_one_after_the_other_and_go_on_after_the_server_was_killed_without_a_reload(
    browser: Browser, running: LiveDemo
) -> None:
    browser.look(Look())
    visit = Visit(browser, running.url())
    visit.sign_in("utility")
    visit.open("/overview?lang=en")
    visit.settle()
    browser.run("window.isTheSamePage = true")

    first = browser.wait(SETTLED)
    browser.wait("return window.firstCanvas = document.querySelector('figure.chart canvas')")
    second = wait_for_more(browser, first)
    before = running.pid("web")
    os.kill(before, signal.SIGKILL)
    browser.wait(STREAM.replace("arguments[0]", "'off'"))
    at_the_kill = browser.run(SETTLED)
    running.wait_for(
        lambda: pid if (pid := read_pid(running.out, "web")) not in (None, before) else None, "new process"
    )
    browser.wait(STREAM.replace("arguments[0]", "'on'"))
    last = wait_for_more(browser, at_the_kill)

    assert 0 < first < second
    assert at_the_kill < last
    assert browser.run("return window.isTheSamePage")
    assert browser.run("return document.querySelector('figure.chart canvas') === firstCanvas"), "charts stand"
    assert running.process.poll() is None


@pytest.mark.external
@pytest.mark.skipif(mosquitto_program() is None, reason="mosquitto is missing: apt-get install mosquitto")
def test_a_broker_that_hangs_is_seen_by_its_devices_and_since_when_and_nothing_is_left_of_it_afterwards(
    browser: Browser, running: LiveDemo
) -> None:
    browser.look(Look())
    visit = Visit(browser, running.url())
    visit.sign_in("utility")
    visit.open("/overview?lang=en")
    browser.run("window.isTheSamePage = true")
    wait_for_more(browser, 2)  # the devices have been heard
    broker = running.pid("broker")
    os.kill(broker, signal.SIGSTOP)
    try:
        said = browser.wait(ABSENT)
        visit.open("/quality?lang=en")
        absent = browser.text("#devices tbody tr")
        browser.run("window.isTheSamePage = true")
    finally:
        os.kill(broker, signal.SIGCONT)
    browser.wait("return document.querySelector('#devices .table-title').textContent === 'Voltages'")

    assert re.search(r"(Shelly|Tasmota) H\d+ \([a-z ]+, last value at 2026-06-21 \d\d:\d\d\)", said)
    assert re.search(r"(Shelly|Tasmota) H\d+\s+(no answer|last value too old)\s+2026-06-21 \d\d:\d\d", absent)
    assert browser.run("return window.isTheSamePage")


def wait_for_more(browser: Browser, settled: int) -> int:
    """Wait until more slots than so many are settled, and headline and grid say the same; how many."""
    return int(browser.wait(MORE_SETTLED.replace("arguments[0]", str(settled))))
