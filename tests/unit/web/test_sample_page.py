"""The regulator's sample: which slots it offers, by the clock of the area."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from gridweb.access import Role
from tests.unit.web.web_world import AREA, CALENDAR, World, make_world

MIDNIGHT_S = 1_792_879_200
"""The beginning of 25 October 2026 in Berlin, a day of 25 hours."""
AFTER_S = MIDNIGHT_S + 25 * 3_600
OPTION = re.compile(r'<option value="(\d+)">([^<]+)</option>')


def berlin_world(folder: Path, settled_s: int) -> World:
    """A site whose area in Berlin has settled everything before an instant."""
    world = make_world(folder)
    area = {**AREA, "first_slot_start_s": MIDNIGHT_S}
    world.node.answers["areas"]["areas"] = [area]
    world.node.answers["calendars/c"] = {
        **CALENDAR,
        "tz": "Europe/Berlin",
        "days": [MIDNIGHT_S, AFTER_S, AFTER_S + 86_400],
    }
    world.node.answers["areas/a-1/progress"] = {"run_slot_start_s": settled_s}
    return world


async def test_each_pass_of_a_repeated_hour_is_a_slot_of_its_own_with_its_offset(tmp_path: Path) -> None:
    page = await berlin_world(tmp_path, AFTER_S + 900).browser(Role.REGULATOR).text("/sample?day=2026-10-25")

    slots = [(int(start_s), words) for start_s, words in OPTION.findall(page)]
    assert len(slots) == 100
    assert [words for _, words in slots if " 02:30" in words] == ["2026-10-25 02:30+01:00", "2026-10-25 02:30+02:00"]
    assert all(datetime.fromisoformat(words).astimezone(UTC).timestamp() == start_s for start_s, words in slots)


async def test_without_a_day_the_newest_settled_slot_stands_first(tmp_path: Path) -> None:
    page = await berlin_world(tmp_path, AFTER_S + 900).browser(Role.REGULATOR).text("/sample")

    assert OPTION.findall(page) == [(str(AFTER_S), "2026-10-26 00:00+01:00")]
    assert "Slot (start, Europe/Berlin)" in page


async def test_of_a_day_without_a_settled_slot_the_page_says_so_and_has_nothing_to_draw(tmp_path: Path) -> None:
    page = await berlin_world(tmp_path, MIDNIGHT_S).browser(Role.REGULATOR).text("/sample")

    assert "No slot of this day is settled yet" in page
    assert "data-sample" not in page
