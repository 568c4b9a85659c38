"""What the agent holds for true of its meters: kept over restarts, begun anew from a damaged file, said when it cannot be kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from edge.memory import Memories, memory_path
from edge.samples import MeterSample, Sample
from edge.truth import MeterMemory, RegisterLimits, RegisterMemory
from gridcore.quality import FLAG_STUCK, MEASURED, SUSPECT

BOUNDARY_S = 1_800_000_000
LIMITS = (RegisterLimits("1.8.0", 10, 5000), RegisterLimits("2.8.0", 10, 5000))
BY_METER = {1: LIMITS, 2: LIMITS[:1]}


def _sample(import_wh: int, *, quality: int = MEASURED, slot: int = 0, number: int = 1) -> Sample:
    reading = MeterSample(number, f"M{number}", (import_wh, 0), quality, 0, 120)
    return Sample(BOUNDARY_S + 900 * slot, (reading,), (), 5)


def test_trusted_readings_are_there_after_a_restart(tmp_path: Path) -> None:
    path = memory_path(tmp_path / "outbox.sqlite")
    memories = Memories(path)
    memories.note(_sample(5000), BY_METER, {})
    memories.note(_sample(70, number=2), BY_METER, {2: 300})
    assert dict(Memories(path)) == {
        1: MeterMemory(
            BOUNDARY_S * 1000 + 120,
            (RegisterMemory(5000, BOUNDARY_S * 1000 + 120, 0), RegisterMemory(0, BOUNDARY_S * 1000 + 120, 0)),
        ),
        2: MeterMemory(BOUNDARY_S * 1000 + 120, (RegisterMemory(70, BOUNDARY_S * 1000 + 120, 300),)),
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_suspect_readings_change_nothing(tmp_path: Path) -> None:
    memories = Memories(tmp_path / "m")
    memories.note(_sample(5000), BY_METER, {})
    memories.note(_sample(0, quality=SUSPECT, slot=1), BY_METER, {})
    assert Memories(tmp_path / "m")[1].registers[0].register_wh == 5000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"version":2,"meters":{},"serials":{}}',
        b'{"version":1,"meters":[],"serials":{}}',
        b'{"version":1,"meters":{}}',
        b'{"version":1,"meters":{"x":[1,[1,1,1]]},"serials":{}}',
        b'{"version":1,"meters":{"1":[1]},"serials":{}}',
        b'{"version":1,"meters":{"1":[1,[1,1]]},"serials":{}}',
        b'{"version":1,"meters":{"1":[1,[1,1,-1]]},"serials":{}}',
        b'{"version":1,"meters":{"1":[true,[1,1,1]]},"serials":{}}',
        b'{"version":1,"meters":{"1":[1,[1,1,99999999999999999999]]},"serials":{}}',
        b'{"version":1,"meters":{},"serials":{"1":""}}',
        b'{"version":1,"meters":{},"serials":{"1":7}}',
        b'{"version":1,"meters":{},"serials":{"1":"' + b"9" * 65 + b'"}}',
        b"x" * (1024 * 1024 + 1),
    ],
)
def test_damaged_file_is_said_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m"
    path.write_bytes(content)
    with capture_logs() as logs:
        memories = Memories(path)
    assert (len(memories), [entry["event"] for entry in logs]) == (0, ["memory_of_registers_lost"])
    memories.note(_sample(10), BY_METER, {})
    assert list(Memories(path)) == [1]


def test_folder_that_cannot_be_written_is_said_and_costs_nothing(tmp_path: Path) -> None:
    memories = Memories(tmp_path / "gone" / "m")
    with capture_logs() as logs:
        memories.note(_sample(10), BY_METER, {})
    assert [entry["event"] for entry in logs] == ["memory_of_registers_not_kept"]
    assert memories[1].registers[0].register_wh == 10


def test_register_that_gets_stuck_is_flagged_each_time_and_said_once_and_again_after_it_moved() -> None:
    memories, flags = Memories(), []
    with capture_logs() as logs:
        for slot, import_wh in enumerate((100, 100, 100, 110, 110)):
            marked = memories.marked(_sample(import_wh, slot=slot), BY_METER, {1: 3000})
            memories.note(marked, BY_METER, {1: 3000})
            flags.append(marked.meters[0].flags)
    assert flags == [0, FLAG_STUCK, FLAG_STUCK, 0, FLAG_STUCK]
    assert [(entry["event"], entry["meter"], entry["registers"]) for entry in logs] == [
        ("register_stuck", "M1", ("1.8.0",)),
        ("register_stuck", "M1", ("1.8.0",)),
    ]


@given(st.binary(max_size=200))
def test_whatever_the_file_holds_the_agent_starts(content: bytes) -> None:

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        path.write_bytes(content)
        memories = Memories(path)
        memories.note(_sample(10), BY_METER, {})
        assert memories[1].registers[0].register_wh == 10
