"""docs/operating/emergency-recovery.md: two of four validators are lost for ever, and the other two go on with a new chain, as the page has it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridcore.config import load_config
from gridledger.cli import main
from gridledger.founding.consortium import found_everywhere
from gridledger.founding.consortium_config import ConsortiumConfig, example_text
from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_readings import AREA, SLOT_S, STEP_WH, Readings
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
from tests.integration.village import blocks_of
from tests.waiting import wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
LEFT = ("grid", "retailer")
LOST = ("aggregator", "regulator")


class Recoverers:
    """Who goes through the page, in the folder of the four; ``ports``: in use instead of those that it names."""

    def __init__(self, consortium: Consortium, ports: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        self.consortium, self._ports, self._capsys = consortium, ports, capsys

    def do(self, line: str, status: int = 0) -> str:
        """A command of the page; what it says, on both ways out."""
        self._capsys.readouterr()
        assert main(shlex.split(with_ports(line, self._ports))[1:]) == status, line
        said = self._capsys.readouterr()
        return said.out + said.err


@pytest.fixture
def recoverers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Recoverers]:
    """Four that run, with some slots settled, and the founding file beside them."""
    monkeypatch.chdir(tmp_path)
    example = re.sub(r"^slot_s = \d+", f"slot_s = {SLOT_S}", example_text(), flags=re.MULTILINE)
    ports = free_ports(example)
    (tmp_path / "consortium.toml").write_text(founding_text(example, ports))
    found_everywhere(load_config(tmp_path / "consortium.toml", ConsortiumConfig), tmp_path, FIRST_S)
    consortium = Consortium(tmp_path)
    try:
        consortium.start(*MEMBERS)
        consortium.advance(STARTED_S + 60)
        readings = Readings(consortium)
        readings.start()
        wait_until(lambda: settled_to_s(consortium) > FIRST_S, "a settled slot", PATIENCE_S)
        readings.stop()
        consortium.wait_height(consortium.certified("grid"))
        yield Recoverers(consortium, ports, capsys)
    finally:
        consortium.end()


def settled_to_s(consortium: Consortium) -> int:
    """Where the first slot begins that is not settled."""

    async def ask(client: Any) -> int:
        return int((await client.query(f"areas/{AREA}/progress"))["run_slot_start_s"])

    return consortium.ask("grid", ask)


def test_two_of_four_that_are_lost_for_ever_are_left_behind_by_a_new_chain(recoverers: Recoverers) -> None:
    recover, keep, again = blocks_of("emergency-recovery.md")
    check, write = recover.splitlines()
    consortium, folder = recoverers.consortium, recoverers.consortium.folder
    one = check.replace("--lost aggregator ", "")
    assert "3 of 4 power are left, more than two thirds: this chain goes on" in recoverers.do(one, 2)
    assert "'stranger' is no member of this consortium" in recoverers.do(f"{check} --lost stranger", 2)
    assert "points and gateways are its" in recoverers.do(f"{check} --lost grid", 2)
    assert "nobody would be left" in recoverers.do(f"{check} --lost grid --lost retailer", 2)

    consortium.kill(*LOST)
    begins_s = settled_to_s(consortium)
    planned = json.loads(recoverers.do(f"{check} --json"))
    assert not (folder / "recovered.toml").exists()
    assert (planned["members"], planned["first_slot_start_s"], planned["by_hand"]) == ([*LEFT], begins_s, [])
    assert json.loads(recoverers.do(f"{write} --json")) == {**planned, "written": True}
    assert "recovered.toml: cannot be written (File exists)" in recoverers.do(write, 2)
    made = load_config(folder / "recovered.toml", ConsortiumConfig)
    (meter,) = made.gateways[0].meters
    assert meter.first_import_wh == STEP_WH * (1 + (begins_s - FIRST_S) // SLOT_S)

    consortium.end()
    for line in (*keep.splitlines(), *again.splitlines()):
        recoverers.do(line)
    new = Consortium(folder / "new")
    try:
        new.start(*LEFT)
        new.advance(begins_s - 3_600)
        new.wait_height(1, *LEFT)
        new.check_agreement(*LEFT)
        assert new.chain != consortium.chain
    finally:
        new.end()
