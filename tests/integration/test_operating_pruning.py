"""docs/operating/pruning.md: its commands as they stand; what a node has pruned it says, until the archive brings it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.client import Client, NodeRefused, run_with_client
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, blocks_of, founded
from tests.worlds.transactions import Sender

HOURS_OF_DAY = 24
LAST_DAY = 17
"""Runs read 16 days before the first slot that is not final, and as many slots as ``gap_slots_max`` says."""
SLOTS_OF_HOUR = 4


def meter_day(village: Village, sender: Sender, day: int) -> None:
    """Read the only meter at every boundary of a day, the batches of an hour together."""
    for hour in range(day * HOURS_OF_DAY, (day + 1) * HOURS_OF_DAY):
        slots = range(hour * SLOTS_OF_HOUR, (hour + 1) * SLOTS_OF_HOUR)
        batches = [sender.batch("gateway-1", FIRST_S + slot * SLOT_S, [(1, 100 * slot, 0)]) for slot in slots]
        answers = village.submit([sender.clock(FIRST_S + slots[-1] * SLOT_S), *batches])
        assert {answer.name for answer in answers} == {"ACCEPTED"}


def registers(village: Village, boundary_s: int) -> int:
    """How many registers the node has of a boundary."""

    async def ask(client: Client) -> int:
        return int((await client.query("areas/north/coverage", boundary_s=boundary_s))["committed"])

    return run_with_client(village.url, ask, signer_id="utility", signer=village.signer("utility"))


def test_a_node_is_pruned_goes_on_and_is_given_back_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prune, check, restore = blocks_of("pruning.md")
    village = founded(tmp_path, final_after_s="3600", open_before_start_s="3600", gap_slots_max="4")
    with village.running(RUN_NODE):
        sender = village.sender(FIRST_S - SLOT_S)
        village.advance(FIRST_S - SLOT_S)
        meter_day(village, sender, 0)
        village.advance(*(FIRST_S + day * HOURS_OF_DAY * 3600 for day in range(1, LAST_DAY + 1)))
        sender.now_s = FIRST_S + LAST_DAY * HOURS_OF_DAY * 3600
        meter_day(village, sender, LAST_DAY)
        assert registers(village, FIRST_S) == 1
    village.do(prune)
    assert "slots before" in capsys.readouterr().out
    village.do(check)
    with village.running(RUN_NODE):
        with pytest.raises(NodeRefused, match="pruned; this node keeps blocks above") as told:
            registers(village, FIRST_S)
        assert told.value.status == 410
        assert registers(village, FIRST_S + LAST_DAY * HOURS_OF_DAY * 3600) == 1
        village.advance(FIRST_S + (LAST_DAY + 1) * HOURS_OF_DAY * 3600)
    village.do(restore)
    with village.running(RUN_NODE):
        assert registers(village, FIRST_S) == 1
