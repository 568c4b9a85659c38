"""Fraud through real meters, agents and ledger: the ledger settles what meters count, the truth stays beside it, a stolen key is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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
from simulators.grid.world import build_world
from simulators.scenarios.gallery import find_scenario
from tests.demo.demo_run import EXECUTABLE, Finished, run_simulation
from tests.demo.test_simulate_faults import slots_of
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS = 8
LIVE_RULES = """rules_version = 1
limits.percent_max = 2
keys.refused_per_day_max = 0
gaps.boundaries_max = 1
"""
FRAUDS = (
    ("stopped", "M-H005", "", 2, 7),
    ("collusion", "M-H006", "M-H007", 2, 7),
    ("stolen_key", "A1", "", 3, 5),
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two hours of a night in the village."""
    folder = tmp_path_factory.mktemp("fraud")
    path = Path(short_copy("village_day", folder, SLOTS))
    with path.open("a") as file:
        for kind, target, other, first, until in FRAUDS:
            file.write(f'\n[[events]]\nlabel = "a {kind}"\nkind = "{kind}"\ntarget = "{target}"\n')
            file.write(f"from_slot = {first}\nuntil_slot = {until}\n")
            file.write(f'other = "{other}"\n' if other else "")
    with watched_live(folder):
        return run_simulation(folder / "out", str(path))


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


def test_the_ledger_settles_what_meters_count_and_the_truth_is_another_thing(told: Finished) -> None:
    reported, truth = slots_of(told, "reported.csv"), slots_of(told, "truth.csv")

    def taken_wh(rows: dict[tuple[str, int], dict[str, str]], *meters: str) -> int:
        return sum(int(rows[meter, slot]["import_wh"]) for meter in meters for slot in range(2, 7))

    assert taken_wh(truth, "M-H005") > 100
    assert taken_wh(reported, "M-H005") == 0
    assert taken_wh(reported, "M-H006") < taken_wh(truth, "M-H006") - 20
    pair = ("M-H006", "M-H007")
    assert abs(taken_wh(reported, *pair) - taken_wh(truth, *pair)) <= 40
    assert abs(taken_wh(reported, "M-H008") - taken_wh(truth, "M-H008")) <= 20
    assert {row["quality"] for row in reported.values()} == {"measured"}


def test_batches_of_a_stolen_key_are_refused_and_the_gateways_own_go_on(told: Finished) -> None:
    assert told.json["readings_missing"] == 0
    with reading(told.out / "ledger", CONTRACTS) as reader:
        refused = [
            done.code
            for height in range(1, reader.height + 1)
            for done in reader.transactions(height)
            if done.code != Code.ACCEPTED and decode_transaction(done.wire).signer == "gateway-1"
        ]
    assert refused == [Code.COUNTER_PASSED, Code.COUNTER_PASSED]


def test_the_watch_over_the_ledger_says_what_it_says_of_the_simulators_columns(told: Finished) -> None:
    rules = Rules(
        rules_version=1,
        limits=Limits(1),
        standstill=Standstill(1, 3),
        flat=Flat(10_000, 1_000, 1),
        gaps=Gaps(0),
        keys=Keys(0),
        voltage=Voltage(1, 0, 1),
    )
    world = build_world(find_scenario(str(told.out.parent / "village_day.toml")).scenario)
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
    assert {alert["rule"] for alert in replayed} == {"limits", "keys"}
    assert sorted(standing, key=str) == sorted(replayed, key=str)


def test_no_label_reaches_the_agent_or_the_ledger(told: Finished) -> None:
    assert [row["kind"] for row in told.rows("events.csv")] == [kind for kind, *_ in FRAUDS]
    for path in (told.out / "run" / "edge-1.toml", told.out / "ledger" / "blocks.log"):
        assert b"a collusion" not in path.read_bytes()
