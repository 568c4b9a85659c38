"""Each kind of event reaches the agent, and the ledger reports what it did to the readings with the right quality."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from gridledger.demo.instruments import AT_ONCE
from gridledger.simulating.fault_scores import ABSENT, ROLLED, UNSEEN, score_run
from simulators.scenarios.schema import AREA_KINDS, METER_KINDS
from tests.demo.demo_run import Finished, run_simulation
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS = 32
EVENTS = (
    ("late", "M-H001", "", 2, 3),
    ("lost", "M-H002", "", 2, 3),
    ("exception", "M-H003", "", 2, 3),
    ("no_value", "M-H008", "", 2, 3),
    ("reset", "M-H004", "", 5, 7),
    ("word_swap", "M-H009", "", 5, 7),
    ("reboot", "M-H011", "", 2, 4),
    ("meter_clock", "M-H020", "", 2, 4),
    ("stuck", "M-H005", "", 2, 6),
    ("swapped", "M-H006", "M-H007", 7, 9),
    ("roll_over", "M-L001", "", 1, 2),
    ("garbled", "A1", "", 10, 11),
    ("dead_gateway", "A1", "", 13, 14),
    ("blackout", "A1", "", 16, 18),
    ("duplicated", "A1", "", 19, 20),
    ("reordered", "A1", "", 20, 21),
    ("cut_from_meters", "A1", "", 22, 23),
    ("cut_from_node", "A1", "", 24, 26),
    ("clock_step", "A1", "", 27, 28),
    ("dead_broker", "A1", "", 29, 30),
)
OF_METER = {"late", "lost", "exception", "no_value", "reset", "swapped", "word_swap"}
OF_AREA = {"garbled", "dead_gateway", "blackout", "cut_from_meters", "clock_step"}
NO_ANSWER = f"no answer within {AT_ONCE['timeout_ms']} ms"
SAID_BY_THE_AGENT = {
    "late": ("meter_not_read", "M-H001", NO_ANSWER),
    "lost": ("meter_not_read", "M-H002", NO_ANSWER),
    "exception": ("meter_not_read", "M-H003", "device answers with exception 4"),
    "no_value": ("reading_quarantined", "M-H008", "says 'no value'"),
    "reset": ("reading_doubted", "M-H004", "a cumulative register never goes back"),
    "word_swap": ("reading_quarantined", "M-H009", "too coarse for 10 Wh"),
    "swapped": ("reading_doubted", "M-H006", "a cumulative register never goes back"),
    "garbled": ("answer_refused", None, "no Modbus TCP header but 00 ff 55"),
    "reboot": ("reading_doubted", "M-H011", "a meter that boots shows 0"),
    "meter_clock": ("freeze_not_of_this_boundary", "M-H020", ""),
    "cut_from_meters": ("line_not_read", None, "Connection refused"),
    "cut_from_node": ("node_does_not_answer", None, "no node answers there"),
    "clock_step": ("boundaries_missed", None, ""),
    "dead_broker": ("not_observed", None, "broker loopback"),
}
QUALITIES = {ABSENT: "estimated, interpolated", ROLLED: "measured, rollover", UNSEEN: "not billed"}
"""Of the energies around readings that say what they must; else they are measured."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A night in the village in which everything goes wrong once."""
    folder = tmp_path_factory.mktemp("faults")
    path = Path(short_copy("village_day", folder, SLOTS))
    table = folder / "village.csv"
    table.write_text(table.read_text().replace("G4-A,18000", "G4-A,32000"))
    with path.open("a") as file:
        for speaks, homes in (("modbus_tcp", 9), ("dlt645", 1)):
            file.write(f'\n[[meters]]\nspeaks = "{speaks}"\nhomes_of_ten = {homes}\n')
        for kind, target, other, first, until in EVENTS:
            file.write(f'\n[[events]]\nlabel = "a {kind}"\nkind = "{kind}"\ntarget = "{target}"\n')
            file.write(f"from_slot = {first}\nuntil_slot = {until}\n")
            file.write(f'other = "{other}"\n' if other else "")
    return run_simulation(folder / "out", str(path))


