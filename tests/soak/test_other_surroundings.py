"""Two days in which every kind of fault and every fraud comes, with chance, drifting clocks and devices: the same to the last byte in other surroundings."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.simulating.fault_scores import FAULT_KINDS, score_run
from simulators.scenarios.schema import EXCHANGED, FRAUD_KINDS
from tests.demo.demo_run import ABROAD, one_processor, run_simulation
from tests.demo.rough_street import Trouble, differing_files, events_toml
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.soak
SLOTS = 200
SECOND_DAY = (
    Trouble("lost", "A1", 90, 93, "", 20),
    Trouble("cut_from_node", "A1", 93, 97, "", 50),
    Trouble("h1", "M-H016", 126, 156),
    Trouble("h2", "M-H017", 98, 194),
    Trouble("h3", "M-H003", 126, 156),
    Trouble("h4", "M-H004", 126, 156),
    Trouble("h5", "M-H018", 98, 194),
    Trouble("h6", "M-H010", 98, 194),
    Trouble("bypass", "M-H011", 126, 156),
    Trouble("pv_over_report", "M-H014", 136, 156),
    Trouble("reversed_ct", "M-L001", 126, 156),
    Trouble("stopped", "M-H005", 98, 103),
    Trouble("collusion", "M-H006", 98, 103, "M-H007"),
    Trouble("rollback", "M-H012", 193, 198),
    Trouble("replay", "M-H013", 193, 197),
    Trouble("stolen_key", "A1", 99, 101),
    Trouble("exchanged", "M-H021", 100, 101, "M-N021"),
    Trouble("exception", "M-H002", 100, 196, "", 5),
)
"""Behind the day of the scenario ``fault_day``."""
AT_CHEATED_METERS = {"no_value", "roll_over", "word_swap", "reboot"}
"""Kinds that come on the first day alone at meters that are cheated at on the second: these are not scored."""
DEVICES = '\n[mqtt_devices]\nhomes_of_ten = [4]\nprofiles = ["shelly_pro3em", "tasmota_sml", "zigbee2mqtt_meter"]\n'


def scenario(folder: Path) -> str:
    """The scenario's file."""
    folder.mkdir()
    path = Path(short_copy("fault_day", folder, SLOTS))
    head, mark, events = path.read_text().partition("\n[[events]]")
    path.write_text(f"{head}{DEVICES}{mark}{events}{events_toml(SECOND_DAY)}")
    return str(path)


def test_two_days_on_which_all_goes_wrong_are_the_same_bytes_elsewhere_and_on_one_processor(tmp_path: Path) -> None:
    home = run_simulation(tmp_path / "home" / "out", scenario(tmp_path / "home"))
    with one_processor():
        abroad = run_simulation(tmp_path / "abroad" / "out", scenario(tmp_path / "abroad"), surroundings=ABROAD)
    assert home.json["results_root"] == abroad.json["results_root"]
    assert differing_files(home, abroad) == []
    assert home.json["readings_missing"] == home.json["readings_dropped"]
    assert {row["kind"] for row in home.rows("events.csv")} == {*FAULT_KINDS, *FRAUD_KINDS, EXCHANGED}
    scores = score_run(home.out)
    assert {score.kind for score in scores if not score.concerned} == AT_CHEATED_METERS
    shares = {(score.recall_percent, score.precision_percent) for score in scores if score.concerned}
    assert shares == {(100.0, 100.0)}
