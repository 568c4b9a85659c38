"""A street of mixed meters, each on its own protocol and line, settles as one whose meters are all alike."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gridcore.envelope import decode_transaction
from gridcore.observations import decode_observations
from gridcore.transactions.reading_batch import ReadingBatch
from gridcore.transactions.readings import split_attachment
from gridledger.cli import main
from gridledger.simulating.fault_scores import AS_IT_STOOD, score_run
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.demo.demo_run import Finished, run_simulation
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS = 6
SAME_FILES = ("meters", "truth", "fills", "orders", "postings", "registers", "settlement", "statements")


def street(folder: Path, slots: int, *, is_mixed: bool) -> str:
    """The first slots of the scenario ``mixed_street``, or of the same with meters that are all the usual ones."""
    path = Path(short_copy("mixed_street", folder, slots))
    text = re.sub(r"^slots = \d+$", f"slots = {slots}", path.read_text(), flags=re.MULTILINE)
    if not is_mixed:
        text = re.sub(r"# Of each ten homes.*?(?=^\[pv\])", "", text, flags=re.MULTILINE | re.DOTALL)
    path.write_text(text)
    assert ("[[meters]]" in text) == is_mixed
    return str(path)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The mixed street, through agents."""
    folder = tmp_path_factory.mktemp("mixed")
    return run_simulation(folder / "out", street(folder, SLOTS, is_mixed=True))


def test_a_mixed_street_settles_as_one_whose_meters_are_all_alike(mixed: Finished, tmp_path: Path) -> None:
    plain = run_simulation(tmp_path / "out", street(tmp_path, SLOTS, is_mixed=False))
    assert mixed.json["results_root"] == plain.json["results_root"]
    assert mixed.json["readings_missing"] == 0
    tables = [
        [(run.out / f"{name}.csv").read_bytes() for name in SAME_FILES if name != "meters"] for run in (mixed, plain)
    ]
    assert tables[0] == tables[1]
    # registers of DL/T 645 start again at 10**9 Wh, and these meters alone differ
    differ = {a["meter"] for a, b in zip(mixed.rows("meters.csv"), plain.rows("meters.csv"), strict=True) if a != b}
    assert differ == {f"M-H{ten + home:03d}" for ten in (0, 10, 20) for home in (8, 9, 10) if ten + home <= 24}


def test_every_meter_of_it_is_measured_and_those_whose_clock_is_right_are_frozen(mixed: Finished) -> None:
    rows = mixed.rows("reported.csv")
    assert len(rows) == SLOTS * 25
    assert {row["quality"] for row in rows} == {"measured"}
    first_s = int(rows[0]["slot_start_s"])
    labels = {
        (row["target"], (int(row["from_s"]) - first_s) // 900, (int(row["until_s"]) - first_s) // 900)
        for row in mixed.rows("events.csv")
    }
    assert {row["kind"] for row in mixed.rows("events.csv")} == {"clock_drift"}
    assert labels == {("M-H009", 1, SLOTS + 1), ("M-H010", 1, 6), ("M-H020", 1, 2)}
    off = {(meter, slot) for meter, first, until in labels for slot in range(first - 1, until - 1)}
    frozen = {(row["meter"], (int(row["slot_start_s"]) - first_s) // 900) for row in rows if row["flags"] == "frozen"}
    dlt645 = {f"M-H{home:03d}" for home in (8, 9, 10, 18, 19, 20)}
    assert frozen == {(meter, slot) for meter in dlt645 for slot in range(SLOTS)} - off
    assert {row["flags"] for row in rows} == {"", "frozen"}


def test_labels_of_clocks_and_ledger_agree(mixed: Finished) -> None:
    (score,) = score_run(mixed.out)
    assert (score.kind, score.sign, score.concerned) == ("clock_drift", AS_IT_STOOD, SLOTS + 5 + 1)
    assert (score.recall_percent, score.precision_percent) == (100.0, 100.0)
    assert score.qualities <= {"measured", "measured, frozen"}
    assert "电表时钟漂移" in (mixed.out / "report.html").read_text()


def test_its_agent_reads_each_meter_by_its_protocol_and_profile(mixed: Finished) -> None:
    config = tomllib.loads((mixed.out / "run" / "edge-1.toml").read_text())
    framer_of = {line["line"]: line["framer"] for line in config["lines"]}
    read = {(framer_of[meter["line"]], meter["profile"]) for meter in config["meters"]}
    assert read == {
        ("socket", "eastron_sdm630"),
        ("socket", "abb_b23"),
        ("socket", "acrel_adl400"),
        ("rtu", "eastron_sdm72"),
        ("rtu", "hiking_dds238"),
        ("dlt645", "dlt645_2007"),
    }
    hung = [sum(meter["line"] == line for meter in config["meters"]) for line in framer_of if line.startswith("rtu")]
    assert hung == [5, 4]


def test_the_ledger_has_what_every_mqtt_device_beside_a_meter_says(mixed: Finished) -> None:
    config = tomllib.loads((mixed.out / "run" / "edge-1.toml").read_text())
    devices = {device["device"] for device in config["devices"]}
    assert {device["profile"] for device in config["devices"]} == {"shelly_pro3em", "tasmota_sml", "zigbee2mqtt_meter"}
    assert len(devices) in (8, 9, 10, 11, 12)
    seen: dict[int, set[str]] = {}
    with reading(mixed.out / "ledger", CONTRACTS) as reader:
        wires = [done.wire for height in range(1, reader.height + 1) for done in reader.transactions(height)]
    for transaction in map(decode_transaction, wires):
        batch = ReadingBatch.decode(transaction) if transaction.kind == ReadingBatch.kind else None
        if batch is not None and batch.observations is not None:
            observed = decode_observations(split_attachment(transaction.attachment)[2])
            there = {observed.names[row.device] for row in observed.rows if row.device in observed.names}
            seen.setdefault(batch.boundary_s, set()).update(there)
    assert len(seen) == SLOTS + 1
    assert [devices - found for found in seen.values()][1:] == [set()] * SLOTS


def test_without_agents_it_settles_the_same(
    mixed: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "direct"
    assert main(["simulate", "run", street(tmp_path, SLOTS, is_mixed=True), "--direct", "--out", str(out)]) == 0
    assert "SIMULATED" in capsys.readouterr().out
    assert (out / "settlement.csv").read_bytes() == (mixed.out / "settlement.csv").read_bytes()
