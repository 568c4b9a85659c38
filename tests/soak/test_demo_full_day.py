"""The demonstration at its full size: 113 homes, a whole day; undisturbed, with 50 kills, and with pages and 40 kills."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.demo import checks
from tests.demo.demo_run import ABROAD, Finished, Killer, KillPlan, run_demo
from tests.demo.live import CHILDREN, live_demo

pytestmark = pytest.mark.soak
HOUSEHOLDS, SLOTS, KILLS, LIVE_KILLS = 113, 96, 50, 40
WALL_S_MAX = 120


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The run of the issue: ``gridledger demo --headless --days 1 --households 113 --seed 7 --json``."""
    return run_demo(tmp_path_factory.mktemp("day") / "out", "--json", households=HOUSEHOLDS, slots=None, timeout_s=600)


@pytest.fixture(scope="module")
def killed_day(day: Finished, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same day in other surroundings, with its processes killed."""
    plan = KillPlan(KILLS, (day.out / "ledger" / "blocks.log").stat().st_size)
    out = tmp_path_factory.mktemp("killed-day") / "out"
    return run_demo(out, "--json", households=HOUSEHOLDS, slots=None, surroundings=ABROAD, plan=plan, timeout_s=1_800)


def test_a_full_day_is_complete_and_in_time(day: Finished) -> None:
    checks.check_summary(day, households=HOUSEHOLDS, slots=SLOTS)
    checks.check_files(day, slots=SLOTS)
    checks.check_nothing_left_running(day)
    assert day.json["wall_s"] <= WALL_S_MAX


def test_a_full_day_is_recomputed_to_the_same_integers(day: Finished) -> None:
    checks.check_independently(day)


def test_a_full_day_replays(day: Finished) -> None:
    checks.check_ledger_command(day)


def test_fifty_kills_change_no_result(day: Finished, killed_day: Finished) -> None:
    checks.check_summary(killed_day, households=HOUSEHOLDS, slots=SLOTS)

    assert Counter(name for name, _ in killed_day.kills) == {"node": KILLS // 2, "edge-1": KILLS // 2}
    for name in checks.RESULT_FILES:
        assert (killed_day.out / name).read_bytes() == (day.out / name).read_bytes(), name


def test_pages_and_kills_of_every_process_change_no_result(day: Finished, tmp_path: Path) -> None:
    plan = KillPlan(LIVE_KILLS, (day.out / "ledger" / "blocks.log").stat().st_size, victims=(*CHILDREN, "broker"))
    with live_demo(tmp_path / "out", households=HOUSEHOLDS, slots=None) as live:
        killer = Killer(live.out, live.process, plan)
        killer.start()
        live.wait_until_over(1_800)
        killer.join()
        live.wait_for_pages()
        visitor = live.visitor("utility")
        areas = live.wait_for(
            lambda: rows if (rows := visitor.rows("/api/v1/areas"))[0]["settled"] == SLOTS else None,
            "settled slots on the pages",
        )
        status = live.end(signal.SIGINT)
        live.check_nothing_is_left()

    assert Counter(name for name, _ in killer.done) == dict.fromkeys(plan.victims, LIVE_KILLS // len(plan.victims))
    assert status == 0
    assert areas[0]["missing"] == 0
    assert areas[0]["volume_wh"] == day.json["energy_traded_wh"]
    for name in checks.RESULT_FILES:
        assert (live.out / name).read_bytes() == (day.out / name).read_bytes(), name


def test_the_slow_twin_replays_the_killed_day(killed_day: Finished) -> None:
    checks.check_ledger_command(killed_day)
    checks.check_replay_by_twin(killed_day)
    checks.check_nothing_left_running(killed_day)


def test_the_sample_of_a_full_day_verifies(day: Finished, tmp_path: Path) -> None:
    bundle = tmp_path / "sample.evd"
    bundle.write_bytes((day.out / "sample.evd").read_bytes())

    assert checks.verify_alone(day.out, bundle, "--trust", day.out / "trust.json").returncode == 0
