"""docs/node.md, "The village changes": a household joins, a meter is exchanged, the tariff changes, each by the page's own files."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware_profiles import ModbusProfile, load_profile
from gridcore.serving.ports import HOST
from ledger.client import Client
from simulators.meters import MeterFleet, assign_lines
from tests.integration.village import DAY_S, FIRST_S, PAGES, RUN_NODE, SLOT_S, Village, founded
from tests.waiting import until

SECTION = (PAGES.parent / "node.md").read_text(encoding="utf-8").partition("## The village changes")[2]
SECTION = SECTION.partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    """The fenced blocks of the section."""
    return re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


@contextmanager
def agent(village: Village) -> Iterator[None]:
    """The agent as a process, as long as its configuration stays."""
    command = [sys.executable, "-m", "gridledger", "edge", "run", "--config", "village/edge-1.toml"]
    process = subprocess.Popen(command, cwd=village.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Walk:
    """Who walks through the page: the village, its meters, and how far time has come."""

    def __init__(self, village: Village, fleet: MeterFleet) -> None:
        self.village = village
        self.fleet = fleet

    async def do(self, block: str) -> None:
        """The commands of a block; each has an event loop of its own."""
        await asyncio.to_thread(self.village.do, block)

    async def boundary(self, boundary_s: int, first_wh: int, second_wh: int, meters: int) -> None:
        """Show registers, move time to the boundary, and wait until the ledger has those of so many ``meters``."""
        self.fleet.set_registers([first_wh, second_wh], [0, 0])
        await asyncio.to_thread(self.village.advance, boundary_s)

        async def is_covered() -> bool:
            found = await self.ask("areas/north/coverage", boundary_s=boundary_s)
            return bool(found["committed"] == found["expected"] == meters)

        await until(is_covered)

    async def ask(self, path: str, **query: Any) -> Any:
        """What the node answers to the utility."""
        village = self.village
        async with Client(
            village.url, chain=village.chain, signer_id="utility", signer=village.signer("utility")
        ) as client:
            return await client.query(path, **query)

    async def bought(self, slot_start_s: int) -> dict[str, tuple[int, int]]:
        """By party: energy and amount of what the supplier sold it in a slot."""
        run = await self.ask(f"areas/north/slots/{slot_start_s}/run")
        return {
            line["party"]: (line["energy_wh"], line["amount_nano"])
            for line in run["lines"]
            if line["line_kind"] == "residual_import"
        }


async def test_household_joins_meter_is_exchanged_and_tariff_changes_by_the_files_of_the_documentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home, second_meter, exchange, tariff = blocks("toml")
    join, exchange_commands, tariff_commands = blocks("console")
    for name, text in (("home-2", home), ("exchange", exchange), ("tariff", tariff)):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    profile = load_profile("acrel_adl400", kind=ModbusProfile)
    fleet = MeterFleet(assign_lines([("M-1", profile), ("M-2", profile)]))
    (line,) = await fleet.start(HOST)
    try:
        village = founded(tmp_path, port=str(line.port))
        walk, edge = Walk(village, fleet), tmp_path / "village" / "edge-1.toml"
        with village.running(RUN_NODE):
            await asyncio.to_thread(village.advance, FIRST_S - DAY_S + SLOT_S)
            with agent(village):
                await walk.boundary(FIRST_S, 1_000, 0, 1)
                await walk.boundary(FIRST_S + SLOT_S, 1_250, 0, 1)
            edge.write_text(edge.read_text() + second_meter)
            await walk.do(join)
            with agent(village):
                await walk.boundary(FIRST_S + 2 * SLOT_S, 1_500, 150, 2)
            edge.write_text(edge.read_text().replace('number = 1\nmeter = "M-1"', 'number = 101\nmeter = "M-101"'))
            await walk.do(exchange_commands)
            with agent(village):
                await walk.boundary(FIRST_S + 3 * SLOT_S, 150, 250, 2)
                await walk.do(tariff_commands)
                await walk.boundary(FIRST_S + 4 * SLOT_S, 300, 350, 2)
                await walk.boundary(FIRST_S + 5 * SLOT_S, 450, 480, 2)
                await asyncio.to_thread(village.advance, FIRST_S + 6 * SLOT_S)
            bought = [await walk.bought(FIRST_S + number * SLOT_S) for number in range(5)]
    finally:
        await fleet.close()
    old, new = 460_000, 520_000
    assert bought == [
        {"home-1": (250, 250 * old)},
        {"home-1": (250, 250 * old)},
        {"home-1": (100 + 150, 250 * old), "home-2": (100, 100 * old)},
        {"home-1": (150, 150 * old), "home-2": (100, 100 * old)},
        {"home-1": (150, 150 * new), "home-2": (130, 130 * new)},
    ]
