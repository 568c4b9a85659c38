"""The utility's pages with parts away, with a hundred areas, and with what should not be in a name."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from gridseries.series import OBSERVATIONS, SLOTS, Row
from gridweb.access import Role
from gridweb.pages.devices import GATEWAYS_ASKED_MAX
from gridweb.pages.overview import AREAS_SHOWN_MAX
from tests.unit.web.web_world import CONTRACT, DAY_S, FIRST_S, NOW_S, World, make_world

SLOT_S = 900
RULES = {
    "id": "r",
    "gate_before_start_s": 300,
    "metering_deadline_s": 900,
    "open_before_start_s": DAY_S,
    "rationing": "pro_rata",
    "prices": {
        "residual_price_micro_per_kwh": 460_000,
        "network_residual_micro_per_kwh": 180_000,
        "levy_micro_per_kwh": 40_000,
    },
}
BLOCK = {
    "height": 7,
    "time_s": NOW_S,
    "ledger_time_s": NOW_S,
    "digest": "ab" * 32,
    "previous": "cd" * 32,
    "history_root": "00" * 32,
    "data_root": "11" * 32,
    "state_root": "22" * 32,
    "signers": [
        {"name": "north", "public_key": "04" * 65, "power": 1, "signed": True},
        {"name": None, "public_key": "05" * 65, "power": 2, "signed": False},
    ],
    "transactions": [{"id": "ee" * 32, "kind": None, "signer": None, "code": 10, "name": "NOT_CANONICAL"}],
    "next": None,
}


def area_answer(name: str) -> dict[str, Any]:
    """An area of the node's answer, with rules that pages need."""
    known = {"calendar": "c", "contract": "p2p_call_auction/1", "first_slot_start_s": FIRST_S}
    return {"area": name, **known, "rules": RULES, "meters": 2, "settling": 1, "traders": 1}


def installation(number: int, meter: str, party: str | None, gateway: str) -> dict[str, Any]:
    """An installation of the node's answer."""
    return {
        "number": number,
        "meter": meter,
        "point": f"P-{number}",
        "party": party,
        "role": "household" if party else "feeder",
        "gateway": gateway,
        "ratio": 1,
        "modulus_wh": 0,
        "limit_wh": 10_000,
        "trades": party is not None,
    }


def give_area(world: World, name: str, party: str = "H001") -> None:
    """Everything that pages ask of an area with one home and a feeder."""
    answers = world.node.answers
    installations = [installation(1, "M-1", party, "gw"), installation(2, "F", None, "gw")]
    answers[f"areas/{name}/installations"] = {"installations": installations, "next": None}
    answers[f"areas/{name}/coverage"] = {"expected": 2, "committed": 2}
    answers[f"areas/{name}/registers"] = {"registers": [], "next": None}


async def utility_world(folder: Path, areas: list[str]) -> World:
    """A world of these areas, each with one settled slot in which 300 Wh were traded, and a node that answers everything.

    All registers of the later slots are there, and their runs are about to come.
    """
    world = make_world(folder)
    answers = world.node.answers
    answers["areas"] = {"areas": [area_answer(name) for name in areas], "contracts": [CONTRACT]}
    answers["exceptions"] = {"exceptions": [], "next": None}
    gateway = {"gateway": "gw", "organisation": "util", "protection": "software", "epoch": 1, "counter": 9}
    answers["gateways"] = {
        "gateways": [{**gateway, "last_boundary_s": NOW_S, "meters": 2, "areas": areas}],
        "next": None,
    }
    received = [{"account": "supplier", "received_nano": 70}, {"account": "levy", "received_nano": -20}]
    books = [{"area": name, "accounts": received, "owes_nano": 50, "parties": 1} for name in areas]
    answers["accounts/sums"] = {"areas": books}
    answers["blocks/7"] = BLOCK
    answers["gateways/gw/observations"] = {
        "gateway": "gw",
        "boundary_s": NOW_S,
        "observations": [],
        "absent": [{"device": 4, "name": "shelly-1", "reason": "broker_down"}],
    }
    for name in areas:
        give_area(world, name)
    values = {
        "expected": 2,
        "committed": 2,
        "orders": 2,
        "volume_wh": 300,
        "price_micro_per_kwh": 400_000,
        "settled": 1,
        "estimated": 0,
        "import_wh": 900,
        "export_wh": 400,
        "feeder_import_wh": 600,
        "feeder_export_wh": 0,
        "loss_wh": 100,
        "voltage_milli_min": 229_700,
        "traders_pays_nano": 90 * 10**9,
        "traders_supplier_only_nano": 100 * 10**9,
        "traders_supplier_charge_nano": 100 * 10**9,
    }
    row = tuple(values[name] for name in SLOTS.fields)
    await world.series.write(SLOTS, [Row((name,), FIRST_S, row) for name in areas])
    unsettled = {**dict.fromkeys(SLOTS.fields), "orders": 0, "volume_wh": 0, "settled": 0}
    unsettled |= {"expected": 2, "committed": 2, "import_wh": 0, "export_wh": 0}
    later_s = range(FIRST_S + SLOT_S, NOW_S, SLOT_S)
    later = tuple(unsettled[name] for name in SLOTS.fields)
    await world.series.write(SLOTS, [Row((name,), at_s, later) for name in areas for at_s in later_s])
    return world


