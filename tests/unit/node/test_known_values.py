"""What runs knew of a meter: a value that was superseded stays readable with its slot and with the block that recorded it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger import known_values as ledger_values
from ledger.client import NodeRefused
from ledger.known_values import values_of_slot
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S, Consortium, household
from tests.worlds.ledgers import ledger_with
from tests.worlds.nodes import running_node, submit_all

WORLD = Consortium(
    meters=[household(1, "p-1"), household(2, "p-2")],
    roles={"reg": ["regulator"]},
)


def submissions() -> list[list[bytes]]:
    """The register at the end of the first slot comes only after the slot was settled with an estimate."""
    sender = WORLD.sender()
    return [
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 100, 0), (2, 0, 0)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(2, 10, 0)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 400, 0)])],
        [sender.clock(FIRST_S + 3 * SLOT_S)],
    ]


async def test_a_value_that_was_superseded_is_told_with_its_slot_and_the_block_that_recorded_it(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        await submit_all(node.client("util"), submissions())
        client = node.client("reg")
        answer = await client.query(f"areas/a-1/days/{DAYS[1]}/values", meter="M-1")
        first = answer["slots"][0]
        estimated, measured = first["values"]
        assert (first["slot_start_s"], first["left_off"]) == (FIRST_S, 0)
        assert (estimated["end_import"], estimated["quality"], estimated["run"]) == (None, "estimated", "initial")
        assert (measured["start_import"], measured["end_import"], measured["import_wh"]) == (100, 400, 300)
        assert measured["quality"] == "measured"
        assert measured["run"].startswith("correction-")
        assert estimated["height"] < measured["height"]
        assert estimated["recorded_s"] <= measured["recorded_s"]
        other = (await client.query(f"areas/a-1/days/{DAYS[1]}/values", meter="M-2"))["slots"][0]
        assert [value["import_wh"] for value in other["values"]] == [10]
        with pytest.raises(NodeRefused, match="no meter 'M-9' was ever installed"):
            await client.query(f"areas/a-1/days/{DAYS[1]}/values", meter="M-9")


def test_more_values_than_are_shown_leave_the_oldest_off_and_say_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger_with(tmp_path / "ledger", WORLD, submissions()) as ledger:
        (zone_,) = ledger.registry.zones
        both = values_of_slot(ledger, zone_, [0], FIRST_S)
        monkeypatch.setattr(ledger_values, "VALUES_OF_SLOT_MAX", 2)
        assert values_of_slot(ledger, zone_, [0], FIRST_S) == both
        monkeypatch.setattr(ledger_values, "VALUES_OF_SLOT_MAX", 1)
        newest = values_of_slot(ledger, zone_, [0], FIRST_S)
    assert (newest.values, newest.left_off) == (both.values[1:], 1)
    assert both.left_off == 0
