"""Every page in both languages, light and dark, wide and narrow: it opens, says nothing on the console, asks nobody else for
anything, fits, and speaks one language.
"""

from __future__ import annotations

import pytest

from tests.browser.browser_world import (
    AXE,
    CHINESE,
    LANGUAGE_TAGS,
    LOOKS,
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


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_a_page_opens_without_complaint_in_one_language_and_no_wider_than_the_window(
    visit: Visit, line: BillLine, look: Look, place: Place
) -> None:
    browser = visit.browser

    visit.go_to(place, line, look)

    complaints = [text for text in browser.complaints() if not (place.name == "refused" and REFUSED in text)]
    assert complaints == []
    assert browser.foreign_requests(visit.url) == []
    assert browser.overflow_px() <= 0
    assert browser.run("return document.documentElement.lang") == LANGUAGE_TAGS[look.language]
    heading, _, product = browser.driver.title.partition(" · ")
    assert (bool(heading), product) == (True, "GridLedger")
    assert browser.run("return document.querySelectorAll('h1').length") == 1
    texts = visit.texts()
    if look.language == "en":
        assert [text for text in texts if CHINESE.search(text)] == []
    else:
        assert CHINESE.search(" ".join(texts))
        assert list(untranslated(texts)) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_a_page_is_open_to_people_who_do_not_see_it_or_use_no_mouse(
    visit: Visit, line: BillLine, look: Look, place: Place
) -> None:
    visit.go_to(place, line, look)

    assert visit.browser.accessibility_findings(AXE) == []


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
def test_a_statement_on_a_phone_shows_names_and_amounts_side_by_side(
    visit: Visit, line: BillLine, language: str
) -> None:
    visit.go_to(next(place for place in PLACES if place.name == "statement"), line, Look(360, language=language))

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
