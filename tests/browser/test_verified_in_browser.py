"""Verified in the browser: the same answers as elsewhere, nothing leaves it, and without a network it is the same page."""

from __future__ import annotations

import functools
import threading
import tomllib
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gridcore.sm3 import sm3
from gridweb.build_offline import PAGE
from tests.browser.browser_world import AXE, LANGUAGE_TAGS, NEEDS_CHROMIUM, BillLine, Visit
from tests.browser.chromium import Browser, Look
from tests.conftest import REPOSITORY
from tests.unit.verify.honest import TRADE
from tests.unit.verify.test_javascript_verifier import VECTORS, case_input

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
ANSWER = "[data-verdict] .answer"
VERIFY_NOW = "form[action*='/verify'] button"
ASK = """
const done = arguments[arguments.length - 1];
import("/tests/unit/verify/javascript_answers.mjs").then((module) => done(arguments[0].map(module.answerTo)), (why) => done(String(why)));
"""
CASES_EVERY = 4
"""In the browser every fourth case of the bundles; Node.js is asked them all."""


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def repository() -> Iterator[str]:
    """The address of a server of the repository's files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(REPOSITORY)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A good bundle, its trust root and its book."""
    (tmp_path / "line.evd").write_bytes(TRADE.bundle_bytes)
    (tmp_path / "trust.json").write_bytes(TRADE.trust_bytes)
    (tmp_path / "slot.book").write_bytes(TRADE.book_bytes)
    return tmp_path


def choose(browser: Browser, files: Path, within: str = "body") -> None:
    """Put the files into the form, and ask."""
    for name, file in (("bundle", "line.evd"), ("trust", "trust.json"), ("book", "slot.book")):
        browser.find(f"{within} input[name={name}]").send_keys(str(files / file))
    browser.click(f"{within} form[data-words] button")


def test_chromium_answers_the_vectors_as_they_expect(browser: Browser, repository: str) -> None:
    browser.open(f"{repository}/tests/unit/verify/")
    for handler in ("sm3/1", "sm2_verify/1", "merkle_inclusion/1", "merkle_root/1", "salted_root/1", "bundle_verify/1"):
        step = CASES_EVERY if handler == "bundle_verify/1" else 1
        folders = sorted((VECTORS / handler.partition("/")[0]).iterdir())[::step]
        assert folders
        cases = [tomllib.loads((folder / "case.toml").read_text(encoding="utf-8")) for folder in folders]
        for folder, case in zip(folders, cases, strict=True):
            given = case_input(handler, folder, case)
            shown = {key: value.hex() if isinstance(value, bytes) else value for key, value in given.items()}
            answers = browser.driver.execute_async_script(ASK, [{"handler": handler, "input": shown}])
            assert isinstance(answers, list), answers
            expected = case.get("expect", {"error": True})
            found = {key: answers[0].get(key) for key in expected}
            if "answer" in found:
                found["answer"] = str(found["answer"]).replace(" ", "_")
            assert found == expected, folder.name


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
@pytest.mark.parametrize("width", [1280, 390])
def test_files_are_verified_on_the_page_and_nothing_leaves_it(
    visit: Visit, files: Path, language: str, width: int
) -> None:
    browser = visit.browser
    visit.sign_in("")
    browser.look(Look(width, language=language))
    visit.open(f"/verify?lang={language}&theme=auto")
    browser.requests()

    choose(browser, files)

    assert browser.find(ANSWER).get_attribute("data-answer") == "verified"
    assert [address for address in browser.requests() if not address.startswith("data:")] == []
    assert browser.complaints() == []
    assert "h1" in browser.text("[data-verdict] .bill")
    assert browser.overflow_px() <= 0
    assert browser.accessibility_findings(AXE) == []


def test_a_trust_root_that_is_none_and_a_missing_proof_are_said(visit: Visit, files: Path) -> None:
    browser = visit.browser
    visit.sign_in("")
    visit.open("/verify?lang=en")
    browser.click("form[data-words] button")
    assert "Choose a proof first" in browser.text("[data-verdict]")
    (files / "trust.json").write_bytes(b"{}")
    choose(browser, files)
    assert browser.find(ANSWER).get_attribute("data-answer") == "bad usage"
    assert "trust.json: the trust file is malformed" in browser.text("[data-verdict]")


