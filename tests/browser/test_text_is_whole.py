"""No text of a page is covered or cut on paper, and the day is whole on a phone (``test_pages_open`` looks at every page)."""

from __future__ import annotations

import pytest

from tests.browser.browser_world import LANGUAGE_TAGS, NEEDS_CHROMIUM, PLACES, BillLine, Place, Visit
from tests.browser.chromium import Look

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
PRINTED = [place for place in PLACES if place.name in ("statement", "month", "household", "line", "overview")]
PAPER_PX = 718
"""The width of A4 less margins of 1 cm at 96 dots an inch."""
SUMS_AT_THE_END = """
return [...document.querySelectorAll("table:has(tfoot)")].filter((table) => {
  const foot = table.tFoot.getBoundingClientRect(), rows = [...table.tBodies].map((body) => body.getBoundingClientRect().bottom);
  return getComputedStyle(table.tFoot).display === "table-footer-group" || foot.top < Math.max(...rows) - 1;
}).length
"""


@pytest.mark.parametrize("place", PRINTED, ids=lambda place: place.name)
@pytest.mark.parametrize("language", LANGUAGE_TAGS)
def test_what_is_printed_is_whole_and_has_its_sums_below_the_last_row(
    visit: Visit, line: BillLine, language: str, place: Place
) -> None:
    visit.go_to(place, line, Look(PAPER_PX, language=language))
    visit.browser.print_look(is_on=True)
    try:
        assert visit.browser.covered_text(PAPER_PX) == []
        assert visit.browser.run(SUMS_AT_THE_END) == 0
    finally:
        visit.browser.print_look(is_on=False)


def test_the_whole_day_of_slots_is_seen_on_a_phone(visit: Visit, line: BillLine) -> None:
    visit.go_to(next(place for place in PLACES if place.name == "overview"), line, Look(360))

    hidden_px, cells = visit.browser.run(
        "const grid = document.querySelector('.slot-grid'), box = grid.closest('.scroll');"
        "return [box.scrollWidth - box.clientWidth, grid.querySelectorAll('tbody a').length]"
    )
    assert (hidden_px, cells) == (0, 96)
