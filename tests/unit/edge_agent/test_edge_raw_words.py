"""The raw words of readings: bounded, whole after any end of the process, and never the reason why a reading is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.config import DAY_S, RawWordsLimits
from edge.raw_words import WAL_BYTES_MAX, ProfileVersion, RawWords, read_raw_words
from edge.readers import RawAnswer
from edge.samples import Absence, MeterSample, Sample
from gridcore.errors import UsageError
from gridcore.forms import TIME_S_MAX
from gridcore.quality import MEASURED, MISSING
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S
from tests.waiting import wait_until

VERSIONS = {1: ProfileVersion("sdm", b"\x01" * 32), 2: ProfileVersion("adl", b"\x02" * 32)}
KIB = 1024


def sample(slot: int, words: bytes = b"\x12\x34\x56\x78", number: int = 1) -> Sample:
    """One meter's reading at a boundary."""
    reading = MeterSample(number, f"M-{number}", (1_000 + slot, 7), 0, 0, 12, answers=(RawAnswer("4:0x0048", words),))
    return Sample(FIRST_S + slot * SLOT_S, (reading,), (), 5)


def boundaries(path: Path) -> list[int]:
    """The slots whose words are there, in the order in which they were taken."""
    return [(reading.boundary_s - FIRST_S) // SLOT_S for reading in read_raw_words(path, 0, TIME_S_MAX)]


def test_words_come_back_as_they_were_sent(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    ring = RawWords(path, RawWordsLimits(), VERSIONS)
    both = replace(sample(0), meters=(*sample(0).meters, *sample(0, b"\xff\xff", 2).meters))
    ring.keep([both, sample(1)])
    found = list(read_raw_words(path, 0, TIME_S_MAX))  # while it is open
    assert [(one.number, one.meter, one.version, one.registers_wh, one.answers) for one in found] == [
        (1, "M-1", VERSIONS[1], (1_000, 7), (RawAnswer("4:0x0048", b"\x12\x34\x56\x78"),)),
        (2, "M-2", VERSIONS[2], (1_000, 7), (RawAnswer("4:0x0048", b"\xff\xff"),)),
        (1, "M-1", VERSIONS[1], (1_001, 7), (RawAnswer("4:0x0048", b"\x12\x34\x56\x78"),)),
    ]
    assert boundaries(path) == [0, 0, 1]
    assert [one.boundary_s for one in read_raw_words(path, FIRST_S + 1, TIME_S_MAX)] == [FIRST_S + SLOT_S]
    ring.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_stays_within_its_bytes_and_the_oldest_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    limits = RawWordsLimits(bytes_max=256 * KIB)
    ring = RawWords(path, limits, VERSIONS)
    for slot in range(40):
        ring.keep([sample(slot, bytes(20 * KIB))])
    ring.close()  # the write-ahead log goes into the file
    kept = boundaries(path)
    assert kept == list(range(kept[0], 40))
    assert 8 <= len(kept) < 13
    assert path.stat().st_size <= limits.bytes_max + 2 * 20 * KIB, "one sample more for a moment"


def test_a_reader_that_stops_half_way_does_not_make_the_log_of_the_file_grow(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    ring = RawWords(path, RawWordsLimits(bytes_max=256 * KIB), VERSIONS)
    for slot in range(3):
        ring.keep([sample(slot)])
    reader = read_raw_words(path, 0, TIME_S_MAX)
    next(reader)  # and then somebody looks at the first line for weeks
    for slot in range(3, 90):
        ring.keep([sample(slot, bytes(200 * KIB))])
    assert path.with_name("raw-wal").stat().st_size < WAL_BYTES_MAX
    left = [(reading.boundary_s - FIRST_S) // SLOT_S for reading in reader]
    assert (left[:2], left[-1]) == ([1, 2], 89)
    ring.close()


def test_a_sample_larger_than_the_limit_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    ring = RawWords(path, RawWordsLimits(bytes_max=256 * KIB), VERSIONS)
    ring.keep([sample(0)])
    ring.keep([sample(1, bytes(300 * KIB))])
    assert boundaries(path) == [1]
    ring.keep([sample(2)])
    assert boundaries(path) == [2]
    ring.close()


def test_words_are_kept_until_they_are_older_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    day = DAY_S // SLOT_S
    ring = RawWords(path, RawWordsLimits(age_s_max=DAY_S), VERSIONS)
    ring.keep([sample(0), sample(1)])
    ring.keep([sample(day)])
    assert boundaries(path) == [0, 1, day]
    ring.keep([sample(day + 1)])
    assert boundaries(path) == [1, day, day + 1]
    ring.close()


def test_a_disk_that_takes_nothing_is_said_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "raw"
    ring = RawWords(path, RawWordsLimits(), VERSIONS)
    with capture_logs() as logs:
        ring.keep([sample(0)])
        ring.keep([sample(1)])
        path.parent.mkdir()
        ring.keep([sample(2)])
        ring.keep([sample(3)])
    assert [line["event"] for line in logs] == ["raw_words_not_kept", "raw_words_kept_again"]
    assert boundaries(path) == [2, 3]
    ring.close()


@pytest.mark.parametrize("damage", [b"no database at all" * 400, None])
def test_a_damaged_file_is_put_aside_and_begun_anew(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "raw"
    ring = RawWords(path, RawWordsLimits(), VERSIONS)
    ring.keep([sample(slot, bytes(2_000)) for slot in range(50)])
    ring.close()
    whole = path.read_bytes()
    spoiled = damage or whole[:4096] + b"\xa5" * 8192 + whole[12_288:]
    path.write_bytes(spoiled)
    with capture_logs() as logs:
        ring.keep([sample(60)])
    assert [line["event"] for line in logs] == ["raw_words_damaged"]
    assert boundaries(path) == [60]
    assert (tmp_path / "raw.damaged").read_bytes() == spoiled
    ring.close()


def test_a_sample_that_was_changed_on_the_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    ring = RawWords(path, RawWordsLimits(), VERSIONS)
    ring.keep([sample(0)])
    ring.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE samples SET content = CAST(replace(content, x'34', x'35') AS BLOB)")
    connection.close()
    with pytest.raises(UsageError, match="sample 1 is not as it was written"):
        boundaries(path)
    with pytest.raises(UsageError, match="there are no raw words"):
        boundaries(tmp_path / "none")


WRITER = """
import sys
from pathlib import Path
from edge.config import RawWordsLimits
from edge.raw_words import RawWords
from tests.unit.edge_agent.test_edge_raw_words import VERSIONS, sample
ring = RawWords(Path(sys.argv[1]), RawWordsLimits(bytes_max=256 * 1024), VERSIONS)
for slot in range(1_000_000):
    ring.keep([sample(slot, bytes(8_000))])
    print(slot, flush=True)
"""


def test_a_killed_writer_leaves_everything_that_it_had_kept(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    for least in (3, 60):  # while the file grows, and when the ring goes round
        path.unlink(missing_ok=True)
        told = tmp_path / f"told-{least}"
        with told.open("w") as out:
            writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=out)
            wait_until(lambda told=told, least=least: len(told.read_text().split()) > least, "words are kept")  # type: ignore[misc]
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        said = [int(word) for word in told.read_text().split("\n")[:-1]]
        kept = boundaries(path)
        assert kept == list(range(kept[0], kept[-1] + 1))
        assert kept[-1] in (said[-1], said[-1] + 1)
        assert kept[0] <= max(0, said[-1] - 20)


def test_words_that_were_no_reading_are_kept_with_the_boundary_and_no_register(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    ring = RawWords(path, RawWordsLimits(), VERSIONS)
    unread = Absence(2, "M-2", "quarantined", "it says 'no value'", (RawAnswer("4:0x0048", b"\xff\xff"),))
    silent = Absence(1, "M-1", "no_answer", "no answer")
    ring.keep([replace(sample(0), absent=(unread,)), Sample(FIRST_S + SLOT_S, (), (silent, unread), 5)])
    ring.keep([Sample(FIRST_S + 2 * SLOT_S, (), (silent,), 5)])
    found = list(read_raw_words(path, 0, TIME_S_MAX))
    assert [((one.boundary_s - FIRST_S) // SLOT_S, one.number, one.quality, one.registers_wh) for one in found] == [
        (0, 1, MEASURED, (1_000, 7)),
        (0, 2, MISSING, ()),
        (1, 2, MISSING, ()),
    ]
    assert found[1].answers == unread.answers
    ring.close()
