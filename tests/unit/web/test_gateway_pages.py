"""The pages of one gateway and of one meter, and the way to them from the blocks, over a real node."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridweb.access import Role
from gridweb.pages.gateway import gateway_meters_table, gateway_refusals_table
from gridweb.pages.meter import meter_slots_table, meters_table
from gridweb.source import SourceMissing
from tests.unit.web.ledger_world import ledger_world
from tests.unit.web.test_utility_ledger import rows_of
from tests.worlds.consortium import FIRST_S, SLOT_S


async def test_a_gateway_names_its_meters_and_the_rows_that_the_ledger_did_not_use(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        meters = await gateway_meters_table(world.source, "gw-1")
        refused = rows_of(await gateway_refusals_table(world.source, "gw-1"))
        other = rows_of(await gateway_refusals_table(world.source, "gw-2"))
        with pytest.raises(SourceMissing, match="no gateway 'gw-9' on this chain"):
            await gateway_meters_table(world.source, "gw-9")
    assert {row["area"] for row in rows_of(meters)} == {"a-1"}
    assert meters.links[0] == f"/meters/{meters.rows[0][0]}"
    assert [(row["boundary_s"], row["reason"], row["rows"]) for row in refused] == [
        (FIRST_S + SLOT_S, "ROW_UNKNOWN_METER", 1)
    ]
    assert other == []


async def test_a_meter_shows_what_it_counted_in_each_slot_with_the_quality_of_its_register(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        slots = await meter_slots_table(world.source, "M-1", day=str(FIRST_S))
        listed = rows_of(await meters_table(world.source, "a-1"))
        with pytest.raises(SourceMissing, match="no meter of this code is installed"):
            await meter_slots_table(world.source, "M-99")
    first = rows_of(slots)[-1]
    assert (first["slot_start_s"], first["import_wh"], first["quality"]) == (FIRST_S, 900, "measured")
    assert slots.links[-1] == f"/slots/a-1/{FIRST_S}"
    assert "M-1" in [row["meter"] for row in listed]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/gateways/gw-1", "Its newest batch is in block"),
        ("/gateways/gw-1", "no such meter in the registry"),
        ("/gateways/gw-2", "It was never heard."),
        ("/gateways/gw-1/part", "in time"),
        ("/meters?area=a-1&contains=M-1", "M-1"),
        ("/meters/M-1", "Last contact"),
        ("/fleet", "/gateways/gw-1"),
        ("/overview", 'data-src="/api/v1/slots"'),
        ("/overview?area=a-1", 'data-src="/api/v1/areas/a-1/slots"'),
    ],
)
async def test_pages_of_gateways_and_meters_say_what_is_there(tmp_path: Path, path: str, said: str) -> None:
    async with ledger_world(tmp_path) as world:
        text = await world.web.browser(Role.UTILITY).text(path)
    assert said in text


async def test_the_blocks_lead_to_a_height_a_transaction_and_a_meter_and_say_when_nothing_is_found(
    tmp_path: Path,
) -> None:
    async with ledger_world(tmp_path) as world:
        browser = world.web.browser(Role.UTILITY)
        table = await (await browser.get("/api/v1/blocks/1/transactions")).get_json()
        keys = [column["key"] for column in table["columns"]]
        first = table["rows"][0][keys.index("id")]
        led = [(await browser.get(f"/blocks?find={find}")).headers.get("Location") for find in ("1", first, "M-1")]
        nothing = await browser.text("/blocks?find=M-99")
    assert led == ["/blocks/1", "/blocks/1", "/meters/M-1"]
    assert "nothing found" in nothing
