"""``gridledger metering approve`` against a node: what it says when the register is taken, and when it is not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gridcore.signers import save_key
from gridledger.cli import main
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.two_areas import one_settled_slot


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The utility's key as the command line names it."""
    (tmp_path / "password").write_text("correct horse")
    (tmp_path / "password").chmod(0o600)
    save_key(tmp_path / "util.pem", key("util"), b"correct horse")
    return ["--signer", "util", "--key", f"file:{tmp_path / 'util.pem'}", "--password", f"file:{tmp_path / 'password'}"]


async def approve(node: RunningNode, words: list[str], number: int, *more: str) -> int:
    """Run the command in a thread of its own, as a process would."""
    place = [
        "--installation",
        str(number),
        "--boundary",
        str(FIRST_S + SLOT_S),
        "--import-wh",
        "1950",
        "--export-wh",
        "0",
    ]
    told = ["metering", "approve", "--url", node.url, *words, *place, "--reason", "read at the meter", *more]
    return await asyncio.to_thread(main, told)


async def test_a_register_is_approved_and_shown_as_corrected(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        assert await approve(node, words, 1, "--json") == 0
        assert json.loads(capsys.readouterr().out)["name"] == "ACCEPTED"
        found = await node.client("util").query("areas/a-1/registers", boundary_s=FIRST_S + SLOT_S)
        assert (found["registers"][0]["import_wh"], found["registers"][0]["quality"]) == (1_950, "corrected")


async def test_a_refusal_is_one_line_that_says_why(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        assert await approve(node, words, 77) == 1
        line = capsys.readouterr().out
        assert line.startswith(
            f"installation 77 at {FIRST_S + SLOT_S}: refused, 58 NOTHING_TO_APPROVE: no installation"
        )
        assert line.count("\n") == 1
