"""The overview while the day runs: it fills by itself, and goes on after its server was killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.browser.browser_world import HOUSEHOLDS, NEEDS_CHROMIUM, Visit
from tests.browser.chromium import Browser, Look
from tests.demo.demo_run import read_pid
from tests.demo.live import LiveDemo, live_demo

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
SETTLED = "return Number(document.querySelector('.state-initial b')?.textContent ?? 0)"
CELLS = "return document.querySelectorAll('.slot-grid a.state-initial').length"
STREAM = "return document.documentElement.dataset.stream === arguments[0]"


@pytest.fixture
def running(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDemo]:
    """A demonstration of a whole day that has just printed its URL."""
    with live_demo(tmp_path_factory.mktemp("running") / "out", households=HOUSEHOLDS, slots=None) as demo:
        demo.url()
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
    second = browser.wait(
        f"{SETTLED} > {first} ? ({CELLS.removeprefix('return ')}) : 0".replace("return ", "return ", 1)
    )
    before = running.pid("web")
    os.kill(before, signal.SIGKILL)
    browser.wait(STREAM.replace("arguments[0]", "'off'"))
    at_the_kill = browser.run(SETTLED)
    running.wait_for(
        lambda: pid if (pid := read_pid(running.out, "web")) not in (None, before) else None, "new process"
    )
    browser.wait(STREAM.replace("arguments[0]", "'on'"))
    last = browser.wait(f"{SETTLED} > {at_the_kill} ? ({CELLS.removeprefix('return ')}) : 0")

    assert 0 < first < second
    assert at_the_kill < last
    assert browser.run("return window.isTheSamePage")
    assert f"{browser.run(SETTLED)} of 96 slots of the day are settled" in browser.text(".headline") or last < 96
    assert running.process.poll() is None
