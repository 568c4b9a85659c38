"""From the bill to the proof as a household walks it: click by click, by keyboard alone, and at home with a file and a command."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from gridcore.verify import CLAIMS
from tests.browser.browser_world import NEEDS_CHROMIUM, BillLine, Visit
from tests.browser.chromium import PATIENCE_S, Browser, Look
from tests.conftest import REPOSITORY
from tests.waiting import wait_until

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
CLICKS_MAX = 4
TABS_MAX = 80
ANSWER = ".answer[data-answer]"
VERIFY = "form[action*='/verify'] button"
CHEAT = "form.cheat button"
FOCUS_IS_SEEN = """
const style = getComputedStyle(document.activeElement);
return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
"""


class Walk:
    """Somebody who counts the clicks."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.clicks = 0

    def click(self, selector: str) -> None:
        """Click on something of this page."""
        self.browser.click(selector)
        self.clicks += 1

    def follow(self, selector: str) -> None:
        """Click on what leads to another page."""
        self.browser.leave(lambda: self.click(selector))


@pytest.fixture
def home(visit: Visit, line: BillLine) -> Browser:
    """The browser of the household, in English, at its own page."""
    visit.browser.look(Look())
    visit.sign_in("household", line.party)
    visit.open("/?lang=en&theme=auto")
    visit.settle()
    return visit.browser


def at_line(visit: Visit, line: BillLine) -> Browser:
    """The browser of the household at the page of a line."""
    visit.sign_in("household", line.party)
    visit.open(line.address + "?lang=en")
    visit.settle()
    return visit.browser


def link_of(line: BillLine) -> str:
    """The line on the statement."""
    return f"a[href='{line.address}']"


def fold_of(line: BillLine) -> str:
    """What unfolds the lines of the statement among which the line is."""
    return f"details.lines:has({link_of(line)}) > summary"


def statement_of(line: BillLine) -> str:
    """The statement on the household's own page."""
    return f"main a[href^='/households/{line.party}/statement']"


def test_from_the_bill_to_the_verified_proof_takes_no_more_than_four_clicks(
    visit: Visit, home: Browser, line: BillLine
) -> None:
    walk = Walk(home)
    assert home.driver.current_url == f"{visit.url}/households/{line.party}"

    walk.follow(statement_of(line))
    walk.click(fold_of(line))
    walk.follow(link_of(line))
    walk.click(VERIFY)

    assert home.find(ANSWER).get_attribute("data-answer") == "verified"
    assert home.text(ANSWER).startswith("✓ Verified")
    assert walk.clicks <= CLICKS_MAX
    claims = home.text(".verdict .claims")
    assert [name for name in ("line", "energy", "readings", "signatures", "certificate") if name not in claims] == []
    assert "SIMULATED" in home.text(".verdict")
    assert home.complaints() == []


def test_the_same_way_is_open_by_keyboard_alone(visit: Visit, home: Browser, line: BillLine) -> None:
    tab_to(home, statement_of(line))
    home.leave(lambda: press(home, Keys.ENTER))
    tab_to(home, fold_of(line))
    press(home, Keys.ENTER)
    tab_to(home, link_of(line))
    home.leave(lambda: press(home, Keys.ENTER))
    tab_to(home, VERIFY)
    press(home, Keys.ENTER)

    assert home.find(ANSWER).get_attribute("data-answer") == "verified"


def test_a_bar_of_an_hour_leads_to_its_lines_unfolded(visit: Visit, home: Browser, line: BillLine) -> None:
    home.leave(lambda: home.click(f"figure.bars a[href$='hour-{line.slot_start_s - line.slot_start_s % 3600}']"))

    home.wait("return document.querySelector('details.lines[open]') !== null")
    assert home.find(link_of(line)).is_displayed()
    assert len(home.driver.find_elements(By.CSS_SELECTOR, "details.lines[open]")) == 1


def test_the_keyboard_reaches_the_content_past_the_bar_with_one_key(visit: Visit, home: Browser) -> None:
    tab_to(home, "a.skip")
    press(home, Keys.ENTER)
    press(home, Keys.TAB)

    assert home.run("return document.querySelector('main').contains(document.activeElement)")


def test_every_attempt_at_cheating_is_answered_not_verified_with_the_claim_that_fails(
    visit: Visit, line: BillLine
) -> None:
    browser = at_line(visit, line)
    names = [option.get_attribute("value") or "" for option in Select(browser.find("#what")).options]

    for name in names:
        browser.run("document.querySelector('#verdict').replaceChildren()")
        Select(browser.find("#what")).select_by_value(name)
        browser.click(CHEAT)
        browser.wait(f"return document.querySelectorAll('#verdict {ANSWER}').length === 2")
        whole, altered = browser.driver.find_elements(By.CSS_SELECTOR, f"#verdict {ANSWER}")
        assert whole.get_attribute("data-answer") == "verified", name
        assert altered.get_attribute("data-answer") == "not verified", name
        failed = browser.find("#verdict .failed").get_attribute("data-failed")
        assert failed in CLAIMS, name
        assert str(failed) in browser.text("#verdict .failed"), name

    assert len(names) > 5
    assert browser.complaints() == []


