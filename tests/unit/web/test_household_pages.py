"""A household's pages: its own day, year and statement, in words that are right, and nothing of a neighbour in any byte."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from gridseries.series import INTERVALS, SLOTS, Row
from gridweb import points
from gridweb.access import Role
from gridweb.pages.meters import read_meters
from gridweb.points import find_point
from gridweb.source import SourceMissing
from tests.unit.web.household_world import (
    ALONE_NANO,
    DAY_START_S,
    LINE,
    METER,
    METER_CODE,
    NEIGHBOUR,
    NEIGHBOURS_METER,
    PARTY,
    PAYS_NANO,
    PRICE,
    SLOT_S,
    START_S,
    fill,
    fill_day,
    household,
    household_world,
    installation,
    settled,
    state,
    statement_lines,
)
from tests.unit.web.web_world import DAY_S

DAY = (datetime.fromtimestamp(DAY_START_S, UTC) + timedelta(hours=8)).date().isoformat()
PAGE, STATEMENT = f"/households/{PARTY}?day={DAY}", f"/households/{PARTY}/statement?day={DAY}"
OWN_PAGES = (
    PAGE,
    STATEMENT,
    f"/households/{PARTY}/day?day={DAY}",
    f"/households/{PARTY}/days",
    f"/households/{PARTY}/year?year={DAY[:4]}",
    *(
        f"/api/v1/households/{PARTY}/{name}"
        for name in (
            f"intervals?start_s={DAY_START_S}&end_s={DAY_START_S + DAY_S}",
            f"days?start_s={DAY_START_S}&end_s={DAY_START_S + DAY_S}",
            f"lines?day={DAY}",
            f"kinds?day={DAY}",
        )
    ),
)


async def test_the_day_says_what_it_came_to_in_both_languages(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    page = await household(world).text(PAGE)
    assert f"You pay {96 * PAYS_NANO / 10**9:.2f} CNY." in page
    assert "from neighbours <strong>41.7 %</strong> 48.000 kWh" in page
    assert "from the supplier, over the grid <strong>58.3 %</strong> 67.200 kWh" in page
    assert "All 96 slots of the day are settled." in page
    page = await household(world, "zh_CN").text(PAGE)
    assert f"您应付 ¥{96 * PAYS_NANO / 10**9:.2f}。" in page


async def test_the_day_tells_what_is_owed_and_what_is_pending_for_orders(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    credit = {
        "party": PARTY,
        "area": "A1",
        "credit_nano": 50 * 10**9,
        "held_nano": 126 * 10**6,
        "owes_nano": 3 * 10**9,
        "shares_points": False,
    }
    world.node.answers["credit"] = credit
    page = await household(world).text(PAGE)
    assert "pending for orders that are not settled 0.126" in page
    assert "未结算申报的待定金额" in await household(world, "zh_CN").text(PAGE)


async def test_a_clerk_reads_the_household_by_its_name(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    for role in (Role.UTILITY, Role.REGULATOR, Role.ADMINISTRATOR):
        assert f"{PARTY} pays " in await world.browser(role).text(PAGE)


async def test_nothing_of_a_neighbour_stands_in_any_byte_that_a_household_gets(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    browser = household(world)
    for address in OWN_PAGES:
        response = await browser.get(address)
        body = await response.get_data(as_text=False)
        assert response.status_code == 200, address
        for trace in (NEIGHBOUR, NEIGHBOURS_METER, "777777", "777,777"):
            assert trace.encode() not in body, (address, trace)


async def test_an_unsettled_day_says_so_and_a_half_settled_one_how_far_it_is(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    browser = household(world)
    assert "No slot of this day is settled yet" in await browser.text(PAGE)
    assert "No slot of this day is settled yet" in await browser.text(STATEMENT)
    state(world, [START_S])
    open_slot = settled(START_S + SLOT_S, pays_nano=None, supplier_only_nano=None, bought_wh=None, sold_wh=None)
    await fill(world, [settled(START_S), open_slot])
    page = await browser.text(PAGE)
    assert "So far: 1 of 96 slots of the day are settled." in page
    assert f"You pay {PAYS_NANO / 10**9:.3f} CNY." in page


async def test_every_line_of_the_statement_leads_to_its_proof_and_the_sums_are_those_of_the_ledger(
    tmp_path: Path,
) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    browser = household(world)
    page = await browser.text(STATEMENT)
    links = re.findall(rf'href="(/households/{PARTY}/lines/\d+/\w+)"', page)
    assert len(links) == len(set(links)) == 96 * 6
    assert LINE in links
    lines = await (await browser.get(f"/api/v1/households/{PARTY}/lines?day={DAY}")).get_json()
    assert sum(row[4] for row in lines["rows"]) == lines["totals"][4] == 96 * PAYS_NANO
    kinds = await (await browser.get(f"/api/v1/households/{PARTY}/kinds?day={DAY}")).get_json()
    assert sum(row[3] for row in kinds["rows"]) == 96 * PAYS_NANO
    assert f"{96 * ALONE_NANO / 10**9:,.4f}" in page


@pytest.mark.parametrize(("by", "first"), [("", "00:00–01:00"), ("&by=kind", "Bought from the neighbourhood")])
async def test_the_lines_of_a_statement_are_folded_by_hour_or_kind_and_their_sums_add_up(
    tmp_path: Path, by: str, first: str
) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    page = await household(world).text(STATEMENT + by)
    folded = re.findall(r"<summary><span>([^<]+)</span> <small>(\d+) lines</small> <strong[^>]*>([-0-9.,]+)<", page)
    assert folded[0][0] == first
    assert sum(int(count) for _, count, _ in folded) == 96 * 6
    units = sum(int(amount.replace(",", "").replace(".", "")) for _, _, amount in folded)
    assert units == round(96 * PAYS_NANO / 100_000)


async def test_amounts_of_a_days_lines_are_the_same_in_both_tables_and_add_up_to_what_is_shown(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    amounts_nano = [33_333, 33_333, 33_334]  # each 0.0000 by itself, 0.0001 together
    await fill(world, [settled(START_S, pays_nano=sum(amounts_nano), supplier_only_nano=260_000)])
    state(world, [START_S])
    answer = world.node.answers[f"areas/A1/days/{DAY_START_S}/statements"]
    kinds = ("trade_buy", "residual_import", "levy")
    answer["slots"][0]["lines"] = [
        {**line, "amount_nano": nano}
        for nano, kind in zip(amounts_nano, kinds, strict=True)
        for line in statement_lines()
        if line["line_kind"] == kind
    ]
    answer["statements"][0] |= {"pays_nano": sum(amounts_nano), "supplier_only_nano": 260_000}
    page = await world.browser(Role.HOUSEHOLD, PARTY).text(f"/households/{PARTY}?day={DAY}")
    table, waterfall = page[page.index("What it is made of") :].split('<figure class="table waterfall">')[:2]
    shown = [
        re.findall(r'<td class="number">(-?0\.\d{4})</td>', part[: part.index("</table>")])
        for part in (table, waterfall)
    ]
    assert shown[1][:3] == ["0.0003", "-0.0002", "0.0001"]
    assert shown[1][3:] == shown[0][:3]
    assert sum(int(amount.replace("0.", "")) for amount in shown[1][3:]) == 1


async def test_the_hours_of_a_day_are_bars_that_lead_to_their_lines(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    page = await household(world).text(PAGE)
    statement = await household(world).text(STATEMENT)
    targets = re.findall(r'<a href="[^"]*#(hour-\d+)"', page)
    assert len(targets) == 24
    assert all(f'id="{target}"' in statement for target in targets)
    assert "07:00–08:00: taken 4.800 kWh (from neighbours 2.000 kWh), fed in 0.040 kWh" in page


async def test_the_days_of_a_month_are_bars_that_lead_to_their_day(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    page = await household(world).text(f"/households/{PARTY}/month?month={DAY[:7]}")
    assert f'<li><a href="/households/{PARTY}?day={DAY}" title="{DAY}: taken 115.200 kWh' in page


async def test_lines_are_those_that_the_ledger_states_whatever_the_curve_says(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill(world, [settled(START_S, pays_nano=5)])
    state(world, [START_S])
    own = {"line_kind": "share", "energy_wh": 5, "price_micro_per_kwh": None, "amount_nano": 5, "account": "x"}
    world.node.answers[f"areas/A1/days/{DAY_START_S}/statements"]["slots"][0]["lines"] = [own]
    browser = household(world)
    lines = await (await browser.get(f"/api/v1/households/{PARTY}/lines?day={DAY}")).get_json()
    assert lines["rows"] == [[START_S, "share", 5, None, 5]]
    assert "share" in await browser.text(STATEMENT)  # a kind without words is shown by its name


async def test_a_slot_settled_in_the_series_and_unknown_to_the_ledger_is_a_note_on_the_page(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill(world, [settled(START_S), settled(START_S + SLOT_S, pays_nano=5)])
    state(world, [START_S])
    browser = household(world)
    at = (datetime.fromtimestamp(START_S + SLOT_S, UTC) + timedelta(hours=8)).strftime("%H:%M")
    for address in (PAGE, STATEMENT):
        page = unescape(await browser.text(address))
        assert f"while the ledger knows no run of them: 1 ({at})" in page, address
        assert "Bought from the neighbourhood" in page, address
    lines = await (await browser.get(f"/api/v1/households/{PARTY}/lines?day={DAY}")).get_json()
    assert {row[0] for row in lines["rows"]} == {START_S}
    assert "Their lines are missing here" in lines["note"]
    state(world, [START_S, START_S + SLOT_S])
    world.progress.newest += 1
    assert "knows no run" not in await browser.text(PAGE)


async def test_days_are_listed_newest_first_with_sums(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    await fill(world, [settled(START_S + DAY_S)])
    address = f"/api/v1/households/{PARTY}/days?start_s={DAY_START_S}&end_s={DAY_START_S + 2 * DAY_S}"
    days = await (await household(world).get(address)).get_json()
    assert [(row[0], row[2], row[7]) for row in days["rows"]][1] == (DAY, 96, 96 * PAYS_NANO)
    assert days["totals"][7] == 97 * PAYS_NANO


async def test_the_sums_of_a_day_are_whole_wherever_the_span_ends(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    address = f"/api/v1/households/{PARTY}/days?start_s={DAY_START_S - 1}&end_s={DAY_START_S + 1}"
    days = await (await household(world).get(address)).get_json()
    assert [(row[0], row[1], row[2], row[7]) for row in days["rows"]] == [(DAY, 96, 96, 96 * PAYS_NANO)]


async def test_a_day_of_which_nothing_is_settled_has_no_sums_instead_of_sums_of_0(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    address = f"/api/v1/households/{PARTY}/days?start_s={DAY_START_S}&end_s={DAY_START_S + 2 * DAY_S}"
    days = await (await household(world).get(address)).get_json()
    assert [row[1:] for row in days["rows"]] == [[96, 0, *[None] * 9]] * 2
    assert days["totals"] == [None, 192, 0, *[None] * 9]
    await fill(world, [settled(START_S)])
    days = await (await household(world).get(address)).get_json()
    assert (days["totals"][2], days["totals"][7]) == (1, PAYS_NANO)


async def test_what_came_from_neighbours_in_a_day_is_summed_slot_by_slot(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    slots = (settled(START_S, import_wh=100, bought_wh=300), settled(START_S + SLOT_S, import_wh=400, bought_wh=50))
    await fill(world, slots)
    address = f"/api/v1/households/{PARTY}/days?start_s={DAY_START_S}&end_s={DAY_START_S + DAY_S}"
    days = await (await household(world).get(address)).get_json()
    row = dict(zip((column["key"] for column in days["columns"]), days["rows"][0], strict=True))
    assert (row["import_wh"], row["bought_wh"], row["from_neighbours_wh"]) == (
        500,
        350,
        150,
    )  # of the sums it would be 350


async def test_a_slot_without_a_value_is_a_gap_and_missing_is_never_zero(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await world.series.write(INTERVALS, [Row(("A1", "M-H001"), START_S, (None, None, None, None, None, None, 4))])
    address = f"/api/v1/households/{PARTY}/intervals?start_s={START_S}&end_s={START_S + SLOT_S}"
    table = await (await household(world).get(address)).get_json()
    assert table["rows"] == [[START_S, *[None] * 7, "missing"]]
    text = await (await household(world).get(address + "&format=csv")).get_data(as_text=True)
    row = next(csv.DictReader(io.StringIO(text)))
    assert {name for name, value in row.items() if value} == {"slot_start_s", "slot_start_local", "quality"}
    assert (row["slot_start_s"], row["quality"]) == (str(START_S), "missing")


async def test_a_year_of_quarter_hours_is_one_answer(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    slots = range(DAY_START_S, DAY_START_S + 365 * DAY_S, SLOT_S)
    await fill(world, [settled(slot) for slot in slots])
    page = await household(world).text(f"/households/{PARTY}/year?year={DAY[:4]}")
    assert "data-src=" in page
    address = f"/api/v1/households/{PARTY}/intervals?start_s={slots[0]}&end_s={slots[-1] + 1}"
    table = await (await household(world).get(address)).get_json()
    assert len(table["rows"]) == 35_040
    assert table["rows"][-1][:6] == [slots[-1], 1_200, 10, 500, 0, PRICE]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("start_s=0", "both or neither"),
        ("start_s=9&end_s=9", "ascending span"),
        (f"start_s=0&end_s={400 * DAY_S}", "at most 367 days"),
        ("start_s=x&end_s=1", "whole number"),
        ("begin=1", "unknown parameter"),
        ("format=xml", "is one of csv, xlsx, pdf, json"),
    ],
)
async def test_a_span_that_is_none_is_refused_in_one_line(tmp_path: Path, query: str, detail: str) -> None:
    response = await household(household_world(tmp_path)).get(f"/api/v1/households/{PARTY}/intervals?{query}")
    problem = await response.get_json()
    assert (response.status_code, response.content_type) == (400, "application/problem+json")
    assert detail in problem["detail"]


@pytest.mark.parametrize("day", ["2024-13-01", "yesterday", "2024-06-31", "<b>", "9" * 40, "²"])
async def test_a_day_that_is_none_is_a_bad_request(tmp_path: Path, day: str) -> None:
    world = household_world(tmp_path)
    assert (await household(world).get(f"/households/{PARTY}", query_string={"day": day})).status_code == 400


async def test_a_day_outside_the_calendar_is_not_found(tmp_path: Path) -> None:
    browser = household(household_world(tmp_path))
    for day in ("1999-01-01", "4000-01-01", "9999-12-31", "0001-01-01"):
        assert (await browser.get(f"/households/{PARTY}?day={day}")).status_code == 404, day
    assert (await browser.get(f"/households/{PARTY}/year?year=10000")).status_code == 400


@pytest.mark.parametrize("tz", ["Asia/Shanghai", "UTC", "No/Where"])
async def test_the_date_that_a_day_is_called_by_leads_to_that_day_whatever_zone_is_known_here(
    tmp_path: Path, tz: str
) -> None:
    world = household_world(tmp_path)
    world.node.answers["calendars/c"]["tz"] = tz
    area = await world.site.source.area("A1")
    assert len(area.days) > 5
    for start_s in area.days[1:5]:
        day = points.day_of(area, start_s)
        assert points.parse_day(area, day.date) == day
        assert points.parse_day(area, str(start_s)) == day


async def test_days_before_and_after_are_linked_and_ends_are_not(tmp_path: Path) -> None:
    browser = household(household_world(tmp_path))
    page = await browser.text(PAGE)
    after = (datetime.fromisoformat(DAY) + timedelta(days=1)).date().isoformat()
    assert f'href="/households/{PARTY}?day={after}" rel="next"' in page
    assert 'rel="prev"' not in page
    newest = await browser.text(f"/households/{PARTY}")
    assert 'rel="prev"' in newest
    assert 'rel="next"' not in newest


async def test_a_party_that_is_billed_nowhere_is_not_found_and_its_name_does_not_execute(tmp_path: Path) -> None:
    utility = household_world(tmp_path).browser(Role.UTILITY)
    response = await utility.get("/households/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert response.status_code == 404
    assert "<script>alert" not in await response.get_data(as_text=True)


async def test_a_point_that_a_party_gains_or_loses_shows_with_the_next_height(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    own = await find_point(world.site.source, PARTY)
    assert own.meters == (METER_CODE,)
    rows = world.node.answers["areas/A1/installations"]["installations"]
    rows[1] |= {"party": PARTY}
    assert await find_point(world.site.source, PARTY) == own
    world.progress.newest += 1
    assert (await find_point(world.site.source, PARTY)).meters == (METER_CODE, NEIGHBOURS_METER)
    with pytest.raises(SourceMissing):
        await find_point(world.site.source, NEIGHBOUR)
    rows[0] |= {"party": None}
    world.progress.newest += 1
    assert (await find_point(world.site.source, PARTY)).meters == (NEIGHBOURS_METER,)
    world.node.away = True
    world.progress.newest += 1
    assert (await find_point(world.site.source, PARTY)).meters == (NEIGHBOURS_METER,)


async def test_a_meter_that_an_area_gains_shows_with_the_next_height(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    assert len(await read_meters(world.site.source, "A1")) == 3
    world.node.answers["areas/A1/installations"]["installations"].append(installation("H003", METER + 3, "M-H003"))
    world.progress.newest += 1
    assert [meter.party for meter in await read_meters(world.site.source, "A1")] == [PARTY, NEIGHBOUR, None, "H003"]
    world.node.away = True
    world.progress.newest += 1
    assert len(await read_meters(world.site.source, "A1")) == 4


async def test_names_with_markup_are_text_on_every_page(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    evil = '<img src=x onerror="alert(1)">'
    world.node.answers["areas/A1/installations"]["installations"][0]["meter"] = evil
    await fill(world, [settled(START_S, evil)])
    page = await household(world).text(STATEMENT)
    assert evil not in page
    assert evil in unescape(page)


async def test_while_the_series_is_away_the_sums_come_from_the_node_and_the_page_says_so(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    totals = {"import_wh": 5_000, "export_wh": 0, "bought_wh": 1_000, "sold_wh": 0}
    money = {"pays_nano": 2 * 10**9, "supplier_only_nano": 3 * 10**9, "saving_nano": 10**9}
    world.node.answers[f"areas/A1/days/{DAY_START_S}/statements"] = {
        "slots_expected": 96,
        "slots_settled": 40,
        "statements": [{"party": PARTY, **totals, **money}],
        "slots": [],
    }
    world.series.away = True
    page = await household(world).text(PAGE)
    assert "You pay 2.00 CNY." in page
    assert "So far: 40 of 96 slots" in page
    assert "the time series store, which is away since" in page
    assert "which is away since" in await household(world).text(STATEMENT)
    world.series.away = False
    await fill_day(world)
    assert "which is away since" not in await household(world).text(PAGE)


async def test_while_the_projection_is_behind_the_sums_come_from_the_node_and_no_page_says_that_nothing_was_settled(
    tmp_path: Path,
) -> None:
    world = household_world(tmp_path)
    world.progress.height = 0
    browser = household(world)
    assert "still being put together" in await browser.text(PAGE)
    assert "still being put together" in await browser.text(STATEMENT)
    totals = {"import_wh": 5_000, "export_wh": 0, "bought_wh": 1_000, "sold_wh": 0}
    money = {"pays_nano": 2 * 10**9, "supplier_only_nano": 3 * 10**9, "saving_nano": 10**9}
    day = {"slots_expected": 96, "slots_settled": 96, "statements": [{"party": PARTY, **totals, **money}], "slots": []}
    world.node.answers[f"areas/A1/days/{DAY_START_S}/statements"] = day
    assert "You pay 2.00 CNY." in await browser.text(PAGE)


async def test_while_the_node_is_away_the_curve_and_the_lines_stand_as_they_were(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    await fill_day(world)
    browser = household(world)
    await browser.text(STATEMENT)
    world.node.away = True
    world.progress.newest += 1
    for address in (PAGE, STATEMENT):
        page = await browser.text(address)
        assert "the ledger node: away since" in page, address
        assert "What stands here is as it was at" in page, address
    assert f"You pay {96 * PAYS_NANO / 10**9:.2f} CNY." in await browser.text(PAGE)


async def test_both_stores_away_is_a_page_and_no_fault(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    browser = household(world)
    await browser.text(PAGE)
    world.node.away = world.series.away = True
    world.progress.newest += 1
    page = await browser.text(PAGE)
    assert "the ledger node: away since" in page


async def test_a_days_chart_asks_for_that_day_with_unit_zone_and_run(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    page = unescape(await household(world).text(PAGE))
    assert f'data-src="/api/v1/households/{PARTY}/intervals?start_s={DAY_START_S}&end_s={DAY_START_S + DAY_S}"' in page
    assert 'data-tz="Asia/Shanghai"' in page
    assert f'data-step-s="{SLOT_S}"' in page
    assert "kWh, CNY/kWh" in page


def test_the_slots_price_has_its_place_in_the_series() -> None:
    assert "price_micro_per_kwh" in SLOTS.fields
