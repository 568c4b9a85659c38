"""A household's month: the sums of its days, and the way from each of its lines down to days and slots."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.web.household_world import DAY_START_S, PARTY, fill_day, household, household_world

DAY = (datetime.fromtimestamp(DAY_START_S, UTC) + timedelta(hours=8)).date().isoformat()


async def test_a_month_comes_to_the_sums_of_its_days_and_says_how_much_of_it_is_settled(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    browser = household(world)
    month = DAY[:7]
    page = await browser.text(f"/households/{PARTY}/month?month={month}")
    assert f"Statement of {month}" in page
    table = await (await browser.get(f"/api/v1/households/{PARTY}/month?month={month}")).get_json()
    day = await (await browser.get(f"/api/v1/households/{PARTY}/kinds?day={DAY}")).get_json()
    assert table["rows"] == day["rows"] != [], "one day of this month is settled"
    assert table["totals"] == day["totals"]
    assert re.fullmatch(r"Settled: 96 of \d+ slots\.", table["note"])
    assert set(table["columns"][0]["words"]) >= {row[0] for row in table["rows"]}


async def test_a_line_of_a_month_leads_to_its_days_and_each_of_them_to_its_slots(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    browser, month = household(world), DAY[:7]
    page = await browser.text(f"/households/{PARTY}/month?month={month}")
    table = await (await browser.get(f"/api/v1/households/{PARTY}/month?month={month}")).get_json()
    kind, *sums = table["rows"][0]
    way = f"/households/{PARTY}/month?month={month}&line={kind}"
    assert f'href="{html.escape(way)}#line"' in page
    days = await (await browser.get(f"/api/v1/households/{PARTY}/month/lines/{kind}?month={month}")).get_json()
    assert days["rows"] == [[DAY_START_S, *sums]], "the one day that is settled"
    statement = f"/households/{PARTY}/statement?day={DAY_START_S}&by=kind"
    assert f'href="{html.escape(statement)}#kind-{kind}"' in await browser.text(way)
    assert f'id="kind-{kind}"' in await browser.text(statement)
    assert (await browser.get(f"/households/{PARTY}/month?month={month}&line=none")).status_code == 400


@pytest.mark.parametrize("month", ["2026-13", "1999-01", "x", "2026-6", "9999-12", "2026-06-01"])
async def test_a_month_that_is_none_of_the_area_s_is_refused_with_those_there_are(tmp_path: Path, month: str) -> None:
    response = await household(household_world(tmp_path)).get(f"/api/v1/households/{PARTY}/month?month={month}")
    assert response.status_code == 400
    assert "month: write YYYY-MM, from " in (await response.get_json())["detail"]
