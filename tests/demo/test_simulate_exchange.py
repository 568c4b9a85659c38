"""The day on which meters are exchanged, two hours of it: registry, gateway and settlement follow, and no energy is lost at a change."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.demo.demo_run import Finished, run_simulation
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS = 8
EARLIER = 32
"""By so many slots the exchanges come earlier here than in the gallery."""
EXCHANGES = {
    "M-H001": ("M-H101", 2),
    "M-H006": ("M-H106", 4),
    "M-H007": ("M-H107", 4),
    "M-L001": ("M-L101", 5),
    "M-F1": ("M-F101", 6),
}
"""By the meter that goes: the one that comes, and the slot."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two hours of that day, the fitters by night."""
    folder = tmp_path_factory.mktemp("exchange")
    path = Path(short_copy("meter_exchange_day", folder, SLOTS))
    by_night = re.sub(r"(?<=_slot = )\d+", lambda found: str(int(found[0]) - EARLIER), path.read_text())
    path.write_text(by_night)
    return run_simulation(folder / "out", str(path))


def boundary_of(told: Finished, row: dict[str, str]) -> int:
    """Which boundary of the run a row is of."""
    return (int(row["boundary_s"]) - int(told.rows("truth.csv")[0]["slot_start_s"])) // 900


def test_nothing_is_missing_or_estimated_and_the_books_balance(told: Finished) -> None:
    answer = told.json
    assert (answer["readings_missing"], answer["estimated"], answer["corrections"]) == (0, 0, 0)
    assert answer["postings_sum_nano"] == 0
    assert {(row["quality"], row["flags"]) for row in told.rows("reported.csv")} == {("measured", "")}


def test_readings_are_told_of_the_meter_that_hung_there_at_their_boundary(told: Finished) -> None:
    found: dict[str, set[int]] = {}
    for row in told.rows("registers.csv"):
        found.setdefault(row["meter"], set()).add(boundary_of(told, row))
    for old, (new, slot) in EXCHANGES.items():
        assert found[old] == set(range(slot + 1))
        assert found[new] == set(range(slot + 1, SLOTS + 1))
    assert len(found) == 26 + len(EXCHANGES)


def test_new_meters_count_from_nothing(told: Finished) -> None:
    rows = {(row["meter"], boundary_of(told, row)): row for row in told.rows("registers.csv")}
    for old, (new, slot) in EXCHANGES.items():
        before, after = rows[old, slot], rows[new, slot + 1]
        limit_wh = next(int(row["limit_wh"]) for row in told.rows("meters.csv") if row["meter"] == old)
        assert int(before["import_wh"]) > 1_000_000
        assert int(after["import_wh"]) + int(after["export_wh"]) < limit_wh


def test_what_is_settled_over_a_change_is_what_flowed_within_the_steps_of_both_registers(told: Finished) -> None:
    step_wh = {row["meter"]: int(row["resolution_wh"]) for row in told.rows("meters.csv")}
    reported, truth = told.rows("reported.csv"), told.rows("truth.csv")
    settling = sorted(EXCHANGES.keys() & {row["meter"] for row in reported})
    assert settling == ["M-H001", "M-H006", "M-H007", "M-L001"]
    for old in settling:
        pairs = [
            (int(flowed[name]), int(billed[name]))
            for name in ("import_wh", "export_wh")
            for flowed, billed in zip(of_meter(truth, old), of_meter(reported, old), strict=True)
        ]
        assert len(pairs) == 2 * SLOTS
        assert sum(true_wh for true_wh, _ in pairs) > 0
        assert abs(sum(true_wh - billed_wh for true_wh, billed_wh in pairs)) < 3 * step_wh[old], old
        assert max(abs(true_wh - billed_wh) for true_wh, billed_wh in pairs) <= 2 * step_wh[old], old


def of_meter(rows: list[dict[str, str]], meter: str) -> list[dict[str, str]]:
    """The rows of one meter."""
    return [row for row in rows if row["meter"] == meter]


def test_the_gateway_reads_by_its_new_table_and_believes_every_reading(told: Finished) -> None:
    table = (told.out / "run" / "edge-1.toml").read_text()
    lines = [json.loads(line) for line in (told.out / "run" / "edge-1.log").read_text().splitlines() if line[0] == "{"]
    for old, (new, _) in EXCHANGES.items():
        assert f'meter = "{new}"' in table
        assert f'meter = "{old}"' not in table
    said = {line["event"] for line in lines}
    assert "agent_started" in said
    assert said.isdisjoint({"reading_doubted", "readings_not_used", "boundaries_missed", "meter_not_read"})
