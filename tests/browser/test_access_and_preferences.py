"""What stays chosen, what ends with the session, and what a household does not get by changing an address."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.by import By

from gridweb.i18n import catalogue
from tests.browser.browser_world import NEEDS_CHROMIUM, BillLine, Visit
from tests.browser.chromium import Browser, Look

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
BRIGHTNESS = """
const [red, green, blue] = getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number);
return (red + green + blue) / 3;
"""
FETCH = """
const done = arguments[arguments.length - 1];
fetch(arguments[0]).then(async (answer) => done({status: answer.status, type: answer.headers.get("content-type"), text: await answer.text()}));
"""
HEADING, ADVICE = "This is not open to you", "Your role does not open this page. If it should, ask your administrator."


def go(browser: Browser, selector: str) -> None:
    """Click on what leads to another page."""
    browser.leave(lambda: browser.click(selector))


def language(browser: Browser) -> str:
    """The language that the page says it is in."""
    return str(browser.run("return document.documentElement.lang"))


@pytest.fixture
def stranger(visit: Visit) -> Browser:
    """A browser that has chosen nothing yet."""
    visit.browser.look(Look())
    visit.browser.forget_cookies()
    return visit.browser


def test_a_language_that_was_chosen_stays_on_other_pages_and_after_signing_out(visit: Visit, stranger: Browser) -> None:
    visit.open("/sign-in")
    go(stranger, "a[href*='lang=zh_CN']")
    assert (language(stranger), stranger.text("h1")) == ("zh-CN", catalogue("zh_CN")["Sign in"])
    go(stranger, "button[value=utility]")
    assert language(stranger) == "zh-CN"
    visit.open("/quality")
    assert stranger.text("h1") == catalogue("zh_CN")["Data quality"]
    go(stranger, "form.who button")
    assert (language(stranger), stranger.text("h1")) == ("zh-CN", catalogue("zh_CN")["Sign in"])
    go(stranger, "a[href*='lang=en']")
    assert (language(stranger), stranger.text("h1")) == ("en", "Sign in")


@pytest.mark.parametrize(("theme", "system_is_dark"), [("dark", False), ("light", True)])
def test_a_brightness_that_was_chosen_stays_whatever_the_system_says(
    visit: Visit, stranger: Browser, theme: str, system_is_dark: bool
) -> None:
    stranger.look(Look(dark=system_is_dark))
    visit.open("/sign-in?lang=en")
    assert (stranger.run(BRIGHTNESS) < 128) is system_is_dark
    go(stranger, f"a[href*='theme={theme}']")
    assert (stranger.run(BRIGHTNESS) < 128) is (theme == "dark")
    go(stranger, "button[value=regulator]")
    visit.open("/blocks")
    assert (stranger.run(BRIGHTNESS) < 128) is (theme == "dark")
    go(stranger, "a[href*='theme=auto']")
    assert (stranger.run(BRIGHTNESS) < 128) is system_is_dark


def test_signing_out_ends_the_session_even_for_who_kept_its_cookie(visit: Visit, stranger: Browser) -> None:
    visit.open("/sign-in?lang=en")
    go(stranger, "button[value=utility]")
    kept = next(found for found in stranger.driver.get_cookies() if "_session" in found["name"])
    assert (kept["httpOnly"], kept["sameSite"]) == (True, "Strict")
    visit.open("/condition")
    assert stranger.text("h1") == "Condition"
    go(stranger, "form.who button")
    assert stranger.driver.current_url == f"{visit.url}/sign-in"
    stranger.driver.add_cookie({"name": kept["name"], "value": kept["value"], "path": "/"})
    visit.open("/condition")
    assert stranger.driver.current_url == f"{visit.url}/sign-in?next=/condition"
    go(stranger, "button[value=regulator]")
    assert stranger.driver.current_url == f"{visit.url}/condition"


@pytest.mark.parametrize("spoken", ["en", "zh_CN"])
def test_a_household_that_changes_the_address_to_a_neighbours_is_refused_in_its_language(
    visit: Visit, line: BillLine, spoken: str
) -> None:
    visit.sign_in("household", line.party)
    browser = visit.browser
    neighbour = "H001" if line.party != "H001" else "H002"
    words = {text: catalogue("zh_CN")[text] if spoken == "zh_CN" else text for text in (HEADING, ADVICE)}
    own = line.address.replace(line.party, "{party}", 1)
    for path in ("/households/{party}", "/households/{party}/statement", "/households/{party}/year", own):
        visit.open(path.format(party=neighbour) + f"?lang={spoken}")
        assert browser.text("h1") == words[HEADING], path
        assert words[ADVICE] in browser.text("main"), path
        assert answer_to(browser, path.format(party=neighbour))["status"] == 403, path
    visit.open("/overview")
    assert browser.text("h1") == words[HEADING]


def test_a_neighbours_tables_and_bundle_are_refused_and_ones_own_given(visit: Visit, line: BillLine) -> None:
    visit.sign_in("household", line.party)
    browser = visit.browser
    visit.open(f"/households/{line.party}/statement?lang=en")
    tables = {
        (link.get_attribute("href") or "").removeprefix(visit.url)
        for link in browser.driver.find_elements(By.CSS_SELECTOR, "main a[href*='format=']")
    }
    tables.add(f"/api/v1/households/{line.party}/intervals")
    neighbour = "H001" if line.party != "H001" else "H002"

    assert len(tables) >= 5
    for path in (*sorted(tables), line.address + "/bundle", line.address + "/altered?what=line"):
        theirs = answer_to(browser, path.replace(f"/{line.party}/", f"/{neighbour}/"))
        assert theirs["status"] == 403, path
        if path.startswith("/api/"):
            assert theirs["type"] == "application/problem+json", path
            assert neighbour not in theirs["text"], path
        if "altered" not in path:
            assert answer_to(browser, path)["status"] == 200, path
    # Whether the neighbour exists is not told either.
    assert answer_to(browser, "/households/H999")["status"] == 403


def answer_to(browser: Browser, path: str) -> dict[str, Any]:
    """What the server answers to this browser."""
    found: dict[str, Any] = browser.driver.execute_async_script(FETCH, path)
    return found
