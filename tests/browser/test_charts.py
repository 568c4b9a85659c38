"""Charts: drawn from the figures that table and CSV give, gaps left open, and a whole year zoomed and moved."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from gridcore.quality import MEASURED
from gridseries.embedded import EmbeddedSeries
from gridseries.series import INTERVALS, Row
from tests.browser.browser_world import NEEDS_CHROMIUM, PLACES, BillLine, Visit
from tests.browser.chromium import Browser, Look
from tests.browser.rehosted import Rehosted, rehosted
from tests.demo.demo_run import Finished
from tests.demo.live import LiveDemo

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
WITH_CHARTS = [place for place in PLACES if place.name in ("overview", "slot", "household", "year")]
SLOT_S, DAY_S = 900, 86_400
YEAR, TZ = 2027, ZoneInfo("Asia/Shanghai")
START_S, END_S = (int(datetime(year, 1, 1, tzinfo=TZ).timestamp()) for year in (YEAR, YEAR + 1))
POINTS = 35_040
HOLE_S = range(int(datetime(YEAR, 3, 1, tzinfo=TZ).timestamp()), int(datetime(YEAR, 4, 1, tzinfo=TZ).timestamp()))
"""A month without a reading."""
DIVISORS = {"energy_wh": 1_000, "price_micro": 1_000_000, "amount_nano": 10**9, "voltage_milli": 1_000, "count": 1}
WATCH_LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((entry) => entry.duration))).observe({entryTypes: ["longtask"]});
"""
# Pixels of the curves' colours (fills are the same colours, let through) in each of so many columns of the plot.
INK = """
const figure = document.querySelectorAll("figure.chart")[arguments[0]], columns = arguments[1];
const canvas = figure.querySelector("canvas"), plot = figure.querySelector(".u-over").getBoundingClientRect();
const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
const left = Math.round((plot.left - box.left) * scale), top = Math.round((plot.top - box.top) * scale);
const width = Math.round(plot.width * scale), height = Math.round(plot.height * scale);
const pixels = canvas.getContext("2d").getImageData(left, top, width, height).data;
const probe = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const curves = [1, 2, 3, 4, 6].map((number) => {
  probe.fillStyle = getComputedStyle(figure).getPropertyValue(`--chart-${number}`).trim();
  probe.fillRect(0, 0, 1, 1);
  return probe.getImageData(0, 0, 1, 1).data;
});
const counts = new Array(columns).fill(0);
for (let x = 0; x < width; x += 1) for (let y = 0; y < height; y += 1) {
  const at = 4 * (y * width + x);
  const isInk = pixels[at + 3] > 24 && curves.some((curve) => [0, 1, 2].every((part) => Math.abs(curve[part] - pixels[at + part]) < 16));
  if (isInk) counts[Math.floor((x * columns) / width)] += 1;
}
return counts;
"""


# ------------------------------------------------------------------------------------------------------------ every chart


@pytest.mark.parametrize("place", WITH_CHARTS, ids=lambda place: place.name)
@pytest.mark.parametrize("look", [Look(), Look(360, dark=True)], ids=lambda look: look.name)
def test_every_chart_is_drawn_and_says_what_it_shows(visit: Visit, line: BillLine, look: Look, place: Any) -> None:
    visit.go_to(place, line, look)
    charts = visit.browser.driver.find_elements(By.CSS_SELECTOR, "figure.chart")

    assert charts
    for number, chart in enumerate(charts):
        assert sum(ink(visit.browser, number)) > 50, f"chart {number} is empty"
        facts = chart.find_element(By.CSS_SELECTOR, ".chart-facts").text
        assert "CNY/kWh" in facts or "V" in facts
        assert "Asia/Shanghai" in facts
        assert "initial run" in facts or "clearing" in facts
        label = chart.find_element(By.CSS_SELECTOR, ".plot").get_attribute("aria-label") or ""
        assert "rows, from" in label


@pytest.mark.parametrize("place", WITH_CHARTS[:3], ids=lambda place: place.name)
def test_the_table_of_a_chart_shows_the_figures_of_its_csv(visit: Visit, line: BillLine, place: Any) -> None:
    browser = visit.browser
    visit.go_to(place, line, Look())
    charts = browser.driver.find_elements(By.CSS_SELECTOR, "figure.chart")
    assert charts
    for chart in charts:
        address = chart.get_attribute("data-src") or ""
        kinds = [column["kind"] for column in browser.fetch_json(address)["columns"]]
        link = chart.find_element(By.CSS_SELECTOR, "figcaption a[href*='format=csv']").get_attribute("href")
        keys = [column["key"] for column in browser.fetch_json(address)["columns"]]
        rows = [[row[key] for key in keys] for row in csv.DictReader(io.StringIO(browser.fetch_text(link or "")))]
        toggle = chart.find_element(By.CSS_SELECTOR, ".chart-toggle")
        assert toggle.get_attribute("aria-expanded") == "false"
        toggle.send_keys(Keys.ENTER)
        assert toggle.get_attribute("aria-expanded") == "true"
        shown = browser.run(
            "return [...arguments[0].querySelectorAll('.plot-table tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))",
            chart,
        )
        assert 0 < len(shown) == min(len(rows), 96)
        compared = 0
        for exact_row, shown_row in zip(rows, shown, strict=False):
            for kind, exact, text in zip(kinds, exact_row, shown_row, strict=True):
                if kind not in DIVISORS:
                    continue
                if exact == "":
                    assert text == "–"
                    continue
                digits = len(text.partition(".")[2])
                assert abs(float(text.replace(",", "")) - int(exact) / DIVISORS[kind]) <= 0.501 / 10**digits, (
                    exact,
                    text,
                )
                compared += 1
        assert compared >= len(shown)