def slots_of(told: Finished, name: str) -> dict[tuple[str, int], dict[str, str]]:
    """Rows of a table by meter and by which slot of the run they are of."""
    rows = told.rows(name)
    first_s = min(int(row["slot_start_s"]) for row in rows)
    return {(row["meter"], (int(row["slot_start_s"]) - first_s) // 900): row for row in rows}


def test_every_kind_of_event_is_among_them_and_is_labelled(told: Finished) -> None:
    assert {kind for kind, *_ in EVENTS} == {*METER_KINDS, *AREA_KINDS}
    assert told.labels() == list(EVENTS)
    assert told.json["faults"] == len(EVENTS)
    assert told.json["postings_sum_nano"] == 0
    assert told.json["readings_missing"] == told.json["readings_dropped"] > 0


def test_labels_do_not_reach_agents_or_ledger(told: Finished) -> None:
    places = [*(told.out / "run").glob("*.toml"), told.out / "ledger" / "blocks.log"]
    assert len(places) >= 3
    for path in places:
        assert b"a dead_gateway" not in path.read_bytes()


@pytest.mark.parametrize("kind", sorted(SAID_BY_THE_AGENT))
def test_the_agent_meets_the_fault_and_says_so(told: Finished, kind: str) -> None:
    event, meter, words = SAID_BY_THE_AGENT[kind]
    lines = [json.loads(line) for line in (told.out / "run" / "edge-1.log").read_text().splitlines() if line[0] == "{"]
    found = [
        f"{line.get('detail', '')} {line.get('reason', '')}"
        for line in lines
        if line["event"] == event and line.get("meter") == meter
    ]
    assert any(words in text for text in found), found


def test_energies_are_estimated_where_labels_say_that_readings_lack_and_nowhere_else(told: Finished) -> None:
    reported = slots_of(told, "reported.csv")
    meters = {meter for meter, _ in reported}
    expected: dict[str, set[int]] = defaultdict(set)
    for kind, target, other, first, until in EVENTS:
        if kind in OF_METER | OF_AREA:
            for meter in meters if kind in OF_AREA else {target, other} & meters:
                expected[meter] |= set(range(first - 1, until))
    assert len(meters) == 25
    for meter in meters:
        estimated = {slot for slot in range(SLOTS) if reported[meter, slot]["quality"] != "measured"}
        assert estimated == expected[meter], meter
        for slot in estimated:
            row = reported[meter, slot]
            assert (row["quality"], row["flags"]) == ("estimated", "interpolated"), "the gap is closed by now"


def test_labels_and_ledger_agree_on_every_kind(told: Finished) -> None:
    scores = score_run(told.out)
    assert {score.kind for score in scores} == {kind for kind, *_ in EVENTS}
    for score in scores:
        assert score.precision_percent == 100 or score.kind == "stuck", score
        assert score.recall_percent == 100 or score.kind == "stuck", score
        assert score.so > 0, score
        qualities = {quality.removesuffix(", frozen") for quality in score.qualities}  # of meters of DL/T 645
        assert qualities == {QUALITIES.get(score.sign, "measured")}, score


def test_readings_of_a_gateway_that_was_cut_off_come_late_and_are_settled_as_measured(told: Finished) -> None:
    first_s = int(told.rows("truth.csv")[0]["slot_start_s"])
    batches = [
        (int(line["boundary_s"]) - first_s) // 900
        for text in (told.out / "run" / "edge-1.log").read_text().splitlines()
        if text[0] == "{" and (line := json.loads(text))["event"] == "batch_queued"
    ]
    assert {24, 25} < set(batches), "the meters were read in time"
    assert told.json["corrections"] > 0


def test_a_register_that_rolls_over_is_measured_and_flagged(told: Finished) -> None:
    reported = slots_of(told, "reported.csv")
    flags = {slot: reported["M-L001", slot]["flags"] for slot in range(9)}
    assert flags == {slot: "rollover" if slot == 1 else "" for slot in range(9)}
    registers = [int(row["import_wh"] or -1) for row in told.rows("registers.csv") if row["meter"] == "M-L001"]
    assert registers[1] > 8 * 10**11 > 10**6 > registers[2] >= 0


def test_a_register_that_stands_still_is_measured_as_nothing_and_caught_up_later(told: Finished) -> None:
    reported, truth = slots_of(told, "reported.csv"), slots_of(told, "truth.csv")
    still = [int(reported["M-H005", slot]["import_wh"]) for slot in (2, 3, 4)]
    assert still == [0, 0, 0]
    missed = sum(int(truth["M-H005", slot]["import_wh"]) for slot in (2, 3, 4))
    assert missed > 100
    assert int(reported["M-H005", 5]["import_wh"]) > missed


def test_over_the_whole_night_every_meter_is_billed_what_flowed(told: Finished) -> None:
    reported, truth = slots_of(told, "reported.csv"), slots_of(told, "truth.csv")
    step_wh = {row["meter"]: int(row["resolution_wh"]) for row in told.rows("meters.csv")}
    meters = {meter for meter, _ in reported}
    assert len(meters) == 25
    for meter in meters:
        for name in ("import_wh", "export_wh"):
            billed, flowed = (sum(int(rows[meter, slot][name]) for slot in range(SLOTS)) for rows in (reported, truth))
            assert abs(billed - flowed) < 2 * step_wh[meter], meter


def test_in_a_blackout_nothing_flows(told: Finished) -> None:
    truth = slots_of(told, "truth.csv")
    meters = {meter for meter, _ in truth}
    for slot in (16, 17):
        assert {truth[meter, slot][name] for meter in meters for name in ("import_wh", "export_wh")} == {"0"}
    assert sum(int(truth[meter, 18]["import_wh"]) for meter in meters) > 0
    losses = [int(row["loss_wh"]) for row in told.rows("losses.csv")]
    assert [wh == 0 for wh in losses] == [slot in (16, 17) for slot in range(SLOTS)]
