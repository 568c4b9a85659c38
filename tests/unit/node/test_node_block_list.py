"""The list of blocks: from the newest down, page by page, with kinds and certifiers; and where a transaction stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.genesis import Thresholds
from gridcore.governance.table import Action
from gridcore.governance.thresholds import THRESHOLDS
from gridcore.sm3 import sm3
from ledger.client import NodeRefused
from ledger.http.queries import block_list
from tests.unit.node.test_node_http import settled
from tests.worlds.nodes import running_node


async def test_blocks_are_listed_from_the_newest_down_and_every_page_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_list, "BLOCKS_MAX", 2)
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("reg")
        newest = (await client.status()).height
        heights: list[int] = []
        following: int | None = newest
        while following is not None:
            page = await client.query("blocks", to_height=following)
            heights += [one["height"] for one in page["blocks"]]
            following = page["next"]
        assert heights == list(range(newest, 0, -1))
        for one in (await client.query("blocks"))["blocks"]:
            whole = await client.query(f"blocks/{one['height']}")
            kinds = [entry["kind"] for entry in whole["transactions"]]
            assert one["kinds"] == [{"kind": kind, "count": kinds.count(kind)} for kind in sorted(set(kinds))]
            assert (one["transactions"], one["time_s"]) == (len(kinds), whole["time_s"])
            assert (one["signed"], one["missing"]) == (["operator"], [])
            assert (one["power_signed"], one["power"], one["covered_by"]) == (1, 1, one["height"])


async def test_a_block_is_read_once_however_often_it_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("reg")
        first = await client.query("blocks")
        monkeypatch.setattr(node.ledger, "results", None)
        assert await client.query("blocks") == first


async def test_a_transaction_is_found_by_its_id_and_another_one_is_not(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        client = node.client("reg")
        known = (await client.query("blocks/2"))["transactions"][0]
        found = await client.query(f"transactions/{known['id']}")
        assert found == {"id": known["id"], "height": 2, "position": 0, "code": known["code"], "name": known["name"]}
        with pytest.raises(NodeRefused) as raised:
            await client.query(f"transactions/{sm3(b'none').hex()}")
        assert raised.value.status == 404


async def test_whoever_reads_everything_may_ask_what_would_become_of_an_action(tmp_path: Path) -> None:
    action = Action(THRESHOLDS, Thresholds()).encode()
    async with running_node(tmp_path / "ledger") as node:
        for name in ("util", "reg", "admin"):
            assert (await node.client(name).query_about("proposals/check", action))["needed"] == 1
        with pytest.raises(NodeRefused) as raised:
            await node.client("p-1").query_about("proposals/check", action)
        assert raised.value.status == 403
