"""The projection when something is away, fails, refuses, or is another: nothing is lost, doubled or hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridseries.answers import AnswerError
from gridseries.embedded import EmbeddedSeries
from gridseries.projection import Projector
from gridseries.series import SLOTS, Row, SeriesUnavailable
from ledger.client import NodeRefused
from tests.unit.timeseries.projection_world import FaultyStore, catch_up, everything, new_store, running
from tests.unit.timeseries.scripted_node import ScriptedNode
from tests.waiting import until
from tests.worlds.consortium import FIRST_S, SLOT_S


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_a_failure_at_any_point_loses_nothing_and_doubles_nothing(tmp_path: Path, is_done: bool) -> None:
    node = ScriptedNode(7, areas=1, meters=3, cut=5)
    node.write_history(6)
    whole = new_store(tmp_path, "whole")
    await catch_up(Projector(node, whole))
    expected = await everything(whole)
    await whole.close()
    at, has_failed = 0, True
    while has_failed:
        at += 1
        store = new_store(tmp_path, f"faulty-{at}")
        projector = Projector(node, FaultyStore(store, at, is_done=is_done))
        has_failed = False
        while projector.height != node.newest:
            try:
                await projector.step()
            except SeriesUnavailable:
                has_failed = True
                projector = Projector(node, store)  # a new process
        assert await everything(store) == expected
        assert await store.load_cursor() == (node.newest, node.digest(node.newest))
        await store.close()
    assert at > 20


async def test_it_goes_on_by_itself_when_the_node_was_away_and_says_so(tmp_path: Path) -> None:
    node, store = ScriptedNode(3), new_store(tmp_path)
    node.write_history(5)
    told: list[tuple[str, str | None]] = []
    projector = Projector(node, store, on_health=lambda *said: told.append(said))
    async with running(projector):
        await until(lambda: projector.height == node.newest)
        assert {said for said in told if said[1] is not None} == set()
        node.is_away = True
        await until(lambda: ("node", "http://scripted: no node answers there") in told)
        node.write_history(6)
        node.is_away = False
        await until(lambda: projector.height == node.newest)
        assert told[-1][1] is None
    rebuilt = new_store(tmp_path, "rebuilt")
    await catch_up(Projector(node, rebuilt))
    assert await everything(store) == await everything(rebuilt)
    await store.close()
    await rebuilt.close()


async def test_a_busy_node_is_asked_again_and_not_called_away(tmp_path: Path) -> None:
    node, store = ScriptedNode(4), new_store(tmp_path)
    node.write_history(3)
    told: list[tuple[str, str | None]] = []
    projector = Projector(node, store, on_health=lambda *said: told.append(said))
    node.is_away = True
    async with running(projector):
        await until(lambda: told)
        assert told[0] == ("node", "http://scripted: no node answers there")
        node.is_away, node.is_busy = False, True
        before, asked = len(told), node.queries
        await until(lambda: node.queries > asked + 1 and told[-1] == ("node", None))
        node.is_busy = False
        await until(lambda: projector.height == node.newest)
        assert {reason for _, reason in told[before:]} == {None}
    await store.close()


class SwitchedStore(FaultyStore):
    """A store that refuses writes, reads as well, or nothing, as told."""

    def __init__(self, inner: EmbeddedSeries) -> None:
        super().__init__(inner, -1, is_done=False)
        self.refused: tuple[str, ...] = ()

    async def _call(self, name: str, *arguments: Any) -> Any:
        if name in self.refused:
            raise SeriesUnavailable(f"{name} refused")
        return await super()._call(name, *arguments)


async def test_a_store_that_takes_writes_again_is_back_without_any_news(tmp_path: Path) -> None:
    node, inner = ScriptedNode(8), new_store(tmp_path)
    node.write_history(3)
    store = SwitchedStore(inner)
    told: list[tuple[str, str | None]] = []
    projector = Projector(node, store, on_health=lambda *said: told.append(said))
    async with running(projector):
        await until(lambda: projector.height == node.newest)
        store.refused = ("write", "save_cursor")  # a full disk: what is there can still be read
        node.write("registers", "a-0", FIRST_S + SLOT_S)
        await until(lambda: told.count(("series", "write refused")) >= 3)
        first = told.index(("series", "write refused"))
        assert ("series", None) not in told[first:]
        store.refused = ()
        await until(lambda: told[-1] == ("series", None))
        assert projector.height == node.newest
        store.refused = ("claim", "load_cursor", "read", "write", "save_cursor")
        node.write("something else", "a-0", FIRST_S)
        await until(lambda: told[-1] == ("series", "claim refused"))
        store.refused = ()
        await until(lambda: told[-1] == ("series", None))
    await inner.close()


async def test_a_store_that_was_emptied_under_it_is_filled_again(tmp_path: Path) -> None:
    node, store = ScriptedNode(4), new_store(tmp_path)
    node.write_history(5)
    projector = Projector(node, store)
    async with running(projector):
        await until(lambda: projector.height == node.newest)
        await store.drop()
        node.write("registers", "a-0", FIRST_S + 6 * SLOT_S)
        await until(lambda: projector.height == node.newest)
    rebuilt = new_store(tmp_path, "rebuilt")
    await catch_up(Projector(node, rebuilt))
    assert await everything(store) == await everything(rebuilt)
    await store.close()
    await rebuilt.close()


async def test_a_store_of_another_chain_is_an_outage_and_stays_untouched(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    await store.claim("other")
    await store.write(SLOTS, [Row(("a",), 0, (1,) * len(SLOTS.fields))])
    told: list[tuple[str, str | None]] = []
    async with running(Projector(ScriptedNode(1), store, on_health=lambda *said: told.append(said))):
        await until(lambda: told)
    assert told[0][0] == "series"
    assert "holds the series of chain other, not of scripted" in str(told[0][1])
    assert len(await store.read(SLOTS, 0, 1)) == 1
    await store.close()


async def test_a_node_that_was_set_back_is_not_followed(tmp_path: Path) -> None:
    node, store = ScriptedNode(6), new_store(tmp_path)
    node.write_history(3)
    await catch_up(Projector(node, store))
    before = await everything(store)
    with pytest.raises(
        AnswerError, match=r"the node is at height 0 and the series at \d+: it was set back.*; drop the series"
    ):
        await Projector(ScriptedNode(6), store).step()
    assert await everything(store) == before
    await store.close()


@pytest.mark.parametrize("is_new_process", [False, True], ids=["while it is followed", "before the start"])
async def test_a_node_that_was_set_back_and_grew_beyond_the_series_is_said_to_be_another_and_not_followed(
    tmp_path: Path, is_new_process: bool
) -> None:
    node, store = ScriptedNode(6), new_store(tmp_path)
    node.write_history(3)
    told: list[tuple[str, str | None]] = []
    projector = Projector(node, store, on_health=lambda *said: told.append(said))
    await catch_up(projector)
    before, height = await everything(store), projector.height
    node.set_back()
    node.write_history(5)
    if is_new_process:
        projector = Projector(node, store, on_health=lambda *said: told.append(said))
    async with running(projector):
        told.clear()
        await until(lambda: [name for name, reason in told if reason].count("projection") >= 3)
        assert {name for name, reason in told if reason} == {"projection"}, "node and store answer"
        assert ("projection", None) not in told, "it does not come and go"
        reason = next(reason for _, reason in told if reason)
        assert f"the node's block {height} is another one than the series hold" in reason
        assert await everything(store) == before
        await store.drop()
        await until(lambda: projector.height == node.newest)
        assert ("projection", None) in told
    await store.close()


async def test_a_node_that_refuses_the_key_is_no_node_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, store = ScriptedNode(6), new_store(tmp_path)

    async def refuse(path: str, **_params: Any) -> Any:
        raise NodeRefused("http://scripted: no such signer", 401, "no such signer")

    monkeypatch.setattr(node, "query", refuse)
    told: list[tuple[str, str | None]] = []
    async with running(Projector(node, store, on_health=lambda *said: told.append(said))):
        await until(lambda: len(told) >= 6)
    assert set(told) == {("node", None), ("projection", "http://scripted: no such signer")}
    await store.close()


async def test_of_slots_that_the_node_has_pruned_there_are_no_rows_and_the_others_are_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, whole, anew = ScriptedNode(5), new_store(tmp_path, "whole"), new_store(tmp_path, "anew")
    node.write_history(9)
    await catch_up(Projector(node, whole))
    kept_from_s, answer = FIRST_S + 4 * SLOT_S, node.query

    async def query(path: str, **params: Any) -> Any:
        slot = int(path.split("/")[3]) if "/slots/" in path else kept_from_s
        is_final = path.endswith(("positions", "registers", "coverage", "observations"))
        if is_final and min(slot, params.get("boundary_s", kept_from_s)) < kept_from_s:
            raise NodeRefused(f"http://scripted: leaf {path}: pruned", 410, "pruned")
        return await answer(path, **params)

    monkeypatch.setattr(node, "query", query)
    await catch_up(Projector(node, anew))
    expected = [row for row in await whole.read(SLOTS, 0, 2**33) if row.time_s >= kept_from_s]
    assert [row for row in await anew.read(SLOTS, 0, 2**33) if row.time_s >= kept_from_s] == expected
    assert len(expected) > 4
    await whole.close()
    await anew.close()
