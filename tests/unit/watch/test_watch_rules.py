"""Each rule finds what it is for, just beyond its limit and not at it, and says since when and in which blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridledger.cli import main
from gridwatch.alerts import Alert
from gridwatch.columns import ABSENT, BlockTime, Int64, Meter, Readings, Sent, Watched
from gridwatch.metrics_file import read_metrics
from gridwatch.rules import (
    Backwards,
    Balance,
    Blocks,
    Clock,
    Flat,
    Gaps,
    Keys,
    Limits,
    Metrics,
    Monotone,
    NewExport,
    Rules,
    Standstill,
    Voltage,
)
from gridwatch.watch import alerts_of

SLOTS, DAYS = 96, 6
FIRST_S = 1_776_182_400
DAY = np.array([10 * (slot // 4 + 1) for slot in range(SLOTS)], dtype=np.int64)
"""Wh of each slot of a home: little at night, most in the last hour."""
LOSS_WH = 20
HOME, OTHER, FEEDER = 0, 1, 2
METERS = (
    Meter("M-1", "household", 1_000, 0),
    Meter("M-2", "household", 1_000, 0),
    Meter("M-F", "feeder", 9_000, 10**9),
)


def area_of(taken_wh: Int64, given_wh: Int64 | None = None, feeder_wh: Int64 | None = None) -> Readings:
    """An area in which homes take and give [slots, 2]; the feeder has it all, with a loss in each slot, unless it is said."""
    given_wh = np.zeros_like(taken_wh) if given_wh is None else given_wh
    net_wh = (taken_wh - given_wh).sum(axis=1) + LOSS_WH if feeder_wh is None else feeder_wh
    columns = (np.column_stack([taken_wh, np.maximum(net_wh, 0)]), np.column_stack([given_wh, np.maximum(-net_wh, 0)]))
    registers = [np.concatenate([np.zeros((1, 3), dtype=np.int64), np.cumsum(wh, axis=0)]) for wh in columns]
    boundaries = len(taken_wh) + 1
    return Readings(
        "A1",
        900,
        METERS,
        FIRST_S + 900 * np.arange(boundaries, dtype=np.int64),
        registers[0],
        registers[1],
        np.full((boundaries, 3), ABSENT, dtype=np.int64),
        100 + np.arange(boundaries, dtype=np.int64),
    )


def usual() -> Int64:
    """What two homes take in some usual days."""
    return np.tile(DAY, DAYS)[:, None].repeat(2, axis=1).copy()


def found(area: Readings, sent: tuple[Sent, ...] = (), **rules: object) -> list[Alert]:
    """The alerts of some rules."""
    return alerts_of(Watched((area,), sent), Rules(rules_version=1, **rules))  # type: ignore[arg-type] # each name has its own table


def day_s(day: int) -> int:
    """The boundary at which a day begins."""
    return FIRST_S + 86_400 * day


ALL = Rules(
    rules_version=1,
    balance=Balance(2, 0, 100),
    limits=Limits(100),
    monotone=Monotone(0),
    gaps=Gaps(3),
    flat=Flat(20, 0, 1_000),
    standstill=Standstill(2, 20),
    new_export=NewExport(2, 0),
    backwards=Backwards(2, 50),
    voltage=Voltage(2, 10, 30),
)


def test_usual_days_have_no_alerts() -> None:
    assert alerts_of(Watched((area_of(usual()),), ()), ALL) == []


def test_the_balance_adds_up_what_the_feeder_has_more_and_names_its_days() -> None:
    taken = usual()
    feeder = taken.sum(axis=1) + LOSS_WH
    feeder[4 * SLOTS :] += 1
    area = area_of(taken, feeder_wh=feeder)
    (alert,) = found(area, balance=Balance(2, 0, 100))
    assert alert == Alert(day_s(6), "balance", "A1", day_s(4), day_s(6), 192, 100, (100 + 4 * SLOTS, 100 + 6 * SLOTS))
    assert found(area, balance=Balance(2, 0, 192)) == []
    assert found(area, balance=Balance(2, 96, 1)) == []


def test_a_border_to_another_area_counts_for_the_balance_as_the_feeder_does() -> None:
    taken = usual()
    feeder = taken.sum(axis=1) + LOSS_WH
    feeder[4 * SLOTS :] += 1
    area = area_of(taken, feeder_wh=feeder)
    exchange = replace(area, meters=(*METERS[:2], METERS[2]._replace(role="exchange")))
    assert found(exchange, balance=Balance(2, 0, 100)) == found(area, balance=Balance(2, 0, 100))


def test_an_area_of_which_another_area_measures_a_border_has_no_balance_to_watch() -> None:
    taken = usual()
    feeder = taken.sum(axis=1) + LOSS_WH
    feeder[4 * SLOTS :] += 1
    area = replace(area_of(taken, feeder_wh=feeder), is_measured_elsewhere=True)
    assert found(area, balance=Balance(2, 0, 100)) == []


def test_the_balance_waits_for_a_day_with_all_readings() -> None:
    taken = usual()
    feeder = taken.sum(axis=1) + LOSS_WH
    feeder[4 * SLOTS :] += 1
    area = area_of(taken, feeder_wh=feeder)
    area.import_wh[5 * SLOTS : 5 * SLOTS + 7, HOME] = ABSENT
    (alert,) = found(area, balance=Balance(2, 0, 100))
    assert (alert.from_s, alert.at_s) == (day_s(4), day_s(5) + 7 * 900)
    assert alert.value == SLOTS + 7
    away = area_of(taken, feeder_wh=feeder)
    away.import_wh[3 * SLOTS :, HOME] = ABSENT
    assert found(away, balance=Balance(2, 0, 100)) == []


def test_a_slot_at_the_limit_is_in_order_and_one_beyond_it_is_not() -> None:
    taken = usual()
    taken[7, OTHER] = 1_000
    assert found(area_of(taken), limits=Limits(100)) == []
    taken[7, OTHER] = 1_001
    (alert,) = found(area_of(taken), limits=Limits(100))
    assert (alert.subject, alert.from_s, alert.value, alert.limit) == ("M-2", FIRST_S + 7 * 900, 1_001, 1_000)


def test_a_register_that_goes_back_is_found_and_one_that_starts_again_is_not() -> None:
    area = area_of(usual())
    area.import_wh[50:, HOME] -= 200
    area.import_wh[50:, FEEDER] -= 2_000
    (alert,) = found(area, monotone=Monotone(0))
    assert (alert.subject, alert.at_s) == ("M-1", FIRST_S + 50 * 900)
    assert found(area, monotone=Monotone(alert.value)) == []


def test_a_gap_is_told_once_at_the_boundary_that_is_one_too_many() -> None:
    area = area_of(usual())
    area.export_wh[10:13, HOME] = ABSENT
    area.export_wh[20:30, OTHER] = ABSENT
    (alert,) = found(area, gaps=Gaps(3))
    assert (alert.subject, alert.at_s, alert.value) == ("M-2", FIRST_S + 23 * 900, 4)


def test_a_flat_day_is_one_of_which_every_slot_is_alike_and_known() -> None:
    taken = usual()
    taken[3 * SLOTS : 4 * SLOTS, HOME] = 120
    taken[3 * SLOTS, HOME] = 140
    (alert,) = found(area_of(taken), flat=Flat(20, 0, 1_000))
    assert (alert.subject, alert.from_s, alert.at_s, alert.value) == ("M-1", day_s(3), day_s(4), 20)
    assert found(area_of(taken), flat=Flat(19, 0, 1_000)) == []
    assert found(area_of(taken), flat=Flat(20, 0, 12_000)) == []
    area = area_of(taken)
    area.import_wh[3 * SLOTS + 40, HOME] = ABSENT
    assert found(area, flat=Flat(20, 0, 1_000)) == []


def test_a_register_that_stands_still_is_found_where_it_moved_every_day_before() -> None:
    taken = usual()
    taken[300:321, HOME] = 0
    taken[:, OTHER] = 0
    (alert,) = found(area_of(taken), standstill=Standstill(2, 20))
    assert (alert.subject, alert.from_s, alert.at_s) == ("M-1", FIRST_S + 300 * 900, FIRST_S + 321 * 900)
    assert found(area_of(taken), standstill=Standstill(2, 21)) == []


def test_a_point_that_begins_to_give_is_found_and_one_that_always_gave_is_not() -> None:
    given = np.zeros_like(usual())
    given[::SLOTS, OTHER] = 500
    given[4 * SLOTS + 3, HOME] = 200
    (alert,) = found(area_of(usual(), given), new_export=NewExport(2, 199))
    assert (alert.subject, alert.from_s, alert.value) == ("M-1", day_s(4), 200)
    assert found(area_of(usual(), given), new_export=NewExport(2, 200)) == []


def test_a_day_backwards_counts_as_one_usual_day() -> None:
    taken = usual()
    taken[3 * SLOTS : 4 * SLOTS, HOME] = DAY[::-1]
    (alert,) = found(area_of(taken), backwards=Backwards(2, 99))
    assert (alert.subject, alert.at_s, alert.value) == ("M-1", day_s(4), 100)
    assert found(area_of(taken), backwards=Backwards(2, 100)) == []


def test_voltage_that_follows_twice_the_power_is_found() -> None:
    taken = usual()
    taken[::2, HOME] += 300
    area = area_of(taken)
    area.voltage_mv[:, FEEDER] = 230_000
    area.voltage_mv[1:, HOME] = 230_000 - 4 * taken[:, HOME]
    assert found(area, voltage=Voltage(2, 10, 30)) == []
    half = taken.copy()
    half[4 * SLOTS :, HOME] //= 2
    cheated = replace(area_of(half), voltage_mv=area.voltage_mv)
    alerts = found(cheated, voltage=Voltage(2, 10, 30))
    assert [(alert.subject, alert.at_s) for alert in alerts] == [("M-1", day_s(5)), ("M-1", day_s(6))]


def batch(boundary_s: int, code: int = Code.ACCEPTED, offset_ms: int = 0, state: str = "synced") -> Sent:
    """One of a gateway's."""
    return Sent("gw", boundary_s, 1, 1, code, offset_ms, state, 7)


