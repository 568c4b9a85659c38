"""Events of a scenario: what is wrong with one is a line that names it, and a power cut is one in the physics too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.demo.devices import place_devices
from gridledger.demo.dropped import Dropped
from gridledger.demo.troubles import Troubles
from gridledger.simulating.event_report import columns_of
from gridledger.simulating.settled import SettledWorld
from gridledger.simulating.world_files import write_world
from simulators.grid.world import build_world
from simulators.scenarios.events import check_events
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.meter_kinds import DLT645, MODBUS_TCP, MeterKind, MqttDevices
from simulators.scenarios.schema import Consortium, Event, Scenario

VILLAGE = find_scenario("village_day").scenario.sized(slots=24)


def event(kind: str, target: str, first: int, until: int, other: str = "") -> Event:
    """An event of the village."""
    return Event(label=f"{kind} of {target}", kind=kind, target=target, from_slot=first, until_slot=until, other=other)


def with_events(*events: Event) -> Scenario:
    """The village with these."""
    return replace(VILLAGE, events=events)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (event("late", "M-H002", 5, 8), "events[1]: overlaps events[0] on M-H002 in slots 5 to 5"),
        (event("swapped", "M-H001", 1, 5, "M-H002"), "events[1]: overlaps events[0] on M-H001 in slots 4 to 4"),
        (event("blackout", "A1", 3, 5), "events[1]: overlaps events[0] on A1 in slots 4 to 4"),
        (event("lost", "M-H025", 1, 2), "events[1]: there is no meter 'M-H025'"),
        (
            event("lost", "A1", 1, 2),
            "events[1]: there is no meter 'A1'; of an area a chance_percent below 100 says how often each of its meters has it",
        ),
        (
            replace(event("lost", "A2", 1, 2), chance_percent=5),
            "events[1]: there is no meter 'A2'; meters are M-H001, M-L001, M-F1 and so on, areas A1",
        ),
        (event("swapped", "M-H001", 1, 2, "M-X"), "events[1]: there is no meter 'M-X'"),
        (event("garbled", "M-H001", 1, 2), "events[1]: target 'M-H001' is no area; there are A1"),
        (event("reboot", "A1", 1, 2), "events[1]: there is no meter 'A1'"),
        (event("clock_step", "M-H001", 1, 2), "events[1]: target 'M-H001' is no area; there are A1"),
        (event("cut_from_node", "A1", 5, 7), "events[1]: overlaps events[0] on A1 in slots 5 to 5"),
        (
            event("meter_clock", "M-H001", 1, 2),
            "events[1]: M-H001 has no clock that counts; give [[meters]] with speaks = 'dlt645'",
        ),
        (event("exchanged", "M-H001", 4, 5, "M-H003"), "events[1]: other 'M-H003' is a meter already"),
        (event("exchanged", "M-H001", 4, 5, "M H9"), "events[1]: other 'M H9' is no name of a meter"),
        (event("exchanged", "M-H002", 5, 6, "M-H102"), "events[1]: overlaps events[0] on M-H002 in slots 5 to 5"),
        (event("lost", "M-H001", 20, 25), "events[1]: until_slot 25 is behind the end; there are 24 slots"),
        (event("roll_over", "M-H001", 1, 2), "events[1]: the register of M-H001 never starts again"),
        (event("roll_over", "M-L001", 9, 10), "M-L001 takes 1"),
    ],
)
def test_an_event_that_cannot_be_is_one_line(second: Event, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_world(with_events(event("lost", "M-H002", 4, 6), second))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("validators", "events", "words"),
    [
        (
            None,
            [("node-2", 1, 2)],
            "events[0]: 'validator_down' stops one of several validators; give the table [consortium]",
        ),
        (
            1,
            [("node-2", 1, 2)],
            "events[0]: target 'node-2' is no node behind 'node', which the clock speaks to; there is none",
        ),
        (
            4,
            [("node", 1, 2)],
            "target 'node' is no node behind 'node', which the clock speaks to; there are node-2, node-3, node-4",
        ),
        (4, [("node-5", 1, 2)], "events[0]: target 'node-5' is no node behind 'node'"),
        (3, [("node-2", 1, 2)], "events[0]: in slot 1 node-2 are down; of 3 validators at most 0 may be away"),
        (
            4,
            [("node-2", 1, 4), ("node-3", 3, 5)],
            "events[1]: in slot 3 node-2, node-3 are down; of 4 validators at most 1",
        ),
        (4, [("node-2", 1, 4), ("node-2", 3, 5)], "events[1]: overlaps events[0] on node-2 in slots 3 to 3"),
    ],
)
def test_a_validator_stops_only_where_the_others_go_on(
    validators: int | None, events: list[tuple[str, int, int]], words: str
) -> None:
    scenario = with_events(*(event("validator_down", *stop) for stop in events)).sized(validators=validators)
    with pytest.raises(UsageError) as caught:
        build_world(scenario)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("validators", "events", "words"),
    [
        (
            None,
            [("partition", "node-2", 1, 2)],
            "events[0]: 'partition' cuts off some of several validators; give the table [consortium]",
        ),
        (4, [("partition", "node-2 node", 1, 2)], "events[0]: target 'node' is no node behind 'node'"),
        (
            4,
            [("partition", "node-2,node-3", 1, 2)],
            "which the clock speaks to; there are node-2, node-3, node-4; put spaces between several",
        ),
        (4, [("partition", "node-2 node-2", 1, 2)], "events[0]: target 'node-2 node-2' names a node twice"),
        (4, [("partition", " ", 1, 2)], "events[0]: target ' ' is no node behind 'node'"),
        (
            4,
            [("partition", "node-3 node-2 node-4", 1, 2)],
            "events[0]: node-2, node-3, node-4 would go on, and the clock speaks to the others; name those few",
        ),
        (
            4,
            [("partition", "node-3 node-4", 1, 3)],
            "events[0]: until_slot 3: of 4 validators at most 1 may be away, or no block is made, and time stands with the blocks; give 2",
        ),
        (
            4,
            [("validator_down", "node-2", 1, 3), ("partition", "node-3", 2, 4)],
            "events[1]: in slot 2 node-2, node-3 are down or cut off; of 4 validators at most 1",
        ),
        (
            7,
            [("partition", "node-2", 1, 3), ("partition", "node-3", 2, 4)],
            "events[1]: overlaps events[0] on node-3 in slots 2 to 2",
        ),
    ],
)
def test_a_partition_leaves_more_than_two_thirds_with_the_clock_or_lasts_a_slot_of_a_standing_ledger(
    validators: int | None, events: list[tuple[str, str, int, int]], words: str
) -> None:
    scenario = with_events(*(event(*one) for one in events)).sized(validators=validators)
    with pytest.raises(UsageError) as caught:
        build_world(scenario)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_partition_says_who_is_cut_off_and_whether_the_ledger_stands() -> None:
    few, half = event("partition", "node-3", 2, 5), event("partition", "node-3 node-4", 6, 7)
    troubles = Troubles(build_world(with_events(few, half).sized(validators=4)), Dropped(7))
    cut_off = [troubles.nodes_cut_off(boundary) for boundary in (1, 2, 4, 5, 6, 7)]
    assert cut_off == [set(), {"node-3"}, {"node-3"}, set(), {"node-3", "node-4"}, set()]
    assert [troubles.stands(names) for names in cut_off] == [False, False, False, False, True, False]
    assert troubles.nodes_that_stop() == {"node-3", "node-4"}
    assert troubles.nodes_down(2) == set()


def test_as_many_validators_as_may_be_away_stop_beside_other_faults() -> None:
    stops = [event("validator_down", f"node-{number}", 2, 5) for number in (2, 3)]
    scenario = with_events(*stops, event("blackout", "A1", 2, 4), event("validator_down", "node-4", 5, 7))
    world = build_world(scenario.sized(validators=7))
    assert [Consortium(number).away_max for number in (1, 3, 4, 6, 7, 16)] == [0, 0, 1, 1, 2, 5]
    troubles = Troubles(world, Dropped(7))
    assert [troubles.nodes_down(boundary) for boundary in (1, 2, 4, 5, 7)] == [
        set(),
        {"node-2", "node-3"},
        {"node-2", "node-3"},
        {"node-4"},
        set(),
    ]


def test_a_dead_broker_is_named_by_the_first_area_and_is_a_label_of_it_alone_where_no_others_have_devices() -> None:
    two_areas = with_events().sized(households=25)
    said = r"events\[0\]: there is one broker, for the devices of all areas that have some; its target is A1"
    with pytest.raises(UsageError, match=said):
        build_world(replace(two_areas, events=(event("dead_broker", "A2", 4, 8),)))
    dead, elsewhere = event("dead_broker", "A1", 4, 8), event("garbled", "A2", 4, 8)
    world = build_world(replace(two_areas, events=(dead, elsewhere)))
    assert world.areas == ("A1", "A2")
    assert world.labels == (dead, elsewhere)


def test_a_dead_broker_is_a_label_of_every_area_where_devices_stand_in_all_of_them(tmp_path: Path) -> None:
    fleet = MqttDevices(homes_of_ten=(3,), profiles=("shelly_pro3em",))
    two_areas = replace(with_events().sized(households=25), mqtt_devices=fleet)
    dead = event("dead_broker", "A1", 4, 8)
    world = build_world(replace(two_areas, events=(dead,)))
    assert {world.meters[one.row].area for one in place_devices(world)} == {"A1", "A2"}
    assert world.labels == (dead, replace(dead, target="A2"))
    settled = SettledWorld(world)
    concerned = [{world.meters[at].area for at in columns_of(settled, label)} for label in world.labels]
    assert concerned == [{"A1"}, {"A2"}], "what the report draws of it"
    write_world(tmp_path, world)
    rows = (tmp_path / "events.csv").read_text().splitlines()
    assert [row.split(",")[2:4] for row in rows[1:]] == [["A1", ""], ["A2", ""]], "what simulate score holds against"
    home = next(meter.meter for meter in world.meters if meter.area == "A2")
    with pytest.raises(UsageError, match=rf"events\[1\]: overlaps events\[0\] on {home} in slots 7 to 7"):
        build_world(replace(two_areas, events=(dead, event("lost", home, 7, 9))))


def test_a_place_gets_one_new_meter_and_two_places_not_the_same_one() -> None:
    first = event("exchanged", "M-H001", 4, 5, "M-H101")
    for second, words in (
        (event("exchanged", "M-H001", 8, 9, "M-H201"), "M-H001 is exchanged twice"),
        (event("exchanged", "M-H002", 8, 9, "M-H101"), "'M-H101' is a meter already"),
    ):
        with pytest.raises(UsageError, match=words):
            build_world(with_events(first, second))
    with pytest.raises(UsageError, match="until_slot 6: a meter is exchanged within one slot, until 5"):
        event("exchanged", "M-H001", 4, 6, "M-H101")


def test_a_new_meter_does_not_roll_over_where_the_old_one_would_have() -> None:
    rolls = event("roll_over", "M-F1", 8, 9)

    def check(exchanged: Event) -> None:
        check_events((rolls, exchanged), {"M-F1": "A1"}, 24, {"M-F1"}, {"M-F1"}, ("A1",))

    check(event("exchanged", "M-F1", 9, 10, "M-F101"))
    with pytest.raises(UsageError, match=r"events\[0\]: M-F1 is exchanged before, and the new meter counts from 0"):
        check(event("exchanged", "M-F1", 7, 8, "M-F101"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (event("reboot", "M-H010", 1, 2), "M-H010 speaks DL/T 645, which answers with what it froze before"),
        (event("word_swap", "M-H010", 1, 2), "M-H010 speaks DL/T 645, which has no words to swap"),
        (
            event("swapped", "M-H009", 1, 2, "M-H010"),
            "M-H009 and M-H010 hang on lines of two kinds; name two of one",
        ),
        (event("meter_clock", "M-H009", 1, 2), "M-H009 has no clock that counts; one that has is M-H010"),
    ],
)
def test_a_meter_does_only_what_its_protocol_has(wrong: Event, words: str) -> None:
    kinds = (MeterKind(homes_of_ten=9, speaks=MODBUS_TCP), MeterKind(homes_of_ten=1, speaks=DLT645))
    mixed = replace(VILLAGE, meters=kinds)
    known = {meter.meter for meter in build_world(mixed).meters if meter.profile == "dlt645_2007"}
    assert known == {"M-H010", "M-H020"}
    with pytest.raises(UsageError) as caught:
        build_world(replace(mixed, events=(wrong,)))
    assert words in str(caught.value)


def test_events_one_after_the_other_do_not_overlap() -> None:
    world = build_world(with_events(event("lost", "M-H002", 4, 6), event("late", "M-H002", 6, 24)))
    assert len(world.scenario.events) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from_slot = 4\nuntil_slot = 4", "events[0]: from_slot 4 is not before until_slot 4"),
        (
            'from_slot = 4\nuntil_slot = 5\nother = "M-H002"',
            "events[0]: other names the second meter of the kinds 'swapped', 'collusion' and 'exchanged'",
        ),
        ("from_slot = 0\nuntil_slot = 5", "events[0].from_slot = 0 is out of range; allowed: 1 to"),
        ("from_slot = 4\nuntil_slot = 5\nuntill = 3", "events[0].untill is an unknown key"),
    ],
)
def test_an_event_that_is_written_wrong_names_its_key(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my.toml"
    head = find_scenario("demonstration").data.decode()
    path.write_text(f'{head}\n[[events]]\nlabel = "x"\nkind = "lost"\ntarget = "M-H001"\n{text}\n')
    assert main(["simulate", "check", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}: {words}" in said
    assert said.count("\n") == 1


def test_a_blackout_stops_everything_in_its_area_alone_and_batteries_wait() -> None:
    scenario = replace(
        with_events(event("blackout", "A2", 4, 8)).sized(households=25), events=(event("blackout", "A2", 4, 8),)
    )
    dark, lit = build_world(scenario), build_world(replace(scenario, events=()))
    second = [row for row, meter in enumerate(dark.meters) if meter.area == "A2"]
    first = [row for row, meter in enumerate(dark.meters) if meter.area == "A1"]
    assert len(first) == len(second) == 26
    assert (dark.import_wh[4:8, second] == 0).all()
    assert (dark.export_wh[4:8, second] == 0).all()
    assert (dark.voltage_pu[4:8, second] == 0).all()
    assert (dark.loss_wh[4:8, 1] == 0).all()
    assert lit.import_wh[4:8, second].sum() > 0
    assert (dark.import_wh[:, first] == lit.import_wh[:, first]).all()
    assert (dark.import_wh[:4] == lit.import_wh[:4]).all()
    charges = dark.battery_wh[:, [battery.party > "H024" for battery in dark.batteries]]
    assert (np.diff(charges[4:9], axis=0) == 0).all()
    assert dark.violations == lit.violations


def test_a_register_rolls_over_in_the_slot_that_the_event_names() -> None:
    plain = build_world(VILLAGE)
    row = [meter.meter for meter in plain.meters].index("M-F1")
    slot = int(plain.import_wh[1:, row].argmax()) + 1
    world = build_world(with_events(event("roll_over", "M-F1", slot, slot + 1)))
    counted = [int(world.true_registers(boundary)[0][row]) for boundary in range(25)]
    modulus = world.meters[row].modulus_wh
    assert [wh < modulus for wh in counted] == [boundary <= slot for boundary in range(25)]
    assert (world.import_wh == plain.import_wh).all()