def test_without_scripts_the_same_buttons_give_the_same_answers(visit: Visit, line: BillLine) -> None:
    browser = at_line(visit, line)
    try:
        browser.allow_scripts(is_allowed=False)
        browser.driver.refresh()
        browser.click(VERIFY)
        assert browser.find(ANSWER).get_attribute("data-answer") == "verified"
        assert browser.driver.current_url.endswith("/verify#verdict")
        browser.click(CHEAT)
        browser.find("#verdict .failed")
        answers = browser.driver.find_elements(By.CSS_SELECTOR, ANSWER)
        assert [answer.get_attribute("data-answer") for answer in answers] == ["verified", "not verified"]
    finally:
        browser.allow_scripts(is_allowed=True)


def test_what_is_downloaded_verifies_at_home_with_the_command_of_the_page(
    visit: Visit, line: BillLine, tmp_path: Path
) -> None:
    browser = at_line(visit, line)
    browser.download_to(tmp_path)
    browser.run("document.querySelector('details.yourself').open = true")

    names = {link.text for link in browser.driver.find_elements(By.CSS_SELECTOR, "details.yourself a[download]")}
    for name in sorted(names):
        browser.click(f"details.yourself a[download][href$='{'/bundle' if name.endswith('.evd') else '/' + name}']")
        wait_for_file(tmp_path / name)
    shown = browser.text("details.yourself pre")
    command = [sys.executable if word == "python3" else word for word in shlex.split(shown)]
    at_home = run(command, tmp_path)
    bundle = next(name for name in names if name.endswith(".evd"))
    ours = run(
        [sys.executable, "-I", "-S", str(REPOSITORY / "gridcore" / "verify.py"), bundle, "--trust", "trust.json"],
        tmp_path,
    )

    assert shlex.split(shown)[:3] == ["python3", "-I", "-S"]
    assert {"trust.json", "verify.py"} < names
    assert at_home.returncode == 0, at_home.stderr
    assert "VERIFIED" in at_home.stdout
    assert f"{line.party}, meter" in at_home.stdout
    assert ours.stdout == at_home.stdout
    assert (tmp_path / "verify.py").read_bytes() == (REPOSITORY / "gridcore" / "verify.py").read_bytes()


def test_a_downloaded_altered_copy_is_not_verified_at_home(visit: Visit, line: BillLine, tmp_path: Path) -> None:
    browser = at_line(visit, line)
    browser.download_to(tmp_path)
    browser.click(CHEAT)
    browser.click("#verdict .altered a")
    altered = wait_for_file(tmp_path, ".evd")
    browser.click("a[href$='/bundle'][role=button]")
    whole = wait_for_file(tmp_path / re.sub(r"-altered-\w+", "", altered.name))
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps(browser.fetch_json("/trust.json")))

    verdicts = [
        run([sys.executable, "-m", "gridcore.verify", str(path), "--trust", str(trust)], REPOSITORY)
        for path in (whole, altered)
    ]

    assert [verdict.returncode for verdict in verdicts] == [0, 1]
    assert "NOT VERIFIED" in verdicts[1].stdout


def test_every_amount_of_the_statement_is_the_sum_of_its_lines_and_nothing_names_a_neighbour(
    visit: Visit, home: Browser, line: BillLine
) -> None:
    home.leave(lambda: home.click(statement_of(line)))
    rows = home.fetch_json(home.find("figure.statement a[href*='format=json']").get_attribute("href") or "")
    keys = [column["key"] for column in rows["columns"]]
    amounts = [row[keys.index("amount_nano")] for row in rows["rows"]]
    total = home.text("figure.statement .total strong").split()[0]
    is_paid = home.text("figure.statement .total span") == "You pay"

    assert len(amounts) == len(home.driver.find_elements(By.CSS_SELECTOR, "figure.statement tbody td a"))
    assert is_paid == (sum(amounts) >= 0)
    assert abs(float(total.replace(",", "")) - abs(sum(amounts)) / 1e9) <= 0.5e-4
    page = home.run("return document.documentElement.outerHTML")
    others = [f"H{number:03d}" for number in range(1, 14) if f"H{number:03d}" != line.party]
    assert [party for party in others if party in page] == []


def tab_to(browser: Browser, selector: str) -> None:
    """Press Tab until something of the selector has the focus, which must be seen there."""
    for _ in range(TABS_MAX):
        press(browser, Keys.TAB)
        if browser.run("return document.activeElement.matches(arguments[0])", selector):
            assert browser.run(FOCUS_IS_SEEN), f"the focus on {selector} is not seen"
            return
    raise AssertionError(f"{TABS_MAX} times Tab do not reach {selector}")


def press(browser: Browser, key: str) -> None:
    """Press a key, wherever the focus is."""
    ActionChains(browser.driver).send_keys(key).perform()


def wait_for_file(path: Path, end: str = "") -> Path:
    """A file that is being downloaded, or the first one with this ``end`` in a folder."""

    def found() -> list[Path]:
        files = sorted(path.glob(f"*{end}")) if end else [path]
        return [file for file in files if file.is_file() and file.stat().st_size]

    wait_until(found, f"{path}{end} downloaded", PATIENCE_S)
    return found()[0]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody at home does."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
