"""A proposal is written in the browser, made and voted on by the commands, and watched there until it is decided."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gridcore.serving.asgi import open_socket
from gridledger.serving import KeyConfig, Parts, ServeConfig, open_parts, serve_pages
from gridseries.config import SeriesConfig
from gridweb.config import WebConfig
from ledger.trust import trust_of
from tests.browser.browser_world import AXE, NEEDS_CHROMIUM, Visit, untranslated
from tests.browser.chromium import Browser, Look
from tests.unit.governance.test_governance_page import WORLD, Desk
from tests.worlds.nodes import RunningNode, running_node

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
STATUS = "return document.querySelector('[data-status]')?.dataset.status === arguments[0]"
WORDS = {"en": ("being voted on", "passed"), "zh_CN": ("表决中", "已通过")}


def parts_of(folder: Path, node: RunningNode) -> Parts:
    """Pages of the regulator's administrator, open to everybody by role."""
    (folder / "trust.json").write_text(json.dumps(trust_of(WORLD.genesis)))
    return open_parts(
        ServeConfig(
            node=node.url,
            key=KeyConfig("reg-admin", f"file:{folder / 'reg-admin.pem'}", f"file:{folder / 'password'}"),
            web=WebConfig(trust=folder / "trust.json", users=folder / "users.db", demo=True),
            series=SeriesConfig(path=folder / "series.db"),
        )
    )


@asynccontextmanager
async def pages(folder: Path, node: RunningNode) -> AsyncIterator[str]:
    """The address of the pages of a node."""
    stop, bound = asyncio.Event(), open_socket("127.0.0.1", 0)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_pages(parts_of(folder, node), bound, stop, ready=url.set_result))
    try:
        yield await url
    finally:
        stop.set()
        await serving


def write_proposal(browser: Browser, visit: Visit, folder: Path, language: str) -> None:
    """Ask for three organisations to approve contracts, first for a number that is none; save what the page gives as a file."""
    visit.open(f"/consortium/proposals/new?form=thresholds&lang={language}")
    assert browser.find("#contract").get_attribute("value") == "2", "what is in force now"
    browser.find("#contract").send_keys("x")
    browser.leave(lambda: browser.click("form.proposal button[value=check]"))
    assert browser.run("return document.querySelector('#contract').getAttribute('aria-invalid')") == "true"
    assert browser.run("return document.querySelector('pre.file')") is None
    browser.find("#contract").clear()
    browser.find("#contract").send_keys("3")
    browser.leave(lambda: browser.click("form.proposal button[value=check]"))
    assert browser.accessibility_findings(AXE) == []
    (folder / "written.toml").write_text(browser.text("pre.file"), "utf-8")


def open_newest(browser: Browser, visit: Visit) -> None:
    """Wait on the list until the proposal comes by itself, and open it."""
    browser.wait("return document.querySelector('figure.table tbody th a')")
    assert browser.run("return window.isTheSamePage")
    browser.leave(lambda: browser.click("figure.table tbody th a"))
    visit.settle()
    browser.run("window.isTheSamePage = true")


@pytest.mark.parametrize("language", WORDS)
async def test_a_proposal_is_written_made_voted_on_and_decided_before_somebodys_eyes(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    monkeypatch.chdir(tmp_path)
    is_open, is_passed = WORDS[language]
    async with running_node(tmp_path / "ledger", WORLD) as node:
        desk = Desk(node, tmp_path, capsys)
        async with pages(tmp_path, node) as url:
            browser.look(Look(language=language))
            visit = Visit(browser, url)
            await asyncio.to_thread(visit.sign_in, "administrator")
            await asyncio.to_thread(write_proposal, browser, visit, tmp_path, language)
            await asyncio.to_thread(visit.open, f"/consortium/proposals?lang={language}")
            await asyncio.to_thread(visit.settle)
            browser.run("window.isTheSamePage = true")

            who = f"--url {node.url} --key file:{{0}}.pem --signer {{0}} --password file:password"
            status, said = await desk.run(f"gridledger consortium propose written.toml {who.format('admin')}")
            assert status == 0, said
            await asyncio.to_thread(open_newest, browser, visit)
            assert is_open in browser.text("[data-status]")
            command = browser.text("pre.command").split(" --in-favour ")[0]
            assert command == f"gridledger consortium vote {desk.proposal}"
            if language == "zh_CN":
                assert list(untranslated(visit.texts())) == []

            status, said = await desk.run(f"{command} --in-favour {who.format('dso-admin')}")
            assert (status, said["status"]) == (0, "passed")
            await asyncio.to_thread(browser.wait, STATUS.replace("arguments[0]", "'passed'"))
            assert is_passed in browser.text("[data-status]")
            assert browser.run("return document.querySelector('pre.command')") is None
            assert browser.run("return window.isTheSamePage"), "nobody has loaded it again"
            assert browser.accessibility_findings(AXE) == []
            assert browser.overflow_px() <= 0
