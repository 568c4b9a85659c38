from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.files import locked, read_bounded, save_new


def test_a_file_at_its_limit_is_read_and_above_it_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5, "check it") == b"12345"
    with pytest.raises(UsageError, match=r"x: larger than 4 bytes; check it$"):
        read_bounded(path, 4, "check it")


@pytest.mark.parametrize(
    ("name", "reason"), [("none", "No such file or directory"), ("", "Is a directory"), ("a\0b", "embedded null byte")]
)
def test_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=rf": cannot be read \({reason}\); check the key 'trust'$"):
        read_bounded(tmp_path / name, 5, "check the key 'trust'")


def test_check_sees_the_file_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")
    seen: list[os.stat_result] = []
    read_bounded(path, 5, "", seen.append)
    assert seen[0].st_ino == path.stat().st_ino


def test_new_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_new(path, b"first")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UsageError, match="exists already and is not overwritten; give another name"):
        save_new(path, b"second")
    assert path.read_bytes() == b"first"
    with pytest.raises(UsageError, match="cannot be written"):
        save_new(tmp_path / "none" / "x", b"")


def test_new_file_is_on_the_disk_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[bool] = []
    sync = os.fsync

    def note(handle: int) -> None:
        kinds.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    save_new(tmp_path / "x", b"data")
    assert kinds == [False, True]


def test_file_that_the_disk_refused_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UsageError, match="No space left on device"):
        save_new(tmp_path / "x", b"data")
    assert list(tmp_path.iterdir()) == []


def test_lock_is_held_by_one_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with locked(path, "taken"), pytest.raises(UsageError, match="taken"), locked(path, "taken"):
        pass
    with locked(path, "taken"):
        pass
    with pytest.raises(UsageError, match="its folder must exist"), locked(tmp_path / "none" / "x", "taken"):
        pass
