"""``gridledger certificate``: what an organisation does with its authority, and what it is told when it errs."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from gridcore.sm import SigningKey, is_valid_signature
from gridcore.x509 import decode_certificate
from gridledger.cli import main

KEY = SigningKey.from_scalar(bytes(31) + b"\5")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main(["certificate", *map(str, words), "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["certificate", *map(str, words)]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.fixture
def authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    run(capsys, "authority", "--name", "Grid Company CA", "--days", 3650, "--out", tmp_path / "authority")
    return tmp_path / "authority"


def issue(authority: Path, days: int, out: str, public_key: bytes = KEY.public_key) -> list[object]:
    named = ["--authority", authority, "--signer", "utility", "--public-key", public_key.hex()]
    return ["issue", *named, "--days", days, "--out", authority.parent / out]


def test_an_authority_issues_a_certificate_that_holds_by_its_key(
    authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = run(capsys, *issue(authority, 730, "utility.crt"))
    root = decode_certificate(bytes.fromhex(run(capsys, "show", authority / "authority.crt")["certificate"]))
    own = decode_certificate(bytes.fromhex(run(capsys, "show", authority.parent / "utility.crt")["certificate"]))
    assert shown["certificate"] == run(capsys, "show", authority.parent / "utility.crt")["certificate"]
    assert (own.common_name, own.public_key, own.issuer) == ("utility", KEY.public_key, root.subject)
    assert own.not_after_s - own.not_before_s == 730 * 86_400
    assert is_valid_signature(root.public_key, own.signed, own.signature)


def test_only_the_owner_may_read_what_the_authority_keeps(authority: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in authority.iterdir()}
    assert modes == {0o600}


def test_a_certificate_beyond_the_authority_s_own_is_refused(
    authority: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "the authority's own certificate holds for 36" in refused(capsys, *issue(authority, 3651, "a"))


def test_a_key_that_is_none_is_refused(authority: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--public-key is 130 hex digits" in refused(capsys, *issue(authority, 1, "a", bytes(65)))


def test_what_is_there_is_never_overwritten(authority: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *issue(authority, 1, "a"))
    assert "exists already" in refused(capsys, *issue(authority, 1, "a"))
    assert "not empty" in refused(capsys, "authority", "--name", "x", "--days", 1, "--out", authority)


def test_an_authority_whose_name_is_refused_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--name is a printable text" in refused(
        capsys, "authority", "--name", "a\nb", "--days", 1, "--out", tmp_path / "new"
    )
    assert not (tmp_path / "new").exists()


def test_a_signer_s_certificate_is_no_authority(authority: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *issue(authority, 1, "own.crt"))
    (authority / "authority.crt").write_bytes((authority.parent / "own.crt").read_bytes())
    assert "is no authority's" in refused(capsys, *issue(authority, 1, "b"))


def test_an_authority_s_key_of_another_folder_is_refused(
    authority: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "authority", "--name", "Other", "--days", 10, "--out", tmp_path / "other")
    (authority / "authority.crt").write_bytes((tmp_path / "other" / "authority.crt").read_bytes())
    assert "is not the key of authority.crt" in refused(capsys, *issue(authority, 1, "b"))


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_no_certificate_is_one_line(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.crt").write_bytes(content)
    assert "x.crt: not a certificate of an SM2 key" in refused(capsys, "show", tmp_path / "x.crt")


def test_a_name_that_is_no_text_for_people_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["authority", "--days", 1, "--out", tmp_path / "ca", "--name"]
    assert "--name is a printable text of 1 to 64 characters" in refused(capsys, *words, "a\nb")
    assert "--name is a printable text of 1 to 64 characters" in refused(capsys, *words, "a" * 65)
