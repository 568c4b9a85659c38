"""A run that is killed at any call to its node goes on from its journal: each order is decided once, the clock never goes back, no boundary is left out."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.errors import GridError, UsageError
from gridcore.sm import SigningKey
from gridledger.cli import main
from gridledger.demo import day
from gridledger.demo.day import Day
from gridledger.demo.dropped import Dropped
from gridledger.demo.pace import Pace
from gridledger.demo.resuming import KEYS, Journal, begin, find_scene, is_begun, keep
from gridledger.demo.scene import lay_out
from gridledger.demo.troubles import Troubles
from gridledger.simulating.begun import BEGUN, decided_by
from gridledger.simulating.terms import terms_of
from ledger.client import Answer, Client
from simulators.grid.households import orders_of_slot
from simulators.grid.world import World
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
        self.decided: dict[bytes, int] = {}
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
            gate_s = transaction.identity["slot_start_s"] - FOUND.scenario.timeline.gate_before_start_s
            assert self.ledger_time_s < gate_s, "an order comes before its gate"
            self.decided[transaction.id] = transaction.identity["slot_start_s"]
        return Answer(transaction.id, code, code.name, False, 1, None)

    async def status(self) -> object:
        return SimpleNamespace(ledger_time_s=self.ledger_time_s)

    async def query(self, path: str, **_params: Any) -> dict[str, int]:
        self._called(is_over=False)
        answer = {"height": 1} if path == "changes" else {"committed": len(self.world.meters)}
        self._called(is_over=True)
        return answer

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

    async def query(self, path: str, **params: Any) -> dict[str, int]:
        following = self.ordered.get(self.ledger_time_s + SLOT_S)
        if following is not None:
            await following.wait()
        return await super().query(path, **params)


@pytest.fixture(scope="module")
def world() -> World:
    """Three homes of a feeder."""
    return demo_world(households=3, slots=SLOTS, seed=7)


async def run(ledger: Ledger, keys: dict[str, SigningKey], folder: Path) -> None:
    """One process that runs the day, or goes on with it."""
    client = cast("Client", ledger)
    troubles, journal = Troubles(ledger.world, Dropped(7)), Journal(folder)
    await Day(
        ledger.world,
        terms_of(ledger.world).rules,
        partial(orders_of_slot, ledger.world),
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

    async def query(self, path: str, **params: Any) -> dict[str, int]:
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
