"""Chromium as the browser tests drive it: the distribution's own, headless, with what it logs and asks for at hand."""

from __future__ import annotations

import base64
import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

INSTALL = "apt-get install chromium chromium-driver"
PATIENCE_S = 90.0
POLL_S = 0.1
HEIGHT_PX_MAX = 16_000
MARGIN_PX = 8
"""Below the last thing in a picture."""
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)
COVERED = (Path(__file__).parent / "covered_text.js").read_text(encoding="utf-8")
SERIOUS = frozenset({"serious", "critical"})


def is_there() -> bool:
    """Whether the browser and its driver are installed."""
    return shutil.which("chromium") is not None and shutil.which("chromedriver") is not None


@dataclass(frozen=True)
class Look:
    """How a page is looked at: width in CSS pixels, colour scheme, language."""

    width: int = 1280
    dark: bool = False
    language: str = "en"

    @property
    def name(self) -> str:
        """A word for test ids and file names."""
        return f"{self.width}-{'dark' if self.dark else 'light'}-{self.language}"


class Browser:
    """One window, and what its pages have logged and requested since that was asked for last."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.identity: object = None
        """Who is signed in, and where, as far as known: cookies are one machine's, whatever the port."""

    def look(self, look: Look) -> None:
        """Change width and colour scheme."""
        self._command(
            "Emulation.setDeviceMetricsOverride",
            {"width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": look.width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if look.dark else "light"}
        self._command("Emulation.setEmulatedMedia", {"features": [scheme]})

    def grow(self, width: int) -> None:
        """Make the window as high as the page, so that all of it is on the screen at once."""
        height = min(HEIGHT_PX_MAX, max(900, int(self.run("return document.documentElement.scrollHeight"))))
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._command("Emulation.setDeviceMetricsOverride", size)

    def print_look(self, *, is_on: bool) -> None:
        """Show pages as they are printed, or as on a screen."""
        self._command("Emulation.setEmulatedMedia", {"media": "print" if is_on else ""})

    def open(self, url: str) -> None:
        """Go to ``url`` and wait until its own scripts have settled."""
        self.driver.get(url)
        self.wait("return document.readyState === 'complete'")

    def wait(self, script: str, patience_s: float = PATIENCE_S) -> Any:
        """Wait until ``script`` returns something true; what it returns."""
        waiting = WebDriverWait(self.driver, patience_s, POLL_S)
        return waiting.until(lambda driver: driver.execute_script(script), f"{self.driver.current_url}: {script}")

    def run(self, script: str, *arguments: object) -> Any:
        """What ``script`` returns."""
        return self.driver.execute_script(script, *arguments)

    def leave(self, action: Callable[[], object]) -> None:
        """Do what leads to another page, and wait until that has been loaded."""
        self.run("window.isLeft = false")
        action()
        self.wait("return window.isLeft === undefined && document.readyState === 'complete'")

    def forget_cookies(self) -> None:
        """Be somebody whom no site knows."""
        self._command("Network.clearBrowserCookies", {})
        self.identity = None

    def prepare(self, script: str) -> None:
        """Run ``script`` in every page from now on, before the page's own."""
        self._command("Page.addScriptToEvaluateOnNewDocument", {"source": script})

    def allow_scripts(self, *, is_allowed: bool) -> None:
        """Let pages run scripts, or not."""
        self._command("Emulation.setScriptExecutionDisabled", {"value": not is_allowed})

    def fetch_json(self, address: str) -> Any:
        """JSON from the page's own server, as the page's scripts get it."""
        return json.loads(self.fetch_text(address))

    def fetch_text(self, address: str) -> str:
        """Text from the page's own server."""
        script = (
            "const done = arguments[arguments.length - 1];"
            "fetch(arguments[0]).then((answer) => answer.text()).then(done, (error) => done(String(error)))"
        )
        return str(self.driver.execute_async_script(script, address))

    def download_to(self, folder: Path) -> None:
        """Where files go that a page gives away."""
        self._command("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector, waited for."""
        waiting = WebDriverWait(self.driver, PATIENCE_S, POLL_S)
        found = waiting.until(
            lambda driver: driver.find_elements(By.CSS_SELECTOR, selector), f"{self.driver.current_url}: {selector}"
        )
        return found[0]

    def click(self, selector: str) -> None:
        """Click the first element of a CSS selector."""
        element = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def text(self, selector: str = "body") -> str:
        """The visible text of an element."""
        return self.find(selector).text

    def complaints(self) -> list[str]:
        """What the console has said since the last call that is a warning or worse."""
        return [
            f"{entry['level']}: {entry['message']}"
            for entry in self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own stub is bare
            if entry["level"] in ("WARNING", "SEVERE")
        ]

    def requests(self) -> list[str]:
        """Addresses that pages have asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]  # type: ignore[no-untyped-call]  # as above
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def foreign_requests(self, url: str) -> list[str]:
        """Those of ``requests`` that go anywhere else than to the server of ``url``."""
        own = urlsplit(url).netloc
        return [
            found
            for found in self.requests()
            if urlsplit(found).scheme not in ("data", "blob", "chrome", "about") and urlsplit(found).netloc != own
        ]

    def overflow_px(self) -> int:
        """How far the page is wider than the window, CSS pixels."""
        script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.driver.execute_script(script))

    def accessibility_findings(self, axe: Path) -> list[str]:
        """Serious and critical findings of axe-core on the present page."""
        if not self.run("return 'axe' in window"):
            self.run(axe.read_text(encoding="utf-8"))
        result = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']}).then(done, error => done({violations: [], error: String(error)}))"
        )
        assert "error" not in result, result["error"]
        return [
            f"{finding['impact']} {finding['id']}: {finding['help']}: {node['html'][:160]}"
            for finding in result["violations"]
            if finding["impact"] in SERIOUS
            for node in finding["nodes"][:3]
        ]

    def covered_text(self, width: int) -> list[str]:
        """The text that is covered or cut on the whole page in a window of this width; the window grows as high as the page."""
        self.grow(width)
        found: list[str] = self.run(COVERED)
        return found

    def rest(self) -> None:
        """Take the pointer and the focus away, and wait until nothing moves any more."""
        self.run("document.activeElement?.blur(); window.scrollTo(0, 0)")
        self._command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 0, "y": 0})
        self.wait("return document.getAnimations().every((animation) => animation.playState !== 'running')")

    def picture(self, path: Path, *, last: str) -> None:
        """Save the page as PNG, from its top down to the end of the first element of the CSS selector ``last``."""
        size = self._command("Page.getLayoutMetrics", {})["cssContentSize"]
        bottom = self.run("return arguments[0].getBoundingClientRect().bottom + scrollY", self.find(last))
        height = min(size["height"], math.ceil(bottom) + MARGIN_PX)
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}
        options = {"format": "png", "optimizeForSpeed": False, "captureBeyondViewport": True, "clip": clip}
        path.write_bytes(base64.b64decode(self._command("Page.captureScreenshot", options)["data"]))

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A fresh browser with its profile in ``folder``."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(shutil.which("chromedriver") or "chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_page_load_timeout(PATIENCE_S)
        driver.set_script_timeout(PATIENCE_S)
        yield Browser(driver)
    finally:
        driver.quit()
