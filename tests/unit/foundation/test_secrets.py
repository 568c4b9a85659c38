from __future__ import annotations

import os
from pathlib import Path

import pytest

from gridcore.secrets import SECRET_BYTES_MAX, SecretError, check_private_file, read_secret


def private_file(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("data", "secret"),
    [
        (b"abc", b"abc"),
        (b"abc\n", b"abc"),
        (b"abc\r\n", b"abc"),
        (b"abc\n\n", b"abc\n"),
        (b" a b ", b" a b "),
        (b"\x00\xff", b"\x00\xff"),
    ],
)
def test_file_secret_loses_one_line_break_only(tmp_path: Path, data: bytes, secret: bytes) -> None:
    assert read_secret(f"file:{private_file(tmp_path, data)}") == secret


def test_environment_secret_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLEDGER_TEST_SECRET", "口令")
    assert read_secret("env:GRIDLEDGER_TEST_SECRET") == "口令".encode()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o777])
def test_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = private_file(tmp_path, b"hush", mode)
    with pytest.raises(SecretError) as caught:
        read_secret(f"file:{path}")
    line = str(caught.value)
    assert f"{mode:04o}" in line
    assert f"chmod 600 {path}" in line
    assert "\n" not in line
    assert "hush" not in line
    with pytest.raises(SecretError):
        check_private_file(path)


@pytest.mark.parametrize("uri", ["hunter2", "", "file", "file:", "env:", "http://x", "FILE:/x"])
def test_secret_in_place_of_a_reference_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(SecretError) as caught:
        read_secret(uri)
    assert "hunter2" not in str(caught.value)
    assert "file:PATH" in str(caught.value)


def test_missing_file_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="No such file"):
        read_secret(f"file:{tmp_path / 'none'}")


def test_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRIDLEDGER_TEST_SECRET", raising=False)
    with pytest.raises(SecretError, match="env:GRIDLEDGER_TEST_SECRET"):
        read_secret("env:GRIDLEDGER_TEST_SECRET")


def test_empty_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="is empty"):
        read_secret(f"file:{private_file(tmp_path, b'')}")


def test_folder_or_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SecretError, match="not a regular file"):
            read_secret(f"file:{path}")


def test_a_secret_at_the_limit_is_read_and_above_it_refused(tmp_path: Path) -> None:
    assert len(read_secret(f"file:{private_file(tmp_path, b'x' * SECRET_BYTES_MAX)}")) == SECRET_BYTES_MAX
    with pytest.raises(SecretError, match="longer than"):
        read_secret(f"file:{private_file(tmp_path, b'x' * (SECRET_BYTES_MAX + 1))}")
