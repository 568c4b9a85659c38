"""A move inside a slot: each tenant has what the meter measured in his part of it, and together they have all that it counted."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from gridcore.master_data import Listed, Named
from gridcore.quality import ESTIMATED, FLAG_INTERPOLATED, MEASURED
from gridcore.registry.installation import INSTALLATION
from gridcore.registry.run_calendar import RunCalendar
from ledger.leaves.positions import POSITIONS
from ledger.leaves.runs import RUNS
from tests.unit.state.meters import BREAK_S, LIMIT_WH, METER, Meters, moved_within
from tests.worlds.consortium import FIRST_S, SLOT_S, household

END_S = FIRST_S + SLOT_S
START_WH = 500_100


class Part(NamedTuple):
    """What the last run of a slot says of a point. registers: import at the slot's start and end, -1 where there is none."""

    import_wh: int
    export_wh: int
    quality: int
    registers: tuple[int, int]


def part_of(meters: Meters, row: int, slot_start_s: int = FIRST_S) -> Part:
    """Of the point of a row."""
    meters.step_to(slot_start_s + SLOT_S)
    run = RUNS.must(meters.ledger.state, slot_start_s, "z-1").last
    leaf = POSITIONS.must(meters.ledger.state, slot_start_s, "z-1", run, 0)
    said = {name: int(column[row]) for name, column in leaf.columns.items()}
    registers = said["start_import"], said["end_import"]
    return Part(said["import_wh"], said["export_wh"], int(leaf.quality[row]), registers)


def moved(at_s: int = BREAK_S, registers: list[int] | None = None, **changes: Any) -> Meters:
    """The first slot of a household whose tenant leaves inside it, read at both ends."""
    stated = [START_WH + 200, 7] if registers is None else registers
    meters = Meters(*moved_within(at_s, stated), **{"part_slots_are_measured": True, **changes})
    meters.read(FIRST_S, (1, START_WH, 5))
    return meters


def test_who_leaves_inside_a_slot_pays_up_to_the_register_at_which_he_left_and_the_next_one_from_there_on() -> None:
    meters = moved()
    assert meters.read(END_S, (2, START_WH + 300, 8)) == []
    assert part_of(meters, 0) == Part(200, 2, MEASURED, (START_WH, -1))
    assert part_of(meters, 1) == Part(100, 1, MEASURED, (-1, START_WH + 300))
    assert meters.read(END_S + SLOT_S, (2, START_WH + 350, 8)) == []
    assert part_of(meters, 1, END_S) == Part(50, 0, MEASURED, (START_WH + 300, START_WH + 350))
    assert part_of(meters, 0, END_S)[:2] == (0, 0)


def test_a_zone_without_the_rule_estimates_both_parts_as_before() -> None:
    meters = moved(part_slots_are_measured=None, gap_slots_max=300)
    meters.read(END_S, (2, START_WH + 300, 8))
    closed = ESTIMATED | FLAG_INTERPOLATED
    assert part_of(meters, 0) == Part(200, 2, closed, (START_WH, -1))
    assert part_of(meters, 1) == Part(100, 1, closed, (-1, START_WH + 300))


def test_a_change_of_supplier_inside_a_slot_gives_each_supplier_his_part() -> None:
    """The party stays: it has two points in this slot, and what it takes comes of two suppliers."""
    stays = moved_within(BREAK_S, [START_WH + 200, 0], party="p-1", supplier="south-energy")
    meters = Meters(*(one for one in stays if one.name != "p-1"), part_slots_are_measured=True)
    meters.read(FIRST_S, (1, START_WH, 0))
    meters.read(END_S, (2, START_WH + 300, 0))
    assert (part_of(meters, 0).import_wh, part_of(meters, 1).import_wh) == (200, 100)


