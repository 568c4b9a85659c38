"""Fraud through real meters, agents and ledger: the ledger settles what meters count, the truth stays beside it, a stolen key is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridledger.cli import main
from gridwatch.ledger_source import watched_ledger
from gridwatch.rules import Flat, Gaps, Keys, Limits, Rules, Standstill, Voltage
from gridwatch.watch import alerts_of
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from simulators.detection.reported import reported
from simulators.grid.metering import MeterSpec
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import FRAUD_KINDS
from tests.demo.demo_run import EXECUTABLE, Finished, run_simulation
from tests.demo.test_simulate_faults import slots_of
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS = 104
LIVE_RULES = """rules_version = 1
limits.percent_max = 2
keys.refused_per_day_max = 0
gaps.boundaries_max = 1
"""
FRAUDS = (
    ("h1", "M-H016", "", 30, 60),
    ("h2", "M-H017", "", 2, 98),
    ("h3", "M-H003", "", 30, 60),
    ("h4", "M-H004", "", 30, 60),
    ("h5", "M-H018", "", 2, 98),
    ("h6", "M-H010", "", 2, 98),
    ("bypass", "M-H011", "", 30, 60),
    ("pv_over_report", "M-H014", "", 40, 60),
    ("reversed_ct", "M-L001", "", 30, 60),
    ("stopped", "M-H005", "", 2, 7),
    ("collusion", "M-H006", "M-H007", 2, 7),
    ("rollback", "M-H012", "", 97, 102),
    ("replay", "M-H013", "", 97, 101),
    ("stolen_key", "A1", "", 3, 5),
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A day and two hours in the village, where two homes trade."""
    folder = tmp_path_factory.mktemp("fraud")
    path = Path(short_copy("village_day", folder, SLOTS))
    path.write_text(path.read_text().replace("trading = 24", "trading = 2"))
    with path.open("a") as file:
        for kind, target, other, first, until in FRAUDS:
            file.write(f'\n[[events]]\nlabel = "a {kind}"\nkind = "{kind}"\ntarget = "{target}"\n')
            file.write(f"from_slot = {first}\nuntil_slot = {until}\n")
            file.write(f'other = "{other}"\n' if other else "")
    with watched_live(folder):
        return run_simulation(folder / "out", str(path))


@pytest.fixture(scope="module")
def world(told: Finished) -> World:
    """What the simulator knows of it."""
    return build_world(find_scenario(str(told.out.parent / "village_day.toml")).scenario)


@contextmanager
def watched_live(folder: Path) -> Iterator[None]:
    """The watch beside the run: from when there is a ledger until the run has ended; what it says goes to ``watch.jsonl``."""
    (folder / "rules.toml").write_text(LIVE_RULES)
    place = f"{EXECUTABLE} watch follow --data out/ledger --copy copy --rules rules.toml --every 1 --json"
    command = f"until [ -e out/ledger/state.db ]; do sleep 0.1; done; exec {place}"
    with (folder / "watch.jsonl").open("wb") as told:
        watch = subprocess.Popen(["/bin/sh", "-c", command], cwd=folder, stdout=told, stderr=subprocess.PIPE)
        try:
            yield
        finally:
            (folder / "live.jsonl").write_bytes((folder / "watch.jsonl").read_bytes())
            watch.terminate()
            assert watch.communicate(timeout=30)[1] == b""
            assert watch.returncode == 1, "there are alerts"


def test_labels_say_who_cheats_and_when(told: Finished) -> None:
    assert told.labels() == list(FRAUDS)
    assert {kind for kind, *_ in FRAUDS} == set(FRAUD_KINDS)


def test_registers_on_the_ledger_are_the_columns_that_each_fraud_makes(told: Finished, world: World) -> None:
    on_ledger = {
        (row["meter"], int(row["boundary_s"])): (row["import_wh"], row["export_wh"])
        for row in told.rows("registers.csv")
    }
    columns, differ = {}, set()
    for boundary, boundary_s in enumerate(world.boundary_s.tolist()):
        counted, true = world.counted_registers(boundary), world.true_registers(boundary)
        for at, meter in enumerate(world.meters):
            shown = [str(shown_wh(meter, int(register[at]))) for register in counted]
            is_taken = not world.not_taken[boundary, at]
            columns[meter.meter, boundary_s] = (shown[0], shown[1]) if is_taken else ("", "")
            if shown != [str(shown_wh(meter, int(register[at]))) for register in true]:
                differ.add(meter.meter)
    assert on_ledger == columns
    assert differ == {meter for _, target, other, *_ in FRAUDS for meter in (target, other) if meter.startswith("M-")}


def shown_wh(meter: MeterSpec, counted_wh: int) -> int:
    """What its register shows."""
    within_wh = counted_wh % meter.modulus_wh if meter.modulus_wh else counted_wh
    return within_wh // meter.resolution_wh * meter.resolution_wh


def test_the_truth_is_that_of_a_world_in_which_nobody_cheats(told: Finished, world: World) -> None:
    honest = build_world(replace(world.scenario, events=()))
    flowed = {place: (row["import_wh"], row["export_wh"]) for place, row in slots_of(told, "truth.csv").items()}
    columns = {
        (meter.meter, slot): (str(honest.import_wh[slot, at]), str(honest.export_wh[slot, at]))
        for at, meter in enumerate(honest.meters)
        for slot in range(SLOTS)
    }
    assert flowed == columns


