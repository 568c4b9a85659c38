"""Tariffs as people read them: each price with the time for which it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridweb.access import Role
from gridweb.pages import components
from gridweb.pages.components import spans
from tests.unit.web.household_world import METER, NEIGHBOUR, PARTY, PRICES, household, household_world
from tests.unit.web.web_world import NOW_S, World

LEVY = "levy_micro_per_kwh"


def entry(from_s: int, levy: int, height: int = 1) -> dict[str, Any]:
    return {"from_s": from_s, "recorded_height": height, "value": {"prices": {**PRICES, LEVY: levy}, "terms": {}}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Rules whose levy changes twice, once for an entry that was corrected before it held."""
    world = household_world(tmp_path)
    name = world.node.answers["areas"]["areas"][0]["rules"]["id"]
    entries = [entry(0, 40_000), entry(1_000, 50_000), entry(1_000, 60_000, 2), entry(2_000, 60_000, 3)]
    world.node.answers[f"registry/rules/{name}"] = {"entries": entries}
    return world


async def test_a_price_is_one_span_until_it_changes_and_a_corrected_entry_never_held(world: World) -> None:
    table = await (await world.browser(Role.UTILITY).get("/api/v1/areas/A1/tariff")).get_json()
    spans = [row[1:4] for row in table["rows"] if row[0] == LEVY]
    assert spans == [[40_000, None, 1_000], [60_000, 1_000, None]]
    others = [row for row in table["rows"] if row[0] != LEVY]
    assert len(others) == len(PRICES) - 1
    assert {(row[2], row[3]) for row in others} == {(None, None)}


async def test_a_household_reads_its_own_tariff_in_words_and_no_neighbours(world: World) -> None:
    browser = household(world)
    page = await browser.text(f"/households/{PARTY}/tariff")
    assert LEVY not in page
    assert "0.0600" in page
    assert (await browser.get(f"/households/{NEIGHBOUR}/tariff")).status_code == 403
    assert (await browser.get("/tariffs")).status_code == 403
    assert (await world.browser(Role.REGULATOR).get("/tariffs")).status_code == 200


def component(name: str, base: str, price: int, **more: Any) -> dict[str, Any]:
    return {"account": "grid", "base": base, "name": name, "price": price, "taxed": True, **more}


STEPPED = {
    key: value
    for key, value in component("block", "import", 0, steps=[[0, 480_000], [200_000, 530_000]]).items()
    if key != "price"
}
NIGHT = component("night", "residual", -60_000, windows=[[0, 21_600], [79_200, 86_400]], months=[7, 8])
SHARE = component("factor", "percent", -7_500, of=["night", "levy"], taxed=False)
DEMAND = component("demand", "kw_contracted", 32_000_000)
TERMS = {"quantum_nano": 10_000_000, "rounding": "half_even", "tax_ppm": 130_000}


@pytest.fixture
def charged(world: World) -> World:
    """The same, whose household has a tariff: its demand charge was dearer at first, its share begins later."""
    first = [STEPPED, {**DEMAND, "price": 40_000_000}]
    entries = [
        {"from_s": 0, "recorded_height": 0, "value": {"components": first, **TERMS}},
        {"from_s": 1_000, "recorded_height": 5, "value": {"components": [STEPPED, NIGHT, DEMAND], **TERMS}},
        {"from_s": NOW_S + 1, "recorded_height": 6, "value": {"components": [STEPPED, NIGHT, DEMAND, SHARE], **TERMS}},
    ]
    party = {"area": "A1", "organisation": "o", "trades": True, "tariff": "village", "contracted_w": {"demand": 12_000}}
    world.node.answers["registry/tariff"]["names"] = ["village"]
    world.node.answers["registry/tariff/village"] = {"entries": entries}
    world.node.answers[f"registry/party/{PARTY}"] = {"entries": [{"from_s": 0, "recorded_height": 0, "value": party}]}
    return world


async def test_components_are_told_with_price_windows_steps_and_the_time_for_which_they_hold(charged: World) -> None:
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    keys = [column["key"] for column in table["columns"]]
    rows = [dict(zip(keys, row, strict=True)) for row in table["rows"]]
    told = [(row["component"], row["above_wh"], row["from_s"], row["until_s"], row["state"]) for row in rows]
    assert told == [
        ("block", 0, None, None, "in_force"),
        ("block", 200_000, None, None, "in_force"),
        ("night", None, 1_000, None, "in_force"),
        ("demand", None, None, 1_000, "past"),
        ("demand", None, 1_000, None, "in_force"),
        ("factor", None, NOW_S + 1, None, "future"),
    ]
    assert [row["price_micro_per_kwh"] for row in rows[:3]] == [480_000, 530_000, -60_000]
    assert [row["rate_nano"] for row in rows[3:5]] == [40 * 10**9, 32 * 10**9]
    assert (rows[2]["hours"], rows[2]["months"]) == ("00:00–06:00, 22:00–24:00", "7, 8")
    assert (rows[5]["share_percent"], rows[5]["of"], rows[5]["taxed"]) == ("-0.75", "night, levy", "no")