def test_slots_without_a_value_stay_empty(visit: Visit, line: BillLine) -> None:
    visit.go_to(next(place for place in PLACES if place.name == "overview"), line, Look())

    counts = ink(visit.browser, 0, columns=24)

    assert min(counts[:3]) > 0, "settled hours"
    assert sum(counts[5:]) == 0, "hours that have not come yet"


def test_an_axis_stands_only_while_a_curve_of_its_own_is_drawn(visit: Visit, line: BillLine) -> None:
    browser = visit.browser
    visit.go_to(next(place for place in PLACES if place.name == "household"), line, Look())
    width = "return Math.round(document.querySelector('.u-over').getBoundingClientRect().width)"
    with_price = browser.run(width)

    browser.click(".chart-legend button:last-child")
    without_price = browser.run(width)
    browser.click(".chart-legend button:last-child")

    assert without_price > with_price + 40, "the plot takes the room of the axis of prices"
    assert browser.run(width) == with_price


def test_without_a_pointer_the_line_below_says_what_gaps_mean_and_nothing_moves_when_it_says_values(
    visit: Visit, line: BillLine
) -> None:
    browser = visit.browser
    visit.go_to(next(place for place in PLACES if place.name == "household"), line, Look())
    height = "return document.querySelector('figure.chart').offsetHeight"
    resting = browser.text(".chart-readout")
    over = browser.find(".u-over")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", over)

    ActionChains(browser.driver).move_to_element_with_offset(over, 2 - over.size["width"] // 2, 0).perform()
    pointed = browser.text(".chart-readout")
    tallest = browser.run(height)
    browser.rest()

    assert "a gap is a slot without a value" in resting
    assert "Import" in pointed
    assert "kWh" in pointed
    assert browser.text(".chart-readout") == resting
    assert browser.run(height) == tallest


def test_the_values_at_the_cursor_stand_beside_it_as_below_the_plot(visit: Visit, line: BillLine) -> None:
    browser = visit.browser
    visit.go_to(next(place for place in PLACES if place.name == "household"), line, Look(390))
    over = browser.find(".u-over")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", over)

    for offset in (2 - over.size["width"] // 2, over.size["width"] // 2 - 3):
        ActionChains(browser.driver).move_to_element_with_offset(over, offset, 0).perform()
        where, *values = browser.text(".chart-tip").splitlines()
        assert browser.text(".chart-readout") == f"{where}: {'; '.join(values)}"
        assert any(value.startswith("Import") for value in values)
    browser.rest()
    assert not browser.find(".chart-tip").is_displayed()


def test_while_a_chart_loads_a_grey_field_keeps_its_place(visit: Visit, line: BillLine) -> None:
    browser = visit.browser
    visit.go_to(next(place for place in PLACES if place.name == "household"), line, Look())
    plot = "const plot = document.querySelector('figure.chart .plot');"
    drawn_px = browser.run(f"{plot} return plot.offsetHeight")

    browser.run(f"{plot} plot.replaceChildren(); plot.closest('figure').setAttribute('aria-busy', 'true')")
    waiting_px, image = browser.run(f"{plot} return [plot.offsetHeight, getComputedStyle(plot).backgroundImage]")

    assert waiting_px > drawn_px // 2
    assert "gradient" in image


# ---------------------------------------------------------------------------------------------------------------- a year


@pytest.fixture(scope="module")
def year(demonstration: LiveDemo, line: BillLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehosted]:
    """A copy of the demonstration in whose time series the household has a year of quarter hours, less a month."""
    copied = rehosted(demonstration, tmp_path_factory.mktemp("year"))
    meters = Finished(demonstration.out, 0, "", "", 0.0).rows("meters.csv")
    meter = next(row["meter"] for row in meters if row["party"] == line.party)
    with copied as copy:
        asyncio.run(write_year(copy, line, meter))
        yield copy


async def write_year(copy: Rehosted, line: BillLine, meter: str) -> None:
    """Give the household's meter a settled curve of the year after that of the demonstration, in which it has counted for it since June."""
    rows = []
    for number, time_s in enumerate(range(START_S, END_S, SLOT_S)):
        if time_s in HOLE_S:
            continue
        import_wh = 400 + 250 * (number % 96 > 70) + number % 37
        export_wh = 9 * (number % 96) * (28 < number % 96 < 70)
        trades = (number % 53, number % 31, 90_000, 100_000)
        rows.append(Row((line.area, meter), time_s, (import_wh, export_wh, *trades, MEASURED)))
    assert len(rows) == POINTS - len(range(HOLE_S.start, HOLE_S.stop, SLOT_S))
    series = EmbeddedSeries(copy.run_dir / "series.db", size_mib_max=512)
    try:
        await series.write(INTERVALS, rows)
    finally:
        await series.close()


def test_a_year_of_quarter_hours_is_drawn_zoomed_and_moved(
    browser: Browser, year: Rehosted, line: BillLine, record_property: Any
) -> None:
    browser.prepare(WATCH_LONG_TASKS)
    browser.look(Look())
    visit = Visit(browser, year.url)
    visit.sign_in("household", line.party)
    visit.open(f"/households/{line.party}/year?year={YEAR}&lang=en")
    visit.settle()
    points = POINTS - len(range(HOLE_S.start, HOLE_S.stop, SLOT_S))
    took_ms = {"drawing": long_tasks(browser)}
    label = browser.find(".plot").get_attribute("aria-label") or ""
    assert f"{points:,} rows" in label
    whole = ink(browser, 0, columns=365)
    assert min(whole[2:58]) > 0
    assert sum(whole[61:88]) == 0, "the month without readings is a gap"
    assert min(whole[92:363]) > 0
    seen = [instants(browser)]
    for action in (zoom_by_button, drag_to_zoom, move_by_keyboard, move_by_dragging):
        long_tasks(browser)
        action(browser)
        took_ms[action.__name__] = long_tasks(browser)
        seen.append(instants(browser))
    assert all(before != after for before, after in pairwise(seen))
    spans = [end - start for start, end in seen]
    assert spans[0] > 1.9 * spans[1] > 1.9 * spans[2], "zooming shows less"
    assert abs(spans[2] - spans[3]) < 0.05 * spans[2], "moving shows as much"
    browser.find(".plot").send_keys("0")
    assert instants(browser) == seen[0]
    for name, longest_ms in took_ms.items():
        record_property(f"longest_task_ms_{name}", longest_ms)
    print(f"a year of {points:,} points, longest task in ms: {took_ms}")
    assert browser.complaints() == []


def test_the_table_of_a_year_is_leafed_through(browser: Browser, year: Rehosted, line: BillLine) -> None:
    visit = Visit(browser, year.url)
    visit.sign_in("household", line.party)
    visit.open(f"/households/{line.party}/year?year={YEAR}&lang=en")
    visit.settle()
    browser.click(".chart-toggle")
    points = POINTS - len(range(HOLE_S.start, HOLE_S.stop, SLOT_S))

    first = browser.text(".chart-pager")
    browser.click(".chart-pager button:last-child")

    assert f"Rows 1 to 96 of {points:,}" in first
    assert f"Rows 97 to 192 of {points:,}" in browser.text(".chart-pager")
    assert "Jan 2, 2027" in browser.text(".plot-table tbody th")


def ink(browser: Browser, chart: int, columns: int = 1) -> list[int]:
    """How many pixels of curves each column of a chart's plot has."""
    found: list[int] = browser.run(INK, chart, columns)
    return found


def long_tasks(browser: Browser) -> float:
    """The longest time since last asked in which the page could do nothing else, milliseconds; below 50 counts as none."""
    browser.run("return new Promise((seen) => requestAnimationFrame(() => setTimeout(seen, 50)))")
    return float(browser.run("return Math.max(0, ...longTasks.splice(0))"))


def instants(browser: Browser) -> tuple[float, float]:
    """The instants at the left and the right end of the plot, UTC seconds, as the chart says them under the pointer."""
    over = browser.find(".u-over")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", over)
    found = []
    for offset in (-over.size["width"] // 2 + 2, over.size["width"] // 2 - 3):
        ActionChains(browser.driver).move_to_element_with_offset(over, offset, 0).perform()
        text = browser.text(".chart-readout").partition(": ")[0]
        found.append(datetime.strptime(text, "%b %d, %Y, %H:%M").replace(tzinfo=TZ).timestamp())
    return found[0], found[1]


def zoom_by_button(browser: Browser) -> None:
    """Press +."""
    browser.click(".chart-tools button:nth-child(3)")


def drag_to_zoom(browser: Browser) -> None:
    """Mark the part to zoom into."""
    over = browser.find(".u-over")
    quarter = over.size["width"] // 4
    ActionChains(browser.driver).move_to_element_with_offset(over, -quarter, 0).click_and_hold().move_by_offset(
        quarter, 0
    ).release().perform()


def move_by_keyboard(browser: Browser) -> None:
    """Arrow to the right."""
    browser.find(".plot").send_keys(Keys.ARROW_RIGHT)


def move_by_dragging(browser: Browser) -> None:
    """Shift and drag to the left."""
    over = browser.find(".u-over")
    chain = ActionChains(browser.driver).key_down(Keys.SHIFT).move_to_element(over).click_and_hold()
    for _ in range(10):
        chain = chain.move_by_offset(-10, 0)
    chain.release().key_up(Keys.SHIFT).perform()
