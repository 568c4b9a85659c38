"""Fills in and sends forms that are signed in the browser, as a person does."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.support.select import Select

from tests.browser.chromium import Browser

SIGNED = "form.signed"
ANSWERED = """
const form = document.querySelector("FORM");
return form !== null && form.querySelector("[aria-busy]") === null && form.querySelector(".said").textContent;
"""


def fill(browser: Browser, key: Path, password: str, *, form: str = SIGNED, **fields: str) -> None:
    """Fill in such a form of a page, by itself the first. fields: by their names, or what they are called by ``data-field``; "" leaves one as it is."""
    for name, text in fields.items():
        field = browser.find(f"{form} [name={name}], {form} [data-field={name}]")
        if field.tag_name == "select":
            Select(field).select_by_value(text)
        elif text:
            field.clear()
            field.send_keys(text)
    browser.find(f"{form} [type=file]").send_keys(str(key))
    typed = browser.find(f"{form} [type=password]")
    typed.clear()
    typed.send_keys(password)


def send(browser: Browser, *, form: str = SIGNED) -> None:
    """Sign and send it."""
    browser.click(f"{form} [type=submit]")


def wait_for(browser: Browser, said: str, *, form: str = SIGNED) -> None:
    """The form's answer is this line; one that is taken shows it for a moment and then leads on."""
    assert browser.wait(ANSWERED.replace("FORM", form)) == said
