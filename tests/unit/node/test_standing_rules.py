"""``GET profiles``: what a party reads of its standing rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.transactions.market_profile import ProfileBid, ProfileCondition, ProfilePart
from ledger.client import NodeRefused
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.wanted import WANTED


async def test_a_party_reads_its_standing_rules_until_they_end(tmp_path: Path) -> None:
    end_s = FIRST_S + 4 * SLOT_S
    of_roof = ProfileCondition(430_000, [800], "roof", "renewable")
    parts: list[ProfilePart | ProfileBid] = [
        ProfilePart("buy", 400_000, [0, 500]),
        ProfileBid([of_roof, ProfileCondition(390_000, [0, 7])]),
        ProfilePart("sell", 450_000, [1_200]),
    ]
    async with running_node(tmp_path / "ledger", WANTED) as node:
        sender = node.sender()
        await submit_all(node.client(), [[sender.profile("house", "a-1", FIRST_S, end_s, parts, counter=3)]])
        own = node.client("house")
        answer = await own.query("profiles", party="house")
        told = [
            {"side": "buy", "price_micro_per_kwh": 400_000, "quantities_wh": [0, 500]},
            {
                "side": "buy",
                "conditions": [
                    of_roof._asdict(),
                    {"price_micro_per_kwh": 390_000, "quantities_wh": [0, 7]},
                ],
            },
            {"side": "sell", "price_micro_per_kwh": 450_000, "quantities_wh": [1_200]},
        ]
        rule = {"counter": 3, "slot_start_s": FIRST_S, "end_s": end_s, "parts": told}
        assert answer == {"party": "house", "area": "a-1", "profiles": [rule]}
        (area,) = (await node.client("util").query("areas"))["areas"]
        assert area["rules"]["profiles_have_conditions"] is True
        assert (await node.client("util").query("profiles", party="shop"))["profiles"] == []
        await submit_all(
            node.client(), [[sender.clock(FIRST_S - SLOT_S)], [sender.profile_end("house", "a-1", FIRST_S, counter=3)]]
        )
        assert (await own.query("profiles", party="house"))["profiles"] == []
        with pytest.raises(NodeRefused, match="no party 'nobody'"):
            await node.client("util").query("profiles", party="nobody")
