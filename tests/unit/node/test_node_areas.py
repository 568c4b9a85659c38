"""What the node answers of areas as a whole: both sides of their books, who trades in them, and the installations of one party."""

from __future__ import annotations

from pathlib import Path

from tests.unit.node.test_node_http import settled
from tests.worlds.nodes import running_node


async def test_the_sums_of_each_areas_book_are_those_of_its_accounts_and_points(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        reader = node.client("util")
        areas = (await reader.query("areas"))["areas"]
        books = (await reader.query("accounts/sums"))["areas"]
        assert [book["area"] for book in books] == [area["area"] for area in areas]
        for book in books:
            whole = await reader.query("accounts", area=book["area"])
            assert book["accounts"] == whole["accounts"]
            assert book["owes_nano"] == sum(one["owes_nano"] for one in whole["balances"])
            assert book["parties"] == len({one["party"] for one in whole["balances"]})
        assert any(book["owes_nano"] for book in books)


async def test_an_area_says_how_many_of_its_parties_trade_and_installations_those_of_one(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        reader = node.client("util")
        for area in (await reader.query("areas"))["areas"]:
            rows = (await reader.query(f"areas/{area['area']}/installations"))["installations"]
            assert area["traders"] == len({row["party"] for row in rows if row["trades"]})
        own = (await reader.query("areas/a-1/installations", party="p-1"))["installations"]
        assert [row["party"] for row in own] == ["p-1"]
