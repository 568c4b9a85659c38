"""Runs: a slot settles at its deadline whatever is missing, and what comes later is posted as the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from gridcore.master_data import Listed, Named
from gridcore.quality import ESTIMATED, FLAG_INTERPOLATED, MEASURED
from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from gridcore.registry.point import POINT, Point
from gridcore.registry.run_calendar import RunCalendar
from gridcore.registry.standing_profile import STANDING_PROFILE, StandingProfile
from ledger.leaves.accounts import ACCOUNTS
from ledger.leaves.balance import BALANCE
from ledger.leaves.money import Money
from ledger.leaves.positions import POSITIONS, PositionsLeaf
from ledger.leaves.progress import PROGRESS, Correction
from ledger.leaves.results import RESULTS
from ledger.leaves.runs import RUNS
from ledger.state import corrections
from ledger.state.corrections import queued
from settlement.contract_kit_1.terms import PRICE_MICRO_PER_KWH_MAX
from tests.worlds.consortium import DAY_S, FIRST_S, PRICES, SLOT_S, Consortium, household, rules, zone
from tests.worlds.keys import sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

HOMES = (1, 2, 3)
CLOSED = ESTIMATED | FLAG_INTERPOLATED


class Homes:
    """A chain with three homes, whose slots settle when they end; meter n takes n x 100 Wh a slot."""

    def __init__(
        self,
        *,
        correction_after_s: int | None = None,
        final_after_s: int | None = None,
        limit_wh: int = 10_000,
        metering_deadline_s: int = 0,
        prices: Mapping[str, int] = PRICES,
        run_calendar: RunCalendar | None = None,
        runs_follow_points: bool | None = None,
        trades: bool = True,
    ) -> None:
        meters = [household(number, f"p-{number}", limit_wh=limit_wh, trades=trades) for number in HOMES]
        more: list[Listed] = [
            Named(STANDING_PROFILE, "homes", StandingProfile([0] * 96, [250] * 96)),
            Named(POINT, "P-3", Point("a-1", "household", "p-3", "homes"), 1),
        ]
        self.world = Consortium(
            meters=meters,
            rules=[rules(prices=prices)],
            zones=[
                zone(
                    metering_deadline_s=metering_deadline_s,
                    correction_after_s=correction_after_s,
                    final_after_s=final_after_s,
                    run_calendar=None if run_calendar is None else run_calendar.encode(),
                    runs_follow_points=runs_follow_points,
                )
            ],
            more=more,
            roles={"admin": ["administrator"]},
        )
        self.sender = Sender(self.world.chain, self.world.start_s, sign_cheaply)
        self.ledger = MemoryLedger(self.world.genesis)
        self.step_to(FIRST_S)

    def apply(self, *wires: bytes) -> None:
        """One block, all of it accepted, and those that due work asks for."""
        applied = self.ledger.apply(wires)
        assert {result.code for result in applied.results} <= {Code.ACCEPTED}
        while applied.work_pending:
            applied = self.ledger.apply([])

    def step_to(self, time_s: int) -> None:
        """Move ledger time."""
        while self.ledger.ledger_time_s < time_s:
            self.apply(self.sender.clock(min(time_s, self.ledger.ledger_time_s + DAY_S)))

    def read(self, boundary_s: int, meters: Sequence[int] = HOMES) -> None:
        """What these meters show at a boundary."""
        slots = (boundary_s - FIRST_S) // SLOT_S
        self.apply(self.sender.batch("gw-1", boundary_s, [(number, slots * number * 100, 0) for number in meters]))

    def runs(self, slot: int) -> list[str]:
        """The names of the runs of the slot of this number."""
        found = RUNS.load(self.ledger.state, FIRST_S + slot * SLOT_S, "z-1")
        return [] if found is None else [name for name, _ in found.runs]

    def positions(self, slot: int, run: str | None = None) -> PositionsLeaf:
        """What a run, by itself the last, says of a slot."""
        return POSITIONS.must(self.ledger.state, FIRST_S + slot * SLOT_S, "z-1", run or self.runs(slot)[-1], 0)

    def last_runs_nano(self) -> tuple[list[int], dict[str, int]]:
        """By the last run of each slot alone: what each home owes, what each account received."""
        owed, received = np.zeros(len(HOMES), dtype=np.int64), dict[str, int]()
        slot = 0
        while self.runs(slot):
            owed += self.positions(slot).columns["pays_nano"]
            results = RESULTS.must(self.ledger.state, FIRST_S + slot * SLOT_S, "z-1", self.runs(slot)[-1], 0)
            for account, money in results.received.items():
                received[account] = received.get(account, 0) + money.total_nano
            slot += 1
        assert slot > 0
        return owed.tolist(), {account: amount for account, amount in received.items() if amount}

    def books_nano(self) -> tuple[list[int], dict[str, int]]:
        """What the books say of the same."""
        accounts = ACCOUNTS.must(self.ledger.state, "z-1", 0)
        received = {name: Money(units, accounts.nano[name]).total_nano for name, units in accounts.units.items()}
        owed = BALANCE.must(self.ledger.state, "z-1", 0).owes_nano()
        return owed, {name: amount for name, amount in received.items() if amount}


def test_one_silent_meter_no_longer_stops_everybodys_bill() -> None:
    homes = Homes()
    for slot in range(3):
        homes.read(FIRST_S + slot * SLOT_S, [1, 2])
        homes.step_to(FIRST_S + (slot + 1) * SLOT_S)
    homes.read(FIRST_S + 3 * SLOT_S, [1, 2])
    assert homes.runs(0)[-1:] != []
    said = homes.positions(0)
    assert said.columns["import_wh"].tolist() == [100, 200, 250], "the silent one by its standing profile"
    assert said.quality.tolist() == [MEASURED, MEASURED, ESTIMATED]
    assert said.columns["start_import"].tolist() == [0, 0, -1], "a register is never invented"


def test_a_late_reading_corrects_by_difference_and_closes_the_gap_before_it() -> None:
    homes = Homes()
    homes.read(FIRST_S)
    homes.step_to(FIRST_S + 2 * SLOT_S)
    assert (homes.runs(0), homes.runs(1)) == (["initial"], ["initial"])
    assert homes.positions(0).columns["import_wh"].tolist() == [0, 0, 250]
    homes.read(FIRST_S + 2 * SLOT_S)
    assert (homes.runs(0), homes.runs(1)) == (["initial", "correction-1"], ["initial", "correction-1"])
    assert homes.positions(0).columns["import_wh"].tolist() == [100, 200, 300], "half of what was counted over both"
    assert homes.positions(1).quality.tolist() == [CLOSED] * 3
    homes.read(FIRST_S + SLOT_S)
    assert homes.positions(0).quality.tolist() == [MEASURED] * 3
    assert homes.runs(0) == ["initial", "correction-1", "correction-2"]
    assert homes.books_nano() == homes.last_runs_nano()


def test_a_slot_without_its_register_takes_the_shape_of_earlier_days() -> None:
    homes, monday = Homes(), 3 * DAY_S // SLOT_S
    for slot, meters in ((0, HOMES), (1, HOMES), (monday, [1, 2]), (monday + 1, [1, 2])):
        homes.step_to(FIRST_S + slot * SLOT_S)
        homes.read(FIRST_S + slot * SLOT_S, meters)
    assert homes.positions(monday - 2 * DAY_S // SLOT_S).columns["import_wh"][2] == 250, (
        "Saturday is another kind of day"
    )
    said = homes.positions(monday)
    assert said.columns["import_wh"].tolist() == [100, 200, 300], "on Friday it took as much"
    assert said.quality.tolist() == [MEASURED, MEASURED, ESTIMATED]


def test_a_gap_whose_shape_would_give_a_slot_more_than_any_meter_makes_is_split_evenly() -> None:
    """A slot of 10^10 Wh at the highest prices left 64 bits: the settlement run stopped every node, and again at each start."""
    limit_wh, monday, gap = PRIMARY_LIMIT_WH_MAX, 3 * DAY_S // SLOT_S, 10
    homes = Homes(limit_wh=limit_wh, prices=dict.fromkeys(PRICES, PRICE_MICRO_PER_KWH_MAX))
    for slot, shown_wh in ((0, 0), (1, limit_wh), (gap, limit_wh), (monday, limit_wh), (monday + gap, 11 * limit_wh)):
        homes.step_to(FIRST_S + slot * SLOT_S)
        homes.apply(homes.sender.batch("gw-1", FIRST_S + slot * SLOT_S, [(1, shown_wh, 0)]))
    said = [homes.positions(monday + slot) for slot in range(gap)]
    assert [int(position.columns["import_wh"][0]) for position in said] == [limit_wh] * gap
    assert {int(position.quality[0]) for position in said} == {CLOSED}


def test_a_correction_waits_for_its_time_and_collects_what_comes_until_then() -> None:
    homes = Homes(correction_after_s=3_600)
    homes.read(FIRST_S)
    homes.step_to(FIRST_S + SLOT_S)
    homes.read(FIRST_S + SLOT_S, [1])
    homes.read(FIRST_S + SLOT_S, [2])
    assert homes.runs(0) == ["initial"]
    homes.step_to(FIRST_S + SLOT_S + 3_600)
    assert homes.runs(0) == ["initial", "correction-1"]
    assert homes.positions(0).columns["import_wh"].tolist() == [100, 200, 250]


def test_a_final_slot_is_not_touched_again() -> None:
    homes = Homes(final_after_s=SLOT_S)
    homes.read(FIRST_S)
    homes.step_to(FIRST_S + 2 * SLOT_S)
    homes.read(FIRST_S + 2 * SLOT_S)
    assert (homes.runs(0), homes.runs(1)) == (["initial"], ["initial", "correction-1"])


def test_after_4096_slots_without_a_register_nothing_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = Homes()
    monkeypatch.setattr(corrections, "CORRECTION_SPANS_MAX", 2)
    slots = 4_200
    homes.step_to(FIRST_S + slots * SLOT_S)
    assert homes.runs(slots - 1) == ["initial"]
    homes.read(FIRST_S + slots * SLOT_S)
    homes.step_to(FIRST_S + (slots + 1) * SLOT_S)
    homes.read(FIRST_S + (slots + 1) * SLOT_S)
    assert homes.positions(slots).quality.tolist() == [MEASURED] * 3
    assert homes.books_nano() == homes.last_runs_nano()


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 6 * len(HOMES) - 1), max_size=8))
def test_books_are_the_last_runs_alone_whatever_comes_late_or_never(random: Random, lost: set[int]) -> None:
    homes = Homes()
    readings = [(FIRST_S + slot * SLOT_S, number) for slot in range(6) for number in HOMES]
    sent = [reading for place, reading in enumerate(readings) if place not in lost]
    delay = {reading: random.choice([0, 0, 0, 1, 3, 9]) for reading in sent}
    for slot in range(16):
        now_s = FIRST_S + slot * SLOT_S
        homes.step_to(now_s)
        due = [reading for reading in sent if reading[0] + delay[reading] * SLOT_S == now_s]
        random.shuffle(due)
        for boundary_s, number in due:
            homes.read(boundary_s, [number])
    owed, received = homes.books_nano()
    assert (owed, received) == homes.last_runs_nano()
    assert sum(owed) == sum(received.values())
    measured = [
        (slot, number)
        for slot in range(5)
        for number in HOMES
        if {(FIRST_S + slot * SLOT_S, number), (FIRST_S + (slot + 1) * SLOT_S, number)} <= set(sent)
    ]
    assert all(homes.positions(slot).columns["import_wh"][number - 1] == number * 100 for slot, number in measured)
    before = homes.ledger.state.root()
    for boundary_s, number in sent:
        homes.read(boundary_s, [number])  # what stands already changes no run
    assert homes.books_nano() == (owed, received)
    assert homes.ledger.state.root() != before, "only the gateway's counter moved"


SPANS = st.builds(
    lambda first, slots, due_s: Correction(first * SLOT_S, (first + slots) * SLOT_S, due_s),
    st.integers(0, 400), st.integers(0, 5), st.integers(0, 9),
)  # fmt: skip


@given(st.lists(SPANS, max_size=150))
def test_no_slot_is_ever_lost_from_the_queue_and_it_stays_short(spans: list[Correction]) -> None:
    queue: list[Correction] = []
    for span in spans:
        queue = queued(queue, [span])
    assert len(queue) <= corrections.CORRECTION_SPANS_MAX
    assert all(before.end_s < after.first_slot_s for before, after in pairwise(queue))
    for span in spans:
        if span.first_slot_s < span.end_s:
            (holding,) = (one for one in queue if one.first_slot_s <= span.first_slot_s and span.end_s <= one.end_s)
            assert holding.due_s <= span.due_s


def test_the_queue_of_a_zone_is_empty_once_its_corrections_are_made() -> None:
    homes = Homes()
    homes.read(FIRST_S)
    homes.step_to(FIRST_S + 2 * SLOT_S)
    homes.read(FIRST_S + 2 * SLOT_S)
    assert list(PROGRESS.must(homes.ledger.state, "z-1").corrections) == []