def test_a_verdict_that_comes_after_other_files_were_chosen_is_not_shown(visit: Visit, files: Path) -> None:
    browser = visit.browser
    visit.sign_in("")
    visit.open("/verify?lang=en")
    browser.run(
        "const read = Blob.prototype.arrayBuffer; window.held = [];"
        "Blob.prototype.arrayBuffer = function () {"
        "  return read.call(this).then((bytes) => new Promise((go) => window.held.push(() => go(bytes))));"
        "};"
    )
    choose(browser, files)
    browser.wait("return window.held.length === 3")
    (files / "other.evd").write_bytes(b"other")
    browser.find("input[name=bundle]").send_keys(str(files / "other.evd"))

    browser.run("window.held.forEach((go) => go())")
    browser.driver.execute_async_script("setTimeout(arguments[arguments.length - 1])")

    assert browser.run("return document.querySelector('[data-verdict]').childElementCount") == 0


def test_verify_now_asks_the_server_for_proof_and_trust_root_alone(visit: Visit, line: BillLine) -> None:
    browser = visit.browser
    visit.sign_in("household", line.party)
    visit.open(line.address + "?lang=en")
    visit.settle()
    browser.requests()

    browser.click(VERIFY_NOW)

    assert browser.find("#verdict .answer").get_attribute("data-answer") == "verified"
    asked = {address.removeprefix(visit.url) for address in browser.requests() if not address.startswith("data:")}
    assert asked == {f"{line.address}/bundle", "/trust.json"}
    assert browser.complaints() == []


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_sample_is_drawn_by_the_seed_and_verified_in_the_browser(visit: Visit, language: str, width: int) -> None:
    browser, seed, count = visit.browser, "骰子 4 2 6", 6
    visit.sign_in("regulator")
    browser.look(Look(width, language=language))
    visit.open(f"/sample?lang={language}&theme=auto")

    browser.find("input[name=seed]").send_keys(seed)
    browser.run("document.querySelector('input[name=count]').value = arguments[0]", count)
    browser.click("form[data-sample] button")
    browser.wait(f"return document.querySelectorAll('tr[data-row]').length === {count}")
    found = browser.run(
        "return [...document.querySelectorAll('tr[data-row]')].map((row) => [row.dataset.row, row.dataset.answer])"
    )
    texts = browser.run("return [...document.querySelectorAll('[data-protocol] dd')].map((value) => value.textContent)")
    rows = int(texts[4])
    drawn = [
        int.from_bytes(sm3(seed.encode() + number.to_bytes(4, "big")), "big") % rows for number in range(1, count + 1)
    ]
    assert [int(row) for row, _ in found] == drawn
    assert {answer for _, answer in found} <= {"verified", "unbilled"}
    assert "verified" in {answer for _, answer in found}
    assert browser.complaints() == []
    assert browser.overflow_px() <= 0
    assert browser.accessibility_findings(AXE) == []


def test_a_second_click_while_a_sample_is_drawn_draws_no_other_one(visit: Visit) -> None:
    browser = visit.browser
    visit.sign_in("regulator")
    visit.open("/sample?lang=en")
    browser.run(
        "const get = window.fetch, go = new Promise((found) => (window.go = found)); window.asked = [];"
        "window.fetch = (address) => { window.asked.push(address); return go.then(() => get(address)); };"
    )
    browser.find("input[name=seed]").send_keys("dice")
    browser.click("form[data-sample] button")
    browser.wait("return window.asked.length > 0")
    browser.run("document.querySelector('form[data-sample]').requestSubmit()")
    browser.run("window.go()")

    browser.wait("return document.querySelector('tr[data-row]') !== null")
    assert browser.run("return window.asked.filter((one) => one === '/trust.json').length") == 1


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
def test_the_page_to_keep_verifies_from_the_disk_without_a_network(
    browser: Browser, files: Path, language: str
) -> None:
    kept = files / "verify-offline.html"
    kept.write_bytes(PAGE.read_bytes())
    browser.look(Look(390))
    browser.open(kept.as_uri())
    browser.requests()

    choose(browser, files, f"#{language}")

    assert browser.find(f"#{language} {ANSWER}").get_attribute("data-answer") == "verified"
    assert [address for address in browser.requests() if not address.startswith("data:")] == []
    assert browser.complaints() == []
    assert browser.overflow_px() <= 0
    assert browser.accessibility_findings(AXE) == []
