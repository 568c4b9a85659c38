"""The agent's power is cut at each step of its path, against a real node: nothing signed is lost, doubled, or silently missing."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gridcore.codes import Code
from tests.unit.edge_agent.agent_child import STEPS
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.nodes import RunningNode, running_node

AREA = "a-1"


async def cut(folder: Path, kills: int, seed: int) -> None:
    """So many kills, spread over all steps; then what the children said is held against the ledger."""
    async with running_node(folder / "node") as node:
        await _advance(node, FIRST_S + (4 + 4 * kills) * SLOT_S)
        (folder / "edge").mkdir()
        words = [str(folder / "edge"), node.url, node.chain, str(kills), str(seed)]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.unit.edge_agent.agent_child", *words, stdout=-1, stderr=-1
        )
        out, err = await child.communicate()
        assert child.returncode == 0, err.decode()[-4_000:]
        told = json.loads(out)
        assert sum(told["kills"].values()) == kills
        assert set(told["kills"]) == set(STEPS)
        # at least half of those between a commit and its word: a log that began anew has nothing behind it
        assert told["torn"] > kills // 25
        gateway = await node.client("reg").query("gateways/gw-1")
        assert (gateway["counter"], told["depth"]) == (told["counter"], 0)
        for id_, _ in told["said"].values():  # what was said to be stored: each once, for counters have no gap
            receipt = await node.client().receipt(bytes.fromhex(id_))
            assert receipt is not None
            assert receipt.code == Code.ACCEPTED
        assert {boundary_s for _, boundary_s in told["said"].values()} <= set(told["with_words"])
        await _check_slots(node, told)


async def _check_slots(node: RunningNode, told: dict[str, Any]) -> None:
    """Each slot between the first and the last is on the ledger, with all meters, or in a gap, and never both."""
    missed = {boundary_s for first_s, last_s in told["gaps"] for boundary_s in range(first_s, last_s + 1, SLOT_S)}
    sampled: set[int] = set()
    for boundary_s in range(FIRST_S, FIRST_S + told["last"] * SLOT_S + 1, SLOT_S):
        found = await node.client("reg").query(f"areas/{AREA}/registers", boundary_s=boundary_s)
        shown = {row["meter"]: row["import_wh"] for row in found["registers"] if row["import_wh"] is not None}
        if shown:
            assert shown == {"M-1": 1010, "M-2": 1020}
            sampled.add(boundary_s)
    first_s = min(sampled)
    assert sampled & missed == set()
    assert sampled | missed == set(range(first_s, max(sampled) + 1, SLOT_S))
    assert missed
    exceptions = (await node.client("reg").query("exceptions"))["exceptions"]
    assert exceptions == []


async def _advance(node: RunningNode, to_s: int) -> None:
    sender = node.sender()
    for boundary_s in range(FIRST_S, to_s + 1, SLOT_S):
        (answer,) = await node.client("clock").submit([sender.clock(boundary_s)])
        assert answer.name == "ACCEPTED"


@pytest.mark.slow
async def test_fifty_power_cuts_at_all_steps_lose_and_double_nothing(tmp_path: Path) -> None:
    await cut(tmp_path, 50, seed=7)


@pytest.mark.soak
async def test_a_thousand_power_cuts_at_all_steps_lose_and_double_nothing(tmp_path: Path) -> None:
    for seed in range(20):
        (tmp_path / str(seed)).mkdir()
        await cut(tmp_path / str(seed), 50, seed)