def test_a_clock_that_is_off_or_that_nothing_sets_is_found() -> None:
    sent = (batch(900, offset_ms=-2_000), batch(1_800, offset_ms=-2_001), batch(2_700, state="unsynced"))
    alerts = found(area_of(usual()), sent, clock=Clock(2_000))
    assert [(alert.at_s, alert.value, alert.blocks) for alert in alerts] == [(1_800, 2_001, (7,)), (2_700, 0, (7,))]


def test_refused_batches_of_a_key_are_told_once_a_day_and_other_refusals_are_not() -> None:
    passed = Code.COUNTER_PASSED
    sent = (
        batch(900, passed),
        batch(1_800, passed),
        batch(2_700, passed),
        batch(90_000, passed),
        batch(1, Code.ROWS_MISMATCH),
    )
    alerts = found(area_of(usual()), sent, keys=Keys(1))
    assert [(alert.subject, alert.from_s, alert.at_s) for alert in alerts] == [("gw", 900, 1_800)]
    assert len(found(area_of(usual()), sent, keys=Keys(0))) == 2


def test_a_silence_of_the_chain_beyond_the_limit_names_both_blocks() -> None:
    blocks = tuple(BlockTime(height, time_s) for height, time_s in ((1, 0), (2, 900), (3, 1_801)))
    alerts = alerts_of(Watched((), (), blocks), Rules(rules_version=1, blocks=Blocks(900)))
    assert alerts == [Alert(1_801, "blocks", "chain", 900, 1_801, 901, 900, (2, 3))]
    assert alerts_of(Watched((), (), blocks), Rules(rules_version=1, blocks=Blocks(901))) == []


