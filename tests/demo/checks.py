"""What must hold of every finished demonstration, whatever its size and whatever happened to its processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from gridcore import cbor
from gridcore.header import decode_header
from gridcore.sm import is_valid_signature
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.directory import load_genesis
from ledger.store.state_db import DB_NAME, StateDb
from tests.demo.demo_run import EXECUTABLE, Finished, processes_of
from tests.twin.twin import Twin

INDEPENDENT = Path(__file__).resolve().parent.parent / "independent"

# INTERFACE.md, "gridledger demo"
JSON_KEYS = (
    "slots meters readings_expected readings_committed readings_missing orders fills energy_traded_wh postings "
    "postings_sum_nano height state_root results_root wall_s out"
).split()
FILE_COLUMNS = {
    "meters.csv": "meter,area,party,role,ratio,resolution_wh,modulus_wh,limit_wh,start_import_wh,start_export_wh",
    "truth.csv": "slot_start_s,meter,import_wh,export_wh",
    "losses.csv": "slot_start_s,area,loss_wh",
    "voltages.csv": "slot_start_s,meter,voltage_mv",
    "loadings.csv": "slot_start_s,area,element,loading_per_mille",
    "violations.csv": "slot_start_s,area,kind,element,value_per_mille,limit_per_mille",
    "events.csv": "label,kind,target,other,from_s,until_s",
    "reported.csv": "slot_start_s,meter,import_wh,export_wh,quality,flags",
    "registers.csv": "boundary_s,meter,import_wh,export_wh,quality",
    "orders.csv": "slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh",
    "fills.csv": "slot_start_s,order,filled_wh,price_micro_per_kwh",
    "postings.csv": "slot_start_s,account,debit_nano,credit_nano,run",
    "statements.csv": "run,party,slot_start_s,line_kind,energy_wh,price_micro_per_kwh,amount_nano,account",
    "settlement.csv": "party,import_wh,export_wh,bought_wh,sold_wh,pays_nano,supplier_only_nano",
}
OTHER_FILES = ("manifest.json", "rules.toml", "sample.evd", "sample.book", "scenario.toml", "trust.json", "verify.py")
RESULT_FILES = (*FILE_COLUMNS, "report.html", "rules.toml")
METERS_PER_AREA, HOUSEHOLDS_PER_AREA, SLOT_S = 154, 113, 900
FIRST_SLOT_S = 1_781_971_200  # 21 June 2026 00:00 in Shanghai


def check_summary(demo: Finished, *, households: int, slots: int) -> None:
    """The JSON object: its keys, its counts, its agreement with the files."""
    answer = demo.json
    areas = -(-households // HOUSEHOLDS_PER_AREA)
    assert list(answer) == JSON_KEYS
    assert "Traceback" not in demo.stderr, demo.explain()
    assert answer["out"] == str(demo.out)
    assert answer["slots"] == slots
    assert answer["meters"] == METERS_PER_AREA * areas
    assert answer["readings_expected"] == answer["meters"] * (slots + 1)
    assert answer["readings_committed"] == answer["readings_expected"]
    assert answer["readings_missing"] == 0
    assert answer["postings_sum_nano"] == 0
    assert answer["energy_traded_wh"] > 0
    assert 0 < answer["wall_s"] <= demo.seconds + 1
    assert answer["height"] > slots
    assert [len(bytes.fromhex(answer[key])) for key in ("state_root", "results_root")] == [32, 32]
    orders, fills, postings = (demo.rows(f"{name}.csv") for name in ("orders", "fills", "postings"))
    assert [answer[name] for name in ("orders", "fills", "postings")] == [len(orders), len(fills), len(postings)]
    buys = {order["order"] for order in orders if order["side"] == "buy"}
    assert answer["energy_traded_wh"] == sum(int(fill["filled_wh"]) for fill in fills if fill["order"] in buys)
    assert len({order["party"] for order in orders}) == households


def check_files(demo: Finished, *, slots: int) -> None:
    """Every file is there, with exactly its columns, over exactly its slots and boundaries."""
    for name, columns in FILE_COLUMNS.items():
        text = (demo.out / name).read_bytes()
        assert text.split(b"\n", 1)[0].decode() == columns, name
        assert b"\r" not in text, name
        assert text.endswith(b"\n"), name
    for name in OTHER_FILES:
        assert (demo.out / name).stat().st_size > 0, name
    meters = {row["meter"]: row for row in demo.rows("meters.csv")}
    boundaries = [str(FIRST_SLOT_S + SLOT_S * index) for index in range(slots + 1)]
    for name, column, times in (
        ("registers.csv", "boundary_s", boundaries),
        ("truth.csv", "slot_start_s", boundaries[:-1]),
    ):
        found = Counter((row[column], row["meter"]) for row in demo.rows(name))
        assert found == Counter((time, meter) for time in times for meter in meters), name
    assert {row["quality"] for row in demo.rows("registers.csv")} == {"measured"}
    homes = {row["party"] for row in meters.values() if row["role"] == "household"}
    assert {order["party"] for order in demo.rows("orders.csv")} <= homes
    assert {row["run"] for name in ("postings.csv", "statements.csv") for row in demo.rows(name)} == {"initial"}
    manifest = json.loads((demo.out / "manifest.json").read_text())
    assert manifest["seed"] == 7


def check_independently(demo: Finished) -> None:
    """Scripts that import nothing of ours come to the same integers, root and physics."""
    for script, *more in (["recompute.py"], ["physics.py"], ["results_root.py", demo.json["results_root"]]):
        command = [sys.executable, "-I", "-S", str(INDEPENDENT / script), str(demo.out), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


def check_ledger_command(demo: Finished) -> None:
    """``gridledger node check`` replays the blocks from genesis and finds nothing wrong."""
    command = [str(EXECUTABLE), "node", "check", "--data", str(demo.out / "ledger"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    report = json.loads(done.stdout)
    assert report["holds"] is True
    assert report["problems"] == []
    assert (report["height"], report["state_root"]) == (demo.json["height"], demo.json["state_root"])


def check_replay_by_twin(demo: Finished) -> None:
    """The slow twin comes from the stored blocks to the stored state root at every height."""
    data = demo.out / "ledger"
    genesis = load_genesis(data)
    twin = Twin(cbor.decode(genesis.encode()))
    db = StateDb.open(data / DB_NAME, genesis.digest)
    log = BlockLog.inspect(data / LOG_NAME)
    try:
        for scanned in log.scan():
            record = scanned.record
            stored = db.load_header(record.height)
            assert stored is not None
            codes = twin.apply_block(record.height, record.time_s, record.transactions, is_valid_signature)
            assert twin.ledger_time_s == decode_header(stored).ledger_time_s
            assert twin.state_root() == decode_header(stored).state_root, f"block {record.height}, codes {codes}"
        assert log.damage is None
        assert log.height == demo.json["height"]
        assert twin.state_root().hex() == demo.json["state_root"]
    finally:
        log.close()
        db.close()


def check_nothing_left_running(demo: Finished) -> None:
    """It ends by itself, and so do its processes."""
    assert processes_of(demo.out) == []


def verify_alone(folder: Path, bundle: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the folder's own verifier as a stranger would: on the interpreter alone, from another place."""
    elsewhere = bundle.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    verifier = shutil.copy(folder / "verify.py", elsewhere)
    command = [sys.executable, "-I", "-S", str(verifier), str(bundle), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=elsewhere)
