"""A run is cancelled by a later one, never taken away: what that leaves of the books, and of the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest

from gridcore.codes import Code
from gridcore.quality import CORRECTED, MEASURED
from gridcore.registry.calendar import Calendar
from ledger.leaves.accounts import ACCOUNTS
from ledger.leaves.balance import BALANCE
from ledger.leaves.columns import Int64
from ledger.leaves.money import join_amount
from ledger.leaves.period import PERIOD
from ledger.leaves.period_areas import PERIOD_AREAS
from ledger.leaves.positions import POSITIONS
from ledger.leaves.results import RESULTS
from ledger.leaves.runs import RUNS
from tests.worlds.community import COMMUNITY
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S, Consortium, zone
from tests.worlds.keys import sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

SLOTS = 3
ZONE = "z-1"
METERS = (1, 2, 3)
"""A roof, a house and a shop."""
FIRST = [(0, 600), (400, 0), (300, 0)]
SECOND = [(0, 100), (500, 0), (7, 0)]
"""What they imported and exported in the middle slot, Wh: at first, and as somebody wrongly corrects it."""


def chain(contract: str) -> Consortium:
    """Imported energies of a community whose month has as many slots."""
    months = [FIRST_S, FIRST_S + SLOTS * SLOT_S]
    calendar = Calendar(days=DAYS, months=months, tz="UTC", tz_version="1")
    return replace(
        COMMUNITY,
        clock="imported",
        zones=[zone(contract=contract, metering_deadline_s=SLOTS * SLOT_S)],
        calendar=calendar,
    )


Columns = dict[str, list[int]]


class Books(NamedTuple):
    """owed: of each point, nano; received: of each account; month: sums of points and of areas; positions, results: of the last run of each slot."""

    owed: list[int]
    received: Columns
    month: list[Columns]
    positions: list[Columns]
    results: list[Columns]


def plain(columns: Mapping[str, Int64]) -> Columns:
    return {name: column.tolist() for name, column in columns.items()}


def amounts(units: Mapping[str, Int64], nano: Mapping[str, Int64]) -> Columns:
    """Of each account, nano."""
    return {
        name: [join_amount(*limbs) for limbs in zip(whole.tolist(), nano[name].tolist(), strict=True)]
        for name, whole in units.items()
    }


def books_of(ledger: MemoryLedger) -> Books:
    """Without salts and names of runs, which are new with each run."""
    state, positions, results = ledger.state, list[Columns](), list[Columns]()
    for slot_start_s in range(FIRST_S, FIRST_S + SLOTS * SLOT_S, SLOT_S):
        run = RUNS.must(state, slot_start_s, ZONE).last
        positions.append(plain(POSITIONS.must(state, slot_start_s, ZONE, run, 0).columns))
        of_run = RESULTS.must(state, slot_start_s, ZONE, run, 0)
        results.append(plain(of_run.columns) | amounts(of_run.totals, of_run.totals_nano))
    accounts = ACCOUNTS.must(state, ZONE, 0)
    sums = [family.load(state, FIRST_S, ZONE, 0) for family in (PERIOD, PERIOD_AREAS)]
    return Books(
        owed=BALANCE.must(state, ZONE, 0).owes_nano(),
        received=amounts(accounts.units, accounts.nano),
        month=[plain(leaf.columns) for leaf in sums if leaf is not None],
        positions=positions,
        results=results,
    )


class Desk:
    """A chain whose blocks are kept, so that another ledger can make them again."""

    def __init__(self, contract: str) -> None:
        self.world = chain(contract)
        self.sender = Sender(self.world.chain, self.world.start_s, sign_cheaply)
        self.ledger = MemoryLedger(self.world.genesis)
        self.blocks: list[list[bytes]] = []

    def apply(self, *wires: bytes) -> None:
        """A block, all of it accepted, and those that due work asks for."""
        is_more = True
        block = list(wires)
        while is_more:
            applied = self.ledger.apply(block)
            assert [result.code for result in applied.results] == [Code.ACCEPTED] * len(block)
            self.blocks.append(block)
            block, is_more = [], applied.work_pending

    def read(self, middle: Sequence[tuple[int, int]], quality: int) -> None:
        """Energies of all slots come, those of the middle one as told."""
        slots = [FIRST, middle, FIRST]
        self.apply(
            self.sender.intervals("gw-1", FIRST_S, METERS, [[(quality, *energy) for energy in slot] for slot in slots])
        )

    def runs(self) -> list[str]:
        """Of the middle slot."""
        return [name for name, _ in RUNS.must(self.ledger.state, FIRST_S + SLOT_S, ZONE).runs]


@pytest.mark.parametrize("contract", ["mid_market_rate/1", "bill_sharing/1"])
def test_cancelling_a_run_and_running_again_restores_the_books_and_a_replay_the_state_root(contract: str) -> None:
    """Nothing is taken from a ledger: a correction back to the first data posts the opposite of the one before it."""
    desk = Desk(contract)
    for wire in desk.sender.clocks(FIRST_S + SLOTS * SLOT_S):
        desk.apply(wire)
    desk.read(FIRST, MEASURED)
    for wire in desk.sender.clocks(FIRST_S + 3 * SLOTS * SLOT_S):
        desk.apply(wire)
    before = books_of(desk.ledger)
    desk.read(SECOND, CORRECTED)
    wrong = books_of(desk.ledger)
    desk.read(FIRST, CORRECTED)
    after = books_of(desk.ledger)
    assert desk.runs() == ["initial", "correction-1", "correction-2"]
    assert wrong.owed != before.owed
    assert wrong.received != before.received
    assert (wrong.month != before.month) == (contract == "bill_sharing/1")
    assert after == before
    again = MemoryLedger(desk.world.genesis)
    for block in desk.blocks:
        again.apply(block)
    assert again.state.root() == desk.ledger.state.root()
