"""One round of asking meters for records of earlier boundaries: who is asked, how often, and for which."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

import edge.readers.dlt645
from edge.backfill import Backfill
from edge.lacks import Lack, since
from edge.lines import LineConfig
from edge.meters import Meter, MeterConfig, SamplePolicy, build_lines
from edge.readers import BillingRead, NoAnswerError, QuarantinedError
from edge.truth import MeterMemory, RegisterMemory
from firmware_profiles import load_profile
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S

LINE = "bus"
FOREVER = float("inf")
THREE = (Lack(FIRST_S - 3 * SLOT_S, FIRST_S - SLOT_S, (1,)),)


class Proven:
    """All have shown who they are."""

    def is_proven(self, number: int) -> bool:
        return True

    async def prove(self, meter: Meter, until_ms: float) -> bool:
        return True

    def judge(self) -> dict[int, str]:
        return {}

    def doubt(self, number: int) -> None:
        """Nobody is doubted."""


def round_behind(boundary_s: int, read_s: int = FIRST_S) -> Backfill:
    """A round over one meter whose last trusted reading was taken at ``read_s``."""
    profile = load_profile("dlt645_2007")
    row = MeterConfig(1, "M1", LINE, profile.id, 5_000, address="000000000001")
    lines = build_lines([LineConfig(LINE, "127.0.0.1", 9, "dlt645")], [row], {profile.id: profile})
    memory = MeterMemory(1000 * read_s, (RegisterMemory(0, 0, 0),) * 2)
    policy = SamplePolicy(slot_s=SLOT_S)
    return Backfill(lines, policy, {1: memory}, boundary_s=boundary_s, barred=(), proofs=Proven())


async def fetched(
    backfill: Backfill, lacks: tuple[Lack, ...], is_over: Callable[[], bool] = lambda: False
) -> list[Lack]:
    """What is still lacking at each boundary that was asked for."""
    return [(await backfill.fetch(missing, FOREVER, is_over)).lack for missing in backfill.due(lacks)]


def answers(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> list[int]:
    """The boundaries that the meter is asked for; it has no record, or fails with ``error``."""
    asked: list[int] = []

    async def read_record(_: object, boundary_s: int, __: float) -> BillingRead | None:
        asked.append(boundary_s)
        if error is not None:
            raise error
        return None

    monkeypatch.setattr(edge.readers.dlt645.Dlt645Meter, "read_record", read_record)
    return asked


async def test_meter_that_does_not_answer_is_left_alone_until_the_next_boundary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answers(monkeypatch, NoAnswerError("no answer"))
    newest_s = FIRST_S - SLOT_S
    assert await fetched(round_behind(FIRST_S), THREE) == [Lack(newest_s, newest_s, (1,), 1)]
    assert asked == [newest_s]


async def test_meter_all_of_whose_records_are_wrong_is_named_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, QuarantinedError("its clock is off"))
    with capture_logs() as logs:
        assert [lack.meters for lack in await fetched(round_behind(FIRST_S), THREE)] == [(), (), ()]
    assert len(asked) == 3
    assert [line["event"] for line in logs].count("record_not_believed") == 1


async def test_meter_whose_last_believed_reading_is_not_of_the_present_boundary_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answers(monkeypatch)
    assert await fetched(round_behind(FIRST_S, read_s=FIRST_S - 4 * SLOT_S), THREE) == []
    assert await fetched(round_behind(FIRST_S, read_s=FIRST_S + 900 * SLOT_S), THREE) == []
    assert asked == []


async def test_boundaries_that_a_false_time_took_for_missed_are_not_asked_for_before_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answers(monkeypatch)
    await fetched(round_behind(FIRST_S), (Lack(FIRST_S - SLOT_S, FIRST_S + 50 * SLOT_S, (1,)),))
    assert asked == [FIRST_S, FIRST_S - SLOT_S]


async def test_when_the_next_boundary_comes_early_nobody_is_asked_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch)
    assert all(lack.meters == (1,) for lack in await fetched(round_behind(FIRST_S), THREE, is_over=lambda: True))
    assert asked == []


def test_what_is_older_than_any_record_is_not_kept_as_lacking() -> None:
    assert since((Lack(0, 900, (1,)), Lack(1800, 3600, (2,), 1)), 2700) == (Lack(2700, 3600, (2,), 1),)
    assert since((Lack(1800, 3600, (2,)),), 3600) == (Lack(3600, 3600, (2,)),)