async def test_the_tariffs_lead_to_a_page_of_each_in_both_languages(charged: World) -> None:
    assert 'href="/tariffs/village"' in await charged.browser(Role.REGULATOR).text("/tariffs")
    page = await charged.browser(Role.UTILITY).text("/tariffs/village")
    assert "kW that was contracted, by the month" in page
    assert "tax 13 %, each line rounded once to 0.01 CNY, ties to the even one" in page
    assert "no bundle proves them" in page
    assert "The tax changes" not in page
    chinese = await charged.browser(Role.UTILITY, language="zh_CN").text("/tariffs/village")
    assert "合同容量" in chinese
    assert "证据包" in chinese
    assert (await charged.browser(Role.UTILITY).get("/tariffs/nobody")).status_code == 404
    assert (await household(charged).get("/tariffs/village")).status_code == 403


async def test_a_tariff_whose_rate_of_tax_changes_tells_each_rate_and_since_when(charged: World) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    entries[0]["value"]["tax_ppm"], entries[2]["value"]["tax_ppm"] = 160_000, 95_000
    page = await charged.browser(Role.UTILITY).text("/tariffs/village")
    assert "Invoices: tax 13 %" in page
    assert "The tax changes: 16 %, from 1970-01-01 08:16 on 13 %, from 2027-01-15 16:00 on 9.5 %." in page
    chinese = await charged.browser(Role.UTILITY, language="zh_CN").text("/tariffs/village")
    assert "税率有变：16 %, 自 1970-01-01 08:16 起 13 %, 自 2027-01-15 16:00 起 9.5 %。" in chinese


async def test_a_household_reads_what_it_is_charged_by_the_month_and_what_it_contracted(charged: World) -> None:
    browser = household(charged)
    page = await browser.text(f"/households/{PARTY}/tariff")
    assert "Charges by the month, tariff village" in page
    assert "12,000" in page
    table = await (await browser.get(f"/api/v1/households/{PARTY}/components")).get_json()
    contracted = [row[-1] for row in table["rows"] if row[0] == "demand"]
    assert contracted == [12_000, 12_000]
    assert (await browser.get(f"/api/v1/households/{NEIGHBOUR}/components")).status_code == 403


async def test_a_page_leaves_out_what_no_component_has_and_the_table_has_all(charged: World) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    entries[:] = [{**entries[0], "value": {"components": [DEMAND], **TERMS}}]
    page = await charged.browser(Role.UTILITY).text("/tariffs/village")
    assert "Per kW and month, or per day" in page
    assert "Time of day" not in page
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    assert "hours" in [column["key"] for column in table["columns"]]


async def test_a_component_by_a_series_is_told_with_its_name_in_both_languages(charged: World) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    market = {key: value for key, value in component("market", "residual", 0).items() if key != "price"}
    entries[:] = [{**entries[0], "value": {"components": [{**market, "price_series": "spot-north"}, DEMAND], **TERMS}}]
    for language, head in (("en", "Per kWh, by slot: price series"), ("zh_CN", "每千瓦时，按时段：价格序列")):
        page = await charged.browser(Role.UTILITY, language=language).text("/tariffs/village")
        assert head in page
        assert "spot-north" in page
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    place = [column["key"] for column in table["columns"]].index("price_series")
    assert [row[place] for row in table["rows"]] == ["spot-north", None]


async def test_a_component_by_voltage_level_has_a_row_for_each_level_up_to_the_highest(charged: World) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    grid = {key: value for key, value in component("grid", "traded", 0).items() if key != "price"}
    grid |= {"levels": [["10kV", 200_000], ["35kV", 170_000], ["110kV", 150_000]], "highest_level": "35kV"}
    entries[:] = [{**entries[0], "value": {"components": [grid], **TERMS}}]
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    keys = [column["key"] for column in table["columns"]]
    rows = [dict(zip(keys, row, strict=True)) for row in table["rows"]]
    told = [(row["level"], row["highest_level"], row["price_micro_per_kwh"]) for row in rows]
    assert told == [("10kV", "35kV", 30_000), ("35kV", "35kV", 0)]
    for language, heads in (
        ("en", ("At voltage level", "Trades cover up to")),
        ("zh_CN", ("电压等级", "交易覆盖的最高电压等级")),
    ):
        page = await charged.browser(Role.UTILITY, language=language).text("/tariffs/village")
        assert all(head in page for head in heads)


