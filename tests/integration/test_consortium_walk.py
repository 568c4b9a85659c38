"""docs/consortium.md as four organisations would: founded, a first day, a proposal voted down, a contract approved, a node rebuilt.

Every block of commands of the page is run as it stands there, with free ports in the place of its own.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gridledger.cli import main
from gridledger.founding.consortium_config import example_text
from ledger.client import Client
from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_world import (
    FIRST_S,
    MEMBERS,
    PATIENCE_S,
    STARTED_S,
    Consortium,
    founding_text,
    free_ports,
    with_ports,
)
from tests.integration.village import SLOT_S, meter
from tests.waiting import until, wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "consortium.md").read_text(encoding="utf-8")


def blocks(language: str, section: str) -> list[str]:
    """The fenced blocks of a section of the page."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Walk:
    """Who walks through the page: its working folder, and the ports in use."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.ports: dict[str, str] = {}
        self._capsys = capsys

    def text(self, documented: str) -> str:
        """A text of the page with this folder's ports in it."""
        return with_ports(documented, self.ports)

    def do(self, block: str, *statuses: int, **names: str) -> str:
        """The commands of a block; what the last one said. ``statuses``: of each, 0 where none is given; ``names``: what stands for what."""
        said = ""
        for number, line in enumerate(self.text(block).splitlines()):
            for name, value in names.items():
                line = line.replace(name, value)
            self._capsys.readouterr()
            expected = statuses[number] if number < len(statuses) else 0
            status = main(shlex.split(line)[1:])
            said = self._capsys.readouterr().out
            assert status == expected, (line, said)
        return said

    @contextmanager
    def agent(self, line: str) -> Iterator[None]:
        """A command of the page as a process, ended at the end."""
        command = [sys.executable, "-m", "gridledger", *shlex.split(self.text(line))[1:]]
        process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


async def test_four_organisations_go_through_the_documentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    walk = Walk(tmp_path, capsys)
    async with meter() as (fleet, meter_port):
        found(walk, meter_port)
        consortium = Consortium(tmp_path)
        try:
            await asyncio.to_thread(run_it, walk, consortium)
            await first_day(walk, consortium, fleet)
            await asyncio.to_thread(vote_it_down, walk)
            await asyncio.to_thread(approve_contract, walk)
            await asyncio.to_thread(rebuild, walk, consortium)
        finally:
            consortium.end()


def found(walk: Walk, meter_port: int) -> None:
    """The ceremony."""
    requests, genesis = blocks("console", "Found it")
    text = example_text()
    walk.ports = free_ports(text)
    text = founding_text(text, walk.ports)
    (walk.folder / "consortium.toml").write_text(
        re.sub(r"^port = 5020", f"port = {meter_port}", text, flags=re.MULTILINE), encoding="utf-8"
    )
    walk.do(requests)
    walk.do(genesis)


def run_it(walk: Walk, consortium: Consortium) -> None:
    """Every node, as the page starts it."""
    nodes, status = blocks("console", "Run it")
    assert [shlex.split(line)[-1] for line in nodes.splitlines()] == [f"{name}/node.toml" for name in MEMBERS]
    consortium.start(*MEMBERS)
    consortium.advance(STARTED_S + 60)
    consortium.wait_height(1)
    wait_until(lambda: main(["consortium", "status", "."]) == 0, "all ready", PATIENCE_S)
    said = walk.do(status)
    assert said.count("ready") == 2


async def first_day(walk: Walk, consortium: Consortium, fleet: Any) -> None:
    """The first slot is metered at the grid company's gateway, and the regulator's node has its bill."""
    (agent,) = blocks("console", "The first day")
    with walk.agent(agent.splitlines()[0]):
        for boundary_s, import_wh in ((FIRST_S, 1_000), (FIRST_S + SLOT_S, 1_250)):
            fleet.set_registers([import_wh], [0])
            await asyncio.to_thread(consortium.advance, boundary_s)
            await until(partial(covered, consortium, boundary_s), PATIENCE_S)
    await asyncio.to_thread(consortium.advance, FIRST_S + 2 * SLOT_S)
    reached = await asyncio.to_thread(consortium.certified, "grid")
    await asyncio.to_thread(consortium.wait_height, reached, "regulator")
    run = await ask(consortium, "regulator", f"areas/north/slots/{FIRST_S}/run")
    lines = [(line["line_kind"], line["energy_wh"], line["amount_nano"]) for line in run["lines"]]
    assert ("residual_import", 250, 250 * 460_000) in lines


async def covered(consortium: Consortium, boundary_s: int) -> bool:
    """Whether the ledger has the meter's registers of a boundary."""
    said = await ask(consortium, "grid", "areas/north/coverage", boundary_s=boundary_s)
    return bool(said["committed"] == said["expected"] == 1)


async def ask(consortium: Consortium, name: str, path: str, **terms: int | str) -> Any:
    """What a member's node tells its pages."""
    signer = f"{name}-web"
    way = Client(consortium.url(name), chain=consortium.chain, signer_id=signer, signer=consortium.signer(signer))
    async with way as client:
        return await client.query(path, **terms)


def vote_it_down(walk: Walk) -> None:
    """One organisation would decide alone; the others do not let it."""
    propose, votes = blocks("console", "Change it")[:2]
    (walk.folder / "alone.toml").write_text(blocks("toml", "Change it")[0], encoding="utf-8")
    proposal = proposal_in(walk.do(propose))
    said = walk.do(votes, PROPOSAL=proposal)
    assert "failed" in said


def approve_contract(walk: Walk) -> None:
    """Three organisations approve a contract."""
    propose, votes = blocks("console", "Change it")[2:]
    (walk.folder / "contract.toml").write_text(blocks("toml", "Change it")[1], encoding="utf-8")
    said = walk.do(votes, PROPOSAL=proposal_in(walk.do(propose)))
    assert "passed" in said


def rebuild(walk: Walk, consortium: Consortium) -> None:
    """The aggregator's machine is gone; a new one has its keys, the file and the requests."""
    again, run = blocks("console", "Rebuild a node")[0].splitlines()
    consortium.kill("aggregator")
    old, new = walk.folder / "aggregator", walk.folder / "new"
    for place in ("keys", "engine/config/priv_validator_key.json", "engine/config/node_key.json", "aggregator.request"):
        (new / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(old / place, new / place) if (old / place).is_dir() else shutil.copy2(old / place, new / place)
    shutil.rmtree(old)
    new.rename(old)
    consortium.advance(FIRST_S + 4 * SLOT_S)
    walk.do(again)
    assert shlex.split(run)[-1] == "aggregator/node.toml"
    consortium.start("aggregator")
    consortium.wait_height(consortium.certified("grid"), "aggregator")
    consortium.check_agreement()


def proposal_in(said: str) -> str:
    """The id of the proposal that a command speaks of."""
    found_id = re.search(r"[0-9a-f]{64}", said)
    assert found_id is not None, said
    return found_id[0]
