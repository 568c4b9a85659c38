"""``GET profiles``: what a party reads of its standing rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.transactions.market_profile import ProfilePart
from ledger.client import NodeRefused
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.nodes import running_node, submit_all


async def test_a_party_reads_its_standing_rules_until_they_end(tmp_path: Path) -> None:
    end_s = FIRST_S + 4 * SLOT_S
    parts = [ProfilePart("buy", 400_000, [0, 500]), ProfilePart("sell", 450_000, [1_200])]
    async with running_node(tmp_path / "ledger") as node:
        sender = node.sender()
        await submit_all(node.client(), [[sender.profile("p-1", "a-1", FIRST_S, end_s, parts, counter=3)]])
        own = node.client("p-1")
        answer = await own.query("profiles", party="p-1")
        told = [{**part._asdict(), "quantities_wh": list(part.quantities_wh)} for part in parts]
        rule = {"counter": 3, "slot_start_s": FIRST_S, "end_s": end_s, "parts": told}
        assert answer == {"party": "p-1", "area": "a-1", "profiles": [rule]}
        assert (await node.client("util").query("profiles", party="p-2"))["profiles"] == []
        await submit_all(
            node.client(), [[sender.clock(FIRST_S - SLOT_S)], [sender.profile_end("p-1", "a-1", FIRST_S, counter=3)]]
        )
        assert (await own.query("profiles", party="p-1"))["profiles"] == []
        with pytest.raises(NodeRefused, match="no party 'nobody'"):
            await node.client("util").query("profiles", party="nobody")