@given(
    after_s=st.integers(1, SLOT_S - 1),
    used=st.tuples(*(st.integers(0, LIMIT_WH) for _ in range(4))),
    modulus_wh=st.sampled_from([0, 600_000]),
)
@settings(max_examples=40, deadline=None)
def test_for_any_instant_inside_a_slot_the_parts_sum_to_what_the_meter_counted(
    after_s: int, used: tuple[int, ...], modulus_wh: int
) -> None:
    """Nothing is billed twice, and nothing to nobody; also where the register rolls over in one of the parts."""
    start = (599_990 if modulus_wh else START_WH, 5)
    stated = [wrapped(start[side] + used[side], modulus_wh) for side in (0, 1)]
    end = [wrapped(start[side] + used[side] + used[side + 2], modulus_wh) for side in (0, 1)]
    goes_on = Named(
        INSTALLATION, "2", METER._replace(point="P-2", first_registers=stated, modulus_wh=modulus_wh), FIRST_S + after_s
    )
    rows = [*moved_within(FIRST_S + after_s, stated)[:-1], goes_on]
    meters = Meters(
        *rows, first_registers=start, modulus_wh=modulus_wh, installed_s=FIRST_S - 1, part_slots_are_measured=True
    )
    assert meters.read(FIRST_S, (1, *start)) == []
    assert meters.read(END_S, (2, end[0], end[1])) == []
    parts = [part_of(meters, row) for row in (0, 1)]
    assert [part.quality for part in parts] == [MEASURED, MEASURED]
    assert [(part.import_wh, part.export_wh) for part in parts] == [used[:2], used[2:]]


def wrapped(register_wh: int, modulus_wh: int) -> int:
    """What a meter shows that starts again from 0 at ``modulus_wh``, 0 for never."""
    return register_wh % modulus_wh if modulus_wh else register_wh


def test_where_nobody_read_the_meter_when_it_was_taken_down_the_part_stays_an_estimate() -> None:
    meters = Meters(*moved_within(BREAK_S, None)[:3], part_slots_are_measured=True)
    meters.read(FIRST_S, (1, START_WH, 5))
    assert part_of(meters, 0).quality == ESTIMATED


def test_a_part_whose_end_was_not_read_is_estimated_and_never_zero_by_the_rule() -> None:
    meters = moved()
    assert part_of(meters, 0) == Part(200, 2, MEASURED, (START_WH, -1))
    assert part_of(meters, 1).quality == ESTIMATED


def test_a_register_that_advances_by_more_than_the_meter_can_is_no_energy_of_a_part() -> None:
    meters = moved(registers=[START_WH + LIMIT_WH + 1, 7])
    assert part_of(meters, 0).quality == ESTIMATED


def test_a_meter_that_is_put_up_where_the_slot_ends_has_measured_nothing_of_it() -> None:
    """A point that is billed without a meter has an estimate: its slot is missing, and missing is never zero."""
    begins: list[Listed] = [one for one in moved_within(BREAK_S, [START_WH + 200, 0]) if one.name in ("p-2", "P-2")]
    begins.append(Named(INSTALLATION, "2", METER._replace(point="P-2", meter="M-2", first_registers=[40, 0]), END_S))
    meters = Meters(*begins, part_slots_are_measured=True)
    meters.read(FIRST_S, (1, START_WH, 0))
    assert meters.read(END_S, (1, START_WH + 9, 0), (2, 41, 0)) == []
    assert part_of(meters, 1).quality == ESTIMATED
    assert meters.read(END_S + SLOT_S, (1, START_WH + 9, 0), (2, 51, 0)) == []
    assert part_of(meters, 1, END_S)[:3] == (10, 0, MEASURED)


def test_a_value_that_was_read_behind_the_end_of_a_meter_told_late_counts_for_nobody() -> None:
    """The agent went on under the old number until the move was registered: that register is the next one's."""
    late = moved_within(BREAK_S, [START_WH + 200, 7])
    meters = Meters(
        roles={"dso": ["utility"], "admin": ["administrator"]}, part_slots_are_measured=True, gap_slots_max=9
    )
    meters.read(FIRST_S, (1, START_WH, 5))
    meters.read(END_S, (1, START_WH + 300, 8))
    assert part_of(meters, 0) == Part(300, 3, MEASURED, (START_WH, START_WH + 300))
    meters.apply(meters.sender.register([row for one in late for row in one.rows()]))
    meters.ledger.apply([])
    meters.read(END_S + SLOT_S, (2, START_WH + 420, 8))
    assert part_of(meters, 0) == Part(200, 2, MEASURED, (START_WH, -1))
    said = [part_of(meters, 1, at_s) for at_s in (FIRST_S, END_S)]
    assert sum(part.import_wh for part in said) == 220
    assert {part.quality for part in said} == {ESTIMATED | FLAG_INTERPOLATED}


