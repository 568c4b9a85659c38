"""A year of one area, slot by slot, on a ledger with its files: suppliers and meters change, readings are missing or late, and a dispute begins each day.

Nothing waits, the books balance, every home's bill is what the slow reference says, and nothing grows but the log.
"""

from __future__ import annotations

import gc
import resource
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from gridcore.envelope import decode_transaction
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeWithdrawal
from ledger import tiles
from ledger.leaves.accounts import ACCOUNTS
from ledger.leaves.balance import BALANCE
from ledger.leaves.cleared import CLEARED
from ledger.leaves.money import join_amount
from ledger.leaves.positions import ENERGIES, POSITIONS
from ledger.leaves.progress import PROGRESS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN
from ledger.leaves.runs import RUNS
from ledger.state import state
from ledger.store.ledger import Ledger
from tests.twin.contracts import CallAuction, Member
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S, TERMS
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.living_area import Home, LivingArea

ZONE = "z-1"
SLOTS_OF_DAY = DAY_S // SLOT_S
FULL_AFTER_DAYS = 4
"""Until the caches hold what they may."""
GROWTH_KIB_MAX = 6 * 1024
"""The interpreter's own unrest, and the registry that grows with each home; the leaves of a month are many times that."""
EVENTS = 10
"""Each sort of change of ``LivingArea`` has happened."""
PAGE_KIB = resource.getpagesize() // 1024


def resident_kib() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KIB


def settle_what_is_due(ledger: Ledger) -> None:
    """Blocks without transactions until nothing is left over."""
    while ledger.work_pending:
        ledger.make_block([])


def live(ledger: Ledger, area: LivingArea, quarrels: Quarrels, days: int) -> list[int]:
    """So many days, and memory after each of them, KiB."""
    sizes = []
    for slot in range(days * SLOTS_OF_DAY):
        wires = area.boundary(FIRST_S + slot * SLOT_S)
        codes = decide(ledger, wires)
        assert codes == [0] * len(wires), (slot, codes)
        settle_what_is_due(ledger)
        if slot % SLOTS_OF_DAY == SLOTS_OF_DAY - 1:
            quarrels.go_on(ledger)
            sizes.append(resident_kib())
    return sizes


class Contested(NamedTuple):
    """A dispute, and whose it is."""

    party: str
    dispute: bytes


