from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge.config import DAY_S, OutboxLimits
from edge.outbox import Entry, Outbox, OutboxFullError, OutboxWriteError
from edge.outbox_file import OutboxDamagedError, create_outbox, keep_aside, lock_outbox, read_outbox
from edge.progress import GAPS_MAX, Gap, Progress
from gridcore.errors import GridError, UsageError
from tests.unit.edge_agent.edge_world import (
    CHAIN,
    FIRST_S,
    GATEWAY,
    SLOT_S,
    append,
    check_chain,
    new_outbox,
    next_batch,
)


def reopened(path: Path) -> Outbox:
    return Outbox.open(path, gateway=GATEWAY, chain=CHAIN)


def test_batches_stay_in_order_until_they_are_acknowledged(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o", 5)
    assert [item.counter for item in outbox.oldest(3)] == [1, 2, 3]
    outbox.acknowledge([1, 2], 7, b"h" * 32)
    outbox.acknowledge([3], 6, b"g" * 32)  # an older header is no newer witness
    outbox.close()
    outbox = reopened(tmp_path / "o")
    assert [item.counter for item in outbox.oldest(99)] == [4, 5]
    assert outbox.progress.receipt == (7, b"h" * 32)
    assert (outbox.depth, outbox.progress.counter, outbox.progress.last_boundary_s) == (2, 5, FIRST_S + 4 * SLOT_S)
    assert outbox.size == sum(len(item.wire) for item in outbox.oldest(99))
    check_chain(outbox.oldest(99), outbox.progress)
    outbox.close()


def test_boundary_without_readings_and_alarm_are_remembered(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o", 1)
    outbox.store([Entry(FIRST_S + SLOT_S, None, [3, 1])])
    outbox.note_alarm("refused")
    outbox.close()
    progress = read_outbox(tmp_path / "o").progress
    assert (progress.last_boundary_s, progress.absent, progress.alarm) == (FIRST_S + SLOT_S, (3, 1), "refused")
    outbox = reopened(tmp_path / "o")
    outbox.acknowledge([1], 1, bytes(32))
    assert outbox.progress.alarm == ""
    outbox.close()


@pytest.mark.parametrize("limits", [OutboxLimits(batches_max=3), OutboxLimits(bytes_max=2000)])
def test_full_outbox_takes_nothing_more_and_drops_nothing(tmp_path: Path, limits: OutboxLimits) -> None:
    outbox = new_outbox(tmp_path / "o", limits=limits)
    size = len(next_batch(outbox.progress).wire) + 40
    while outbox.depth < limits.batches_max and outbox.size + size <= limits.bytes_max:
        append(outbox)
    held, progress = outbox.oldest(99), outbox.progress
    with pytest.raises(OutboxFullError, match="nothing signed is dropped"):
        append(outbox)
    assert outbox.depth <= limits.batches_max
    assert outbox.size <= limits.bytes_max
    assert (outbox.oldest(99), outbox.progress) == (held, progress)
    outbox.acknowledge([1], 1, bytes(32))
    append(outbox)
    check_chain(outbox.oldest(99), outbox.progress)
    outbox.close()


def test_oldest_batch_bounds_what_waits_behind_it_by_its_age(tmp_path: Path) -> None:
    limits = OutboxLimits(age_s_max=DAY_S)
    outbox = new_outbox(tmp_path / "o", 1, limits=limits)
    append(outbox, lambda progress: next_batch(progress, FIRST_S + DAY_S // 2))
    assert outbox.fill_percent() == 50
    append(outbox, lambda progress: next_batch(progress, FIRST_S + DAY_S))
    with pytest.raises(OutboxFullError, match=f"3 batches, .* bytes, {DAY_S} s; at most"):
        append(outbox, lambda progress: next_batch(progress, FIRST_S + DAY_S + SLOT_S))
    outbox.acknowledge([1], 1, bytes(32))
    append(outbox, lambda progress: next_batch(progress, FIRST_S + DAY_S + SLOT_S))
    assert outbox.fill_percent() == (DAY_S // 2 + SLOT_S) * 100 // DAY_S
    outbox.close()


def test_group_is_one_commit_and_as_much_of_it_as_there_is_room_for(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o", limits=OutboxLimits(batches_max=2))
    statements: list[str] = []
    outbox._connection.set_trace_callback(statements.append)
    entries = [Entry(FIRST_S, next_batch), Entry(FIRST_S + SLOT_S, None, [1, 2, 3]), *[Entry(FIRST_S, next_batch)] * 2]
    stored = outbox.store(entries)
    assert [made if made is None else made.counter for made in stored] == [1, None, 2]
    assert statements.count("COMMIT") == 1
    check_chain(outbox.oldest(9), outbox.progress)
    assert (outbox.depth, outbox.size) == (2, sum(len(item.wire) for item in outbox.oldest(9)))
    outbox.close()
    state = read_outbox(tmp_path / "o")
    assert (state.depth, state.progress.absent) == (2, ())


def test_group_that_the_disk_refuses_leaves_nothing_of_it(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o", 1)
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutboxWriteError):
        outbox.store([Entry(FIRST_S, next_batch), Entry(FIRST_S, lambda progress: next_batch(progress, count=4000))])
    assert (outbox.depth, outbox.progress.counter) == (1, 1)
    outbox.close()


def test_receipts_are_kept_and_the_oldest_go_first(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o", 4, limits=OutboxLimits(receipts_max=2))
    for counter in range(1, 5):
        outbox.acknowledge([counter], counter, bytes(32), receipts={counter: b"receipt %d" % counter})
    kept = outbox._connection.execute("SELECT counter, boundary_s, receipt FROM receipts ORDER BY counter").fetchall()
    assert kept == [(n, FIRST_S + (n - 1) * SLOT_S, b"receipt %d" % n) for n in (3, 4)]
    outbox.close()
    assert read_outbox(tmp_path / "o").receipts == 2


def test_outbox_of_an_earlier_version_gets_its_place_for_receipts(tmp_path: Path) -> None:
    path = tmp_path / "o"
    new_outbox(path, 2).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE receipts")
        connection.commit()
    assert read_outbox(path).receipts == 0
    outbox = reopened(path)
    outbox.acknowledge([1], 1, bytes(32), receipts={1: b"receipt"})
    outbox.close()
    assert (read_outbox(path).depth, read_outbox(path).receipts) == (1, 1)


def test_gaps_are_kept_in_order_up_to_their_number(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o")
    gaps = [Gap(FIRST_S + n * 9 * SLOT_S, FIRST_S + n * 9 * SLOT_S) for n in range(GAPS_MAX + 3)]
    outbox.store([Entry(gap.last_s + SLOT_S, None, missed=gap) for gap in gaps])
    outbox.close()
    assert read_outbox(tmp_path / "o").progress.gaps == tuple(gaps[3:])


def test_disk_that_refuses_leaves_outbox_as_it_was(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o", 2)
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count = {pages}")
    before = outbox.progress
    with pytest.raises(OutboxWriteError, match=r"cannot be written .*check disk space"):
        append(outbox, lambda progress: next_batch(progress, count=4000))
    assert outbox.progress == before
    outbox._connection.execute("PRAGMA max_page_count = 100000")
    append(outbox)
    outbox.close()
    check_chain(reopened(tmp_path / "o").oldest(99), read_outbox(tmp_path / "o").progress)


def _flipped(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x01
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "damage", ["flip-state", "flip-wire", "cut", "empty", "text", "wal-only", "row-gone", "table-gone"]
)
def test_damaged_outbox_is_named_in_one_line_and_left_untouched(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "outbox.sqlite"
    new_outbox(path, 4).close()
    data = path.read_bytes()
    if damage == "flip-state":
        _flipped(path, data.rindex(b"last_boundary_s") + 20)
    elif damage == "flip-wire":
        _flipped(path, data.index(b"columns") + 30)
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_bytes(b"hello " * 2000)
    elif damage == "wal-only":
        path.rename(tmp_path / "outbox.sqlite-wal")
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "DELETE FROM batches WHERE counter = 3" if damage == "row-gone" else "DROP TABLE progress"
            )
            connection.commit()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(OutboxDamagedError) as caught:
        reopened(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: damaged (")
    assert "gridledger edge epoch" in line
    assert "\n" not in line
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_every_flipped_byte_is_found_or_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "o"
    new_outbox(path, 1).close()
    data = path.read_bytes()
    state = read_outbox(path)
    found = 0
    for position in range(0, len(data), 61):
        _flipped(path, position)
        try:
            assert read_outbox(path) == state  # free space, change counters
        except UsageError:
            found += 1
        path.write_bytes(data)
    assert found > 10


def test_outbox_of_another_gateway_or_chain_is_refused(tmp_path: Path) -> None:
    new_outbox(tmp_path / "o").close()
    with pytest.raises(UsageError, match="belongs to gateway 'gw-1', the configuration says 'gw-2'"):
        Outbox.open(tmp_path / "o", gateway="gw-2", chain=CHAIN)
    with pytest.raises(UsageError, match="belongs to chain"):
        Outbox.open(tmp_path / "o", gateway=GATEWAY, chain="other")
    with pytest.raises(UsageError, match="there is no outbox"):
        read_outbox(tmp_path / "none")


def test_second_agent_on_one_outbox_is_refused(tmp_path: Path) -> None:
    with (
        lock_outbox(tmp_path / "o"),
        pytest.raises(UsageError, match="another agent has this outbox open"),
        lock_outbox(tmp_path / "o"),
    ):
        pass
    with lock_outbox(tmp_path / "o"):
        pass


def test_opening_a_new_outbox_writes_nothing_that_a_kill_could_leave_half_done(tmp_path: Path) -> None:
    create_outbox(tmp_path / "o", Progress(GATEWAY, CHAIN, 1))
    made = (tmp_path / "o").read_bytes()
    outbox = reopened(tmp_path / "o")
    assert (tmp_path / "o").read_bytes() == made
    outbox.close()


def test_outbox_kept_aside_can_be_read_on(tmp_path: Path) -> None:
    path = tmp_path / "o"
    new_outbox(path, 3).close()
    aside = keep_aside(path)
    create_outbox(path, Progress(GATEWAY, CHAIN, 2))
    assert read_outbox(aside).depth == 3
    assert read_outbox(path).progress.epoch == 2
    assert keep_aside(path) != aside


def test_status_can_be_read_while_the_agent_writes(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o", 2)
    assert read_outbox(tmp_path / "o").depth == 2
    append(outbox)
    state = read_outbox(tmp_path / "o")
    assert (state.depth, state.oldest_boundary_s) == (3, FIRST_S)
    outbox.close()


def test_outbox_killed_at_every_statement_is_whole_and_loses_nothing(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.unit.edge_agent.outbox_child", str(tmp_path), "42"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 25


def test_outbox_written_by_a_killed_process_opens_from_its_log(tmp_path: Path) -> None:
    """The write-ahead log of a process that never closed holds its commits."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom tests.unit.edge_agent.edge_world import new_outbox\n"
        "outbox = new_outbox(Path(sys.argv[1]), 3)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "o")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "o-wal").exists()
    assert read_outbox(tmp_path / "o").depth == 3
    with closing(reopened(tmp_path / "o")) as outbox:
        check_chain(outbox.oldest(9), outbox.progress)


def test_errors_of_the_outbox_are_operating_errors() -> None:
    assert issubclass(OutboxFullError, GridError)
    assert not issubclass(OutboxFullError, UsageError)
    assert issubclass(OutboxDamagedError, UsageError)


def test_acknowledging_touches_no_batch_that_stays_and_keeps_count(tmp_path: Path) -> None:
    outbox = new_outbox(tmp_path / "o", 6)
    statements: list[str] = []
    outbox._connection.set_trace_callback(statements.append)
    outbox.acknowledge([1, 2, 2], 7, bytes(32))
    outbox.acknowledge([2, 3], 8, bytes(32))  # 2 is gone already
    assert [
        words
        for words in statements
        if "batches" in words and "WHERE counter = " not in words and "LIMIT 1" not in words
    ] == []
    outbox.close()
    state = read_outbox(tmp_path / "o")
    assert (outbox.depth, outbox.size) == (state.depth, state.size)
    assert state.depth == 3
