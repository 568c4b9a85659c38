"""Fills in and sends forms that are signed in the browser, as a person does."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.support.select import Select

from tests.browser.chromium import Browser

ANSWERED = """
const form = document.querySelector("form.signed");
return form !== null && form.querySelector("[aria-busy]") === null && form.querySelector(".said").textContent;
"""


def fill(browser: Browser, key: Path, password: str, **fields: str) -> None:
    """Fill in a page's one such form. fields: by their names, or what they are called by ``data-field``; "" leaves one as it is."""
    for name, text in fields.items():
        field = browser.find(f"form.signed [name={name}], form.signed [data-field={name}]")
        if field.tag_name == "select":
            Select(field).select_by_value(text)
        elif text:
            field.clear()
            field.send_keys(text)
    browser.find("form.signed [type=file]").send_keys(str(key))
    typed = browser.find("form.signed [type=password]")
    typed.clear()
    typed.send_keys(password)


def send(browser: Browser) -> None:
    """Sign and send it."""
    browser.click("form.signed [type=submit]")


def wait_for(browser: Browser, said: str) -> None:
    """The form's answer is this line; one that is taken shows it for a moment and then leads on."""
    assert browser.wait(ANSWERED) == said
