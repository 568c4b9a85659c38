"""The gateway agent with real parts: virtual meters on Modbus TCP sockets, a real node over HTTP, kill -9 in between."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.agent import run_agent
from edge.outbox_file import read_outbox
from firmware_profiles import ModbusProfile, load_profile
from gridcore.errors import UsageError
from gridcore.sm.keystore import encode_private_key
from gridledger.cli import main
from ledger.trust import trust_of
from simulators.meters import MeterFleet, assign_lines
from tests.waiting import until
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS

NUMBERS = (1, 2, 3, 4)
AREA = "a-1"


@dataclass
class Plant:
    """A node, the meters of gateway gw-1 and its configuration file."""

    node: RunningNode
    fleet: MeterFleet
    config: Path
    signing: Sender

    async def step(self, slot: int) -> int:
        """Let the meters show the end of a slot, move ledger time there and return the boundary."""
        self.fleet.set_registers([10 * (100 * slot + number) for number in NUMBERS], [10 * slot] * len(NUMBERS))
        boundary_s = FIRST_S + slot * SLOT_S
        (answer,) = await self.node.client("clock").submit([self.signing.clock(boundary_s)])
        assert answer.name == "ACCEPTED"
        return boundary_s

    async def registers(self, boundary_s: int) -> list[tuple[str, int | None, int | None]]:
        """What the ledger has at a boundary: (meter, import, export) on the meters' side."""
        ratios = {"M-3": 40, "M-4": 100}
        found = await self.node.client("reg").query(f"areas/{AREA}/registers", boundary_s=boundary_s)
        rows = [(row["meter"], row["import_wh"], row["export_wh"]) for row in found["registers"]]
        return [
            (meter, *(None if value is None else value // ratios.get(meter, 1) for value in pair))
            for meter, *pair in rows
        ]

    async def complete(self, boundary_s: int) -> None:
        """Wait until the ledger has every meter of the boundary."""

        async def is_complete() -> bool:
            found = await self.node.client("reg").query(f"areas/{AREA}/coverage", boundary_s=boundary_s)
            return bool(found["committed"] == len(NUMBERS))

        await until(is_complete)


def shown(slot: int) -> list[tuple[str, int | None, int | None]]:
    """What the meters show at the end of a slot."""
    return [(f"M-{number}", 10 * (100 * slot + number), 10 * slot) for number in NUMBERS]


@asynccontextmanager
async def plant(folder: Path, slots: int) -> AsyncIterator[Plant]:
    profiles = [load_profile(name, kind=ModbusProfile) for name in ("eastron_sdm630", "acrel_adl400")]
    placed = assign_lines([(f"M-{number}", profiles[number // 3]) for number in NUMBERS], per_line=2)
    fleet = MeterFleet(placed)
    lines = await fleet.start()
    async with running_node(folder / "node") as node:
        (folder / "gateway.pem").write_bytes(encode_private_key(key("gw-1"), b"hush", iterations=1024))
        (folder / "util.pem").write_bytes(encode_private_key(key("util"), b"hush", iterations=1024))
        (folder / "password").write_text("hush")
        (folder / "password").chmod(0o600)
        (folder / "trust.json").write_text(json.dumps(trust_of(TWO_AREAS.genesis)))
        text = (
            f'gateway = "gw-1"\nchain = "{node.chain}"\nnode = "{node.url}"\ntrust = "trust.json"\nclock = "ledger"\n'
            f'key = "file:gateway.pem"\nkey_password = "file:password"\noutbox = "outbox.sqlite"\n'
            f"first_boundary_s = {FIRST_S}\nlast_boundary_s = {FIRST_S + slots * SLOT_S}\n"
            f"[submit]\nretry_ms_min = 10\nretry_ms_max = 200\n"
        )
        for line in lines:
            text += f'[[lines]]\nline = "{line.line}"\nhost = "{line.host}"\nport = {line.port}\n'
        for number, meter in zip(NUMBERS, placed, strict=True):
            text += f'[[meters]]\nnumber = {number}\nmeter = "{meter.meter}"\nline = "{meter.line}"\n'
            text += f'unit_id = {meter.unit_id}\nprofile = "{(meter.profile.id if meter.profile else "")}"\nlimit_wh = 10000\n'
        (folder / "edge.toml").write_text(text)
        yield Plant(node, fleet, folder / "edge.toml", node.sender())
    await fleet.close()


@asynccontextmanager
async def agent_task(config: Path) -> AsyncIterator[asyncio.Task[None]]:
    """An agent in this process; stopped as SIGTERM would."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_agent(config, "test", stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait({task})


async def _acknowledged(config: Path) -> None:
    await until(lambda: read_outbox(config.parent / "outbox.sqlite").depth == 0)


async def test_readings_go_from_meter_to_ledger_and_their_receipts_empty_the_outbox(tmp_path: Path) -> None:
    async with plant(tmp_path, 2) as world, agent_task(world.config):
        for slot in range(3):
            boundary_s = await world.step(slot)
            await world.complete(boundary_s)
            assert await world.registers(boundary_s) == shown(slot)
        await _acknowledged(world.config)
        state = read_outbox(tmp_path / "outbox.sqlite")
        assert (state.progress.counter, state.progress.last_boundary_s) == (3, FIRST_S + 2 * SLOT_S)
        assert state.progress.receipt is not None
        assert state.progress.receipt[1] == world.node.ledger.digest(state.progress.receipt[0])


async def test_agent_killed_at_any_moment_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gridledger", "edge", "run"]
    chance = random.Random(7)
    slots = 4
    async with plant(tmp_path, slots) as world:

        async def start() -> asyncio.subprocess.Process:
            log = (tmp_path / "agent.log").open("ab")
            with log:
                return await asyncio.create_subprocess_exec(*command, "--config", str(world.config), stderr=log)

        agent = await start()
        for slot in range(slots + 1):
            boundary_s = await world.step(slot)
            if 0 < slot < slots:
                await asyncio.sleep(chance.random() * 0.12)
                agent.kill()
                await agent.wait()
                agent = await start()
            await world.complete(boundary_s)
        await _acknowledged(world.config)
        agent.send_signal(signal.SIGTERM)
        assert await agent.wait() == 0
        for slot in range(slots + 1):
            assert await world.registers(FIRST_S + slot * SLOT_S) == shown(slot)
        assert (await world.node.client("reg").query("exceptions"))["exceptions"] == []
        gateway = await world.node.client("reg").query("gateways/gw-1")
        assert gateway["counter"] == read_outbox(tmp_path / "outbox.sqlite").progress.counter == slots + 1


async def test_lost_outbox_needs_a_new_epoch_and_goes_on_in_it(tmp_path: Path) -> None:
    async with plant(tmp_path, 2) as world:
        async with agent_task(world.config):
            await world.complete(await world.step(0))
            await _acknowledged(world.config)
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"outbox.sqlite{suffix}").unlink(missing_ok=True)
        with pytest.raises(UsageError, match=r"the ledger has batch 1 of gateway gw-1 in epoch 1: it was lost"):
            await run_agent(world.config, "test", asyncio.Event())
        words = ["edge", "epoch", "--config", str(world.config), "--organisation", "util"]
        words += ["--key", f"file:{tmp_path / 'util.pem'}", "--key-password", f"file:{tmp_path / 'password'}"]
        assert await asyncio.to_thread(main, [*words, "--reason", "storage replaced"]) == 0
        async with agent_task(world.config):
            boundary_s = await world.step(1)
            await world.complete(boundary_s)
            assert await world.registers(boundary_s) == shown(1)
        gateway = await world.node.client("reg").query("gateways/gw-1")
        assert (gateway["epoch"], gateway["counter"]) == (2, 1)
