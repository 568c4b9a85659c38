"""SIGHUP: a running agent takes meters, lines and profiles anew between two boundaries; a bad file changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from structlog.testing import capture_logs

from edge.config import EdgeConfig
from edge.outbox_file import read_outbox
from edge.parts import FieldParts
from edge.reloading import RELOADED, check_reload, follow_reloads
from firmware_profiles import FOLDER
from gridcore.config import load_config
from gridcore.errors import UsageError
from gridcore.serving.ports import free_port
from tests.integration.test_edge_with_node import AREA, NUMBERS, Plant, plant, shown
from tests.unit.edge_agent.edge_world import write_config
from tests.waiting import until
from tests.worlds.consortium import FIRST_S, SLOT_S


class Agent:
    """``gridledger edge run`` as a process, and what it logs."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self._log = config.parent / "agent.log"

    async def start(self) -> None:
        with self._log.open("ab") as log:
            words = ["-m", "gridledger", "edge", "run", "--config", str(self.config)]
            self.process = await asyncio.create_subprocess_exec(sys.executable, *words, stderr=log)

    def said(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of this event."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    async def hang_up(self, event: str) -> dict[str, Any]:
        """Send SIGHUP; the line of the log that it leads to."""
        before = len(self.said(event))
        self.process.send_signal(signal.SIGHUP)
        await until(lambda: len(self.said(event)) > before)
        return self.said(event)[-1]

    async def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert await self.process.wait() == 0


async def committed(world: Plant, boundary_s: int, count: int) -> None:
    """Wait until the ledger has so many meters of the boundary."""

    async def are_there() -> bool:
        found = await world.node.client("reg").query(f"areas/{AREA}/coverage", boundary_s=boundary_s)
        return bool(found["committed"] == count)

    await until(are_there)


async def test_meters_are_added_and_bad_files_refused_while_no_boundary_is_lost(tmp_path: Path) -> None:
    async with plant(tmp_path, 8) as world:
        port = free_port()
        whole = f"status_port = {port}\n" + world.config.read_text().replace("[submit]", "[submit]\nreport_s = 1")
        world.config.write_text(whole[: whole.rindex("[[meters]]")])  # without M-4
        agent = Agent(world.config)
        await agent.start()
        await committed(world, await world.step(0), 3)

        world.config.write_text(whole)
        told = await agent.hang_up("configuration_reloaded")
        assert (told["meters"], told["added"], told["removed"]) == (4, 1, 0)
        await world.complete(await world.step(1))
        shown_now = json.loads((await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/status.json")).read())
        reads = {row["meter"]: row["last_boundary_s"] for line in shown_now["lines"] for row in line["meters"]}
        assert reads == {f"M-{number}": FIRST_S + SLOT_S for number in NUMBERS}
        assert [node["last"] for node in shown_now["nodes"]] == ["answered"]

        async def has_reported() -> bool:
            (entry, *_) = (await world.node.client("reg").query("fleet"))["gateways"]
            return entry["report"] is not None and (entry["report"]["meters"], entry["report"]["failing"]) == (4, 0)

        await until(has_reported)
        world.config.write_text(whole.replace('line = "line-1"\nunit_id', 'line = "nowhere"\nunit_id', 1))
        told = await agent.hang_up("configuration_not_reloaded")
        assert f"{world.config}: meters: meter 'M-1' is on line 'nowhere'" in told["reason"]
        await world.complete(await world.step(2))

        changed = whole.replace('"file:gateway.pem"', '"file:util.pem"').replace('"outbox.sqlite"', '"other.sqlite"')
        world.config.write_text(changed)
        told = await agent.hang_up("configuration_not_reloaded")
        assert told["reason"].startswith("key, outbox changed, which needs a restart; nothing of the new file is used")
        await world.complete(await world.step(3))

        own = (FOLDER / "acrel_adl400.toml").read_text().replace('"acrel_adl400"', '"adl400_mended"', 1)
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "adl400_mended.toml").write_text(own)
        mended = whole.replace('"acrel_adl400"', '"adl400_mended"').replace("[submit]", 'profiles = "own"\n[submit]')
        for slot in (4, 5, 6):  # in the middle of sampling: it waits for the end of that
            world.config.write_text(mended if slot % 2 else whole)
            boundary_s = await world.step(slot)
            await agent.hang_up("configuration_reloaded")
            await world.complete(boundary_s)
        named = {line["profiles"] for line in agent.said("configuration_reloaded")}
        assert len(named) == 2

        agent.process.send_signal(signal.SIGHUP)  # and killed on the way
        agent.process.kill()
        await agent.process.wait()
        await agent.start()
        for slot in (7, 8):
            await world.complete(await world.step(slot))
        await until(lambda: read_outbox(tmp_path / "outbox.sqlite").depth == 0)
        await agent.stop()
        for slot in range(1, 9):
            assert await world.registers(FIRST_S + slot * SLOT_S) == shown(slot)
        progress = read_outbox(tmp_path / "outbox.sqlite").progress
        assert (progress.gaps, progress.absent) == ((), ())
        assert (await world.node.client("reg").query("exceptions"))["exceptions"] == []
        assert len(NUMBERS) == 4


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"chain": '"other"'}, "chain"),
        ({"gateway": '"gw-2"', "node": "http://127.0.0.1:10"}, "gateway, node"),
        ({"_tables": "[sampling]\nlate_after_ms = 1\n[raw_words]\nage_s_max = 86400\n"}, "sampling, raw_words"),
    ],
)
def test_what_needs_a_restart_is_named(tmp_path: Path, keys: dict[str, str], named: str) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    running = load_config(write_config(tmp_path / "old"), EdgeConfig)
    changed = load_config(write_config(tmp_path / "new", **keys), EdgeConfig)
    same = {key: getattr(running, key) for key in ("trust", "key", "key_password", "outbox", "node")}
    changed = dataclasses.replace(changed, **{key: value for key, value in same.items() if key not in keys})
    with pytest.raises(UsageError, match=f"^{named} changed, which needs a restart"):
        check_reload(running, changed)


def test_everything_that_says_what_is_read_is_taken_anew(tmp_path: Path) -> None:
    running = load_config(write_config(tmp_path), EdgeConfig)
    changed = dataclasses.replace(
        running,
        lines=(),
        meters=(),
        profiles=Path("own"),
        profile_bundle=Path("bundle"),
        profile_signer="04" * 65,
        brokers=(),
        devices=(),
    )
    check_reload(running, changed)
    assert len(RELOADED) == 7


async def test_a_file_that_the_system_refuses_is_said_and_the_next_one_is_taken(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    whole, asked, offered = config.read_text(), asyncio.Event(), list[FieldParts]()
    following = asyncio.create_task(follow_reloads(config, load_config(config, EdgeConfig), asked, offered.append))
    config.write_text(f'profiles = "{"x" * 300}"\n{whole}')  # no file system takes such a name
    with capture_logs() as logs:
        asked.set()
        await until(lambda: following.done() or logs)
    assert not following.done()
    assert [(line["event"], "File name too long" in line["reason"]) for line in logs] == [
        ("configuration_not_reloaded", True)
    ]
    config.write_text(whole)
    asked.set()
    await until(lambda: offered)
    following.cancel()
    await asyncio.wait({following})
