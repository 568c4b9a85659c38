from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.signers import open_signer, save_key
from gridcore.sm import SigningKey, is_valid_signature
from gridledger.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A key under the password "hush", and the passwords' files."""
    save_key(tmp_path / "key.pem", SigningKey.from_scalar((7).to_bytes(32, "big")), b"hush")
    for name, password in (("password", "hush"), ("wrong", "oops")):
        (tmp_path / name).write_text(password)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def test_saved_key_is_private_and_signs(folder: Path) -> None:
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    signer = open_signer(f"file:{folder / 'key.pem'}", f"file:{folder / 'password'}")
    assert signer.public_key == SigningKey.from_scalar((7).to_bytes(32, "big")).public_key
    assert is_valid_signature(signer.public_key, b"m", signer.sign(b"m"))
    with pytest.raises(UsageError, match="exists already"):
        save_key(folder / "key.pem", SigningKey.generate(), b"hush")


@pytest.mark.parametrize(
    ("uri", "password", "reason"),
    [
        ("key.pem", "file:password", "--key 'key.pem': start it with one of file:, tpm2:"),
        ("file:", "file:password", "--key 'file:': start it with one of file:"),
        ("pkcs11:1", "file:password", "--key 'pkcs11:1': signers of scheme 'pkcs11' are not built"),
        ("tpm2:1", None, "--key 'tpm2:1': '1' is no persistent handle; give one from 0x81000000 to 0x817fffff"),
        ("tpm2:0x81000010?tmp=x", None, "'tmp' is no option with a value; there are: tpm="),
        ("tpm2:0x81000010?tpm=none", None, "none: no TPM answers there (No such file or directory)"),
        ("tpm2-sealed:none", None, "none: cannot be read (No such file or directory); check --key"),
        ("tpm2-sealed:key.pem", None, "is no key that a TPM has sealed; make one: gridledger edge keygen --key"),
        ("sdf:none.so", None, "no library of GM/T 0018"),
        ("sdf:libc.so.6", None, "no library of GM/T 0018"),
        ("sdf:libc.so.6?key=0", None, "'0' is no key index; give one from 0x1 to 0xffff"),
        ("file:key.pem", None, "--key 'file:key.pem': an encrypted key file needs a password"),
        ("file:none.pem", "file:password", "none.pem: cannot be read (No such file or directory); check --key"),
        (
            "file:key.pem",
            "file:wrong",
            "key.pem: wrong password for this keystore (or its encrypted part was altered); check --key and its password",
        ),
        ("file:password", "file:password", "password: not a keystore"),
        ("file:key.pem", "hush", "a secret is given by reference"),
    ],
)
def test_key_that_cannot_be_used_names_where_it_came_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch, uri: str, password: str | None, reason: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError) as caught:
        open_signer(uri, password, origin="--key")
    assert reason in str(caught.value)


def test_evidence_names_its_argument_and_no_configuration_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--party", "p", "--slot", "0", "--line", "levy", "--out", str(folder / "x.evd")]
    key = ["--signer", "util", "--key", f"file:{folder / 'none.pem'}", "--password", f"file:{folder / 'password'}"]
    assert main(["evidence", "export", "--url", "http://127.0.0.1:1", *key, *line]) == 2
    said = capsys.readouterr().err
    assert "none.pem: cannot be read (No such file or directory); check --key" in said
    assert "key.uri" not in said
