"""``gridledger metering substitute`` against a node: energies that nobody measured become registers, and what contradicts them is one line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.quality import CORRECTED, quality_words
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.signers import save_key
from gridledger.cli import main
from gridseries.answers import read_positions
from ledger.substitutes import Substitutes
from tests.unit.node.test_approve_command import words
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import one_settled_slot

__all__ = ["words"]

GAP_S = FIRST_S + SLOT_S
"""Registers are known here, 1,900 Wh of meter M-1, and two slots later: 2,500."""
AFTER_S = GAP_S + 3 * SLOT_S


class World(NamedTuple):
    """A node whose gateway did not read two boundaries, and the gateway's hand."""

    node: RunningNode
    sender: Sender


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Registers up to the gap, and one behind it."""
    async with running_node(tmp_path / "ledger") as running:
        sender = running.sender()
        await submit_all(running.client(), one_settled_slot(sender))
        rows = [(1, 2500, 0), (2, 500, 700), (3, 20, 0), (4, 99, 5)]
        await submit_all(running.client(), [[sender.clock(AFTER_S)], [sender.batch("gw-1", AFTER_S, rows)]])
        yield World(running, sender)


@pytest.fixture
def node(world: World) -> RunningNode:
    """The node alone."""
    return world.node


async def substitute(
    node: RunningNode, words: list[str], folder: Path, rows: str, *more: str, meter: str = "M-1"
) -> int:
    """Run the command in a thread of its own, as a process would."""
    path = folder / "energies.csv"
    path.write_text(f"slot_start_s,import_wh,export_wh\n{rows}")
    told = ["metering", "substitute", "--url", node.url, *words, "--meter", meter, "--file", str(path)]
    return await asyncio.to_thread(main, [*told, "--reason", "like the week before", *more])


async def registers(node: RunningNode, meter: str = "M-1") -> list[tuple[int | None, str]]:
    """Import and quality at the boundaries from the last known register on."""
    found = []
    for boundary_s in range(GAP_S, AFTER_S + 1, SLOT_S):
        answer = await node.client("util").query("areas/a-1/registers", boundary_s=boundary_s)
        (row,) = (row for row in answer["registers"] if row["meter"] == meter)
        found.append((row["import_wh"], row["quality"]))
    return found


async def test_energies_of_a_gap_become_registers_and_what_is_left_over_is_the_last_slots(
    node: RunningNode, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = f"{GAP_S},250,0\n{GAP_S + SLOT_S},100,0\n"
    assert await registers(node) == [(1_900, "measured"), (None, "missing"), (None, "missing"), (2_500, "measured")]
    assert await substitute(node, words, tmp_path, rows, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["registers"] == [[GAP_S + SLOT_S, 2_150, 0], [GAP_S + 2 * SLOT_S, 2_250, 0]]
    expected = [(1_900, "measured"), (2_150, "substituted"), (2_250, "substituted"), (2_500, "measured")]
    assert await registers(node) == expected
    assert await substitute(node, words, tmp_path, rows) == 0
    assert "these registers stand already" in capsys.readouterr().out


async def test_energies_that_end_with_a_substitute_are_told_from_those_of_a_register_that_was_read(
    world: World, words: list[str], tmp_path: Path
) -> None:
    node, client = world.node, world.node.client("util")
    assert await substitute(node, words, tmp_path, f"{GAP_S},250,0\n") == 0
    told = [
        "metering",
        "approve",
        "--url",
        node.url,
        *words,
        "--installation",
        "1",
        "--import-wh",
        "2300",
        "--export-wh",
        "0",
    ]
    told += ["--boundary", str(GAP_S + 2 * SLOT_S), "--reason", "read at the meter"]
    assert await asyncio.to_thread(main, told) == 0
    await submit_all(node.client(), [[world.sender.clock(AFTER_S + 86_400)]])
    words_of_slots = []
    for slot_start_s in (GAP_S, GAP_S + SLOT_S):
        found = await client.query(f"areas/a-1/slots/{slot_start_s}/positions")
        words_of_slots.append(quality_words(found["quality"][found["meters"].index("M-1")]))
        assert dict(read_positions(found))["M-1"].quality == found["quality"][found["meters"].index("M-1")]
    assert words_of_slots == [("substituted", ()), ("corrected", ())]
    known = await client.query(f"areas/a-1/days/{DAYS[1]}/values", meter="M-1")
    last = {one["slot_start_s"]: one["values"][-1]["quality"] for one in known["slots"]}
    assert [last[GAP_S], last[GAP_S + SLOT_S]] == ["substituted", "corrected"]
    told_of_one = Substitutes(node.ledger, most=1)
    corrected = np.full(1, CORRECTED, dtype=np.uint8)
    found_of_one = [int(told_of_one.told(corrected, [1], GAP_S + at * SLOT_S, node.ledger.height)[0]) for at in (1, 2)]
    assert found_of_one == [CORRECTED, CORRECTED], "the newest answer alone is kept"


async def test_a_late_reading_does_not_take_the_place_of_a_substitute_and_becomes_an_exception(
    world: World, words: list[str], tmp_path: Path
) -> None:
    node = world.node
    assert await substitute(node, words, tmp_path, f"{GAP_S},250,0\n") == 0
    (answer,) = await node.client().submit([world.sender.batch("gw-1", GAP_S + SLOT_S, [(1, 2_180, 0)])])
    assert answer.name == "ACCEPTED"
    found = (await node.client("util").query("exceptions"))["exceptions"]
    codes = [row["code"] for batch in found if batch["boundary_s"] == GAP_S + SLOT_S for row in batch["rows"]]
    assert codes == [Code.ROW_CORRECTION_CANDIDATE]
    assert (await registers(node))[1] == (2_150, "substituted")
    assert await substitute(node, words, tmp_path, f"{GAP_S},280,0\n", "--replace") == 0
    assert (await registers(node))[1] == (2_180, "substituted")


@pytest.mark.parametrize(
    ("rows", "more", "line"),
    [
        (f"{GAP_S + SLOT_S},250,0\n", [], "has no register at"),
        (f"{GAP_S},250,0\n{GAP_S + SLOT_S},351,0\n", [], "goes 1 Wh beyond it; state less"),
        (f"{GAP_S},601,0\n", [], f"at {AFTER_S} is [2500, 0], and what is stated goes 1 Wh beyond it"),
        (
            f"{GAP_S},250,0\n{GAP_S + SLOT_S},100,0\n{GAP_S + 2 * SLOT_S},10,0\n",
            [],
            "leave the slots from there on out",
        ),
        (f"{GAP_S},250,0\n{GAP_S + 2 * SLOT_S},100,0\n", [], "row 3: slots follow one another by 900 s"),
        (f"{GAP_S},250\n", [], "row 2: "),
        (f"{GAP_S},-5,0\n", [], "row 2: "),
        ("", [], "has 0 slots; give 1 to 2976"),
        (f"{GAP_S},1,0\n", ["--reason", "x" * 200], "--reason has 1 to 188 characters"),
    ],
)
async def test_what_cannot_be_stated_is_one_line_and_nothing_is_sent(
    node: RunningNode,
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: str,
    more: list[str],
    line: str,
) -> None:
    before = await registers(node)
    assert await substitute(node, words, tmp_path, rows, *more) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert line in said
    assert await registers(node) == before


async def test_an_unknown_meter_and_a_signer_of_another_role_are_refused(
    node: RunningNode, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await substitute(node, words, tmp_path, f"{GAP_S},1,0\n", meter="M-77") == 2
    assert "no meter of this code is installed" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["1", "101"])
async def test_a_span_over_a_reset_or_an_exchange_of_the_meter_is_refused_as_a_whole(
    world: World, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    """Its registers begin again; or it is taken down and put up again as another installation."""
    node, at_s = world.node, GAP_S + SLOT_S + 420
    (entry,) = (await node.client("util").query("registry/installation/1"))["entries"]
    again = Installation(**entry["value"])._replace(first_registers=[0, 0])
    if number == "1":
        rows = [*Named(INSTALLATION, "1", again._replace(final_registers=[2_200, 0]), at_s).rows()]
    else:
        removed = RemovedInstallation(again.point, [2_200, 0])
        rows = [*Named(INSTALLATION, "1", removed, at_s).rows(), *Named(INSTALLATION, number, again, at_s).rows()]
    (answer,) = await node.client().submit([world.sender.register(rows)])
    assert answer.name == "ACCEPTED"
    before = await registers(node)
    assert await substitute(node, words, tmp_path, f"{GAP_S},250,0\n{GAP_S + SLOT_S},100,0\n") == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert f"energies.csv, row 3: M-1 was exchanged, reset or taken down at {at_s}" in said
    assert await registers(node) == before
    assert await substitute(node, words, tmp_path, f"{GAP_S},250,0\n") == 0
    assert (await registers(node))[1] == (2_150, "substituted")


async def test_where_a_slot_is_not_over_or_the_first_register_is_refused_none_is_taken(
    node: RunningNode, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await registers(node)
    status = await node.client("util").status()
    rows = "".join(f"{start_s},1,0\n" for start_s in range(GAP_S, status.ledger_time_s + SLOT_S, SLOT_S))
    assert await substitute(node, words, tmp_path, rows) == 2
    assert f"the slot ends after ledger time, {status.ledger_time_s}; state slots" in capsys.readouterr().err
    assert await registers(node) == before
    save_key(tmp_path / "other.pem", key("reg"), b"correct horse")
    other = ["--signer", "reg", "--key", f"file:{tmp_path / 'other.pem'}", *words[-2:]]
    assert await substitute(node, other, tmp_path, f"{GAP_S},250,0\n{GAP_S + SLOT_S},100,0\n", "--json") == 1
    assert len(json.loads(capsys.readouterr().out)["answers"]) == 1
    assert await registers(node) == before
