"""Takes the README's pictures: ``python -m tests.browser.pictures [FOLDER]`` runs a day of the full demonstration and looks at it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.browser.browser_world import PLACES, BillLine, Visit, find_line
from tests.browser.chromium import INSTALL, Browser, Look, is_there, open_browser
from tests.conftest import REPOSITORY
from tests.demo.live import live_demo

FOLDER: Final = REPOSITORY / "docs" / "pictures"
HOUSEHOLDS: Final = 113
BYTES_MAX: Final = 300_000
"""Of a picture: they are part of every clone."""


def do_nothing(browser: Browser) -> None:
    """Show the page as it opens."""


def cheat(browser: Browser) -> None:
    """Have an altered copy checked beside the proof as it is."""
    browser.click("form.cheat button")
    browser.find("#verdict .failed")


@dataclass(frozen=True)
class Picture:
    """A picture ``name``.png of a page from its top down to the first ``last`` (a CSS selector), after something was done there."""

    name: str
    place: str
    look: Look
    last: str
    act: Callable[[Browser], None] = do_nothing


PICTURES: Final = (
    Picture("overview", "overview", Look(), ".charts-beside"),
    Picture("slot", "slot", Look(), ".columns > :last-child"),
    Picture("household", "household", Look(), "main"),
    Picture("line", "line", Look(), "ol.steps details", cheat),
    Picture("overview-zh-dark", "overview", Look(dark=True, language="zh_CN"), ".charts-beside"),
    Picture("household-phone", "household", Look(360), "figure.chart"),
)


def take_pictures(visit: Visit, line: BillLine, folder: Path) -> None:
    """Save each of PICTURES in ``folder``."""
    for picture in PICTURES:
        visit.go_to(next(place for place in PLACES if place.name == picture.place), line, picture.look)
        picture.act(visit.browser)
        visit.browser.rest()
        path = folder / f"{picture.name}.png"
        visit.browser.picture(path, last=picture.last)
        size = path.stat().st_size
        print(f"{path}: {size:,} bytes", flush=True)
        if size > BYTES_MAX:
            raise SystemExit(f"{path}: more than {BYTES_MAX:,} bytes; show less of the page")


def main(words: list[str]) -> None:
    """Run the demonstration and take the pictures."""
    if not is_there():
        raise SystemExit(f"chromium or chromedriver is missing: {INSTALL}")
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "demo"
        with live_demo(out, households=HOUSEHOLDS, slots=None) as demo:
            demo.wait_until_over()
            (Path(scratch) / "chromium").mkdir()
            with open_browser(Path(scratch) / "chromium") as browser:
                take_pictures(Visit(browser, demo.url()), find_line(demo), folder)


if __name__ == "__main__":
    main(sys.argv[1:])