def test_a_metric_above_its_limit_is_told_with_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_text('# HELP waits How many wait.\nwaits{area="A 1"} 12.5\nwaits{area="A2"} 12\nother 99\n')
    watched = Watched((), (), (BlockTime(4, 900),), read_metrics(path))
    alerts = alerts_of(watched, Rules(rules_version=1, metrics=Metrics({"waits": 12})))
    assert alerts == [Alert(900, "metrics", 'waits{area="A 1"}', 900, 900, 13, 12, ())]


@pytest.mark.parametrize("line", ["waits", "waits twelve", "waits NaN", "7 waits"])
def test_metrics_that_are_none_name_file_and_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_text(f"# comment\n{line}\n")
    with pytest.raises(UsageError, match=r"metrics\.txt:2: is no metric with a finite value"):
        read_metrics(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[gaps]\nboundaries_max = 8\nhours = 2", "gaps.hours is an unknown key"),
        ("[gaps]\nboundaries_max = -1", "gaps.boundaries_max = -1 is out of range; allowed: 0 to 100000"),
        ("[balance]\nlearn_days = 10", "balance.allowance_wh_per_day is missing"),
        ("[balanse]\nlearn_days = 10", "balanse is an unknown key; did you mean 'balance'?"),
        ("", "no rule is on; give a table of balance, limits, monotone"),
    ],
)
def test_rules_that_cannot_be_used_are_one_line(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(f"rules_version = 1\n{text}\n")
    assert main(["watch", "check", "--rules", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}: {words}" in said
    assert said.count("\n") == 1


def test_the_rules_that_ship_are_those_of_readings_and_batches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "check"]) == 0
    assert (
        "balance, limits, monotone, gaps, flat, standstill, new_export, backwards, voltage, clock, keys"
        in capsys.readouterr().out
    )
