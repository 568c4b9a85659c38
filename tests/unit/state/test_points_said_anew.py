"""Zones whose runs follow points: who is billed, supplies or answers for a settled slot changes late, and the next run says so, also where no number changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from gridcore.master_data import Listed, Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.run_calendar import CorrectionDate, RunCalendar
from ledger.leaves.progress import PROGRESS
from ledger.leaves.run import RUN
from ledger.registry.bodies import in_force
from ledger.state import due
from ledger.state.corrections import CORRECTION_SPANS_MAX, few
from ledger.state.settle import settle_slot
from tests.unit.state.test_runs import HOMES, Homes
from tests.worlds.consortium import FIRST_S, SLOT_S, UTILITY

HOUR_S = 3_600
SLOTS = 4
DEADLINE_S = 60
PARTIES = ("p-1", "t-1", "t-2", None)


def at(slot: int) -> int:
    return FIRST_S + slot * SLOT_S


def tenant(name: str) -> Named[Party]:
    return Named(PARTY, name, Party("a-1", UTILITY, trades=False), 0)


def billed(party: str | None, from_slot: int, **named: Any) -> Named[Point]:
    """What P-1 says from a slot on."""
    return Named(POINT, "P-1", Point("a-1", "household", party, **named), at(from_slot))


def register(homes: Homes, *listed: Listed) -> None:
    """One transaction. Another party in each makes it another one where it says what one before has said."""
    rows = [row for one in (*listed, tenant(f"n-{homes.ledger.height}")) for row in one.rows()]
    homes.apply(homes.sender.register(rows))


def settled(slots: int = SLOTS, **changes: Any) -> Homes:
    """Three homes whose first slots are settled; t-1 and t-2 are parties without a point."""
    homes = Homes(**{"runs_follow_points": True, "metering_deadline_s": DEADLINE_S, "trades": False, **changes})
    register(homes, tenant("t-1"), tenant("t-2"))
    for slot in range(slots + 1):
        homes.step_to(at(slot))
        homes.read(at(slot))
        homes.step_to(at(slot) + DEADLINE_S)
    return homes


def seen_by(homes: Homes, slot: int, run: str) -> Point | None:
    """What P-1 said of a slot to one of its runs."""
    height = RUN.must(homes.ledger.state, at(slot), "z-1", run).as_of_height
    found = in_force(homes.ledger.state, POINT, "P-1", at(slot), height)
    return None if found is None else found.record


def parties_of(homes: Homes, slot: int) -> list[str | None]:
    """Who was billed for P-1 by each run of a slot."""
    found = [seen_by(homes, slot, run) for run in homes.runs(slot)]
    return [None if point is None else point.party for point in found]


def settles_of(homes: Homes, monkeypatch: pytest.MonkeyPatch, *listed: Listed) -> list[int]:
    """Which slots are settled again where these rows are registered, by number."""
    again: list[int] = []

    def counted(draft: Any, zone: Any, slot_start_s: int) -> Any:
        again.append((slot_start_s - FIRST_S) // SLOT_S)
        return settle_slot(draft, zone, slot_start_s)

    monkeypatch.setattr(due, "settle_slot", counted)
    register(homes, *listed)
    return again


def test_a_party_that_moved_out_late_has_its_settled_slots_taken_back_and_the_next_one_is_asked_for_them() -> None:
    homes = settled()
    before = homes.books_nano()
    register(homes, billed("t-1", 2))
    assert [homes.runs(slot) for slot in range(SLOTS)] == [["initial"]] * 2 + [["initial", "correction-1"]] * 2
    assert parties_of(homes, 2) == ["p-1", "t-1"]
    first, again = (homes.positions(2, run)._replace(seed=b"", root=b"") for run in homes.runs(2))
    assert [first.quality.tolist(), *map(list, first.columns.values())] == [
        again.quality.tolist(),
        *map(list, again.columns.values()),
    ]
    assert homes.books_nano() == before == homes.last_runs_nano(), "what the point owes is what it owed"


def test_a_zone_that_does_not_follow_points_has_no_run_for_them() -> None:
    homes = settled(runs_follow_points=None)
    register(homes, billed("t-1", 2))
    assert [homes.runs(slot) for slot in range(SLOTS)] == [["initial"]] * SLOTS


@pytest.mark.parametrize(
    "named",
    [
        {"supplier": "north"},
        {"offtaker": "north"},
        {"grid_operator": "north"},
        {"balance_responsible_import": "north"},
        {"balance_responsible_export": "north"},
        {"energy_kind": "solar"},
    ],
)
def test_whoever_else_a_point_names_has_the_run_too_and_the_same_words_again_have_none(named: dict[str, Any]) -> None:
    homes = settled(2)
    register(homes, billed("p-1", 1, **named))
    assert [homes.runs(slot) for slot in range(2)] == [["initial"], ["initial", "correction-1"]]
    register(homes, billed("p-1", 1, **named))
    assert homes.runs(1) == ["initial", "correction-1"]


def test_a_change_that_is_taken_back_before_it_is_settled_makes_no_run() -> None:
    homes = settled(correction_after_s=HOUR_S)
    register(homes, billed("t-1", 1))
    register(homes, billed("p-1", 1))
    homes.step_to(homes.ledger.ledger_time_s + HOUR_S)
    assert [homes.runs(slot) for slot in range(SLOTS)] == [["initial"]] * SLOTS


def test_a_change_up_to_the_next_one_settles_the_slots_between_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = settled(6)
    register(homes, billed("t-1", 4))
    assert settles_of(homes, monkeypatch, billed("t-2", 1)) == [1, 2, 3]
    assert parties_of(homes, 3) == ["p-1", "t-2"]
    assert parties_of(homes, 4) == ["p-1", "t-1"]
    assert settles_of(homes, monkeypatch, billed("t-1", 0), billed("t-2", 5)) == [0, 5]


CALENDAR = RunCalendar(
    corrections=[CorrectionDate(2 * HOUR_S, 0)],
    dispute_material_nano=0,
    final_run_after_s=4 * HOUR_S,
    initial_last_after_s=HOUR_S,
    initial_measured_ppm=1_000_000,
)


def test_under_a_calendar_a_late_change_is_settled_at_the_next_date_and_behind_the_final_run_as_a_dispute_run() -> None:
    homes = settled(2, run_calendar=CALENDAR, final_after_s=6 * HOUR_S)
    register(homes, billed("t-1", 0))
    assert homes.runs(0) == ["initial"]
    homes.step_to(at(1) + 2 * HOUR_S)
    assert (homes.runs(0), parties_of(homes, 0)) == (["initial", "correction-1"], ["p-1", "t-1"])
    homes.step_to(at(1) + 5 * HOUR_S)
    assert homes.runs(0)[-1] == "final"
    register(homes, billed("t-2", 0))
    assert (homes.runs(0)[-1], parties_of(homes, 0)[-1]) == ("dispute-1", "t-2")
    homes.step_to(at(1) + 6 * HOUR_S)
    row = billed("t-1", 0).rows()
    (refused,) = homes.ledger.apply([homes.sender.register([*row])]).results
    assert refused.code == Code.REGISTRY_NOT_AHEAD, "nothing changes a slot from final_after_s on"


@pytest.mark.parametrize(
    "changed",
    [billed("t-1", 1), billed("p-1", 1, supplier="north"), billed("p-1", 1, energy_kind="solar")],
    ids=["another party", "another supplier alone", "another kind of energy alone"],
)
def test_a_dispute_run_of_a_point_that_says_something_else_is_as_material_as_what_it_paid_and_what_it_pays(
    changed: Named[Point],
) -> None:
    homes = settled(2, run_calendar=CALENDAR, final_after_s=6 * HOUR_S)
    pays_nano = abs(int(homes.positions(1).columns["pays_nano"][0]))
    assert pays_nano > 0
    for material_nano, runs in ((2 * pays_nano, ["dispute-1"]), (2 * pays_nano + 1, [])):
        calendar = CALENDAR._replace(dispute_material_nano=material_nano)
        homes = settled(2, run_calendar=calendar, final_after_s=6 * HOUR_S)
        homes.step_to(at(2) + 5 * HOUR_S)
        register(homes, changed)
        assert homes.runs(1) == ["initial", "final", *runs]
        left_out = PROGRESS.must(homes.ledger.state, "z-1").immaterial
        found = [one.change_nano for one in left_out if one.slot_start_s == at(1)]
        assert found == ([] if runs else [2 * pays_nano])


class Change(NamedTuple):
    """P-1 says this from a slot on; made known behind the end of another one."""

    party: str | None
    supplier: str | None
    from_slot: int
    known_slot: int


CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from(PARTIES),
        st.sampled_from([None, None, "north", "south"]),
        st.integers(0, SLOTS - 1),
        st.integers(0, SLOTS),
    ),
    max_size=4,
)


def told(changes: Sequence[Change]) -> Homes:
    """The homes as the changes become known one after the other, in the order of the list where at the same time."""
    homes = settled(0)
    for slot in range(SLOTS + 1):
        if slot:
            homes.step_to(at(slot))
            homes.read(at(slot))
            homes.step_to(at(slot) + DEADLINE_S)
        for change in changes:
            if change.known_slot == slot:
                register(homes, billed(change.party, change.from_slot, supplier=change.supplier))
    return homes


@settings(max_examples=8, deadline=None)
@given(CHANGES)
def test_changes_that_became_known_late_come_to_what_they_would_have_come_to_if_known_before(
    changes: list[Change],
) -> None:
    late = told(sorted(changes, key=lambda change: change.known_slot))
    early = told([change._replace(known_slot=0) for change in sorted(changes, key=lambda change: change.known_slot)])
    for slot in range(SLOTS):
        assert seen_by(late, slot, late.runs(slot)[-1]) == seen_by(early, slot, early.runs(slot)[-1])
        ours, theirs = late.positions(slot), early.positions(slot)
        assert ours.quality.tolist() == theirs.quality.tolist()
        assert {name: column.tolist() for name, column in ours.columns.items()} == {
            name: column.tolist() for name, column in theirs.columns.items()
        }
        seen = [seen_by(late, slot, run) for run in late.runs(slot)]
        assert all(before != after for before, after in pairwise(seen)), "each run changes something"
    assert late.books_nano() == late.last_runs_nano() == early.books_nano()
    owed, received = late.books_nano()
    assert sum(owed) == sum(received.values())
    assert len(owed) == len(HOMES)


SPANS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 5)), max_size=100)


@given(SPANS)
def test_spans_become_as_few_as_the_queue_has_by_closing_the_shortest_holes_first(drawn: list[tuple[int, int]]) -> None:
    spans = [(first, first + length) for first, length in drawn]
    found = few(spans)
    assert len(found) <= CORRECTION_SPANS_MAX
    assert all(before[1] < after[0] for before, after in pairwise(found))
    holes = {slot for slot in range(406) if not any(first <= slot < end for first, end in spans)}
    added = {slot for first, end in found for slot in range(first, end)} & holes
    assert {slot for first, end in spans for slot in range(first, end)} <= {
        slot for first, end in found for slot in range(first, end)
    }
    joined = few(spans) if len(found) < CORRECTION_SPANS_MAX else []
    assert not (joined and added), "no hole is closed where few spans are left"


def test_sixty_five_spans_lose_the_first_of_the_shortest_holes_alone() -> None:
    assert CORRECTION_SPANS_MAX == 64
    spans = [(10 * place, 10 * place + (8 if place in (30, 40) else 5)) for place in range(65)]
    assert few(spans[:64]) == spans[:64]
    assert few(spans) == [*spans[:30], (300, 315), *spans[32:]]
