"""``gridledger sealed``: a file for named recipients, and what a user is told who errs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.files import save_new
from gridcore.signers import save_key
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridledger.cli import main

GRID, STRANGER = (SigningKey.from_scalar(bytes(31) + bytes([number])) for number in (3, 7))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, key in (("grid", GRID), ("stranger", STRANGER)):
        save_key(tmp_path / f"{name}.pem", key, b"word")
    save_new(tmp_path / "password", b"word")
    (tmp_path / "incident.txt").write_bytes(b"what happened")
    return tmp_path


def seal(folder: Path, recipient: str = GRID.public_key.hex()) -> int:
    words = ["seal", str(folder / "incident.txt"), "--for", recipient, "--context", "village"]
    return main(["sealed", *words, "--out", str(folder / "incident.sealed")])


def unseal(folder: Path, name: str, context: str = "village", file: str = "incident.sealed") -> int:
    key = ["--key", f"file:{folder / name}.pem", "--password", f"file:{folder / 'password'}"]
    words = ["open", str(folder / file), *key, "--context", context, "--out", str(folder / "opened")]
    return main(["sealed", *words])


def test_the_named_recipient_reads_the_file(folder: Path) -> None:
    assert seal(folder) == 0
    assert b"what happened" not in (folder / "incident.sealed").read_bytes()
    assert unseal(folder, "grid") == 0
    assert (folder / "opened").read_bytes() == b"what happened"


@pytest.mark.parametrize(
    ("name", "context", "reason"),
    [("stranger", "village", "this key is none of them"), ("grid", "town", "sealed for 'village', not for 'town'")],
)
def test_who_may_not_read_it_gets_one_line_and_no_file(
    folder: Path, name: str, context: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seal(folder)
    assert unseal(folder, name, context) == 1
    assert reason in capsys.readouterr().err
    assert not (folder / "opened").exists()


def test_a_file_that_is_not_sealed_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unseal(folder, "grid", file="incident.txt") == 2
    assert "incident.txt: not a sealed file" in capsys.readouterr().err


@pytest.mark.parametrize("recipient", ["xyz", "04", "00" * 65])
def test_a_recipient_that_is_no_key_is_one_line(
    folder: Path, recipient: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seal(folder, recipient) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (folder / "incident.sealed").exists()


def test_anybody_sees_for_which_keys_a_file_is_sealed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seal(folder)
    capsys.readouterr()
    assert main(["sealed", "show", str(folder / "incident.sealed")]) == 0
    assert sm3(GRID.public_key).hex() in capsys.readouterr().out
