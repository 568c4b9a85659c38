"""The projection: what it makes of a real node's ledger, and that nothing on its way loses or doubles a row."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gridcore.observations import Observation, Observations, encode_observations
from gridcore.quality import ESTIMATED
from gridseries import projection
from gridseries.answers import AnswerError
from gridseries.embedded import EmbeddedSeries
from gridseries.projection import Projector
from gridseries.series import ALL_SERIES, INTERVALS, SLOTS, AnyRow, AnySeries, Row
from ledger.http.queries import answers
from tests.unit.timeseries.projection_world import FAR_S, FaultyStore, catch_up, everything, new_store
from tests.unit.timeseries.scripted_node import FIRST_S as FIRST_S_OF_SCRIPT
from tests.unit.timeseries.scripted_node import ScriptedNode, by_key
from tests.waiting import until
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.nodes import RunningNode, running_node, submit_all, wait_for_waiters
from tests.worlds.two_areas import one_settled_slot

END_S = FIRST_S + SLOT_S


def values_of(series: AnySeries, row: AnyRow) -> dict[str, int | None]:
    return dict(zip(series.fields, row.values, strict=True))


async def projected(node: RunningNode, store: EmbeddedSeries) -> dict[str, list[AnyRow]]:
    await catch_up(Projector(node.client("util"), store))
    return await everything(store)


async def test_a_settled_slot_has_the_ledgers_own_figures(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        store = new_store(tmp_path)
        rows = await projected(node, store)
        positions = await node.client("util").query(f"areas/a-1/slots/{FIRST_S}/positions")
        run = (await node.client("util").query(f"areas/a-1/slots/{FIRST_S}/run"))["result"]
        await store.close()
    in_slot = {row.tags[1]: values_of(INTERVALS, row) for row in rows["interval"] if row.time_s == FIRST_S}
    assert sorted(in_slot) == ["M-1", "M-2", "M-3", "M-4", "M-5"]
    assert in_slot["M-5"]["quality"] == ESTIMATED, "its gateway sent nothing"
    for at, meter in enumerate(positions["meters"]):
        names = ("import_wh", "export_wh", "bought_wh", "sold_wh", "pays_nano", "supplier_only_nano", "quality")
        assert in_slot[meter] == {name: positions[name][at] for name in names}
    assert [in_slot["M-4"][name] for name in ("import_wh", "export_wh", "bought_wh", "quality")] == [2000, 0, None, 0]
    (slot,) = (values_of(SLOTS, row) for row in rows["slot"] if (row.tags, row.time_s) == (("a-1",), FIRST_S))
    assert slot["price_micro_per_kwh"] == run["price_micro_per_kwh"]
    assert (slot["orders"], slot["volume_wh"], slot["settled"]) == (2, run["volume_wh"], 1)
    assert (slot["expected"], slot["committed"]) == (4, 4)
    sums = {name: sum(positions[name]) for name in ("import_wh", "export_wh")}
    assert {name: slot[name] for name in sums} == sums
    assert slot["loss_wh"] == 2000 - (sums["import_wh"] - sums["export_wh"])
    assert slot["traders_pays_nano"] == sum(positions["pays_nano"][:2])
    assert slot["traders_supplier_only_nano"] == sum(positions["supplier_only_nano"][:2])


async def test_slots_before_a_meter_was_exchanged_are_those_of_the_meter_before(tmp_path: Path) -> None:
    node, store = ScriptedNode(5, areas=1), new_store(tmp_path)
    new, (old, slot) = node.areas["a-0"][1], ("H-OLD", 4)
    from_s = FIRST_S_OF_SCRIPT + slot * SLOT_S + 1
    node.exchanged[new] = (old, from_s)
    node.write_history(8)
    await catch_up(Projector(node, store))
    rows = [
        row for row in await store.read(INTERVALS, 0, FIRST_S_OF_SCRIPT + 100 * SLOT_S) if row.tags[1] in (old, new)
    ]
    await store.close()
    slots = {
        name: {(row.time_s - FIRST_S_OF_SCRIPT) // SLOT_S for row in rows if row.tags[1] == name} for name in (old, new)
    }
    assert slots[old] | slots[new] >= set(range(7))
    assert max(slots[old]) == slot < min(slots[new]), "the slot of the exchange is settled for who began it"
    settled = {row.time_s for row in rows if values_of(INTERVALS, row)["pays_nano"] is not None}
    assert FIRST_S_OF_SCRIPT + slot * SLOT_S in settled


async def test_an_estimate_stands_until_the_reading_comes_late_and_corrects_it(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        signing, store = node.sender(), new_store(tmp_path)
        projector = Projector(node.client("reg"), store)
        starts = [(1, 1000, 0), (2, 500, 100), (3, 10, 0), (4, 70, 5)]
        early = [(1, 1900, 0), (3, 12, 0), (4, 90, 5)]
        orders = [
            signing.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S),
            signing.order("p-2", "a-1", "sell", 300, 300_000, FIRST_S),
        ]
        steps = [orders, [signing.clock(FIRST_S)], [signing.batch("gw-1", FIRST_S, starts)], [signing.clock(END_S)]]
        steps += [[signing.batch("gw-1", END_S, early)], [signing.clock(END_S + SLOT_S)]]
        await submit_all(node.client(), steps)
        await catch_up(projector)
        before = await everything(store)
        await submit_all(node.client(), [[signing.batch("gw-1", END_S, [(2, 500, 600)])]])
        await catch_up(projector)
        after = await everything(store)
        rebuilt = await projected(node, other := new_store(tmp_path, "rebuilt"))
        await store.close()
        await other.close()
    (gap,) = (row for row in before["interval"] if (row.tags[1], row.time_s) == ("M-2", FIRST_S))
    estimate = gap.values
    assert (estimate[0], estimate[1], estimate[6]) == (0, 0, ESTIMATED)
    (slot,) = (values_of(SLOTS, row) for row in before["slot"] if (row.tags, row.time_s) == (("a-1",), FIRST_S))
    assert (slot["committed"], slot["settled"], slot["import_wh"]) == (3, 1, 980)
    (filled,) = (row for row in after["interval"] if (row.tags[1], row.time_s) == ("M-2", FIRST_S))
    assert filled.values[:4] == (0, 500, 0, 300)
    (slot,) = (values_of(SLOTS, row) for row in after["slot"] if (row.tags, row.time_s) == (("a-1",), FIRST_S))
    assert (slot["committed"], slot["settled"], slot["estimated"], slot["import_wh"]) == (4, 2, 0, 980)
    assert after == rebuilt


async def test_observations_are_kept_and_the_lowest_voltage_stands_in_the_slot_that_its_boundary_ends(
    tmp_path: Path,
) -> None:
    seen = [
        Observation(1, "32.7.0", 229_400, 40),
        Observation(1, "16.7.0", 1_500_000, 40),
        Observation(70, "32.7.0", 226_100, -3),
    ]
    data = encode_observations(Observations(tuple(seen), {70: "plug-1"}, {}))
    async with running_node(tmp_path / "ledger") as node:
        signing, store = node.sender(), new_store(tmp_path)
        await submit_all(
            node.client(),
            [
                [signing.clock(FIRST_S)],
                [signing.clock(END_S)],
                [signing.batch("gw-1", END_S, [(1, 5, 0)], observations=data)],
            ],
        )
        rows = await projected(node, store)
        await store.close()
    assert rows["observation"] == [
        Row(("gw-1", "M-1", "16.7.0"), END_S, (1_500_000, 40)),
        Row(("gw-1", "M-1", "32.7.0"), END_S, (229_400, 40)),
        Row(("gw-1", "plug-1", "32.7.0"), END_S, (226_100, -3)),
    ]
    lowest = {(row.tags[0], row.time_s): values_of(SLOTS, row)["voltage_milli_min"] for row in rows["slot"]}
    assert lowest["a-1", FIRST_S] == 226_100
    assert all(value is None for key, value in lowest.items() if key != ("a-1", FIRST_S))


async def test_pages_and_small_writes_make_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        whole = await projected(node, first := new_store(tmp_path, "whole"))
        monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 1)
        monkeypatch.setattr("gridseries.projection.ROWS_AT_ONCE", 1)
        monkeypatch.setattr("gridseries.followed_node.POINTS_MAX", 2)
        monkeypatch.setattr("gridseries.followed_node.REGISTER_PAGES_MAX", 1)
        second = new_store(tmp_path, "pages")
        assert await projected(node, second) == whole
        await first.close()
        await second.close()


@pytest.mark.parametrize("seed", range(5))
async def test_followed_step_by_step_equals_dropped_and_rebuilt(tmp_path: Path, seed: int) -> None:
    node = ScriptedNode(seed, cut=3)
    store = new_store(tmp_path)
    told: list[tuple[str, int]] = []
    projector = Projector(node, store, on_slots=told.extend)
    for round_ in range(15):
        node.write("registers", "a-0", FIRST_S + SLOT_S * (round_ % 5))
        node.write_history(1 + round_ // 3)
        await projector.step()
    await catch_up(projector)
    followed = await everything(store)
    assert set(told) == {(row.tags[0], row.time_s) for row in followed["slot"]}
    await store.drop()
    assert await everything(store) == {series.name: [] for series in ALL_SERIES}
    again = Projector(node, store)
    await catch_up(again)
    assert await everything(store) == followed
    assert (again.height, again.newest) == (node.newest, node.newest)
    await store.close()


class CountingStore(FaultyStore):
    """A store that remembers which series it was read for, and from when."""

    def __init__(self, inner: EmbeddedSeries) -> None:
        super().__init__(inner, -1, is_done=False)
        self.reads: list[tuple[str, int]] = []

    async def read(self, *arguments: Any) -> list[Any]:
        self.reads.append((arguments[0].name, arguments[1]))
        return await super().read(*arguments)


@pytest.mark.parametrize("rows_max", [100_000, 0])
async def test_observations_of_a_boundary_are_read_once_for_all_areas_of_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_max: int
) -> None:
    monkeypatch.setattr(projection, "OBSERVED_ROWS_MAX", rows_max)
    node, inner = ScriptedNode(9, areas=5, cut=1_000), new_store(tmp_path)
    node.write_history(6)
    store = CountingStore(inner)
    await catch_up(Projector(node, store))
    reads = [at_s for name, at_s in store.reads if name == "observation"]
    assert set(reads) == {FIRST_S_OF_SCRIPT + slot * SLOT_S for slot in range(1, 6)}
    assert (len(reads) == len(set(reads))) == bool(rows_max)
    one_by_one, slow = ScriptedNode(9, areas=5, cut=1), new_store(tmp_path, "slow")
    one_by_one.write_history(6)
    await catch_up(Projector(one_by_one, slow))
    assert await everything(inner) == await everything(slow)
    await inner.close()
    await slow.close()


async def test_rows_are_durable_before_anybody_hears_of_their_slots(tmp_path: Path) -> None:
    node, store = ScriptedNode(5), new_store(tmp_path)
    node.write_history(3)
    heard: list[tuple[str, int]] = []
    outside = new_store(tmp_path)

    def on_slots(slots: list[tuple[str, int]]) -> None:
        heard.extend(slots)
        looked.append(asyncio.ensure_future(outside.read(SLOTS, 0, FAR_S)))

    looked: list[asyncio.Future[list[AnyRow]]] = []
    projector = Projector(node, store, on_slots=on_slots)
    await projector.step()
    seen = {(row.tags[0], row.time_s) for row in await looked[0]}
    assert heard
    assert set(heard) <= seen
    assert projector.newest == node.newest > projector.height
    await outside.close()
    await store.close()


async def test_observations_are_asked_for_only_where_a_batch_has_some(tmp_path: Path) -> None:
    node, store = ScriptedNode(2, areas=3, cut=1_000), new_store(tmp_path)
    node.write_history(3)
    node.silence("a-1")
    await catch_up(Projector(node, store))
    asked = {path.split("/")[1] for path in node.asked if path.endswith("/observations")}
    assert asked == {"gw-a-0", "gw-a-2"}
    await store.close()


async def test_told_to_stop_it_stops_while_the_node_holds_its_question(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        store, stop = new_store(tmp_path), asyncio.Event()
        running = asyncio.create_task(Projector(node.client("util"), store).run(stop))
        await wait_for_waiters(node.url, 1)
        stop.set()
        async with asyncio.timeout(5):  # a question is held for 15 s
            await running
        await store.close()


async def test_a_real_node_is_followed_live(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        store, stop = new_store(tmp_path), asyncio.Event()
        told: list[tuple[str, int]] = []
        projector = Projector(node.client("util"), store, on_slots=told.extend)
        running = asyncio.create_task(projector.run(stop))
        for wires in one_settled_slot(node.sender()):
            await submit_all(node.client(), [wires])
        status = await node.client().status()
        await until(lambda: projector.height == status.height)
        stop.set()
        await running
        assert ("a-1", FIRST_S) in told
        followed = await everything(store)
        other = new_store(tmp_path, "rebuilt")
        assert followed == await projected(node, other)
        assert by_key(followed["interval"])
        await store.close()
        await other.close()


async def test_a_real_node_that_was_set_back_and_has_grown_anew_is_told_from_the_one_that_was_followed(
    tmp_path: Path,
) -> None:
    store = new_store(tmp_path)
    for name in ("before", "restored"):  # the same chain: the genesis is the same
        async with running_node(tmp_path / name) as node:
            await submit_all(node.client(), one_settled_slot(node.sender()))
            projector = Projector(node.client("util"), store)
            if name == "before":
                await catch_up(projector)
                await catch_up(Projector(node.client("util"), store))
                followed = await everything(store)
            else:
                with pytest.raises(AnswerError, match="the node's block 6 is another one than the series hold"):
                    await projector.step()
                assert await everything(store) == followed
                await store.drop()
                await catch_up(projector)
    await store.close()
