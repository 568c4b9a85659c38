"""docs/operating/cloned-gateway.md: its commands as they stand, on two agents with one key and copies of one outbox."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path

import pytest

from gridledger.cli import main
from ledger.client import Client, run_with_client
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, blocks_of, founded, meter
from tests.waiting import until
from tests.worlds.nodes import wait_for_waiters


def committed(village: Village, boundary_s: int) -> int:
    """How many registers the ledger has of a boundary."""

    async def ask(client: Client) -> int:
        return int((await client.query("areas/north/coverage", boundary_s=boundary_s))["committed"])

    return run_with_client(village.url, ask, signer_id="utility", signer=village.signer("utility"))


async def read_at(village: Village, boundary_s: int) -> None:
    """Move ledger time to a boundary, and wait until the ledger has the meter's register of it."""
    await asyncio.to_thread(village.advance, boundary_s)

    async def is_there() -> bool:
        return await asyncio.to_thread(committed, village, boundary_s) == 1

    await until(is_there)


def halted(*configs: Path) -> list[Path]:
    """The agents whose ``edge status`` ends with 1."""
    return [config for config in configs if main(["edge", "status", "--config", str(config)]) == 1]


async def test_of_two_agents_with_one_outbox_the_second_halts_and_goes_on_in_a_new_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status, epoch = blocks_of("cloned-gateway.md")
    async with meter() as (fleet, port):
        village = founded(tmp_path, port=str(port))
        first, clone = tmp_path / "village" / "edge-1.toml", tmp_path / "clone" / "edge-1.toml"
        with village.running(RUN_NODE):
            with village.running("gridledger edge run --config village/edge-1.toml"):
                fleet.set_registers([1_000], [0])
                await read_at(village, FIRST_S)
            shutil.copytree(tmp_path / "village", tmp_path / "clone", ignore=shutil.ignore_patterns("ledger"))
            agents = "gridledger edge run --config village/edge-1.toml\ngridledger edge run --config clone/edge-1.toml"
            with village.running(agents):
                await wait_for_waiters(
                    village.url, 2
                )  # one that starts later finds its counter used, and does not start
                fleet.set_registers([1_100], [0])
                await read_at(village, FIRST_S + SLOT_S)
                await until(partial(asyncio.to_thread, halted, first, clone))
            (one,) = halted(first, clone)
            assert "another batch stands under its counter" in "".join(capsys.readouterr())
            assert len(status.splitlines()) == 2
            mended = epoch.replace("village/edge-1.toml", str(one.relative_to(tmp_path)))
            await asyncio.to_thread(village.do, mended)
            with village.running(f"gridledger edge run --config {one}"):
                fleet.set_registers([1_200], [0])
                await read_at(village, FIRST_S + 2 * SLOT_S)
