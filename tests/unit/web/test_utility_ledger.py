"""The utility's tables and pages over a real ledger: one area whose readings came, one that is settled with estimates."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridcore.gateway_report import GatewayReport
from gridseries.embedded import EmbeddedSeries
from gridseries.projection import Projector
from gridweb.access import Role, Viewer
from gridweb.pages.accounts import accounts_table, read_accounts
from gridweb.pages.block import KIND_TITLES, signers_table, transactions_table
from gridweb.pages.day_figures import SlotState, read_day
from gridweb.pages.day_tables import areas_table, slots_table
from gridweb.pages.fleet import Counts, counts_of, read_fleet, table_of_known, table_of_reports
from gridweb.pages.gateways import gateways_table
from gridweb.pages.households import parties_table
from gridweb.pages.quality import coverage_table, missing_table
from gridweb.pages.slot import merit_table, money_table, positions_table
from gridweb.pages.stakes import Basis, TroubleKind, read_troubles
from gridweb.source import Source
from gridweb.tables import Table
from ledger.kinds.table import KINDS
from tests.unit.web.ledger_world import ledger_world
from tests.waiting import until
from tests.worlds.consortium import FIRST_S, PRICES, SLOT_S

UTILITY = Viewer("util", Role.UTILITY)
FULL_PRICE = sum(PRICES[f"{name}_micro_per_kwh"] for name in ("residual_price", "network_residual", "levy"))


def rows_of(table: Table) -> list[dict[str, object]]:
    """Rows as mappings by key."""
    return [dict(zip((column.key for column in table.columns), row, strict=True)) for row in table.rows]


async def test_a_settled_slot_shows_the_ledgers_price_energy_losses_and_money(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        (slot, *later) = rows_of(await slots_table(world.source, "a-1"))
        statement = await world.node.client("reg").query(f"areas/a-1/slots/{FIRST_S}/run")
    assert (slot["slot_start_s"], slot["volume_wh"], slot["price_micro_per_kwh"]) == (FIRST_S, 300, 450_000)
    assert (slot["expected"], slot["committed"], slot["orders"]) == (4, 4, 2)
    # p-1 took 900 Wh, the load 2 x 40 Wh, p-2 gave 500 Wh; the feeder took 20 x 100 Wh from above.
    assert (slot["import_wh"], slot["export_wh"], slot["feeder_import_wh"], slot["loss_wh"]) == (980, 500, 2000, 1520)
    traders = [total for total in statement["parties"] if total["party"] != "l-1"]
    assert slot["traders_pays_nano"] == sum(total["pays_nano"] for total in traders)
    assert slot["traders_supplier_only_nano"] == sum(total["supplier_only_nano"] for total in traders)
    charge = sum(max(0, total["supplier_only_nano"]) for total in traders)
    assert slot["traders_supplier_charge_nano"] == charge > 0
    assert {row["state"] for row in later} <= {"open", "later", "cleared"}


async def test_the_area_with_estimates_comes_first_and_its_missing_readings_are_counted(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        table = await areas_table(world.source)
        as_of = await world.source.as_of()
        days = await read_day(world.source, await world.source.areas(), None, as_of)
    rows = rows_of(table)
    assert [row["area"] for row in rows] == ["a-2", "a-1"]
    assert (rows[0]["estimated"], rows[0]["settled"], rows[0]["missing"]) == (1, 1, 1)
    assert (rows[1]["estimated"], rows[1]["settled"], rows[1]["missing"]) == (0, 1, 0)
    assert days.states[SlotState.ESTIMATED] == 1
    assert table.totals is not None
    assert table.totals[8] == 300


async def test_the_control_total_is_zero_and_every_account_is_there(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        accounts = await read_accounts(world.source, await world.source.areas())
        table = await accounts_table(world.source)
    assert accounts.is_balanced
    assert accounts.control_nano == 0
    assert accounts.parties == 4
    assert set(accounts.received_nano) == {"balance", "clearing", "levy", "network", "offtaker", "supplier"}
    assert accounts.owed_nano == sum(accounts.received_nano.values()) != 0
    assert sum(int(str(row[1])) for row in table.rows) == 0


async def test_a_refused_row_a_missing_register_and_a_slot_with_estimates_are_ranked_by_their_stakes(
    tmp_path: Path,
) -> None:
    async with ledger_world(tmp_path) as world:
        as_of = await world.source.as_of()
        days = await read_day(world.source, await world.source.areas(), None, as_of)
        troubles = await read_troubles(world.source, days, is_day_only=True)
    known = [(one.kind, one.at_s, one.meter, one.stake_nano, one.basis) for one in troubles.items]
    limit = 10_000 * FULL_PRICE  # nothing of a-2 was measured: its only meter's limit
    assert known == [
        (TroubleKind.MISSING_REGISTER, FIRST_S + SLOT_S, "M-5", 2 * limit, Basis.LIMIT),
        (TroubleKind.ESTIMATED_SLOT, FIRST_S, "", limit, Basis.LIMIT),
        (TroubleKind.MISSING_REGISTER, FIRST_S, "M-5", limit, Basis.LIMIT),  # the first boundary touches one slot
        (TroubleKind.REFUSED_ROW, FIRST_S + SLOT_S, "9", None, Basis.UNKNOWN),
    ]
    assert not troubles.is_cut


async def test_a_refused_row_of_a_settled_meter_stakes_its_mean_energy_at_the_full_price(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        goes_back = world.sender.batch("gw-1", FIRST_S + 2 * SLOT_S, [(1, 1, 0)])
        await world.submit([goes_back])
        as_of = await world.source.as_of()
        days = await read_day(world.source, [await world.source.area("a-1")], None, as_of)
        (trouble, *_rest) = (await read_troubles(world.source, days, is_day_only=True)).items
    assert (trouble.meter, trouble.basis) == ("M-1", Basis.MEAN)
    assert trouble.code is not None
    assert trouble.code.name == "ROW_GOES_BACK"
    assert trouble.stake_nano == 2 * 900 * FULL_PRICE


async def test_a_gateway_that_never_sent_is_silent_and_the_other_is_in_time(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        rows = rows_of(await gateways_table(world.source))
    assert [(row["gateway"], row["state"], row["counter"]) for row in rows] == [
        ("gw-2", "never_heard", 0),
        ("gw-1", "in_time", 2),
    ]


async def test_the_fleet_tells_what_the_ledger_knows_from_what_a_gateway_says(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        report = GatewayReport(FIRST_S, "gridledger/1", "file", 7, 70_000, 1_800, 3, 0, 4, 2, 1)
        await world.node.client("gw-1").query_about("gateways/gw-1/report", report.encode())
        found, _ = await read_fleet(world.source)
        rows = {row["gateway"]: row for row in rows_of(table_of_known(found, "UTC"))}
        reported = {row["gateway"]: row for row in rows_of(table_of_reports(found, "UTC"))}
    assert counts_of(found) == Counts(gateways=2, silent=1, unsynced=0, refused=1, alarmed=1, unreported=1)
    one, other = rows["gw-1"], rows["gw-2"]
    assert (one["state"], one["clock"], one["refused_rows"], one["protection"]) == (
        "in_time",
        "simulated",
        1,
        "software",
    )
    told = reported["gw-1"]
    assert (told["waiting_batches"], told["waiting_age_s"], told["failing_meters"], told["alarms"]) == (7, 1_800, 2, 1)
    assert (other["state"], other["clock"], reported["gw-2"]["waiting_batches"]) == ("never_heard", None, None)


async def test_missing_meters_are_named_at_each_boundary_and_coverage_counts_the_first_one(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        day = str(FIRST_S)
        missing = rows_of(await missing_table(world.source, "a-2", day))
        coverage = rows_of(await coverage_table(world.source, "a-1", day))
    assert [(row["boundary_s"], row["meter"], row["gateway"]) for row in missing] == [
        (FIRST_S + SLOT_S, "M-5", "gw-2"),
        (FIRST_S, "M-5", "gw-2"),
    ]
    assert [(row["boundary_s"], row["expected"], row["measured"], row["awaited"]) for row in coverage] == [
        (FIRST_S + 2 * SLOT_S, 4, 0, 4),
        (FIRST_S + SLOT_S, 4, 4, 0),
        (FIRST_S, 4, 4, 0),
    ]


async def test_the_merit_order_of_the_book_reaches_the_cleared_volume_on_both_sides(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        rows = rows_of(await merit_table(world.source, "a-1", FIRST_S))
    assert [(row["side"], row["price_micro_per_kwh"], row["quantity_wh"], row["filled_wh"]) for row in rows] == [
        ("buy", 450_000, 400, 300),
        ("sell", 300_000, 300, 300),
    ]


async def test_money_by_line_adds_up_to_what_the_parties_pay_and_a_household_gets_its_own(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        money = await money_table(world.source, UTILITY, "a-1", FIRST_S)
        own = await money_table(world.source, Viewer("p", Role.HOUSEHOLD, "p-2"), "a-1", FIRST_S)
        positions = rows_of(await positions_table(world.source, UTILITY, "a-1", FIRST_S))
        one = rows_of(await positions_table(world.source, Viewer("p", Role.HOUSEHOLD, "p-2"), "a-1", FIRST_S))
        parties = await parties_table(world.source, "a-1", str(FIRST_S))
    assert money.totals is not None
    assert own.totals is not None
    assert money.totals[5] == sum(int(str(row["pays_nano"])) for row in positions)
    assert [row["party"] for row in positions] == ["p-1", "p-2", "l-1"]
    assert [(row["party"], row["sold_wh"], row["pays_nano"]) for row in one] == [("p-2", 300, own.totals[5])]
    assert parties.totals is not None
    assert parties.totals[3:8] == [300, 300, 0, 0, 0]
    assert [row["deviation_wh"] for row in positions] == [0, 0, 0]


TABLES_WITH_CODES = (
    f"/areas/a-1/slots/{FIRST_S}/money",
    "/accounts",
    "/blocks/1/transactions",
    "/blocks/1/signers",
    "/condition",
    f"/areas/a-2/days/{FIRST_S}/missing",
)


@pytest.mark.parametrize("path", TABLES_WITH_CODES)
async def test_programs_get_codes_whatever_the_language(tmp_path: Path, path: str) -> None:
    async with ledger_world(tmp_path) as world:
        got = []
        for language in ("en", "zh_CN"):
            browser = world.web.browser(Role.UTILITY, language=language)
            table = await (await browser.get(f"/api/v1{path}")).get_json()
            got.append((table["rows"], table["totals"], await browser.text(f"/api/v1{path}?format=csv")))
    assert got[0] == got[1]
    assert got[0][0]


async def test_the_page_of_a_slot_says_codes_in_words(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        rows = rows_of(await money_table(world.source, UTILITY, "a-1", FIRST_S))
        pages = [
            await world.web.browser(Role.UTILITY, language=language).text(f"/slots/a-1/{FIRST_S}")
            for language in ("en", "zh_CN")
        ]
    assert {"trade_buy", "levy"} <= {row["line_kind"] for row in rows}
    for page, words in zip(pages, ("Bought from the neighbourhood", "向邻里购电"), strict=True):
        assert words in page
        assert ">trade_buy<" not in page


def test_every_kind_of_transaction_has_words() -> None:
    assert KIND_TITLES.keys() == KINDS.keys()


async def test_a_block_names_its_transactions_in_order_and_who_signed_it(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        transactions = rows_of(await transactions_table(world.source, 1))
        signers = rows_of(await signers_table(world.source, 1))
    assert [(row["kind"], row["signer"], row["name"]) for row in transactions] == [
        ("market/order", "p-1", "ACCEPTED"),
        ("market/order", "p-2", "ACCEPTED"),
    ]
    assert [row["signed"] for row in signers] == ["yes"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/overview", "2 homes traded 0.3 kWh"),
        ("/overview?area=a-2", "No trade yet"),
        ("/overview/part/ledger", "no such meter in the registry"),
        ("/overview/part/ledger", "what parties owe is what accounts received"),
        ("/overview/part/ledger", "1 of 2 silent"),
        (f"/slots/a-1/{FIRST_S}", "Positions of the parties"),
        (f"/slots/a-2/{FIRST_S}", "settled with estimates"),
        ("/quality", "never heard"),
        ("/households", "1 of 64 slots of the day"),
        ("/blocks/1", "1 of 1 signers"),
        ("/registry", "Standing profiles"),
        ("/registry/party?contains=p-", "/registry/party/p-1"),
        ("/registry/party/p-1", "In force now"),
        ("/registry/rules/r", "prices.levy_micro_per_kwh"),
    ],
)
async def test_every_page_of_the_utility_stands_over_a_real_ledger(tmp_path: Path, path: str, said: str) -> None:
    async with ledger_world(tmp_path) as world:
        page = await world.web.browser(Role.UTILITY).text(path)
    assert said in page


async def test_positions_and_missing_meters_beyond_what_a_page_bears_are_found_page_by_page_and_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridweb.choosing.ROWS_SHOWN_MAX", 1)
    async with ledger_world(tmp_path) as world:
        browser, slot = world.web.browser(Role.UTILITY), f"/slots/a-1/{FIRST_S}"
        pages = [await browser.text(f"{slot}{query}") for query in ("", "?positions-start=1", "?contains=l-1")]
        assert [[name for name in ("p-1", "p-2", "l-1") if f"/households/{name}?" in page] for page in pages] == [
            ["p-1"],
            ["p-2"],
            ["l-1"],
        ]
        assert "?positions-start=1" in pages[0]
        missing = [await browser.text(f"/quality{part}?area=a-2&missing-start=1") for part in ("", "/part")]
        assert all("?area=a-2" in page and "Previous rows" in page and "M-5" in page for page in missing)
        assert "/quality/part?area=a-2&amp;missing-start=1" in missing[0]
        assert "Next rows" in await browser.text("/quality?area=a-2")


async def test_missing_meters_are_searched_beside_their_table_and_nowhere_where_none_is_missing(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        browser = world.web.browser(Role.UTILITY)
        lacking, whole = [await browser.text(f"/quality?area={area}") for area in ("a-2", "a-1")]
    assert lacking.index("</h1>") < lacking.index('class="search"') < lacking.index("M-5")
    assert 'class="search"' not in whole


async def test_a_household_sees_the_clearing_of_its_area_and_nothing_of_its_neighbours(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        browser = world.web.browser(Role.HOUSEHOLD, "p-2")
        page = await browser.text(f"/slots/a-1/{FIRST_S}")
        elsewhere = await browser.get(f"/slots/a-2/{FIRST_S}")
        merit = await browser.get(f"/api/v1/areas/a-1/slots/{FIRST_S}/merit")
    assert "0.4500" in page
    assert "p-2" in page
    assert "p-1" not in page
    assert "M-1" not in page
    assert "merit" not in page.lower()
    assert elsewhere.status_code == 403
    assert merit.status_code == 403


@pytest.mark.parametrize("path", ["/overview", f"/slots/a-1/{FIRST_S}", "/quality", "/households"])
async def test_before_the_first_slot_is_anything_every_page_stands_empty(tmp_path: Path, path: str) -> None:
    async with ledger_world(tmp_path, is_settled=False) as world:
        page = await world.web.browser(Role.UTILITY).text(path)
    assert "Traceback" not in page
    if path == "/overview":
        assert "No trade yet" in page
        assert "none yet" in page


async def test_a_key_that_is_not_on_the_ledger_is_one_outage_that_stays_however_often_pages_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridweb.source.STATUS_AGE_S_MAX", -1.0)
    async with ledger_world(tmp_path) as world:
        health, changes, refusals = world.web.site.health, list[str](), list[str]()
        health.on_change = lambda: changes.append(" ".join(outage.name for outage in health.outages()))

        def report(name: str, reason: str | None) -> None:
            health.report(name, reason)
            refusals.extend([reason] if reason else [])

        client = world.node.client("stranger")
        series = EmbeddedSeries(tmp_path / "other.db", 64)
        projector = Projector(client, series, on_health=report)
        source = Source(client, series, projector, health)
        stop = asyncio.Event()
        following = asyncio.create_task(projector.run(stop))

        async def is_refused_often() -> bool:
            await source.status()  # as each page does, and without a key
            return len(refusals) >= 4

        await until(is_refused_often)
        stop.set()
        await following
        await series.close()
    assert changes == ["projection"]
    assert "stranger" in health.outages()[0].reason