class Quarrels:
    """A dispute a day: a slot of the day before is contested, answered a day later, and what was rejected ends a day after that."""

    def __init__(self, area: LivingArea) -> None:
        self.area = area
        self.outcomes = Counter[str]()
        self._new: Contested | None = None
        self._rejected: Contested | None = None

    def go_on(self, ledger: Ledger) -> None:
        """One day further."""
        sender, new, rejected = self.area.sender, self._new, self._rejected
        wires = [sender.clock(sender.now_s + 60)]  # keys of this boundary are in force
        self._new = self._rejected = None
        if rejected is not None:
            wires.append(self._end(rejected))
        if new is not None:
            is_agreed = self.outcomes.total() % 3 == 0
            wires.append(
                sender.step(DisputeAnswer, new.dispute, "util", self._outcome("agreed" if is_agreed else "rejected"))
            )
            self._rejected = None if is_agreed else new
        home, slot_start_s = self._home(), self._slot_start_s
        if home is not None:
            run = RUNS.must(ledger, slot_start_s, ZONE).last
            wires.append(sender.dispute(home.party, home.point, slot_start_s, run=run))
            self._new = Contested(home.party, decode_transaction(wires[-1]).id)
        assert decide(ledger, wires) == [0] * len(wires)

    @property
    def _slot_start_s(self) -> int:
        """A day ago."""
        return self.area.sender.now_s // SLOT_S * SLOT_S - DAY_S

    def _home(self) -> Home | None:
        """One of those who lived there in that slot and stay, another one each day."""
        homes = [home for home in self.area.homes if home.leaves_s is None and home.joined_s < self._slot_start_s]
        return homes[self._slot_start_s // DAY_S % len(homes)] if self._slot_start_s >= FIRST_S else None

    def _end(self, rejected: Contested) -> bytes:
        """The home gives up, or a regulator decides: who has moved out signs nothing any more."""
        stays = any(home.party == rejected.party for home in self.area.homes)
        if stays and self.outcomes.total() % 2:
            return self.area.sender.step(
                DisputeWithdrawal, rejected.dispute, rejected.party, self._outcome("withdrawn")
            )
        return self.area.sender.step(DisputeDecision, rejected.dispute, "reg", self._outcome("upheld"))

    def _outcome(self, word: str) -> str:
        self.outcomes[word] += 1
        return word


def close_the_books(ledger: Ledger, area: LivingArea) -> None:
    """Time passes without readings until every slot is settled and every correction is made."""
    for _ in range(8):
        assert decide(ledger, [area.sender.clock(area.sender.now_s + SLOT_S)]) == [0]
        settle_what_is_due(ledger)


@pytest.mark.parametrize("days", [pytest.param(31, marks=pytest.mark.slow), pytest.param(365, marks=pytest.mark.soak)])
def test_every_slot_of_an_area_that_changes_is_settled_and_the_last_runs_are_the_books(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(state, "CACHED_BYTES_MAX", 1024 * 1024)
    monkeypatch.setattr(tiles, "CACHED_TILES_MAX", 64)
    area = LivingArea(seed=4)
    quarrels = Quarrels(area)
    with closing(open_ledger(tmp_path, area.consortium)) as ledger:
        sizes = live(ledger, area, quarrels, days)
        close_the_books(ledger, area)
        check_nothing_waits(ledger)
        check_last_runs_are_the_books(ledger)
        check_bills_are_those_of_the_reference(ledger, area)
        runs = ledger.leaf_keys(RUN.prefix)
    assert sum("/correction-" in key for key in runs) > days
    assert len(area.events) == EVENTS, area.events
    assert quarrels.outcomes.keys() == {"agreed", "rejected", "upheld", "withdrawn"}, quarrels.outcomes
    assert max(sizes[FULL_AFTER_DAYS:]) - sizes[FULL_AFTER_DAYS] < GROWTH_KIB_MAX, f"KiB by day: {sizes}"
    disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    print(
        f"{days} days, {area.readings} readings, {area.events}, {disk / area.readings:.0f} bytes a reading on the disk"
    )


def check_nothing_waits(ledger: Ledger) -> None:
    """Every slot whose deadline has passed has a run; no correction and no book is left."""
    leaves = ledger.application.state
    progress = PROGRESS.must(leaves, ZONE)
    assert (progress.books, progress.corrections) == ([], [])
    assert progress.run_slot_start_s > ledger.ledger_time_s - 3 * SLOT_S
    slots = range(FIRST_S, progress.run_slot_start_s, SLOT_S)
    assert [slot for slot in slots if RUNS.load(leaves, slot, ZONE) is None] == []


def check_bills_are_those_of_the_reference(ledger: Ledger, area: LivingArea) -> None:
    """What the last run of a slot says of each home is what the twin of the contract makes of its energy and trades, by the prices that the world knows."""
    leaves = ledger.application.state
    row_of = {name: row for row, name in enumerate(ledger.registry.zone(ZONE).points)}
    homes = [*area.homes, *area.gone]
    for slot in range(FIRST_S, PROGRESS.must(leaves, ZONE).run_slot_start_s, SLOT_S):
        columns = POSITIONS.must(leaves, slot, ZONE, RUNS.must(leaves, slot, ZONE).last, 0).columns
        said = list(zip(*(columns[name].tolist() for name in (*ENERGIES, *CallAuction.position_columns)), strict=True))
        of_slot = [home for home in homes if home.joined_s <= slot and (home.leaves_s is None or slot < home.leaves_s)]
        rows = [row_of[home.point] for home in of_slot]
        members = []
        for row, home in zip(rows, of_slot, strict=True):
            import_wh, export_wh, bought_wh, sold_wh, *_ = said[row]
            members.append(Member(import_wh, export_wh, bought_wh, sold_wh, price_at(home.prices, slot)))
        cleared = CLEARED.load(leaves, slot, ZONE, 0)
        trade_price = 0 if cleared is None else int(cleared.price_micro_per_kwh[0])
        prices = price_at(area.prices, slot)
        assert prices is not None
        settled = CallAuction.settle(members, trade_price, prices, TERMS)
        assert [said[row][2:] for row in rows] == settled.positions, slot
        assert not any(said[row][4] for row in range(len(said)) if row not in rows), f"{slot}: bills of nobody"


def price_at(by_time: dict[int, dict[str, int]], slot: int) -> dict[str, int] | None:
    """Those that hold in a slot, None where none do yet."""
    return next((by_time[from_s] for from_s in sorted(by_time, reverse=True) if from_s <= slot), None)


def check_last_runs_are_the_books(ledger: Ledger) -> None:
    """What points owe and accounts received over all runs is what the last run of each slot alone says, to the nano."""
    leaves = ledger.application.state
    owed: dict[int, int] = {}
    received: dict[str, int] = {}
    for slot in range(FIRST_S, PROGRESS.must(leaves, ZONE).run_slot_start_s, SLOT_S):
        run = RUNS.must(leaves, slot, ZONE).last
        assert RUN.must(leaves, slot, ZONE, run).slot_start_s == slot
        for row, nano in enumerate(POSITIONS.must(leaves, slot, ZONE, run, 0).columns["pays_nano"].tolist()):
            owed[row] = owed.get(row, 0) + nano
        for account, money in RESULTS.must(leaves, slot, ZONE, run, 0).received.items():
            received[account] = received.get(account, 0) + join_amount(int(money.units[0]), int(money.nano[0]))
    accounts = ACCOUNTS.must(leaves, ZONE, 0)
    booked = {name: join_amount(int(units[0]), int(accounts.nano[name][0])) for name, units in accounts.units.items()}
    assert {**dict.fromkeys(received, 0), **booked} == received
    assert BALANCE.must(leaves, ZONE, 0).owes_nano() == [owed[row] for row in sorted(owed)]
    assert sum(owed.values()) == sum(received.values())
