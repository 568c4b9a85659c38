"""A zone that exists takes up newer rules from a slot on: before it all stands as without them, from it on as if they had always held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.quality import ESTIMATED, FLAG_INTERPOLATED, MEASURED
from gridcore.registry.installation import INSTALLATION, RemovedInstallation
from gridcore.registry.point import POINT, Point
from gridcore.registry.zone import Zone
from ledger.leaves.positions import POSITIONS
from ledger.leaves.progress import PROGRESS
from ledger.leaves.runs import RUNS
from ledger.registry.columns_file import decode_columns, encode_columns
from tests.unit.state.meters import Meters
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S
from tests.worlds.keys import sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

CLOSED = ESTIMATED | FLAG_INTERPOLATED
DAY = DAY_S // SLOT_S
GAP_SLOTS_MAX = 300
ADMINISTRATOR = {"dso": ["utility"], "admin": ["administrator"]}


def at(slot: int) -> int:
    return FIRST_S + slot * SLOT_S


def meters_of(**zone_changes: Any) -> Meters:
    """A household in a zone that began without the newer rules, and an administrator."""
    return Meters(roles=ADMINISTRATOR, **zone_changes)


def row_of(meters: Meters, **changes: Any) -> Named[Zone]:
    """The zone's row of genesis with something else, from now on."""
    found = meters.world.zones[0]
    return found._replace(record=found.record._replace(**changes), from_s=meters.ledger.ledger_time_s)


def code_of(meters: Meters, *listed: Named[Any]) -> int:
    """What becomes of rows that are registered in one transaction."""
    wire = meters.sender.register([row for one in listed for row in one.rows()])
    (result,) = meters.ledger.apply([wire]).results
    return result.code


def take_up(meters: Meters, **changes: Any) -> None:
    """The zone takes up rules."""
    assert code_of(meters, row_of(meters, **changes)) == Code.ACCEPTED


def energies(meters: Meters, slots: Iterable[int]) -> list[tuple[int, int]]:
    """Import and quality of each slot by its last run."""
    found = []
    for slot in slots:
        name = RUNS.must(meters.ledger.state, at(slot), "z-1").last
        leaf = POSITIONS.must(meters.ledger.state, at(slot), "z-1", name, 0)
        found.append((int(leaf.columns["import_wh"][0]), int(leaf.quality[0])))
    return found


class Outage(NamedTuple):
    """A meter that is read in each slot up to ``begin``, then at ``end``; the newer rule holds from slot ``newer`` on, None: never."""

    begin: int
    end: int
    newer: int | None


def after_outage(outage: Outage, *, always: bool = False) -> Meters:
    """The household once its meter is read again; always: the zone began with the newer rule."""
    meters = meters_of(**({"gap_slots_max": GAP_SLOTS_MAX} if always else {}))
    if outage.newer is not None:
        take_up(meters, gap_slots_max=GAP_SLOTS_MAX, gap_slots_from_s=at(outage.newer))
    shown_wh = 500_000
    for slot in range(outage.begin + 1):
        meters.read(at(slot), (1, shown_wh, 0))
        shown_wh += 100 + slot % 7
    meters.read(at(outage.end), (1, shown_wh + 31 * (outage.end - outage.begin), 0))
    return meters


def advance_wh(outage: Outage) -> int:
    return 100 + outage.begin % 7 + 31 * (outage.end - outage.begin)