async def test_the_first_screen_says_each_of_its_figures_in_words(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    page = await world.browser(Role.UTILITY).text("/overview")
    for said in (
        "1 home traded 0.3 kWh; 10.0 % cheaper than supplier only",
        "1 of 96 slots of the day are settled",
        "The percentage is of what the supplier alone would charge for their use (100.00 CNY).",
        "229.7 V",
        "what parties owe is what accounts received",
        "1 of 2",
        "all 1 in time",
        "SIMULATED",
        "As of height 7",
        "No row refused",
    ):
        assert said in page, said


def figure(page: str, title: str) -> str:
    """What stands under a title among the figures of a page."""
    found = re.search(rf"<dt>{re.escape(title)}</dt>\s*<dd>(.*?)</dd>", page, re.DOTALL)
    assert found is not None, title
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


async def test_an_area_without_a_feeder_meter_says_that_nothing_is_known_of_it_and_not_that_it_took_nothing(
    tmp_path: Path,
) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    kept = world.series.rows[SLOTS.name]
    for key, slot in kept.items():
        values = SLOTS.values_type(*slot.values)._replace(feeder_import_wh=None, feeder_export_wh=None, loss_wh=None)
        kept[key] = slot._replace(values=values)
    browser = world.browser(Role.UTILITY)
    page = await browser.text("/overview")
    assert [figure(page, title) for title in ("From the grid above", "To the grid above", "Losses")] == ["–"] * 3
    assert figure(page, "Taken by the points") == "0.900 kWh"
    assert "Areas of whose feeder nothing is measured: 1." in page
    answer = await (await browser.get("/api/v1/areas")).get_json()
    row = dict(zip((column["key"] for column in answer["columns"]), answer["rows"][0], strict=True))
    assert (row["import_wh"], row["feeder_import_wh"], row["loss_wh"]) == (900, None, None)


async def test_while_the_series_catch_up_the_overview_says_what_is_not_read_and_takes_what_is_settled_from_the_ledger(
    tmp_path: Path,
) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    world.series.rows.clear()
    world.progress.height = 2
    world.node.answers["blocks/2"] = {**BLOCK, "height": 2, "ledger_time_s": FIRST_S}
    world.node.answers["areas/a-1/progress"] = {"area": "a-1", "run_slot_start_s": FIRST_S + 30 * SLOT_S}
    page = " ".join((await world.browser(Role.UTILITY).text("/overview")).split())
    assert "30 of 96 slots of the day are settled." in page
    assert "have been read up to 2027-01-15 08:00 Asia/Shanghai; slots not read yet: 33." in page
    assert "(64 not read yet)" in page
    assert "No trade yet" not in page
    assert "Not read yet" in page
    quality = await world.browser(Role.UTILITY).text("/quality")
    assert figure(quality, "Missing") == "0"
    assert figure(quality, "Not read yet") == "64"
    assert "Of the readings that were read so far, none is missing past its deadline" in quality


async def test_an_area_in_which_nobody_trades_does_not_say_that_together_they_pay_nothing(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    world.node.answers["areas"]["areas"][0]["traders"] = 0
    page = await world.browser(Role.UTILITY).text("/overview")
    assert "together" not in page
    assert "Nobody takes part in the market here" in page


async def test_no_gateway_and_one_that_never_had_anything_to_send_are_not_called_in_time(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    gateways = world.node.answers["gateways"]
    gateways["gateways"][0] |= {"last_boundary_s": -1, "meters": 0}
    browser = world.browser(Role.UTILITY)
    assert figure(await browser.text("/overview"), "Gateways") == "○ nothing due yet"
    assert (await (await browser.get("/api/v1/gateways")).get_json())["rows"][0][1] == "not_due"
    gateways["gateways"] = []
    world.progress.newest = world.progress.height = world.node.height = 8
    world.node.answers["blocks/8"] = {**BLOCK, "height": 8}
    assert figure(await browser.text("/overview"), "Gateways") == "none registered"


async def test_a_day_without_a_settled_slot_has_no_money_which_is_not_nothing(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    del world.series.rows[SLOTS.name][("a-1",), FIRST_S]
    answer = await (await world.browser(Role.UTILITY).get("/api/v1/areas")).get_json()
    row = dict(zip((column["key"] for column in answer["columns"]), answer["rows"][0], strict=True))
    assert [row[key] for key in ("settled", "volume_wh", "traders_pays_nano")] == [0, None, None]


async def test_the_share_of_the_headline_can_be_recomputed_from_the_table_of_areas(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    browser = world.browser(Role.UTILITY)
    answer = await (await browser.get("/api/v1/areas")).get_json()
    row = dict(zip((column["key"] for column in answer["columns"]), answer["rows"][0], strict=True))
    saving = row["traders_supplier_only_nano"] - row["traders_pays_nano"]
    share = f"{100 * saving / row['traders_supplier_charge_nano']:.1f}"
    assert f"{share} % cheaper than supplier only" in await browser.text("/overview")


async def test_a_node_that_never_answered_leaves_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    world.node.away = True
    for path in ("/overview", "/quality", "/households", "/blocks/7"):
        page = await world.browser(Role.UTILITY).text(path)
        assert "away since" in page


async def test_a_node_that_goes_away_leaves_what_it_said_with_since_when(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    browser = world.browser(Role.UTILITY)
    await browser.text("/overview")
    world.node.away = True
    world.progress.newest += 1  # what was kept of the node's answers is of an older height
    page = await browser.text("/overview")
    assert "1 home traded 0.3 kWh" in page
    assert "229.7 V" in page
    assert "away since" in page
    for part in (page, await browser.text("/overview/part/ledger")):
        assert "what parties owe is what accounts received" in part
        assert "What stands here is as it was at" in part
    world.node.away = False
    world.site.health.report("node", None)
    part = await browser.text("/overview/part/ledger")
    assert "what parties owe is what accounts received" in part
    assert "What stands here is as it was at" not in part


async def test_devices_without_values_are_named_with_why_and_since_when_and_lead_to_the_quality_of_the_data(
    tmp_path: Path,
) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    seen = Row(("gw", "shelly-1", "16.7.0"), NOW_S - 3_600, (1_000, 0))
    await world.series.write(OBSERVATIONS, [seen])
    browser = world.browser(Role.UTILITY)
    said = "shelly-1 (broker down, last value at 2027-01-15 15:00)"
    overview = " ".join((await browser.text("/overview")).split())
    assert f"Devices without values, which no bill rests on: 1 – {said}" in overview
    assert 'href="/quality#devices"' in overview
    for path in ("/quality", "/quality/part"):
        page = await browser.text(path)
        assert 'id="devices"' in page, path
        assert "2027-01-15 15:00" in page, path
    world.node.answers["gateways/gw/observations"]["absent"] = []
    world.progress.newest += 1
    assert "Devices without values" not in await browser.text("/overview/part/ledger")
    assert "Absent devices" not in await browser.text("/quality/part")


async def test_gateways_whose_devices_the_overview_does_not_look_at_are_counted(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    answers, asked = world.node.answers, GATEWAYS_ASKED_MAX
    (gateway,) = answers["gateways"]["gateways"]
    answers["gateways"]["gateways"] = [{**gateway, "gateway": f"gw-{number:02}"} for number in range(asked + 3)]
    for number in range(asked):
        name = f"gw-{number:02}"
        answers[f"gateways/{name}/observations"] = {**answers["gateways/gw/observations"], "gateway": name}
    page = await world.browser(Role.UTILITY).text("/overview/part/ledger")
    assert f"which no bill rests on: {asked} " in " ".join(page.split())
    assert "The devices of 3 more gateways are not looked at here: choose an area." in page


async def test_while_the_series_is_away_devices_are_still_named_with_since_when_as_it_was_read_last(
    tmp_path: Path,
) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    await world.series.write(OBSERVATIONS, [Row(("gw", "shelly-1", "16.7.0"), NOW_S - 3_600, (1_000, 0))])
    browser = world.browser(Role.UTILITY)
    await browser.text("/overview")  # the figures of the day are kept
    world.series.away = True
    page = await browser.text("/overview/part/ledger")
    assert "shelly-1 (broker down, last value at 2027-01-15 15:00)" in page
    assert "What stands here is as it was at" in page


async def test_a_page_that_could_not_be_read_asks_again_for_the_area_and_day_that_it_was_asked_for(
    tmp_path: Path,
) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    world.node.away = True
    for page, part in (("overview", "/ledger"), ("quality", "")):
        text = unescape(await world.browser(Role.UTILITY).text(f"/{page}?area=a-1&day=2027-01-15"))
        assert f'hx-get="/{page}/part{part}?area=a-1&day=2027-01-15"' in text


async def test_a_series_that_is_away_is_named_and_comes_back_by_itself(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    browser = world.browser(Role.UTILITY)
    world.series.away = True
    assert "the time series store, which is away since" in await browser.text("/overview")
    assert "away" in await browser.text(f"/slots/a-1/{FIRST_S}")
    world.series.away = False
    assert "1 home traded 0.3 kWh" in await browser.text("/overview")


async def test_a_hundred_areas_have_one_sum_a_compact_list_and_no_grid_of_slots(tmp_path: Path) -> None:
    names = [f"a{number:03}" for number in range(100)]
    world = await utility_world(tmp_path, names)
    browser = world.browser(Role.UTILITY)
    page = await browser.text("/overview")
    assert "100 homes traded 30.0 kWh; 10.0 % cheaper than supplier only" in page
    assert page.count('class="strip"') == AREAS_SHOWN_MAX
    assert all(f'href="/overview?area={name}"' in page for name in names)
    assert "data-slot-grid" not in page
    one = await browser.text("/overview?area=a042")
    assert "1 home traded 0.3 kWh" in one
    assert "data-slot-grid" in one
    answer = await (await browser.get("/api/v1/areas")).get_json()
    assert len(answer["rows"]) == 100
    assert answer["totals"][8] == 30_000


async def test_two_sides_of_the_book_that_differ_are_said_aloud_with_the_area(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    world.node.answers["accounts/sums"]["areas"][0]["owes_nano"] = 51
    page = await world.browser(Role.UTILITY).text("/overview/part/ledger")
    assert "the two sides of the book differ" in page
    assert "Area a-1: 0.000000001 CNY too much is owed" in page


async def test_names_with_markup_are_shown_and_not_executed(tmp_path: Path) -> None:
    name = '<script>alert("1")</script>'
    world = await utility_world(tmp_path, [name])
    give_area(world, name, party=name)
    row = {"row": 0, "meter": 1, "code": 83, "name": "ROW_GOES_BACK"}
    entry = {"gateway": name, "epoch": 1, "counter": 1, "boundary_s": FIRST_S, "rows": [row]}
    world.node.answers["exceptions"] = {"exceptions": [entry], "next": None}
    browser = world.browser(Role.UTILITY)
    for path in ("/overview", "/quality"):
        page = await browser.text(path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
    exceptions = await (await browser.get("/api/v1/exceptions?format=csv")).get_data(as_text=True)
    assert name.replace('"', '""') in exceptions


async def test_an_absent_device_is_listed_with_its_reason_and_the_last_value_that_it_gave(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    await world.series.write(OBSERVATIONS, [Row(("gw", "shelly-1", "16.7.0"), NOW_S - 3600, (5, 0))])
    browser = world.browser(Role.UTILITY)
    assert "broker down" in await browser.text("/quality")
    answer = await (await browser.get(f"/api/v1/gateways/gw/absent?boundary_s={NOW_S}")).get_json()
    assert answer["rows"] == [["shelly-1", "broker_down", NOW_S - 3600]]


async def test_a_slot_without_volume_says_that_nothing_was_traded(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    clearing = {"contract": "p2p_call_auction/1", "rules": "aa" * 32, "book_root": "bb" * 32, "fills_root": "cc" * 32}
    world.node.answers[f"areas/a-1/slots/{FIRST_S}/clearing"] = {
        **clearing,
        "orders": 0,
        "volume_wh": 0,
        "price_micro_per_kwh": None,
    }
    page = await world.browser(Role.UTILITY).text(f"/slots/a-1/{FIRST_S}")
    assert "none: nothing was traded" in page
    assert "No orders came for this slot." in page
    assert "Not settled yet." in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/overview/part/nothing", 404),
        ("/overview?area=nowhere", 404),
        ("/overview?day=yesterday", 400),
        ("/quality?day=2026-13-40", 400),
        ("/slots/nowhere/1799971200", 404),
        ("/slots/a-1/1799971201", 404),
        (f"/slots/a-1/{FIRST_S - SLOT_S}", 404),
        ("/households?area=nowhere", 404),
        ("/blocks/8", 404),
        ("/api/v1/areas/a-1/slots?start_s=-1000000000000&end_s=1000000000000", 200),
    ],
)
async def test_an_address_of_nothing_is_refused_in_one_line(tmp_path: Path, path: str, status: int) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    assert (await world.browser(Role.UTILITY).get(path)).status_code == status


async def test_a_span_of_slots_beyond_a_year_is_refused_with_the_limit(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    world.node.answers["calendars/c"]["days"] = [FIRST_S + day * DAY_S for day in range(500)]
    answer = await world.browser(Role.UTILITY).get("/api/v1/areas/a-1/slots?start_s=0")
    assert answer.status_code == 400
    assert "at most 40000 slots" in (await answer.get_data(as_text=True))


async def test_a_malformed_transaction_of_a_block_has_neither_kind_nor_signer(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    browser = world.browser(Role.REGULATOR)
    page = await browser.text("/blocks/7")
    assert "not certified yet" in page
    assert "1 of 2 signers, 1 of 3 of the voting power" in page
    answer = await (await browser.get("/api/v1/blocks/7/transactions")).get_json()
    assert answer["rows"] == [[0, None, None, 10, "NOT_CANONICAL", "ee" * 32]]


@pytest.mark.parametrize("path", ["/overview", "/overview/part/ledger", "/quality", "/households", "/blocks/7"])
async def test_a_household_does_not_open_the_pages_of_all(tmp_path: Path, path: str) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    assert (await world.browser(Role.HOUSEHOLD, "H001").get(path)).status_code == 403


@pytest.mark.parametrize("path", ["/overview", "/households", "/imbalance", "/runs", "/sample"])
async def test_a_chain_without_areas_is_said_and_no_fault(tmp_path: Path, path: str) -> None:
    world = await utility_world(tmp_path, [])
    got = await world.browser(Role.REGULATOR).get(path)
    assert got.status_code == 404
    assert "this chain has no areas" in await got.get_data(as_text=True)


async def test_the_overview_of_many_areas_shows_those_in_trouble_first_and_says_how_many_there_are(
    tmp_path: Path,
) -> None:
    world = await utility_world(tmp_path, [f"a-{number:02d}" for number in range(AREAS_SHOWN_MAX + 2)])
    page = await world.browser(Role.UTILITY).text("/overview")
    assert page.count('class="strip"') == AREAS_SHOWN_MAX
    assert f"The first {AREAS_SHOWN_MAX} of {AREAS_SHOWN_MAX + 2} rows" in page


async def test_closed_disputes_before_the_oldest_open_one_are_not_asked_for_again(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    disputes = [{"is_closed": True}, {"is_closed": True}, {"is_closed": False}, {"is_closed": True}]
    world.node.answers["disputes"] = lambda start=0: {"disputes": disputes[start:], "next": None}
    world.node.answers["areas/a-1/progress"] = {"run_slot_start_s": FIRST_S}
    utility = world.browser(Role.UTILITY)
    assert "Open disputes: 1" in await utility.text("/overview")
    world.progress.newest += 1
    disputes.append({"is_closed": False})
    assert "Open disputes: 2" in await utility.text("/overview")
    asked = [params["start"] for path, params in world.node.asked if path == "disputes"]
    assert asked == [0, 2]
