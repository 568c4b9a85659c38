from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.errors import EncodingError, InvariantError
from ledger.state.block import Offence
from ledger.store import block_log
from ledger.store.block_log import BlockLog
from ledger.store.block_record import BlockRecord, decode_record, encode_frame, encode_record
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files
from tests.worlds.faults import Crash, CrashingFiles, FullDisk, UnsyncedFiles


def make_record(height: int, content: bytes = b"transaction") -> BlockRecord:
    certificate = [(b"key", b"signature")] if height > 1 else []
    return BlockRecord(height, 1000 + height, bytes([height]) * 32, height - 1, certificate, (), (content, b""))


def open_log(path: Path, files: Files, signed_height: int) -> BlockLog:
    """The log as a start leaves it."""
    log = BlockLog.open(path, files)
    try:
        for _ in log.scan():
            pass
        log.accept(signed_height)
    except BaseException:
        log.close()
        raise
    return log


def records(log: BlockLog, height: int = 0, offset: int = 0) -> list[BlockRecord]:
    return [stored.record for stored in log.records_after(height, offset)]


def fill(path: Path, count: int) -> list[int]:
    """A log of ``count`` blocks; returns their offsets and the end."""
    log = open_log(path, UnsyncedFiles(), signed_height=0)
    offsets = [log.append(make_record(height)) for height in range(log.height + 1, count + 1)]
    log.close()
    return [*offsets, path.stat().st_size]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "blocks.log"


def test_blocks_come_back_as_they_were_appended(path: Path) -> None:
    offsets = fill(path, 5)
    log = open_log(path, UnsyncedFiles(), signed_height=5)
    assert log.height == 5
    assert records(log) == [make_record(height) for height in range(1, 6)]
    assert [record.height for record in records(log, 3, offsets[2])] == [4, 5]
    assert log.read(2, offsets[1]) == make_record(2)
    log.close()


@given(
    st.integers(0, 2**63),
    st.integers(0, 2**63),
    st.binary(min_size=32, max_size=32),
    st.lists(st.tuples(st.binary(), st.binary()), max_size=3),
    st.lists(st.builds(Offence, st.binary(), st.integers(0, 2**63)), max_size=2),
    st.lists(st.binary(max_size=50), max_size=5),
)
def test_a_record_decodes_to_itself(
    height: int,
    time_s: int,
    previous: bytes,
    certificate: list[tuple[bytes, bytes]],
    offenders: list[Offence],
    transactions: list[bytes],
) -> None:
    certified = max(0, height - 2)
    record = BlockRecord(height, time_s, previous, certified, certificate, tuple(offenders), tuple(transactions))
    assert decode_record(encode_record(record)) == record


@pytest.mark.parametrize(
    "payload", [b"", b"\x80", encode_record(make_record(1))[:-1], b"\x86\x67block/1\x01\x01\x40\x80\x80"]
)
def test_a_payload_that_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(EncodingError):
        decode_record(payload)


def test_a_last_record_cut_at_any_byte_is_cut_off_and_written_again(path: Path, tmp_path: Path) -> None:
    *offsets, end = fill(path, 3)
    whole = path.read_bytes()
    for size in range(offsets[2], end):
        torn = tmp_path / f"torn-{size}"
        torn.write_bytes(whole[:size])
        log = open_log(torn, UnsyncedFiles(), signed_height=2)
        assert log.height == 2
        assert torn.stat().st_size == offsets[2]
        assert log.append(make_record(3)) == offsets[2]
        log.close()
        assert torn.read_bytes() == whole


def test_a_last_record_with_any_byte_changed_is_cut_off_if_it_was_never_signed(path: Path, tmp_path: Path) -> None:
    *offsets, end = fill(path, 3)
    whole = path.read_bytes()
    for position in range(offsets[2], end):
        for flip in (0x01, 0x80):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            torn = tmp_path / "torn"
            torn.write_bytes(damaged)
            log = open_log(torn, UnsyncedFiles(), signed_height=2)
            assert log.height == 2, (position, flip)
            log.close()


def test_a_tail_of_zeros_is_cut_off(path: Path) -> None:
    end = fill(path, 2)[-1]
    path.write_bytes(path.read_bytes() + bytes(5000))
    log = open_log(path, UnsyncedFiles(), signed_height=2)
    assert (log.height, path.stat().st_size) == (2, end)
    log.close()


def test_a_tail_longer_than_any_record_is_damage_and_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path, 2)
    monkeypatch.setattr(block_log, "RECORD_BYTES_MAX", 200)
    before = path.read_bytes() + bytes(1000)
    path.write_bytes(before)
    with pytest.raises(StoreError, match="block 3 at byte"):
        open_log(path, UnsyncedFiles(), signed_height=2)
    assert path.read_bytes() == before


