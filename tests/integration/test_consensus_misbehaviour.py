"""Under the real engine: a validator that votes twice, and a disk that is full."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gridcore.codes import Code
from ledger.engines.cometbft import submissions
from ledger.engines.cometbft.program import INSTALLED_BY
from tests.external import find_program, needs
from tests.waiting import until
from tests.worlds.faults import FullDisk
from tests.worlds.feeders import batches
from tests.worlds.validators import Node, all_running, homes, make_twin

pytestmark = [*needs("cometbft", INSTALLED_BY), pytest.mark.slow]
PROGRAM = find_program("cometbft") or ""
NAMES = ("operator", "north", "south", "west")


def members(node: Node) -> set[str]:
    return {validator.name for validator in node.ledger.application.validators}


async def test_a_validator_that_votes_twice_is_left_out_of_the_next_set_and_the_others_go_on(tmp_path: Path) -> None:
    with homes(tmp_path, PROGRAM, NAMES) as made:
        wires = iter(batches("gw-1", 64, consortium=made[0].consortium))
        twin = make_twin(made[3], made)
        async with all_running(made) as nodes, AsyncExitStack() as stack:
            await nodes[0].engine.submit([next(wires)])
            stack.callback(twin.kill_process)
            await stack.enter_async_context(twin.running())
            while "west" in members(nodes[0]):
                outcomes = await nodes[0].engine.submit([next(wires)])
                assert [outcome.code for outcome in outcomes] == [Code.ACCEPTED]
            assert members(nodes[0]) == set(NAMES[:3])
            assert nodes[0].ledger.leaf("offence/west") is not None
            twin.kill_process()
            [outcome] = await nodes[1].engine.submit([next(wires)])
            height = outcome.height or 0
            await until(lambda: all(node.ledger.certified_height >= height for node in nodes[:3]))
            assert nodes[2].ledger.certificate_power(nodes[2].ledger.certified_height).total == 3
            roots = {node.ledger.header(height).state_root for node in nodes[:3]}
            assert len(roots) == 1


async def test_a_full_disk_stops_one_node_and_it_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "ANSWER_S_MAX", 3.0)
    files = FullDisk()
    with homes(tmp_path, PROGRAM, NAMES[:1]) as [home]:
        wires = batches("gw-1", 2, consortium=home.consortium)
        async with home.running(files) as node:
            assert [one.code for one in await node.engine.submit(wires[:1])] == [Code.ACCEPTED]
            files.fail_from = len(files.steps)
            assert [one.code for one in await node.engine.submit(wires[1:])] == [Code.NODE_BUSY]
            assert node.engine.stall == "disk"
            files.heal()
            await until(lambda: node.engine.stall == "")
            [again] = await node.engine.submit(wires[1:])
            assert again.code in (Code.ACCEPTED, Code.EXISTS)
            assert again.height is not None
