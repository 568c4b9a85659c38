from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gridcore.errors import InvariantError
from ledger.store.errors import GuardError, StoreError
from ledger.store.files import Files
from ledger.store.guard import Guard
from tests.worlds.faults import Crash, CrashingFiles, FullDisk, UnsyncedFiles

A, B = b"\xaa" * 32, b"\xbb" * 32
SIGNATURE = b"\x5a" * 64
OpenGuard = Callable[..., Guard]


@pytest.fixture
def open_guard() -> Iterator[OpenGuard]:
    """Open a guard on files without faults, or on those that are given; it is closed at the end of the test."""
    with ExitStack() as stack:

        def opened(path: Path, files: Files | None = None) -> Guard:
            guard = Guard.open(path, files or UnsyncedFiles())
            stack.callback(guard.close)
            return guard

        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "guard"
    Guard.create(path, 0, bytes(32), UnsyncedFiles())
    return path


def test_a_promise_is_on_the_disk_before_anything_is_signed(path: Path, open_guard: OpenGuard) -> None:
    guard = open_guard(path)
    assert guard.allow(1, A) is None
    again = open_guard(path)
    assert (again.height, again.digest, again.signature) == (1, A, b"")


def test_the_stored_signature_is_given_when_asked_again(path: Path, open_guard: OpenGuard) -> None:
    guard = open_guard(path)
    guard.allow(1, A)
    guard.keep_signature(SIGNATURE)
    assert guard.allow(1, A) == SIGNATURE
    assert open_guard(path).allow(1, A) == SIGNATURE


def test_a_promise_without_its_signature_allows_to_sign_the_same_header(path: Path, open_guard: OpenGuard) -> None:
    open_guard(path).allow(1, A)
    assert open_guard(path).allow(1, A) is None


def test_a_signature_that_nobody_awaits_is_a_broken_promise(path: Path, open_guard: OpenGuard) -> None:
    guard = open_guard(path)
    with pytest.raises(InvariantError, match="awaited for height 0"):
        guard.keep_signature(SIGNATURE)
    guard.allow(1, A)
    guard.keep_signature(SIGNATURE)
    with pytest.raises(InvariantError, match="awaited for height 1"):
        guard.keep_signature(SIGNATURE)


def test_another_header_of_the_same_height_is_refused(path: Path, open_guard: OpenGuard) -> None:
    guard = open_guard(path)
    guard.allow(7, A)
    with pytest.raises(GuardError, match=rf"{B.hex()} of height 7, this node has signed {A.hex()} of height 7"):
        guard.allow(7, B)
    assert open_guard(path).digest == A


@pytest.mark.parametrize("digest", [A, B])
def test_any_header_of_a_lower_height_is_refused(path: Path, digest: bytes, open_guard: OpenGuard) -> None:
    guard = open_guard(path)
    guard.allow(6, A)
    guard.allow(7, B)
    with pytest.raises(GuardError, match=r"height 6, this node has signed .* of height 7"):
        guard.allow(6, digest)


def test_a_refusal_raises_an_alarm(path: Path, capsys: pytest.CaptureFixture[str], open_guard: OpenGuard) -> None:
    guard = open_guard(path)
    guard.allow(7, A)
    with pytest.raises(GuardError):
        guard.allow(7, B)
    assert "guard_refused_to_sign" in "".join(capsys.readouterr())


def test_a_guard_is_never_overwritten(path: Path) -> None:
    with pytest.raises(StoreError, match="never overwritten"):
        Guard.create(path, 3, A, UnsyncedFiles())


def test_a_missing_guard_is_no_fresh_start(tmp_path: Path, open_guard: OpenGuard) -> None:
    with pytest.raises(
        StoreError, match=rf"missing, so it is not known .* node renew-guard --data DIR --guard {tmp_path}/guard"
    ):
        open_guard(tmp_path / "guard")


def test_a_guard_with_any_byte_changed_never_permits_what_it_refused(path: Path, open_guard: OpenGuard) -> None:
    guard = open_guard(path)
    guard.allow(7, A)
    guard.keep_signature(SIGNATURE)
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        try:
            guard = Guard.open(path, UnsyncedFiles())
        except StoreError:
            assert position < 5 or 0 <= position - 8192 < 44
            continue
        guard.close()
        is_of_the_signature = 0 <= position - 8192 - 44 < 68
        assert (guard.height, guard.digest, guard.signature) == (7, A, b"" if is_of_the_signature else SIGNATURE)


@pytest.mark.parametrize("size", [0, 1, 4, 5, 4096, 4096 + 43])
def test_a_cut_guard_is_damage(path: Path, size: int, open_guard: OpenGuard) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match=r"damaged|empty"):
        open_guard(path)


def crashes_while_promising(path: Path, step: int, open_guard: OpenGuard) -> bool:
    """After the promise of height 1, promise height 2 with an end before ``step``; whether the end came."""
    Guard.create(path, 0, bytes(32), UnsyncedFiles())
    guard = open_guard(path)
    guard.allow(1, A)
    guard.keep_signature(SIGNATURE)
    try:
        guard = open_guard(path, CrashingFiles(step))
        guard.allow(2, B)
        guard.keep_signature(SIGNATURE)
    except Crash:
        return True
    return False


def test_a_crash_at_any_step_leaves_the_old_promise_or_the_new_one(tmp_path: Path, open_guard: OpenGuard) -> None:
    step = 0
    while crashes_while_promising(tmp_path / f"guard-{step}", step, open_guard):
        found = open_guard(tmp_path / f"guard-{step}")
        assert (found.height, found.digest, found.signature) in ((1, A, SIGNATURE), (2, B, b""), (2, B, SIGNATURE))
        assert found.allow(2, B) is None
        step += 1
    assert step == 5


def test_a_promise_that_the_disk_refuses_is_not_made(path: Path, open_guard: OpenGuard) -> None:
    files = FullDisk()
    guard = open_guard(path, files)
    guard.allow(1, A)
    files.fail_from = len(files.steps)
    with pytest.raises(OSError, match="No space left"):
        guard.allow(2, B)
    assert (guard.height, guard.digest) == (1, A)
    assert open_guard(path).height == 1
    files.heal()
    assert guard.allow(2, B) is None


@pytest.mark.parametrize("healed_steps", range(6))
def test_after_a_promise_whose_last_sync_failed_a_torn_one_leaves_a_promise_that_counts(
    path: Path, open_guard: OpenGuard, healed_steps: int
) -> None:
    """Whether the disk took the choice of the block is not known then: the next promise must not go into the block that counts."""
    files = FullDisk()
    guard = open_guard(path, files)
    guard.allow(1, A)
    files.fail_from = len(files.steps) + 3
    with pytest.raises(OSError, match="No space left"):
        guard.allow(2, B)
    assert files.steps[-1] == "sync"
    files.fail_from = len(files.steps) + healed_steps
    with pytest.raises(OSError, match="No space left"):
        guard.allow(3, A)
    found = open_guard(path)
    assert (found.height, found.digest) in ((1, A), (2, B), (3, A))
    files.heal()
    assert guard.allow(3, B) is None
    assert open_guard(path).allow(3, B) is None
    with pytest.raises(GuardError):
        open_guard(path).allow(3, A)
