"""The data of a demonstration as a folder that ``settle files`` takes: its registers, its orders, its rules."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from simulators.scenarios.schema import SLOT_S


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def make_folder_of_demo(demo: Path, folder: Path) -> Path:
    """Write the folder. Loads that nobody is billed for are billed under their own names; the feeder does not settle."""
    folder.mkdir()
    meters = [row for row in _rows(demo / "meters.csv") if row["role"] != "feeder"]
    points = [f"{row['meter']},{row['party'] or row['meter']},{row['area']}\n" for row in meters]
    (folder / "points.csv").write_text("point,party,area\n" + "".join(points))
    settled = {row["meter"] for row in meters}
    registers = ["time,point,import_kwh,export_kwh\n"]
    for row in _rows(demo / "registers.csv"):
        if row["meter"] in settled:
            time = datetime.fromtimestamp(int(row["boundary_s"]), UTC).isoformat()
            kwh = [f"{int(row[column]) // 1000}.{int(row[column]) % 1000:03}" for column in ("import_wh", "export_wh")]
            registers.append(f"{time},{row['meter']},{','.join(kwh)}\n")
    (folder / "registers.csv").write_text("".join(registers))
    (folder / "orders.csv").write_bytes((demo / "orders.csv").read_bytes())
    rules = (demo / "rules.toml").read_text()
    rules = rules.replace("[market]", '[market]\ncontract = "p2p_call_auction/1"')
    rules = rules.replace("[timeline]", f'[timeline]\nslot_s = {SLOT_S}\ntimezone = "Asia/Shanghai"')
    (folder / "rules.toml").write_text(rules)
    return folder