def test_a_flipped_bit_in_a_signed_block_stops_the_start_and_changes_nothing(path: Path, tmp_path: Path) -> None:
    *offsets, end = fill(path, 4)
    whole = path.read_bytes()
    for position in range(0, end, 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        copy = tmp_path / "copy"
        copy.write_bytes(damaged)
        height = sum(offset <= position for offset in offsets)
        with pytest.raises(StoreError, match=rf"copy: block {height} at byte {offsets[height - 1]} ") as caught:
            open_log(copy, UnsyncedFiles(), signed_height=4)
        assert re.search("signed block 4", str(caught.value))
        assert copy.read_bytes() == bytes(damaged)


def test_a_log_that_ends_below_the_signed_height_names_both_heights(path: Path) -> None:
    fill(path, 3)
    with pytest.raises(StoreError, match=r"ends with block 3, but this node has signed block 5 .*put back"):
        open_log(path, UnsyncedFiles(), signed_height=5)


def test_a_block_is_not_read_where_it_does_not_stand(path: Path) -> None:
    offsets = fill(path, 3)
    log = open_log(path, UnsyncedFiles(), signed_height=3)
    for offset in (offsets[0], offsets[1] + 1):
        with pytest.raises(StoreError, match=f"block 2 at byte {offset} is damaged"):
            log.read(2, offset)
    log.close()


def test_heights_are_appended_in_order_only(path: Path) -> None:
    log = open_log(path, UnsyncedFiles(), signed_height=0)
    with pytest.raises(InvariantError):
        log.append(make_record(2))
    log.close()


def test_a_record_of_the_greatest_size_is_taken_and_one_byte_more_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(encode_record(make_record(1)))
    monkeypatch.setattr(block_log, "RECORD_BYTES_MAX", size)
    log = open_log(path, UnsyncedFiles(), signed_height=0)
    log.append(make_record(1))
    with pytest.raises(InvariantError, match=str(size)):
        log.append(BlockRecord(2, 1002, bytes(32), 1, [], (), (b"x" * size,)))
    log.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("step", ["write", "sync"])
def test_a_block_that_the_disk_refuses_leaves_nothing_behind_and_can_be_written_later(
    path: Path, number: int, step: str
) -> None:
    files = FullDisk(number)
    log = open_log(path, files, signed_height=0)
    log.append(make_record(1))
    size = path.stat().st_size
    files.fail_from = len(files.steps) + (0 if step == "write" else 2)
    with pytest.raises(StoreWriteError, match=r"block 2 could not be written"):
        log.append(make_record(2, b"lost"))
    assert path.stat().st_size == size
    with pytest.raises(StoreWriteError):
        log.append(make_record(2, b"lost again"))
    files.heal()
    log.append(make_record(2, b"kept"))
    assert records(log)[1] == make_record(2, b"kept")
    log.close()
    log = open_log(path, UnsyncedFiles(), signed_height=2)
    assert records(log)[1] == make_record(2, b"kept")
    log.close()


def test_what_could_not_even_be_cut_off_is_cut_off_before_the_next_block(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FullDisk(errno.EIO)
    log = open_log(path, files, signed_height=0)
    log.append(make_record(1))
    files.fail_from = len(files.steps)
    with monkeypatch.context() as patch:
        patch.setattr(files, "truncate", lambda *_: files.write(-1, b""))
        with pytest.raises(StoreWriteError):
            log.append(make_record(2, b"long " * 100))
    files.heal()
    log.append(make_record(2, b"short"))
    log.close()
    whole = open_log(path, UnsyncedFiles(), signed_height=2)
    assert (whole.height, whole.damage) == (2, None)
    whole.close()


def crashes_while_appending(path: Path, step: int) -> bool:
    """Append block 2 to a log of block 1 with an end before ``step``; whether the end came."""
    fill(path, 1)
    try:
        open_log(path, CrashingFiles(step), signed_height=1).append(make_record(2))
    except Crash:
        return True
    return False


def test_a_crash_at_any_step_of_an_append_leaves_the_block_whole_or_not_at_all(tmp_path: Path) -> None:
    heights, step = [], 0
    while crashes_while_appending(tmp_path / f"{step}.log", step):
        log = open_log(tmp_path / f"{step}.log", UnsyncedFiles(), signed_height=1)
        heights.append(log.height)
        assert log.height == 1 or records(log)[1] == make_record(2)
        log.close()
        step += 1
    assert set(heights) == {1, 2}


def test_a_frame_with_a_wild_length_is_damage(path: Path) -> None:
    path.write_bytes(encode_frame(1, b"")[:12] + b"\xff\xff\xff\xff" + bytes(20))
    with pytest.raises(StoreError, match="block 1 at byte 0 is damaged"):
        open_log(path, UnsyncedFiles(), signed_height=1)


def test_inspection_changes_nothing(path: Path) -> None:
    fill(path, 2)
    torn = path.read_bytes() + b"GLB1 torn"
    path.write_bytes(torn)
    log = BlockLog.inspect(path)
    assert len(list(log.scan())) == log.height == 2
    assert log.damage is not None
    assert path.read_bytes() == torn
    log.close()
