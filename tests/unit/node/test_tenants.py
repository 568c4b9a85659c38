"""A point that is billed to another party from a slot within a local day on: each party sees its own slots of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from ledger.client import NodeRefused
from ledger.http.queries import answers
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

DAY = f"areas/a-1/days/{DAYS[1]}/statements"
KINDS = f"areas/a-1/days/{DAYS[1]}/kinds"
PARTY_KINDS = f"areas/a-1/days/{DAYS[1]}/party-kinds"
MOVED = Named(POINT, "P-3", Point("a-1", "load", party="p-1"), from_s=FIRST_S + SLOT_S)
WORLD = replace(TWO_AREAS, more=[*TWO_AREAS.more, MOVED])


async def settle(node: RunningNode) -> None:
    """A slot in which P-3 is billed to l-1, then one in which it is billed to p-1."""
    sender, third_s = WORLD.sender(), FIRST_S + 2 * SLOT_S
    await submit_all(node.client("util"), one_settled_slot(sender))
    rows = [(1, 2000, 7), (2, 530, 900), (3, 13, 0), (4, 90, 5)]
    await submit_all(node.client("util"), [[sender.batch("gw-1", third_s, rows)], [sender.clock(third_s + SLOT_S)]])


@pytest.mark.parametrize("party", ["p-1", "p-2", "l-1"])
async def test_a_party_sees_of_a_day_what_it_sees_of_its_slots(tmp_path: Path, party: str) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        await settle(node)
        client, runs = node.client("util"), list[dict[str, Any]]()
        for slot_s in (FIRST_S, FIRST_S + SLOT_S):
            try:
                runs.append(await client.query(f"areas/a-1/slots/{slot_s}/run", party=party))
            except NodeRefused:
                runs.append({"lines": [], "parties": [], "slot_start_s": slot_s})
        day, kinds = await client.query(DAY, party=party), await client.query(KINDS, party=party)
        assert [slot["lines"] for slot in day["slots"]] == [run["lines"] for run in runs]
        lines = [line for run in runs for line in run["lines"]]
        assert sum(one["amount_nano"] for one in kinds["kinds"]) == sum(line["amount_nano"] for line in lines)
        assert sum(one["lines"] for one in kinds["kinds"]) == len(lines)
        pays = sum(total["pays_nano"] for run in runs for total in run["parties"])
        assert sum(total["pays_nano"] for total in day["statements"]) == pays
        assert {total["party"] for total in day["statements"]} == {party}
        assert (day["slots_settled"], kinds["slots_settled"]) == (2, 2)


async def test_sums_of_an_area_by_kind_are_those_of_its_parties(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        await settle(node)
        client = node.client("util")
        sums = Counter[str]()
        for party in ("p-1", "p-2", "l-1"):
            for one in (await client.query(KINDS, party=party))["kinds"]:
                sums[one["line_kind"]] += one["amount_nano"]
        assert {one["line_kind"]: one["amount_nano"] for one in (await client.query(KINDS))["kinds"]} == sums


def _by_kind(sums: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["line_kind"]: one for one in sums}


async def test_sums_of_a_day_by_party_are_those_of_each_party_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        await settle(node)
        client = node.client("util")
        shown = {party: (await client.query(KINDS, party=party))["kinds"] for party in ("p-1", "p-2", "l-1")}
        whole = await client.query(PARTY_KINDS)
        assert (whole["slots_settled"], whole["slots_expected"], whole["next"]) == (
            2,
            (DAYS[2] - FIRST_S) // SLOT_S,
            None,
        )
        by_party: dict[str, list[dict[str, Any]]] = {}
        for one in whole["kinds"]:
            by_party.setdefault(one.pop("party"), []).append(one)
        assert {party: _by_kind(of_party) for party, of_party in by_party.items()} == {
            party: _by_kind(of_party) for party, of_party in shown.items()
        }
        monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 1)
        sums = Counter[tuple[str, str]]()
        start: int | None = 0
        while start is not None:
            page = await client.query(PARTY_KINDS, start=start)
            start = page["next"]
            for one in page["kinds"]:
                sums[one["party"], one["line_kind"]] += one["amount_nano"]
        assert sums == {(party, one["line_kind"]): one["amount_nano"] for party in shown for one in shown[party]}


async def test_sums_of_a_day_by_party_are_no_partys_to_ask_for(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        assert (await node.client("util").query(PARTY_KINDS))["kinds"] == []
        with pytest.raises(NodeRefused) as refused:
            await node.client("p-1").query(PARTY_KINDS)
        assert refused.value.status == 403