def test_an_outage_over_the_first_slot_of_the_newer_rule_keeps_the_estimates_before_it_and_has_the_shares_of_the_newer_rule_behind_it() -> (
    None
):
    outage = Outage(4, 4 + DAY + 2, 4 + DAY // 2)
    taken_up, never, always = (
        energies(after_outage(one, always=is_always), range(outage.end))
        for one, is_always in (
            (outage, False),
            (outage._replace(newer=None), False),
            (outage._replace(newer=None), True),
        )
    )
    newer = outage.newer or 0
    assert taken_up[:newer] == never[:newer]
    assert taken_up[newer:] == always[newer:]
    assert {quality for _, quality in taken_up[outage.begin : newer]} == {ESTIMATED}
    assert {quality for _, quality in taken_up[newer:]} == {CLOSED}
    assert sum(wh for wh, _ in always[outage.begin :]) == advance_wh(outage)


@settings(max_examples=6, deadline=None)
@given(begin=st.integers(0, 8), slots=st.integers(2, 12), newer=st.integers(1, 20))
def test_a_gap_that_the_older_rule_closes_comes_to_the_advance_wherever_in_it_the_newer_rule_begins(
    begin: int, slots: int, newer: int
) -> None:
    outage = Outage(begin, begin + slots, newer)
    said = energies(after_outage(outage), range(outage.end))
    assert sum(wh for wh, _ in said[begin:]) == advance_wh(outage)
    assert {quality for _, quality in said[begin:]} == {CLOSED}
    assert {quality for _, quality in said[:begin]} <= {MEASURED}
    never = energies(after_outage(outage._replace(newer=None)), range(outage.end))
    older = outage.end if begin < newer else newer
    assert said[:older] == never[:older]


def test_a_gap_that_begins_with_the_first_slot_of_the_newer_rule_is_bound_by_it_as_if_it_had_always_held() -> None:
    outage = Outage(6, 6 + DAY + 1, 6)
    assert energies(after_outage(outage), range(outage.end)) == energies(
        after_outage(outage._replace(newer=None), always=True), range(outage.end)
    )


def supplied(supplier: str | None, slot: int) -> Named[Point]:
    return Named(POINT, "P-1", Point("a-1", "household", "p-1", supplier=supplier), at(slot))


def runs(meters: Meters, slots: int) -> list[list[str]]:
    return [[name for name, _ in RUNS.must(meters.ledger.state, at(slot), "z-1").runs] for slot in range(slots)]


@pytest.mark.parametrize(
    ("begin", "end", "again"),
    [(1, None, [4, 5]), (1, 5, [4]), (1, 3, []), (4, None, [4, 5]), (5, 6, [5])],
    ids=["over it", "over it, up to a later row", "before it", "with it", "behind it"],
)
def test_a_late_change_of_supplier_has_runs_in_the_slots_that_follow_points_alone(
    begin: int, end: int | None, again: list[int]
) -> None:
    meters = meters_of(metering_deadline_s=60)
    take_up(meters, runs_follow_points=True, runs_follow_points_from_s=at(4))
    for slot in range(7):
        meters.read(at(slot), (1, 500_000 + 100 * slot, 0))
    meters.step_to(at(6) + 60)
    rows = [supplied("north", begin), *([supplied(None, end)] if end is not None else [])]
    assert code_of(meters, *rows) == Code.ACCEPTED
    meters.ledger.apply([])
    assert [slot for slot, names in enumerate(runs(meters, 6)) if len(names) > 1] == again


def queued_slots(meters: Meters) -> list[tuple[int, int]]:
    """The settled slots, from and up to, that are to be settled again, by their places."""
    spans = PROGRESS.must(meters.ledger.state, "z-1").corrections
    return [((span.first_slot_s - FIRST_S) // SLOT_S, (span.end_s - FIRST_S) // SLOT_S) for span in spans]


def waiting(**newer: Any) -> Meters:
    """The household, whose corrections wait for a day: what is queued stays to be seen; the zone takes up what is said."""
    meters = meters_of(correction_after_s=DAY_S, metering_deadline_s=60)
    if newer:
        take_up(meters, **newer)
    meters.step_to(at(1))
    return meters


@pytest.mark.parametrize(
    ("begin", "end", "newer", "queued"),
    [(1, 3, 4, (1, 4)), (1, 5, 4, (1, 5)), (4, 5, 4, (4, 5)), (1, 3, None, (1, 6))],
    ids=["up to before it", "up to behind it", "with it", "never taken up"],
)
def test_a_late_row_of_a_point_up_to_an_older_one_asks_again_for_all_slots_before_those_that_follow_points(
    begin: int, end: int, newer: int | None, queued: tuple[int, int]
) -> None:
    rule = {} if newer is None else {"runs_follow_points": True, "runs_follow_points_from_s": at(newer)}
    meters = waiting(**rule)
    assert code_of(meters, supplied("south", end)) == Code.ACCEPTED
    meters.step_to(at(6) + 60)
    assert queued_slots(meters) == []
    assert code_of(meters, supplied("north", begin)) == Code.ACCEPTED
    assert queued_slots(meters) == [queued]


@pytest.mark.parametrize(
    ("removed", "newer", "begin"),
    [(6, 4, 4), (3, 4, 3), (4, 4, 4), (6, 2, 2), (6, 1, 2), (6, None, 6)],
    ids=["over it", "before it", "in its first slot", "from its begin on", "behind it", "never taken up"],
)
def test_a_late_removal_asks_again_for_the_gap_that_it_ends_from_the_first_slot_of_the_newer_rule_on(
    removed: int, newer: int | None, begin: int
) -> None:
    meters = waiting(**({} if newer is None else {"gap_slots_max": GAP_SLOTS_MAX, "gap_slots_from_s": at(newer)}))
    for slot in (1, 2):
        meters.read(at(slot), (1, 500_000 + 100 * slot, 0))
    meters.step_to(at(8) + 60)
    assert queued_slots(meters) == []
    entry = Named(INSTALLATION, "1", RemovedInstallation("P-1", [500_900, 0]), at(removed) + 420)
    assert code_of(meters, entry) == Code.ACCEPTED
    assert queued_slots(meters) == [(begin, 8)]


NEWER = {"gap_slots_max": GAP_SLOTS_MAX, "gap_slots_from_s": at(4)}
REFUSED: dict[str, tuple[dict[str, Any], Code]] = {
    "no slot is named": ({"gap_slots_max": GAP_SLOTS_MAX}, Code.REGISTRY_CONFLICT),
    "no slot of runs is named": ({"runs_follow_points": True}, Code.REGISTRY_CONFLICT),
    "inside a slot": ({**NEWER, "gap_slots_from_s": at(4) + 1}, Code.REGISTRY_CONFLICT),
    "a slot that has begun": ({**NEWER, "gap_slots_from_s": at(1)}, Code.REGISTRY_CONFLICT),
    "a slot without a rule": ({"runs_follow_points_from_s": at(4)}, Code.REGISTRY_FORM),
    "another time of the zone beside it": ({**NEWER, "gate_before_start_s": 1}, Code.REGISTRY_CONFLICT),
}


@pytest.mark.parametrize(("changes", "code"), REFUSED.values(), ids=REFUSED)
def test_a_rule_is_taken_up_from_the_begin_of_a_slot_that_is_named_and_has_not_begun(
    changes: dict[str, Any], code: Code
) -> None:
    meters = meters_of()
    meters.step_to(at(2))
    assert code_of(meters, row_of(meters, **changes)) == code


@pytest.mark.parametrize(
    "changes",
    [{}, {**NEWER, "gap_slots_max": 96}, {**NEWER, "gap_slots_from_s": at(5)}],
    ids=["given up", "other", "later"],
)
def test_a_rule_that_was_taken_up_stays_as_it_is_and_another_can_be_taken_up_beside_it(changes: dict[str, Any]) -> None:
    meters = meters_of()
    take_up(meters, **NEWER)
    meters.step_to(at(5))
    assert code_of(meters, row_of(meters, **changes)) == Code.REGISTRY_CONFLICT
    take_up(meters, **NEWER, runs_follow_points=True, runs_follow_points_from_s=at(9))
    (timeline,) = meters.ledger.state.registry.columns.timelines
    assert (timeline.gap_slots_in(at(3)), timeline.gap_slots_in(at(4))) == (0, GAP_SLOTS_MAX)
    assert [timeline.follows_points_in(at(slot)) for slot in (8, 9)] == [False, True]
    assert decode_columns(encode_columns(meters.ledger.state.registry.columns)).timelines == (timeline,)


@pytest.mark.parametrize(("later", "code"), [(0, Code.ACCEPTED), (-1, Code.REGISTRY_NOT_AHEAD)])
def test_the_newer_rule_reads_no_slot_that_is_final_when_it_is_taken_up(later: int, code: Code) -> None:
    meters = meters_of(final_after_s=SLOT_S)
    meters.step_to(at(2))
    first_s = at(1) + GAP_SLOTS_MAX * SLOT_S + 16 * DAY_S + later * SLOT_S
    assert code_of(meters, row_of(meters, gap_slots_max=GAP_SLOTS_MAX, gap_slots_from_s=first_s)) == code


BOTH = {**NEWER, "runs_follow_points": True, "runs_follow_points_from_s": at(20)}


@pytest.mark.parametrize(
    "changes",
    [
        {"gap_slots_max": 4_320},
        {"gap_slots_from_s": at(5)},
        {"gap_slots_max": None, "gap_slots_from_s": None},
        {"runs_follow_points_from_s": at(21)},
        {"runs_follow_points": None, "runs_follow_points_from_s": None},
    ],
    ids=["with longer gaps", "from a later slot on", "without the rule", "runs from a later slot on", "without runs"],
)
def test_a_row_that_lies_ahead_and_takes_up_rules_can_be_said_once_more_as_it_is_but_not_otherwise(
    changes: dict[str, Any],
) -> None:
    meters = meters_of()
    both = {**BOTH, "gap_slots_from_s": at(12)}
    first, again, other = (row_of(meters, **{**both, **more})._replace(from_s=at(4)) for more in ({}, {}, changes))
    assert code_of(meters, first) == Code.ACCEPTED
    assert code_of(meters, again, supplied("north", 4)) == Code.ACCEPTED
    assert code_of(meters, other) == Code.REGISTRY_CONFLICT
    (timeline,) = meters.ledger.state.registry.columns.timelines
    assert (timeline.gap_slots_max, timeline.gap_slots_from_s) == (GAP_SLOTS_MAX, at(12))
    assert (timeline.runs_follow_points, timeline.runs_follow_points_from_s) == (True, at(20))


def test_longer_gaps_said_for_the_same_slot_by_another_row_are_bound_by_what_is_final_as_if_said_first() -> None:
    meters = meters_of(final_after_s=SLOT_S)
    meters.step_to(at(2))
    said = {"gap_slots_max": 1, "gap_slots_from_s": at(1) + SLOT_S + 16 * DAY_S}
    assert code_of(meters, row_of(meters, **said)._replace(from_s=at(10))) == Code.ACCEPTED
    longer = row_of(meters, **{**said, "gap_slots_max": 4_320})._replace(from_s=at(10))
    assert code_of(meters, longer) == Code.REGISTRY_NOT_AHEAD


def test_blocks_with_a_rule_that_is_taken_up_applied_again_come_to_the_same_roots() -> None:
    meters = meters_of()
    wires = [meters.sender.register(list(row_of(meters, **NEWER).rows()))]
    wires += [meters.sender.batch("gw-1", at(0), [(1, 500_000, 0)]), *meters.sender.clocks(at(12))]
    wires += [meters.sender.batch("gw-1", at(12), [(1, 507_777, 0)])]
    again = MemoryLedger(meters.world.genesis)
    again.apply([Sender(meters.world.chain, meters.world.start_s, sign_cheaply).clock(FIRST_S)])
    assert roots_of(meters.ledger, wires) == roots_of(again, wires)


def roots_of(ledger: MemoryLedger, wires: Sequence[bytes]) -> list[bytes]:
    """The state root after each transaction, in a block of its own."""
    found = []
    for wire in wires:
        ledger.apply([wire])
        found.append(ledger.state.root())
    return found
