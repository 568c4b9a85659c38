"""Scenarios of the gallery that no other test settles: energy and money of each are conserved, and the day of 25 hours has them all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gridcore.quality import MEASURED
from gridledger.simulating.experiment import simulate
from gridledger.simulating.settled import SettledWorld

DAY_OF_25_HOURS = 100
NOON, EVENING = 50, 76
"""Slots of a day that reach into its noon, and into its evening."""


def energy_of(settled: SettledWorld, kind: str) -> int:
    """Wh of the lines of a kind."""
    return int(settled.flows[kind].energy_wh.sum()) if kind in settled.flows else 0


def is_within_a_step_of_the_truth(settled: SettledWorld) -> bool:
    """Whether what each meter was settled with over all slots is what flowed through it, but for the step that its register counts in."""
    world = settled.world
    billed = [column for column, meter in enumerate(world.meters) if meter.party]
    step_wh = np.array([world.meters[column].resolution_wh for column in billed])
    pairs = (settled.import_wh, world.import_wh), (settled.export_wh, world.export_wh)
    off = [
        np.abs((told.sum(axis=0, dtype=np.int64) - true.sum(axis=0, dtype=np.int64))[billed]) for told, true in pairs
    ]
    return bool((off[0] < step_wh).all() and (off[1] < step_wh).all())


@pytest.mark.parametrize(
    ("scenario", "slots"),
    [
        ("daylight_saving_autumn", None),
        ("solar_boom", NOON),
        ("winter_peak", EVENING),
        ("urban_street", NOON),
        ("three_phases", NOON),
    ],
)
def test_a_scenario_of_the_gallery_settles_and_conserves_energy_and_money(
    scenario: str, slots: int | None, tmp_path: Path
) -> None:
    outcome, settled = simulate(scenario, tmp_path / "out", slots=slots)
    assert outcome.slots == (DAY_OF_25_HOURS if slots is None else slots)
    sums = settled.sums
    assert sums["bought_wh"] == sums["sold_wh"] == int(settled.traded_wh.sum()) > 0
    bought, residual = energy_of(settled, "trade_buy"), energy_of(settled, "residual_import")
    assert bought + residual - energy_of(settled, "surplus") == sums["import_wh"]
    sold, fed_in = energy_of(settled, "trade_sell"), energy_of(settled, "residual_export")
    assert sold + fed_in - energy_of(settled, "shortfall") == sums["export_wh"]
    assert sum(int(flow.amount_nano.sum()) for flow in settled.flows.values()) == sums["pays_nano"]
    clearing = [int(flow.amount_nano.sum()) for flow in settled.flows.values() if flow.account == "clearing"]
    assert sum(clearing) == 0, "neighbours pay what neighbours get"
    assert is_within_a_step_of_the_truth(settled)


def test_the_hour_that_comes_twice_in_autumn_is_settled_as_eight_slots_of_their_own(tmp_path: Path) -> None:
    settled = simulate("daylight_saving_autumn", tmp_path / "out").settled
    zone = ZoneInfo("Europe/Berlin")
    starts = settled.world.slot_start_s.tolist()
    local = [datetime.fromtimestamp(start_s, UTC).astimezone(zone) for start_s in starts]
    assert len(set(starts)) == DAY_OF_25_HOURS
    assert {time.date().isoformat() for time in local} == {"2026-10-25"}
    twice = [slot for slot, time in enumerate(local) if time.hour == 2]
    assert [(local[slot].minute, local[slot].fold) for slot in twice] == [
        (minute, fold) for fold in (0, 1) for minute in (0, 15, 30, 45)
    ]
    reported = (tmp_path / "out" / "reported.csv").read_text().splitlines()[1:]
    rows = [int(row.split(",")[0]) for row in reported]
    billed = np.array([bool(meter.party) for meter in settled.world.meters])
    assert [rows.count(starts[slot]) for slot in twice] == [int(billed.sum())] * 8
    assert (settled.quality[twice][:, billed] == MEASURED).all()
    assert len({settled.import_wh[slot].tobytes() for slot in twice}) == 8, (
        "no slot is settled with another one's energies"
    )
