"""Sums of whole local days by party and kind of line: written once a day is settled, again after a later run, never in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridseries.embedded import EmbeddedSeries
from gridseries.projection import Projector
from gridseries.series import DAYS, PARTY_DAYS, AnyRow
from ledger.client import NodeRefused
from tests.unit.timeseries.projection_world import FAR_S, catch_up, everything, new_store
from tests.unit.timeseries.scripted_node import DAYS as STARTS
from tests.unit.timeseries.scripted_node import FIRST_S, SLOTS_OF_DAY, ScriptedNode
from tests.worlds.consortium import SLOT_S

PARTY_KINDS = f"areas/a-0/days/{FIRST_S}/party-kinds"
ZERO = (0, 0, 0)


def settle(node: ScriptedNode, *slots: int, area: str = "a-0") -> None:
    """A run of each of these slots, the first one of the chain being 0."""
    for slot in slots:
        node.write("run", area, FIRST_S + slot * SLOT_S)


async def sums_told(node: ScriptedNode, day_start_s: int = FIRST_S) -> dict[tuple[str, str], tuple[int, ...]]:
    """What the node says of a day, whatever its pages."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    start: int | None = 0
    while start is not None:
        page = await node.query(f"areas/a-0/days/{day_start_s}/party-kinds", start=start)
        for one in page["kinds"]:
            found[one["party"], one["line_kind"]] = (one["lines"], one["energy_wh"], one["amount_nano"])
        start = page["next"]
    return found


async def sums_kept(store: EmbeddedSeries, day_start_s: int = FIRST_S) -> dict[tuple[str, ...], tuple[int | None, ...]]:
    """What the store has of that day of area a-0."""
    rows = await store.read(PARTY_DAYS, day_start_s, day_start_s + 1, {"area": "a-0"})
    return {row.tags[1:]: row.values for row in rows}


def without_zeros(rows: dict[str, list[AnyRow]]) -> dict[str, list[AnyRow]]:
    """All rows but those that say that there is nothing left."""
    return {name: [row for row in found if row.values != ZERO] for name, found in rows.items()}


async def test_a_day_has_sums_once_its_last_slot_is_settled(tmp_path: Path) -> None:
    node, store = ScriptedNode(3, areas=1), new_store(tmp_path)
    projector = Projector(node, store)
    settle(node, 2, 0)
    await catch_up(projector)
    assert await sums_kept(store) == {}
    assert await store.read(DAYS, 0, FAR_S) == []
    settle(node, 1)
    await catch_up(projector)
    assert await sums_kept(store) == await sums_told(node)
    (day,) = await store.read(DAYS, 0, FAR_S)
    assert (day.tags, day.time_s, day.values) == (("a-0",), FIRST_S, (SLOTS_OF_DAY, 5))
    await store.close()


async def test_the_node_is_not_asked_for_sums_of_a_day_that_is_under_way(tmp_path: Path) -> None:
    node, store = ScriptedNode(3, areas=1), new_store(tmp_path)
    projector = Projector(node, store)
    for slot in range(SLOTS_OF_DAY):
        assert PARTY_KINDS not in node.asked
        settle(node, slot)
        await catch_up(projector)
    assert node.asked.count(PARTY_KINDS) == len(await sums_told(node)) // 4 + 1
    await store.close()


async def test_a_later_run_replaces_the_sums_and_leaves_zeros_of_a_kind_that_is_gone(tmp_path: Path) -> None:
    gone: list[tuple[str, ...]] = []
    for seed in range(4):
        node, store = ScriptedNode(seed, areas=1), new_store(tmp_path, f"series-{seed}")
        for _ in range(4):
            settle(node, 0, 1, 2)
            await catch_up(
                Projector(node, store)
            )  # another process each time, which has seen nothing of the day before
        kept, told = await sums_kept(store), await sums_told(node)
        assert {key: values for key, values in kept.items() if values != ZERO} == told
        gone += kept.keys() - told.keys()
        followed = await everything(store)
        await store.drop()
        await catch_up(Projector(node, store))
        assert without_zeros(followed) == await everything(store)
        await store.close()
    assert gone


async def test_a_day_that_the_node_has_pruned_keeps_the_sums_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, store = ScriptedNode(3, areas=1), new_store(tmp_path)
    projector = Projector(node, store)
    settle(node, 0, 1, 2)
    await catch_up(projector)
    before = await sums_kept(store)

    def gone(*_: Any) -> None:
        raise NodeRefused("http://scripted: pruned", 410, "pruned")

    monkeypatch.setattr(node, "_party_kinds", gone)
    settle(node, 1)
    await catch_up(projector)
    assert before
    assert await sums_kept(store) == before
    await store.close()


async def test_only_the_slots_from_an_areas_first_one_on_make_its_first_day(tmp_path: Path) -> None:
    node, store = ScriptedNode(3, areas=1), new_store(tmp_path)
    node.first_slot_start_s = FIRST_S + SLOT_S
    settle(node, 1, 2)
    await catch_up(Projector(node, store))
    assert STARTS[1] == FIRST_S
    (day,) = await store.read(DAYS, 0, FAR_S)
    assert (day.time_s, day.values) == (FIRST_S, (2, 5))
    await store.close()