def test_a_slot_of_two_parts_is_complete_when_both_are_measured() -> None:
    """The point that is closed has no value at the slot's end, and the run waits for none."""
    calendar = RunCalendar([], 0, 20 * SLOT_S, 10 * SLOT_S, 10**6).encode()
    meters = moved(run_calendar=calendar, final_after_s=30 * SLOT_S)
    meters.step_to(END_S)
    assert RUNS.load(meters.ledger.state, FIRST_S, "z-1") is None
    meters.read(END_S, (2, START_WH + 300, 8))
    assert [part_of(meters, row).quality for row in (0, 1)] == [MEASURED, MEASURED]


def test_a_row_of_a_point_inside_a_slot_is_refused_with_both_ends_of_it() -> None:
    meters = Meters(roles={"dso": ["utility"], "admin": ["administrator"]}, part_slots_are_measured=True)
    point = Named(moved_within(BREAK_S, [1, 1])[2].entity, "P-1", moved_within(BREAK_S, [1, 1])[2].record, BREAK_S)
    (result,) = meters.ledger.apply([meters.sender.register(list(point.rows()))]).results
    assert result.code == Code.REGISTRY_CONFLICT


def dealt_wh(meters: Meters, slot_start_s: int) -> dict[str, list[int]]:
    """What each row bought and sold by the last run of a slot."""
    run = RUNS.must(meters.ledger.state, slot_start_s, "z-1").last
    columns = POSITIONS.must(meters.ledger.state, slot_start_s, "z-1", run, 0).columns
    return {name: columns[name].tolist() for name in ("bought_wh", "sold_wh")}


def test_orders_of_the_slot_are_of_who_was_there_when_it_began_and_the_next_one_orders_from_the_next_slot_on() -> None:
    """The move was announced before the gate, and the registers are told when the meter was read; a neighbour takes what p-1 sells."""
    neighbour = household(3, "p-3", first_registers=(0, 0), installed_s=FIRST_S - 1)
    roles = {"dso": ["utility"], "admin": ["administrator"], "p-2": ["prosumer"], "p-3": ["prosumer"]}
    meters = Meters(neighbour, roles=roles, part_slots_are_measured=True)
    meters.read(FIRST_S, (1, START_WH, 5), (3, 0, 0))
    moves = moved_within(END_S + 420, [START_WH + 250, 65], trades=True)
    of_meter = [one for one in moves if one.entity is INSTALLATION]
    of_points = [one for one in moves if one.entity is not INSTALLATION]
    meters.apply(
        meters.sender.order("p-1", "a-1", "sell", 100, 300_000, END_S),
        meters.sender.order("p-3", "a-1", "buy", 100, 400_000, END_S),
    )
    meters.apply(meters.sender.register([row for one in of_points for row in one.rows()]))
    for slot_start_s, code in ((END_S, Code.ABOVE_POINT_LIMIT), (END_S + SLOT_S, Code.ABOVE_POINT_LIMIT)):
        (result,) = meters.ledger.apply([meters.sender.order("p-2", "a-1", "buy", 9, 400_000, slot_start_s)]).results
        assert result.code == code
    meters.read(END_S, (1, START_WH + 200, 5), (3, 0, 0))
    meters.step_to(END_S + 420)
    meters.apply(meters.sender.register([row for one in of_meter for row in one.rows()]))
    meters.apply(meters.sender.order("p-2", "a-1", "buy", 9, 400_000, END_S + SLOT_S))
    assert meters.read(END_S + SLOT_S, (2, START_WH + 280, 65), (3, 70, 0)) == []
    assert [part_of(meters, row, END_S)[:3] for row in (0, 2)] == [(50, 60, MEASURED), (30, 0, MEASURED)]
    assert dealt_wh(meters, END_S) == {"bought_wh": [0, 100, 0], "sold_wh": [100, 0, 0]}