async def test_a_component_that_follows_trades_says_so_with_places_and_has_the_whole_price_of_each_level(
    charged: World,
) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    grid = {key: value for key, value in component("grid", "traded", 0).items() if key != "price"}
    grid |= {"levels": [["10kV", 200_000], ["35kV", 170_000]], "highest_level": "35kV", "covers": "trade"}
    grid["place_levels"] = [[1, "35kV"], [4, "10kV"]]
    entries[:] = [{**entries[0], "value": {"components": [grid], **TERMS}}]
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    keys = [column["key"] for column in table["columns"]]
    rows = [dict(zip(keys, row, strict=True)) for row in table["rows"]]
    told = [(row["level"], row["covers"], row["place_levels"], row["price_micro_per_kwh"]) for row in rows]
    places = "1: 35kV, 4: 10kV"
    assert told == [("10kV", "trade", places, 200_000), ("35kV", "trade", places, 170_000)]
    page = await charged.browser(Role.UTILITY, language="zh_CN").text("/tariffs/village")
    assert all(words in page for words in ("双方及其共同上级电网位置的最高电压等级", "电网位置的电压等级", places))


@pytest.fixture
def by_level(charged: World) -> World:
    """The same, whose tariff has prices by voltage level."""
    grid = {key: value for key, value in component("grid", "traded", 0).items() if key != "price"}
    grid |= {"levels": [["10kV", 200_000], ["35kV", 170_000]], "highest_level": "35kV"}
    entries = [{"from_s": 0, "recorded_height": 0, "value": {"components": [grid], **TERMS}}]
    charged.node.answers["registry/tariff/village"] = {"entries": entries}
    return charged


def connect(world: World, point: str, *levels: tuple[int, str]) -> None:
    """Register the voltage levels of a point, each from an instant on."""
    entries = [
        {"from_s": from_s, "recorded_height": at, "value": {"voltage_level": level}}
        for at, (from_s, level) in enumerate(levels)
    ]
    world.node.answers[f"registry/grid_connection/{point}"] = {"entries": entries}


async def test_a_household_reads_the_voltage_level_of_its_points_that_is_in_force(by_level: World) -> None:
    address, own = f"/households/{PARTY}/tariff", f"P-{METER}"
    connect(by_level, own, (0, "35kV"), (1_000, "10kV"), (NOW_S + 1, "35kV"))
    page = await household(by_level).text(address)
    assert f"Voltage level of the points: {own} 10kV." in page


