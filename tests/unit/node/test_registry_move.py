"""``gridledger registry move``: another household, or another supplier, inside a slot: one command, one registration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore.master_data import Named
from gridcore.registry.grid_connection import GRID_CONNECTION, GridConnection
from gridcore.registry.point import POINT, Point
from gridledger.cli import main
from ledger.leaves.positions import POSITIONS
from tests.unit.node.test_registry_command import Desk
from tests.worlds.consortium import FIRST_S, SLOT_S, zone
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.two_areas import TWO_AREAS

END_S = FIRST_S + SLOT_S
SHARED = Point("a-1", "household", "p-2", supplier="north", share_ppm=400_000)
WORLD = replace(
    TWO_AREAS,
    zones=[zone("z-1", part_slots_are_measured=True), zone("z-2")],
    more=[
        Named(POINT, "P-2", SHARED, 1),
        Named(GRID_CONNECTION, "P-1", GridConnection("0.4kV"), 0),
    ],
)
HOUSEHOLD = "--at 2027-01-15T08:07:00Z --registers 1600,5 --number 31 --point P-31 --party home-2"


async def entries(desk: Desk, key: str) -> list[tuple[int, dict[str, Any]]]:
    """(from_s, value) of each entry of an entity."""
    found = json.loads((await desk.run("show", key, "--json"))[1])
    return [(entry["from_s"], entry["value"]) for entry in found["entries"]]


async def test_a_household_moves_inside_a_slot_by_one_command_and_both_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender = WORLD.sender()
    async with running_node(tmp_path / "ledger", WORLD) as node:
        desk = Desk(node, tmp_path, capsys)
        await submit_all(node.client(), [[sender.clock(FIRST_S)], [sender.batch("gw-1", FIRST_S, [(1, 1_000, 0)])]])
        status, said = await desk.run("move", "1", *HOUSEHOLD.split(), "--check")
        assert (status, said.partition(";")[0]) == (0, "point/P-31: would be registered"), said
        status, said = await desk.run("move", "1", *HOUSEHOLD.split())
        assert status == 0, said
        assert said.endswith("in the agent's file the meter's number 1 becomes 31")
        assert await entries(desk, "point/P-1") == [
            (0, {"area": "a-1", "party": "p-1", "role": "household"}),
            (END_S, {"area": "a-1", "role": "household"}),
        ]
        assert await entries(desk, "point/P-31") == [(FIRST_S, {"area": "a-1", "party": "home-2", "role": "household"})]
        assert (await entries(desk, "party/p-1"))[-1] == (
            END_S,
            {"area": "a-1", "organisation": "util", "trades": False},
        )
        assert await entries(desk, "grid_connection/P-31") == [(FIRST_S, {"voltage_level": "0.4kV"})]
        status, said = await desk.run("move", "1", *HOUSEHOLD.split())
        assert (status, said) == (
            2,
            "--number 31: is registered already; a move takes a new one",
        )
        rows = [(31, 1_700, 9), (2, 500, 0)]
        await submit_all(
            node.client(), [[sender.clock(END_S)], [sender.batch("gw-1", END_S, rows)], [sender.clock(END_S + 901)]]
        )
        positions = POSITIONS.must(node.ledger, FIRST_S, "z-1", "initial", 0)
        energies = list(zip(*(positions.columns[name].tolist() for name in ("import_wh", "export_wh")), strict=True))
        assert (energies[0], energies[-1]) == ((600, 5), (100, 4))
        assert (int(positions.quality[0]), int(positions.quality[-1])) == (0, 0)


async def test_a_supplier_changes_inside_a_slot_and_the_share_of_a_community_goes_on_from_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        desk = Desk(node, tmp_path, capsys)
        told = "--at 2027-01-15T08:07:00Z --registers 7,0 --number 32 --point P-32 --supplier south"
        status, said = await desk.run("move", "2", *told.split())
        assert status == 0, said
        south = {"area": "a-1", "party": "p-2", "role": "household", "supplier": "south"}
        assert await entries(desk, "point/P-32") == [(FIRST_S, south), (END_S, {**south, "share_ppm": 400_000})]
        assert [at_s for at_s, _ in await entries(desk, "party/p-2")] == [0], "it stays, and goes on trading"


REST = "--registers 7,0 --number 31 --point P-31 --party home-2"
REFUSED = {
    f"1 --at 2027-01-15T08:00:00Z {REST}": "--at 2027-01-15T08:00:00Z: is where a slot begins: register",
    f"1 --at 2027-01-15T07:52:00Z {REST}": (
        "--at 2027-01-15T07:52:00Z: is before 2027-01-15T08:00:00Z, where the first slot of zone z-1 begins"
    ),
    f"1 --at 2027-01-15T07:52:00Z {REST} --check": (
        "--at 2027-01-15T07:52:00Z: is before 2027-01-15T08:00:00Z, where the first slot of zone z-1 begins"
    ),
    f"1 --at 9999-12-31T23:59:59Z {REST}": "--at 9999-12-31T23:59:59Z: its slot ends after the year 9999",
    f"1 --at 2027-01-15T08:07:00Z {REST} --number 2": "--number 2: is registered already",
    f"1 --at 2027-01-15T08:07:00Z {REST} --point P-2": "--point P-2: is registered already",
    f"99 --at 2027-01-15T08:07:00Z {REST}": "installation 99: is not registered",
    f"4 --at 2027-01-15T08:07:00Z {REST}": "point P-4: nobody is billed there",
    f"1 --at 2027-01-15T08:07:00Z {REST} --party p-1": "point P-1: nothing changes there; name who comes",
    f"5 --at 2027-01-15T08:07:00Z {REST}": (
        "zone z-2: names no part_slots_are_measured, so a move begins where a slot does: 2027-01-15T08:00:00Z or "
        "2027-01-15T08:15:00Z"
    ),
    f"1 --at 2027-01-15T08:07:00Z {REST} --point P/31": "--point 'P/31': is ",
}


async def test_a_move_that_cannot_be_is_one_line_and_registers_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        desk = Desk(node, tmp_path, capsys)
        found = [await desk.run("move", *told.split()) for told in REFUSED]
        height = node.ledger.height
    assert [status for status, _ in found] == [2] * len(REFUSED)
    assert [said for (_, said), line in zip(found, REFUSED.values(), strict=True) if line not in said] == []
    assert [len(said.splitlines()) for _, said in found] == [1] * len(REFUSED)
    assert height == 0


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (["--registers", "7"], "argument --registers: '7': import and export in whole Wh"),
        (["--registers", f"7,{5000 * '9'}"], "...: import and export in whole Wh"),
        (["--registers", "7,-1"], "argument --registers: '7,-1': import and export in whole Wh"),
        (["--at", "noon"], "argument --at: 'noon' is no time with an offset"),
        (
            ["--at", "9999-12-31T23:59:59-08:00"],
            "'9999-12-31T23:59:59-08:00': 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z",
        ),
        (["--at", "1969-12-31T23:59:59Z"], "'1969-12-31T23:59:59Z': 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z"),
        (["--number", "x"], "argument --number: 'x': the number of an installation"),
    ],
)
def test_a_move_with_an_argument_of_another_form_is_one_line(
    capsys: pytest.CaptureFixture[str], told: list[str], line: str
) -> None:
    right = ["registry", "move", "1", "--at", "2027-01-15T08:07:00Z", *REST.split()]
    who = ["--url", "http://127.0.0.1:1", "--signer", "a", "--key", "file:a", "--password", "file:b"]
    assert main([*right, *told, *who]) == 2
    assert line in capsys.readouterr().err