@pytest.mark.parametrize(
    ("meters", "first", "until", "taken_percent", "given_percent"),
    [
        (("M-H016",), 30, 60, (10, 80), (100, 100)),
        (("M-H017",), 2, 98, (0, 90), (100, 100)),
        (("M-H003",), 30, 60, (10, 80), (100, 100)),
        (("M-H004",), 30, 60, (10, 80), (100, 100)),
        (("M-H018",), 2, 98, (100, 100), (100, 100)),
        (("M-H010",), 2, 98, (100, 100), (100, 100)),
        (("M-H011",), 30, 60, (10, 80), (100, 100)),
        (("M-H014",), 40, 60, (100, 100), (120, 160)),
        (("M-L001",), 30, 60, (0, 0), (100, 100)),
        (("M-H005",), 2, 7, (0, 0), (100, 100)),
        (("M-H006",), 2, 7, (10, 80), (100, 100)),
        (("M-H006", "M-H007"), 2, 7, (100, 100), (100, 100)),
        (("M-H015",), 2, 98, (100, 100), (100, 100)),
    ],
)
def test_the_ledger_bills_what_is_counted_and_measured_and_of_what_flowed_such_a_share(
    told: Finished,
    meters: tuple[str, ...],
    first: int,
    until: int,
    taken_percent: tuple[int, int],
    given_percent: tuple[int, int],
) -> None:
    reported, truth = slots_of(told, "reported.csv"), slots_of(told, "truth.csv")
    step_wh = sum(int(row["resolution_wh"]) for row in told.rows("meters.csv") if row["meter"] in meters)
    places = [(meter, slot) for meter in meters for slot in range(first, until)]
    assert {reported[place]["quality"] for place in places} == {"measured"}
    for name, (low, high) in (("import_wh", taken_percent), ("export_wh", given_percent)):
        billed_wh, true_wh = (sum(int(rows[place][name]) for place in places) for rows in (reported, truth))
        if meters == ("M-L001",) and name == "export_wh":  # the current transformer is the other way round
            true_wh = sum(int(truth[place]["import_wh"]) for place in places)
        assert low * true_wh // 100 - step_wh <= billed_wh <= high * true_wh // 100 + step_wh, name


def test_registers_that_were_set_back_or_replayed_are_not_taken_and_their_slots_are_estimated(told: Finished) -> None:
    reported = slots_of(told, "reported.csv")
    estimated = {place for place, row in reported.items() if row["quality"] != "measured"}
    assert {meter for meter, _ in estimated} == {"M-H012", "M-H013"}
    assert {slot for meter, slot in estimated if meter == "M-H013"} == set(range(96, 101))
    assert {slot for meter, slot in estimated if meter == "M-H012"} >= {97, 98}
    told_rows = [row for row in told.rows("registers.csv") if row["meter"] in ("M-H012", "M-H013")]
    assert sum(row["import_wh"] == "" for row in told_rows) == told.json["readings_missing"] > 4


def test_batches_of_a_stolen_key_are_refused_and_the_gateways_own_go_on(told: Finished) -> None:
    assert told.json["readings_missing"] == told.json["readings_dropped"]
    with reading(told.out / "ledger", CONTRACTS) as reader:
        refused = [
            done.code
            for height in range(1, reader.height + 1)
            for done in reader.transactions(height)
            if done.code != Code.ACCEPTED and decode_transaction(done.wire).signer == "gateway-1"
        ]
    assert refused == [Code.COUNTER_PASSED, Code.COUNTER_PASSED]


def test_the_watch_over_the_ledger_says_what_it_says_of_the_simulators_columns(told: Finished, world: World) -> None:
    rules = Rules(
        rules_version=1,
        limits=Limits(1),
        standstill=Standstill(1, 3),
        flat=Flat(10_000, 1_000, 1),
        gaps=Gaps(0),
        keys=Keys(0),
        voltage=Voltage(1, 0, 1),
    )
    with reading(told.out / "ledger", CONTRACTS) as reader:
        of_ledger = watched_ledger(reader)
    of_columns = reported(world)
    for mine, theirs in zip(of_ledger.areas, of_columns.areas, strict=True):
        assert mine.meters == theirs.meters
        for name in ("boundary_s", "import_wh", "export_wh", "voltage_mv"):
            assert (getattr(mine, name) == getattr(theirs, name)).all(), name
        assert (mine.height > 0).all()
    alerts = alerts_of(of_ledger, rules)
    assert [alert._replace(blocks=()) for alert in alerts] == alerts_of(of_columns, rules)
    assert {"limits", "keys"} <= {alert.rule for alert in alerts}
    assert all(alert.blocks for alert in alerts)


def test_a_watch_beside_the_run_has_told_alerts_before_its_end_and_all_that_a_replay_finds_after_it(
    told: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = told.out.parent
    assert (folder / "live.jsonl").read_text().count('"found": true') > 2
    standing: list[dict[str, Any]] = []
    for line in (folder / "watch.jsonl").read_text().splitlines():
        alert = json.loads(line)
        standing.append(alert) if alert.pop("found") else standing.remove(alert)
    words = ["--data", str(told.out / "ledger"), "--rules", str(folder / "rules.toml"), "--json"]
    assert main(["watch", "replay", *words]) == 1
    replayed = json.loads(capsys.readouterr().out)["alerts"]
    assert {"limits", "keys"} <= {alert["rule"] for alert in replayed}
    assert sorted(standing, key=str) == sorted(replayed, key=str)


def test_no_label_reaches_the_agent_or_the_ledger(told: Finished) -> None:
    for path in (told.out / "run" / "edge-1.toml", told.out / "ledger" / "blocks.log"):
        assert b"a collusion" not in path.read_bytes()