async def test_of_more_points_than_the_note_names_it_says_how_many_are_left(
    by_level: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = by_level.node.answers["areas/A1/installations"]["installations"]
    rows.append({**rows[0], "meter": "M-more", "point": "P-more"})
    connect(by_level, "P-more", (0, "10kV"))
    monkeypatch.setattr(components, "POINTS_MAX", 2)
    table = await (await household(by_level).get(f"/api/v1/households/{PARTY}/components")).get_json()
    assert table["note"].endswith(f"Voltage level of the points: P-{METER} not registered, P-more 10kV.")
    monkeypatch.setattr(components, "POINTS_MAX", 1)
    table = await (await household(by_level).get(f"/api/v1/households/{PARTY}/components")).get_json()
    assert table["note"].endswith(f"Voltage level of the points: P-{METER} not registered, 1 more.")


async def test_a_tariff_without_levels_says_nothing_of_them(charged: World) -> None:
    page = await household(charged).text(f"/households/{PARTY}/tariff")
    assert "Charges by the month, tariff village" in page
    assert "Voltage level" not in page


async def test_a_party_without_a_tariff_is_told_that_nothing_is_charged_by_the_month(world: World) -> None:
    assert "Nothing is charged by the month" in await household(world).text(f"/households/{PARTY}/tariff")


@given(st.lists(st.tuples(st.integers(1, 100), st.one_of(st.none(), st.integers(0, 2))), min_size=1, max_size=8))
def test_spans_of_a_price_follow_one_another_and_tell_every_instant(changes: list[tuple[int, int | None]]) -> None:
    at = 0
    held: list[tuple[int | None, int, str]] = []
    for step, price in changes:
        held.append((price, at, "past"))
        at += step
    found_spans = spans(held)
    for time_s in range(at + 1):
        (expected, *_) = [price for price, from_s, _ in held if from_s <= time_s][-1:]
        found = [span[0] for span in found_spans if (span[1] or 0) <= time_s and (span[2] is None or time_s < span[2])]
        assert found == ([] if expected is None else [expected])


async def test_a_component_with_a_tax_rate_of_its_own_says_it_in_both_languages(charged: World) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    reduced = component("heat", "import", 70_000, tax_ppm=65_000)
    entries[:] = [{**entries[0], "value": {"components": [reduced, DEMAND], **TERMS}}]
    for language, head in (("en", "Tax rate of its own, per cent"), ("zh_CN", "自有税率（%）")):
        page = await charged.browser(Role.UTILITY, language=language).text("/tariffs/village")
        assert head in page
        assert "6.5" in page
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    place = [column["key"] for column in table["columns"]].index("tax_percent")
    assert [row[place] for row in table["rows"]] == ["6.5", None]


async def test_a_peak_of_each_point_on_working_days_is_told_in_both_languages(charged: World) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    more = {"windows": [[36_000, 43_200]], "weekdays": [1, 2, 3, 4, 5]}
    peaks = [component("peak", "kw_peak", 32_000_000, peak_of="point", **more), component("all", "kw_peak", 1)]
    entries[:] = [{**entries[0], "value": {"components": [*peaks, DEMAND], **TERMS}}]
    for language, words in (
        ("en", ("Highest slot of", "each point", "all points together", "Days of the week (1: Monday)")),
        ("zh_CN", ("最大需量取自", "各计量点", "全部计量点合计", "星期（1 为周一）")),
    ):
        page = await charged.browser(Role.UTILITY, language=language).text("/tariffs/village")
        assert all(word in page for word in (*words, "1, 2, 3, 4, 5", "10:00–12:00"))
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    place = [column["key"] for column in table["columns"]].index("peak_of")
    assert [row[place] for row in table["rows"]] == ["point", "party", None]


async def test_steps_of_a_year_are_told_in_both_languages(charged: World) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    entries[:] = [{**entries[0], "value": {"components": [{**STEPPED, "steps_per": "year"}, DEMAND], **TERMS}}]
    for language, words in (
        ("en", ("For energy above", "Energy that steps count", "of the calendar year so far")),
        ("zh_CN", ("电量超过", "阶梯所计电量", "本年初至今")),
    ):
        page = await charged.browser(Role.UTILITY, language=language).text("/tariffs/village")
        assert all(word in page for word in words)
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    place = [column["key"] for column in table["columns"]].index("steps_per")
    assert [row[place] for row in table["rows"]] == ["year", "year", None]


async def test_kinds_of_days_and_the_days_that_a_tariff_names_are_told_in_both_languages(charged: World) -> None:
    entries = charged.node.answers["registry/tariff/village"]["entries"]
    deep = component("deep_valley", "import", -90_000, day_kinds=["holiday"])
    working = component("working", "import", 1, day_kinds=["holiday", "weekend"])
    days = {
        "holiday": ["2026-12-31", "2027-01-01", "2027-01-02", "2027-02-06"],
        "weekend": ["2027-02-08"],
        "workday": ["2027-01-10"],
    }
    entries[:] = [{**entries[0], "value": {"components": [deep, working, DEMAND], "days": days, **TERMS}}]
    spans = ("2026-12-31–2027-01-02, 2027-02-06", "2027-02-08", "2027-01-10")
    for language, words in (
        ("en", ("Kinds of days", "holidays and weekends", "Holidays: {}.", "Days off, as of a weekend: {}.", "Worked, as from Monday to Friday: {}.")),
        ("zh_CN", ("日类型", "节假日和休息日", "节假日：{}。", "休息日（含调休放假）：{}。", "调休上班日：{}。")),
    ):  # fmt: skip
        page = await charged.browser(Role.UTILITY, language=language).text("/tariffs/village")
        told = [*words[:2], *(text.format(span) for text, span in zip(words[2:], spans, strict=True))]
        assert [text for text in told if text not in page] == []
    table = await (await charged.browser(Role.UTILITY).get("/api/v1/tariffs/village/components")).get_json()
    place = [column["key"] for column in table["columns"]].index("day_kinds")
    assert [row[place] for row in table["rows"]] == ["holiday", "holiday, weekend", None]
