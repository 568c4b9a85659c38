"""A run that is killed at any call to its node goes on from its journal: each order is decided once, the clock never goes back, no boundary is left out."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.errors import GridError, UsageError
from gridcore.registry.run_calendar import CorrectionDate, RunCalendar
from gridcore.sm import SigningKey
from gridledger.cli import main
from gridledger.demo import day
from gridledger.demo.asked_homes import AskedHomes
from gridledger.demo.day import Day
from gridledger.demo.dropped import Dropped
from gridledger.demo.pace import Pace
from gridledger.demo.resuming import KEYS, Journal, begin, find_scene, is_begun, keep
from gridledger.demo.scene import lay_out
from gridledger.demo.troubles import Troubles
from gridledger.settling.dataset import RunTerms
from gridledger.simulating.begun import BEGUN, decided_by
from gridledger.simulating.own_traders import Adaptive, Told, Traders, homes_of
from gridledger.simulating.terms import terms_of
from ledger.client import Answer, Client
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from simulators.grid.gates import Gate
from simulators.grid.households import OrderIntent, orders_of_slot
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import SLOT_S
from tests.worlds.simulated import demo_world, demonstration

SLOTS = 2
FOUND = demonstration(households=3, slots=SLOTS, seed=7)


class Killed(BaseException):
    """kill -9: nothing of the process goes on."""


class Ledger:
    """A ledger that outlives whoever talks to it. ``dies_at``: the call at which that one is killed, ``is_answered``: behind it or before it;
    ``is_late``: what was handed over at that call is decided when the next process hands something over.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger_time_s = 0
        self.gate_before_start_s = terms_of(world).rules.gate_before_start_s
        self.decided: dict[bytes, int] = {}
        self.orders: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.clock_steps: list[int] = []
        self.shown: list[int] = []
        self.reconnected: list[int] = []
        self.calls = 0
        self.dies_at = -1
        self.has_died = False
        self.is_answered = self.is_late = False
        self.on_the_way: list[bytes] = []

    def _called(self, *, is_over: bool) -> None:
        self.calls += not is_over
        self.has_died |= self.calls - 1 == self.dies_at and is_over == self.is_answered
        if self.has_died:  # also for what the process does beside the call at which it is killed
            raise Killed

    async def submit(self, wires: Sequence[bytes]) -> list[Answer]:
        if self.is_late and self.calls == self.dies_at:
            self.on_the_way = list(wires)
        self._called(is_over=False)
        for wire in self.on_the_way:
            self._decide(wire)
        self.on_the_way = []
        answers = [self._decide(wire) for wire in wires]
        self._called(is_over=True)
        return answers

    def _decide(self, wire: bytes) -> Answer:
        transaction = decode_transaction(wire)
        code = Code.EXISTS if transaction.id in self.decided else Code.ACCEPTED
        if transaction.kind == "clock/advance":
            if transaction.body["to_s"] <= self.ledger_time_s:
                return Answer(transaction.id, Code.CLOCK_NOT_AHEAD, "CLOCK_NOT_AHEAD", False, 1, None)
            self.ledger_time_s = transaction.body["to_s"]
            self.clock_steps.append(self.ledger_time_s)
        elif code == Code.ACCEPTED:
            slot_start_s = transaction.identity["slot_start_s"]
            assert self.ledger_time_s < slot_start_s - self.gate_before_start_s, "an order comes before its gate"
            self.decided[transaction.id] = slot_start_s
            shown = {name: transaction.body[name] for name in ("side", "quantity_wh", "price_micro_per_kwh")}
            got = {"filled_wh": shown["quantity_wh"] // 2, "amount_nano": None, "all_or_none": False}
            self.orders[slot_start_s].append({"order": "", "party": transaction.signer, **shown, **got})
        return Answer(transaction.id, code, code.name, False, 1, None)

    async def status(self) -> object:
        return SimpleNamespace(ledger_time_s=self.ledger_time_s)

    async def query(self, path: str, **_params: Any) -> dict[str, Any]:
        self._called(is_over=False)
        answer = self._answer(path)
        self._called(is_over=True)
        return answer

    def _answer(self, path: str) -> dict[str, Any]:
        if path == "changes":
            return {"height": 1}
        if "/slots/" not in path:
            return {"committed": len(self.world.meters)}
        slot_start_s = int(path.split("/")[3])
        assert self.ledger_time_s >= slot_start_s - self.gate_before_start_s, "nobody knows of a gate that is open"
        orders = self.orders[slot_start_s]
        return {"orders": orders, "price_micro_per_kwh": 300_000 + sum(order["quantity_wh"] for order in orders)}

    def reconnect(self, boundary_index: int) -> None:
        """Who was cut off is heard again."""
        assert self.ledger_time_s >= self.world.boundary_s[boundary_index], "only when ledger time is there"
        self.reconnected.append(boundary_index)

    async def exchange(self, boundary_index: int) -> None:
        """No meter is exchanged."""

    async def have_sampled(self, area: str, boundary_s: int) -> None:
        """Nobody is cut off."""

    async def show(self, boundary_index: int) -> None:
        """What meters are told to show."""
        self._called(is_over=False)
        self.shown.append(boundary_index)
        self._called(is_over=True)


class ReadsLate(Ledger):
    """A ledger that has the readings of a boundary when the last home has ordered in the next slot."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.ordered = {int(slot_start_s): asyncio.Event() for slot_start_s in world.slot_start_s}

    async def submit(self, wires: Sequence[bytes]) -> list[Answer]:
        answers = await super().submit(wires)
        for slot_start_s, count in Counter(self.decided.values()).items():
            if count == len(self.world.traders):
                self.ordered[slot_start_s].set()
        return answers

    async def query(self, path: str, **params: Any) -> dict[str, Any]:
        following = self.ordered.get(self.ledger_time_s + SLOT_S)
        if following is not None:
            await following.wait()
        return await super().query(path, **params)


@pytest.fixture(scope="module")
def world() -> World:
    """Three homes of a feeder."""
    return demo_world(households=3, slots=SLOTS, seed=7)


async def run(
    ledger: Ledger,
    keys: dict[str, SigningKey],
    folder: Path,
    traders: Traders = orders_of_slot,
    runs: RunTerms | None = None,
) -> None:
    """One process that runs the day, or goes on with it."""
    client = cast("Client", ledger)
    troubles, journal = Troubles(ledger.world, Dropped(7)), Journal(folder)
    await Day(
        ledger.world,
        terms_of(ledger.world).rules._replace(runs=runs),
        AskedHomes(homes_of(traders, ledger.world, CONTRACT), ledger.world, client).orders_of,
        "chain",
        client,
        keys,
        ledger,
        troubles,
        Pace(None),
        journal,
    ).run(lambda _: None)


async def test_a_day_that_is_killed_at_any_call_comes_to_the_same_also_where_its_last_step_is_decided_late(
    world: World, tmp_path: Path
) -> None:
    keys = {name: SigningKey.generate() for name in ("clock", *world.traders)}
    whole = Ledger(world)
    (tmp_path / "whole").mkdir()
    await run(whole, keys, tmp_path / "whole")
    assert whole.shown == whole.reconnected == [0, 1, 2]
    assert sorted(whole.decided.values()) == sorted([*world.slot_start_s.tolist()] * 3)
    assert len(whole.clock_steps) == 2 * (SLOTS + 1) + 1
    assert whole.calls > 15
    for dies_at in range(whole.calls):
        for is_answered, is_late in ((False, False), (True, False), (False, True)):
            ledger, folder = Ledger(world), tmp_path / f"{dies_at}-{is_answered}-{is_late}"
            folder.mkdir()
            ledger.dies_at, ledger.is_answered, ledger.is_late = dies_at, is_answered, is_late
            with pytest.raises(Killed):
                await run(ledger, keys, folder)
            ledger.dies_at, ledger.has_died = -1, False
            await run(ledger, keys, folder)
            assert sorted(ledger.decided.values()) == sorted(whole.decided.values()), folder.name
            assert ledger.clock_steps == whole.clock_steps, folder.name
            assert sorted(set(ledger.shown)) == [0, 1, 2], folder.name
            assert ledger.shown == sorted(ledger.shown), "meters never show an earlier boundary"


@pytest.mark.parametrize(("as_of_days", "days"), [(None, 3), (1, 3), (5, 5)])
async def test_where_runs_have_dates_ledger_time_goes_on_to_the_last_one_a_day_at_a_time(
    as_of_days: int | None, days: int, world: World, tmp_path: Path
) -> None:
    keys = {name: SigningKey.generate() for name in ("clock", *world.traders)}
    calendar = RunCalendar(
        [CorrectionDate(2 * day.VALID_S, 0), CorrectionDate(3 * day.VALID_S, 0)], 1, 10**7, 86_400, 0
    )
    end_s = int(world.boundary_s[-1])
    as_of_s = None if as_of_days is None else end_s + as_of_days * day.VALID_S
    ledger = Ledger(world)
    ledger.dies_at = 18
    dated = RunTerms(calendar, 2 * 10**7, as_of_s)
    with pytest.raises(Killed):
        await run(ledger, keys, tmp_path, runs=dated)
    ledger.dies_at, ledger.has_died = -1, False
    await run(ledger, keys, tmp_path, runs=dated)
    deadline_s = end_s + terms_of(world).rules.metering_deadline_s
    steps = [deadline_s + number * day.VALID_S for number in range(1, days)]
    assert ledger.clock_steps[-days - 1 :] == [deadline_s, *steps, end_s + days * day.VALID_S]


def followers(told: list[Gate | None]) -> Adaptive:
    """Every home asks for what the market came to before, and notes what it is told."""

    def begin(world: World) -> Told:
        asked: list[int] = []

        def ask(slot: int, gate: Gate | None) -> list[OrderIntent]:
            told.append(gate)
            asked.append(slot)
            price = 300_000 if gate is None else gate.price_micro_per_kwh["A1"] or 0
            return [
                OrderIntent(home, "buy", 100 * len(asked) + place, price) for place, home in enumerate(world.traders)
            ]

        return ask

    return Adaptive(begin)


@pytest.mark.parametrize("gate_s", [300, 1_000])
async def test_traders_that_learn_are_told_the_same_gates_where_a_day_is_killed_at_any_call(
    gate_s: int, tmp_path: Path
) -> None:
    timeline = replace(FOUND.scenario.timeline, gate_before_start_s=gate_s, open_before_start_s=gate_s + SLOT_S)
    world = build_world(replace(FOUND.scenario.sized(slots=3), timeline=timeline))
    keys = {name: SigningKey.generate() for name in ("clock", *world.traders)}
    whole, told = Ledger(world), list[Gate | None]()
    (tmp_path / "whole").mkdir()
    await run(whole, keys, tmp_path / "whole", followers(told))
    assert [gate and gate.slot for gate in told] == [None, 0, 1]
    assert [gate.price_micro_per_kwh for gate in told if gate] == [{"A1": 300_303}, {"A1": 300_603}]
    last = told[-1]
    assert last is not None
    fill = last.fills["H002"]
    assert fill == (OrderIntent("H002", "buy", 201, 300_303), 100, 100 * 300_603)
    assert list(last.fills) == ["H001", "H002", "H003"]
    for dies_at in range(whole.calls):
        ledger, folder, again = Ledger(world), tmp_path / str(dies_at), list[Gate | None]()
        folder.mkdir()
        ledger.dies_at = dies_at
        with pytest.raises(Killed):
            await run(ledger, keys, folder, followers([]))
        ledger.dies_at, ledger.has_died = -1, False
        await run(ledger, keys, folder, followers(again))
        assert ledger.orders == whole.orders, dies_at
        assert ledger.clock_steps == whole.clock_steps, dies_at
        assert again == told[: len(again)], dies_at
    assert whole.calls > 15


async def test_traders_that_say_otherwise_where_a_run_goes_on_are_told_in_one_line(
    world: World, tmp_path: Path
) -> None:
    keys = {name: SigningKey.generate() for name in ("clock", *world.traders)}
    ledger = Ledger(world)
    ledger.dies_at = 4
    with pytest.raises(Killed):
        await run(ledger, keys, tmp_path, followers([]))
    ledger.dies_at, ledger.has_died = -1, False
    nobody = Adaptive(lambda _: lambda *_: [])
    with pytest.raises(UsageError, match="traders: slot 0: they do not order what the ledger has of it; where a run"):
        await run(ledger, keys, tmp_path, nobody)


async def test_homes_order_in_the_next_slot_while_readings_are_out(world: World, tmp_path: Path) -> None:
    ledger = ReadsLate(world)
    await run(ledger, {name: SigningKey.generate() for name in ("clock", *world.traders)}, tmp_path)
    assert sorted(ledger.decided.values()) == sorted([*world.slot_start_s.tolist()] * 3)
    assert ledger.shown == [0, 1, 2]


class Refusing(Ledger):
    """Decides clocks, refuses orders of the second slot for good, and gets no readings behind the first boundary."""

    def _decide(self, wire: bytes) -> Answer:
        transaction = decode_transaction(wire)
        if transaction.kind != "clock/advance" and self.shown:
            return Answer(transaction.id, Code.DOES_NOT_TRADE, "DOES_NOT_TRADE", False, 1, None)
        return super()._decide(wire)

    async def query(self, path: str, **params: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {**await super().query(path, **params), **({} if path == "changes" else {"committed": 0})}


async def test_orders_that_are_refused_while_readings_stand_still_are_told_as_the_cause(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day, "PATIENCE_S", 0.5)
    keys = {name: SigningKey.generate() for name in ("clock", *world.traders)}
    with pytest.raises(GridError, match="DOES_NOT_TRADE"):
        await run(Refusing(world), keys, tmp_path)


def test_a_journal_knows_the_orders_of_its_slot_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert (journal.has_begun, journal.boundary_index(), journal.orders(0)) == (False, None, None)
    journal.note_orders(0, [b"one", b"two"])
    journal.note_boundary(0)
    again = Journal(tmp_path)
    assert (again.has_begun, again.boundary_index()) == (True, 0)
    assert again.orders(0) == [b"one", b"two"]
    assert again.orders(1) is None
    again.note_orders(1, [])
    assert journal.orders(1) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boundary", "orders"]


def laid_out(out: Path, world: World) -> Path:
    """The folder of a run that was killed when all was laid out."""
    out.mkdir()
    begin(out, FOUND)
    keep(lay_out(out, world, terms_of(world), None, has_run_dir=True), world)
    return out


def test_a_scene_that_is_found_again_has_keys_genesis_and_place_of_the_first_one(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    begin(out, FOUND)
    first = lay_out(out, world, terms_of(world), None, has_run_dir=True)
    keep(first, world)
    assert is_begun(out, FOUND)
    again = find_scene(out, world, terms_of(world))
    assert {name: key.public_key for name, key in again.keys.items()} == {
        name: key.public_key for name, key in first.keys.items()
    }
    assert (again.chain, again.url, again.nodes) == (first.chain, first.url, first.nodes)
    assert (out / "run" / KEYS).stat().st_mode & 0o077 == 0


def test_tables_that_were_half_written_are_written_again(world: World, tmp_path: Path) -> None:
    out = laid_out(tmp_path / "out", world)
    for name in ("truth.csv", "registers.csv", "manifest.json", "truth.parquet"):
        (out / name).write_text("half")
    (out / "notes.txt").write_text("mine")
    assert is_begun(out, FOUND)
    assert sorted(path.name for path in out.iterdir()) == ["ledger", "notes.txt", "run"]


def test_what_was_killed_before_all_was_laid_out_begins_anew(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    begin(out, FOUND)
    (out / "run" / "clock.pem").write_text("half a key")
    assert not is_begun(out, FOUND)
    assert list(out.iterdir()) == []
    assert not is_begun(tmp_path / "absent", FOUND)


def test_another_run_or_another_folder_is_refused_and_stays_as_it_was(tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    out.mkdir()
    begin(out, FOUND)
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="was begun with another scenario, grid, rules or seed"):
        is_begun(out, FOUND.sized(seed=8))
    with pytest.raises(UsageError, match="holds no run that was killed"):
        is_begun(other, FOUND)
    assert json.loads((out / "run" / BEGUN).read_text())["seed"] == 7
    assert (other / "notes.txt").read_text() == "mine"


def test_a_run_whose_grid_or_rules_were_changed_does_not_go_on(tmp_path: Path) -> None:
    table, rules, out = tmp_path / "village.csv", tmp_path / "rules", tmp_path / "out"
    village = find_scenario("village_day")
    assert village.scenario.grid.table is not None
    table.write_bytes(village.scenario.grid.table.read_bytes())
    for folder in (rules, out):
        folder.mkdir()
    for name in ("rules.toml", "keys.csv"):
        (rules / name).write_text(name)
    grid = replace(village.scenario.grid, table=table)
    found = village._replace(scenario=replace(village.scenario.sized(rules=rules), grid=grid))
    begin(out, found)
    same = (out / "run" / BEGUN).read_bytes()
    (rules / "notes.txt").write_text("read by nobody")
    assert json.dumps(decided_by(found)).encode() == same
    (rules / "keys.csv").rename(rules / "points.csv")
    with pytest.raises(UsageError, match="was begun with another scenario, grid, rules or seed"):
        is_begun(out, found)
    (rules / "points.csv").rename(rules / "keys.csv")
    table.write_bytes(table.read_bytes().replace(b"3200", b"3201"))
    with pytest.raises(UsageError, match="was begun with another scenario, grid, rules or seed"):
        is_begun(out, found)


def test_keys_that_are_not_whole_are_one_line(world: World, tmp_path: Path) -> None:
    out = laid_out(tmp_path / "out", world)
    (out / "run" / KEYS).write_bytes(b"short")
    with pytest.raises(GridError, match="is not whole; begin anew"):
        find_scene(out, world, terms_of(world))


@pytest.mark.parametrize("is_there", [False, True], ids=["absent", "empty"])
def test_a_run_through_agents_that_is_refused_for_its_rules_leaves_its_folder_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, is_there: bool
) -> None:
    rules, out = tmp_path / "rules.toml", tmp_path / "out"
    rules.write_text("[contract]\nid = 'none/1'\n")
    if is_there:
        out.mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(["simulate", "run", "village_day", "--rules", str(rules), "--out", str(out)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
