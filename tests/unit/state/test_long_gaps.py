"""Gaps of a zone that names ``gap_slots_max``: their energy comes to the registers' advance, of an outage of days and over exchanges of meters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.master_data import Listed, Named
from gridcore.quality import ESTIMATED, FLAG_INTERPOLATED, MEASURED
from gridcore.registry.installation import INSTALLATION, RemovedInstallation
from gridcore.registry.run_calendar import CorrectionDate, RunCalendar
from gridcore.run_names import INITIAL
from ledger.leaves.columns import Int64
from ledger.leaves.positions import POSITIONS
from ledger.leaves.runs import RUNS
from ledger.state.draft import Draft
from ledger.state.references import References
from tests.unit.state.meters import METER, Meters
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S

CLOSED = ESTIMATED | FLAG_INTERPOLATED
DAY = DAY_S // SLOT_S
GAP_SLOTS_MAX = 300


def at(slot: int) -> int:
    """The boundary at which a slot begins."""
    return FIRST_S + slot * SLOT_S


def meters_with(*more: Listed, gap_slots_max: int | None = GAP_SLOTS_MAX, **changes: Any) -> Meters:
    """A household in a zone that closes gaps of days."""
    return Meters(*more, gap_slots_max=gap_slots_max, **changes)


def energies(meters: Meters, slots: Iterable[int], run: str | None = None) -> list[tuple[int, int, int]]:
    """Import, export and quality of each slot by a run, by itself its last."""
    found = []
    for slot in slots:
        name = run or RUNS.must(meters.ledger.state, at(slot), "z-1").last
        leaf = POSITIONS.must(meters.ledger.state, at(slot), "z-1", name, 0)
        found.append((int(leaf.columns["import_wh"][0]), int(leaf.columns["export_wh"][0]), int(leaf.quality[0])))
    return found


def exchange_at(time_s: int, final: list[int] | None, first: list[int]) -> list[Listed]:
    """M-1 is taken down and M-2 put up two minutes later."""
    new = METER._replace(meter="M-2", first_registers=first)
    return [
        Named(INSTALLATION, "1", RemovedInstallation("P-1", final), time_s),
        Named(INSTALLATION, "2", new, time_s + 120),
    ]


def test_an_outage_of_two_days_comes_to_exactly_the_advance_of_the_register() -> None:
    meters = meters_with()
    meters.read(at(0), (1, 500_000, 70))
    meters.read(at(2 * DAY), (1, 507_777, 75))
    said = energies(meters, range(2 * DAY))
    assert sum(wh for wh, _, _ in said) == 7_777
    assert sum(wh for _, wh, _ in said) == 5
    assert {quality for _, _, quality in said} == {CLOSED}
    assert {quality for _, _, quality in energies(meters, range(2 * DAY - 1), "initial")} == {ESTIMATED}


def test_a_zone_that_names_no_limit_leaves_an_outage_of_two_days_open() -> None:
    meters = meters_with(gap_slots_max=None)
    meters.read(at(0), (1, 500_000, 0))
    meters.read(at(2 * DAY), (1, 507_777, 0))
    assert {quality for _, _, quality in energies(meters, range(2 * DAY))} == {ESTIMATED}


def test_a_gap_has_the_shape_of_the_days_before_it_and_a_day_unlike_them_what_they_used_on_the_whole() -> None:
    """A Friday of 8 hours at 300 Wh a slot and 8 at 100, then silence until Tuesday: no Saturday or Sunday was measured."""
    meters = meters_with(metering_deadline_s=SLOT_S)
    shown_wh = 500_000
    for slot in range(64):
        meters.read(at(slot), (1, shown_wh, 0))
        shown_wh += 300 if slot < 32 else 100
    meters.read(at(64), (1, shown_wh, 0))
    meters.read(at(64 + 3 * DAY), (1, shown_wh + 3 * DAY * 100, 0))
    meters.step_to(at(66 + 3 * DAY))
    said = [wh for wh, _, _ in energies(meters, range(64, 64 + 3 * DAY))]
    saturday, monday = said[:DAY], said[2 * DAY :]
    assert sum(said) == 3 * DAY * 100
    assert max(saturday) - min(saturday) <= 1
    assert max(monday[32:64]) - min(monday[32:64]) <= 1
    assert abs(monday[40] - 3 * monday[70]) <= 3
    assert abs(saturday[0] - 2 * monday[70]) <= 2


def test_a_gap_as_long_as_the_limit_is_closed_and_one_slot_more_leaves_it_open() -> None:
    for slots, quality in ((DAY * 3, CLOSED), (DAY * 3 + 1, ESTIMATED)):
        meters = meters_with(gap_slots_max=DAY * 3)
        meters.read(at(0), (1, 500_000, 0))
        meters.read(at(slots), (1, 512_345, 0))
        said = energies(meters, range(slots))
        assert {code for _, _, code in said} == {quality}
        assert (sum(wh for wh, _, _ in said) == 12_345) is (quality == CLOSED)


def test_a_register_that_rolls_over_in_an_outage_is_bound_over_the_roll_over() -> None:
    meters = meters_with(modulus_wh=1_000_000, first_registers=(999_000, 0))
    meters.read(at(0), (1, 999_000, 0))
    assert meters.read(at(2 * DAY), (1, 4_000, 0)) == []
    said = energies(meters, range(2 * DAY))
    assert sum(wh for wh, _, _ in said) == 5_000
    assert {quality for _, _, quality in said} == {CLOSED}


def test_an_outage_over_an_exchange_comes_to_what_both_meters_have_counted() -> None:
    exchanged_s = at(DAY) + 300
    meters = meters_with(*exchange_at(exchanged_s, [503_000, 9], [40, 0]))
    meters.read(at(0), (1, 500_000, 2))
    assert meters.read(at(3 * DAY), (2, 5_040, 1)) == []
    said = energies(meters, range(3 * DAY))
    assert sum(wh for wh, _, _ in said) == 3_000 + 5_000
    assert sum(wh for _, wh, _ in said) == 7 + 1
    assert {quality for _, _, quality in said} == {CLOSED}
    assert sum(wh for wh, _, _ in said[:DAY]) < 3_000 < sum(wh for wh, _, _ in said[: DAY + 1])


def test_an_exchange_whose_final_register_nobody_read_binds_the_new_meter_alone() -> None:
    exchanged_s = at(DAY) + 300
    meters = meters_with(*exchange_at(exchanged_s, None, [40, 0]))
    meters.read(at(0), (1, 500_000, 0))
    meters.read(at(3 * DAY), (2, 5_040, 0))
    said = energies(meters, range(3 * DAY))
    assert {quality for _, _, quality in said[: DAY + 1]} == {ESTIMATED}
    assert {quality for _, _, quality in said[DAY + 1 :]} == {CLOSED}
    assert sum(wh for wh, _, _ in said[DAY:]) == 5_000


def test_a_gap_of_few_slots_over_an_exchange_is_bound_too() -> None:
    meters = meters_with(*exchange_at(at(2) + 300, [500_500, 0], [0, 0]))
    meters.read(at(0), (1, 500_000, 0))
    meters.read(at(4), (2, 250, 0))
    assert sum(wh for wh, _, _ in energies(meters, range(4))) == 750


def test_a_meter_whose_first_value_comes_days_after_it_was_put_up_is_bound_to_its_first_register() -> None:
    meters = meters_with(installed_s=at(1) + 60)
    meters.read(at(2 * DAY), (1, 504_321, 0))
    said = energies(meters, range(2 * DAY))
    assert said[0][0] == 0
    assert sum(wh for wh, _, _ in said) == 4_321


def test_a_value_that_comes_late_inside_a_gap_binds_both_sides_of_it() -> None:
    meters = meters_with()
    meters.read(at(0), (1, 500_000, 0))
    meters.read(at(2 * DAY), (1, 507_000, 0))
    assert meters.read(at(DAY // 2), (1, 506_000, 0)) == []
    said = energies(meters, range(2 * DAY))
    assert sum(wh for wh, _, _ in said[: DAY // 2]) == 6_000
    assert sum(wh for wh, _, _ in said[DAY // 2 :]) == 1_000
    assert {quality for _, _, quality in said} == {CLOSED}


def test_slots_that_were_final_when_the_register_came_keep_their_estimates_and_the_others_their_shares() -> None:
    meters = meters_with(final_after_s=DAY_S)
    meters.read(at(0), (1, 500_000, 0))
    meters.read(at(2 * DAY), (1, 500_000 + 2 * DAY * 30, 0))
    said = energies(meters, range(2 * DAY))
    assert {quality for _, _, quality in said[: DAY - 1]} == {ESTIMATED}
    assert said[DAY:] == [(30, 0, CLOSED)] * DAY


def test_values_after_the_gap_are_measured_as_ever() -> None:
    meters = meters_with()
    meters.read(at(0), (1, 500_000, 0))
    meters.read(at(2 * DAY), (1, 507_000, 0))
    meters.read(at(2 * DAY + 1), (1, 507_100, 3))
    assert energies(meters, [2 * DAY]) == [(100, 3, MEASURED)]


def test_an_outage_of_a_home_that_feeds_in_is_bound_in_both_directions() -> None:
    meters = meters_with(first_registers=(500_000, 70_000))
    meters.read(at(0), (1, 500_000, 70_000))
    meters.read(at(2 * DAY), (1, 500_001, 88_888))
    said = energies(meters, range(2 * DAY))
    assert sum(wh for wh, _, _ in said) == 1
    assert sum(wh for _, wh, _ in said) == 18_888


def test_a_meter_that_is_taken_down_in_an_outage_is_bound_up_to_its_final_register() -> None:
    """Known ahead, and told afterwards: the slots before it are settled again."""
    taken_down = Named(INSTALLATION, "1", RemovedInstallation("P-1", [504_000, 0]), at(DAY) + 60)
    ahead = meters_with(taken_down)
    ahead.read(at(0), (1, 500_000, 0))
    ahead.step_to(at(DAY + 2))
    told = meters_with(roles={"dso": ["utility"], "admin": ["administrator"]})
    told.read(at(0), (1, 500_000, 0))
    told.step_to(at(DAY + 2))
    assert energies(told, [0]) == [(0, 0, ESTIMATED)]
    told.apply(told.sender.register(list(taken_down.rows())))
    told.ledger.apply([])
    for meters in (ahead, told):
        said = energies(meters, range(DAY + 2))
        assert sum(wh for wh, _, _ in said) == 4_000
        assert {quality for _, _, quality in said[: DAY + 1]} == {CLOSED}
        assert said[DAY + 1] == (0, 0, ESTIMATED)


def test_a_gap_is_bound_whenever_the_dates_of_its_slots_come_in_the_final_runs_too() -> None:
    """The register comes when the first slots have had their final runs; each other slot is settled at a date of its own."""
    calendar = RunCalendar([CorrectionDate(7_200, 0)], 0, DAY_S, 3_600, 0)
    meters = meters_with(run_calendar=calendar.encode(), final_after_s=9 * DAY_S)
    meters.read(at(0), (1, 500_000, 0))
    meters.read(at(2 * DAY), (1, 507_777, 0))
    meters.step_to(at(5 * DAY))
    said = energies(meters, range(2 * DAY))
    assert sum(wh for wh, _, _ in said) == 7_777
    names = {RUNS.must(meters.ledger.state, at(slot), "z-1").last for slot in range(2 * DAY)}
    assert names == {"dispute-1", "final"}


def test_parts_that_begin_on_one_day_look_at_each_initial_run_once_in_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parts, of which the slots of two days are shares, one slot after the other."""
    meters = meters_with()
    meters.read(at(0), (1, 500_000, 0))
    meters.read(at(2 * DAY), (1, 507_000, 0))
    meters.read(at(DAY // 4), (1, 506_000, 0))
    looked, look = Counter[tuple[Draft, int]](), References._energies_of

    def counted(references: References, slot_start_s: int, run: str | None) -> Int64:
        looked[references._draft, slot_start_s] += run == INITIAL
        return look(references, slot_start_s, run)

    monkeypatch.setattr(References, "_energies_of", counted)
    assert meters.read(at(DAY // 2), (1, 506_500, 0)) == []
    assert {quality for _, _, quality in energies(meters, range(2 * DAY))} == {CLOSED}
    assert len(looked) >= DAY // 4
    assert max(looked.values()) == 1


USED_WH = st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 50)), min_size=12, max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    USED_WH,
    st.sets(st.integers(1, 11)),
    st.one_of(st.none(), st.tuples(st.integers(0, 11), st.integers(1, 700), st.integers(0, 1_000_000))),
    st.randoms(use_true_random=False),
)
def test_whatever_is_missing_and_late_slots_between_two_values_come_to_what_was_counted(
    used_wh: list[tuple[int, int]],
    kept: set[int],
    exchange: tuple[int, int, int] | None,
    random: Random,
) -> None:
    """Twelve slots, some of whose boundaries are read, in any order, with an exchange of meters in one of them or without."""
    counted = [(sum(wh for wh, _ in used_wh[:slot]), sum(wh for _, wh in used_wh[:slot])) for slot in range(13)]
    more, final_wh, first_wh = list[Listed](), (0, 0), 0
    if exchange is not None:
        slot, inside_s, first_wh = exchange
        share = random.random()
        final_wh = tuple(low + int((high - low) * share) for low, high in zip(*counted[slot : slot + 2], strict=True))
        more = exchange_at(at(slot) + inside_s, [500_000 + final_wh[0], final_wh[1]], [first_wh, 0])
    meters = meters_with(*more, gap_slots_max=12)

    def read(boundary: int) -> None:
        wh, export_wh = counted[boundary]
        row = (1, 500_000 + wh, export_wh)
        if exchange is not None and boundary > exchange[0]:
            row = (2, first_wh + wh - final_wh[0], export_wh - final_wh[1])
        assert meters.read(at(boundary), row) == []

    boundaries = [0, *sorted(kept), 12]
    late = {boundary for boundary in kept if random.random() < 0.5}
    for boundary in boundaries:
        if boundary not in late:
            read(boundary)
    for boundary in sorted(late, key=lambda _: random.random()):
        read(boundary)
    said = energies(meters, range(12))
    for first, end in pairwise(boundaries):
        between = said[first:end]
        sums = (sum(wh for wh, _, _ in between), sum(wh for _, wh, _ in between))
        assert sums == (counted[end][0] - counted[first][0], counted[end][1] - counted[first][1])
    assert sum(wh for wh, _, _ in said) == counted[12][0]
