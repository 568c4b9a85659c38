"""docs/operating/meters.md: a counter that fell in a power cut, and a register that the utility answers for, as the page has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.client import Client, run_with_client
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, blocks_of, founded


def ask(village: Village, path: str, **asked: Any) -> Any:
    """What the node answers the utility."""

    async def query(client: Client) -> Any:
        return await client.query(path, **asked)

    return run_with_client(village.url, query, signer_id="utility", signer=village.signer("utility"))


def test_a_meter_that_lost_its_registers_goes_on_and_its_slot_is_the_sum_of_both_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    submit, approve = blocks_of("meters.md")
    (reset,) = blocks_of("meters.md", "toml")
    village = founded(tmp_path)
    sender = village.sender(FIRST_S - SLOT_S)

    def read(boundary_s: int, shown_wh: int) -> list[int]:
        """Move ledger time to a boundary and deliver a reading; the codes of rows that were not used."""
        village.submit([sender.clock(boundary_s)])
        (answer,) = village.submit([sender.batch("gateway-1", boundary_s, [(1, shown_wh, 0)])])
        assert answer.name == "ACCEPTED"
        return [code for _, _, code in answer.rows]

    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
        assert read(FIRST_S, 1_000) == []
        assert read(FIRST_S + SLOT_S, 40) == [83]
        (tmp_path / "reset.toml").write_text(reset)
        village.do(submit)
        assert read(FIRST_S + 2 * SLOT_S, 65) == []
        village.do(approve)
        assert read(FIRST_S + 3 * SLOT_S, 90) == []
        registers = ask(village, "areas/north/registers", boundary_s=FIRST_S + SLOT_S)["registers"]
        assert (registers[0]["import_wh"], registers[0]["quality"]) == (40, "corrected")
        for slot, energy_wh in enumerate([120 + 40, 25, 25]):
            village.submit([sender.clock(FIRST_S + (slot + 5) * SLOT_S)])
            positions = ask(village, f"areas/north/slots/{FIRST_S + slot * SLOT_S}/positions")
            assert positions["import_wh"] == [energy_wh], slot
