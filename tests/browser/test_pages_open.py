"""Every page in both languages, light and dark, wide and narrow: it says nothing on the console, asks nobody else for anything, fits,
speaks one language, covers and cuts no text, and has no serious finding of axe-core.

A page is opened once on a phone and once on a wide screen, and looked at there in each width and colour.
"""

from __future__ import annotations

import pytest

from tests.browser.browser_world import (
    AXE,
    CHINESE,
    EXTREMES,
    LANGUAGE_TAGS,
    LOOKS_ON,
    NEEDS_CHROMIUM,
    PLACES,
    BillLine,
    Place,
    Visit,
    untranslated,
)
from tests.browser.chromium import Look

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
REFUSED = "the server responded with a status of 403"
BY_ROLE = sorted(PLACES, key=lambda place: place.role)
"""Who signs in looks at all of its pages before the next one does."""


@pytest.mark.parametrize("place", BY_ROLE, ids=lambda place: place.name)
@pytest.mark.parametrize("looks", LOOKS_ON.values(), ids=LOOKS_ON.keys())
def test_a_page_opens_in_one_language_fits_is_whole_and_is_open_to_everybody(
    visit: Visit, line: BillLine, looks: list[Look], place: Place
) -> None:
    visit.go_to(place, line, looks[0])

    findings = {**what_is_said(visit, place), **what_is_not_in_its_language(visit, looks[0])}
    for look in looks:
        visit.browser.look(look)
        visit.browser.rest()  # colours fade into each other
        findings |= {f"{look.name}: {name}": found for name, found in what_is_seen(visit, look).items()}

    assert {name: found for name, found in findings.items() if found} == {}


def what_is_seen(visit: Visit, look: Look) -> dict[str, object]:
    """What does not fit, is covered, or is closed to somebody. Colours and targets are judged where a width or a colour is at its extreme."""
    browser = visit.browser
    return {
        "accessibility": browser.accessibility_findings(AXE) if look.width in EXTREMES else [],
        "wider than the window (px)": max(0, browser.overflow_px()),
        "covered or cut": browser.covered_text(look.width),
    }


def what_is_said(visit: Visit, place: Place) -> dict[str, object]:
    """What the console says and who else is asked; title and heading where they are not as they should be."""
    browser = visit.browser
    heading, _, product = browser.driver.title.partition(" · ")
    headings = browser.run("return document.querySelectorAll('h1').length")
    return {
        "complaints": [one for one in browser.complaints() if not (place.name == "refused" and REFUSED in one)],
        "foreign requests": browser.foreign_requests(visit.url),
        "title": [] if heading and product == "GridLedger" else [browser.driver.title],
        "headings, of one": [] if headings == 1 else [headings],
    }


def what_is_not_in_its_language(visit: Visit, look: Look) -> dict[str, object]:
    """The page's texts in the other language, and what it says of its own."""
    said, texts = visit.browser.run("return document.documentElement.lang"), visit.texts()
    if look.language == "en":
        wrong = [text for text in texts if CHINESE.search(text)]
    else:
        wrong = list(untranslated(texts)) if CHINESE.search(" ".join(texts)) else ["no Chinese at all"]
    return {"language": [] if said == LANGUAGE_TAGS[look.language] else [said], "in another language": wrong}


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
def test_a_statement_on_a_phone_shows_names_and_amounts_side_by_side(
    visit: Visit, line: BillLine, language: str
) -> None:
    visit.go_to(next(place for place in PLACES if place.name == "statement"), line, Look(360, language=language))

    visit.browser.run("document.querySelectorAll('details.lines').forEach((fold) => { fold.open = true; })")
    name_px = visit.browser.run("return document.querySelector('.statement td:has(a)').offsetWidth")
    hidden_px = visit.browser.run(
        "const box = document.querySelector('.statement .scroll'); return box.scrollWidth - box.clientWidth"
    )

    assert name_px >= 90
    assert hidden_px <= 0


def test_what_stands_side_by_side_on_the_sign_in_page_is_of_one_height_and_does_not_touch(
    visit: Visit, line: BillLine
) -> None:
    visit.go_to(PLACES[0], line, Look())
    box = "const box = (selector) => document.querySelector(selector).getBoundingClientRect();"

    heights = visit.browser.run(box + "return ['.beside select', '.beside button'].map((one) => box(one).height)")
    gap_px = visit.browser.run(box + "return box('.sign-in .mark + .mark').left - box('.sign-in .mark').right")

    assert heights[0] == heights[1]
    assert gap_px >= 3
