"""The node's configuration file and key: what is wrong is named, the password never."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.config import load_config
from gridcore.errors import UsageError
from gridcore.serving.asgi import open_socket, url_of
from gridcore.serving.ports import is_loopback
from gridcore.sm import SigningKey
from gridcore.sm.keystore import ITERATIONS_MIN, encode_private_key
from gridledger.cli import main
from gridledger.commands.config import config_type
from ledger.config import KeyConfig, NodeConfig, load_key

TOML = """
data_dir = "ledger"
[key]
uri = "file:node.pem"
password = "file:node.password"
"""


def write(folder: Path, text: str = TOML, password: str = "correct horse") -> Path:
    """A configuration with its key; the keystore's password is always the same."""
    key = SigningKey.from_scalar((7).to_bytes(32, "big"))
    (folder / "node.pem").write_bytes(encode_private_key(key, b"correct horse", iterations=ITERATIONS_MIN))
    (folder / "node.password").write_text(password + "\n")
    (folder / "node.password").chmod(0o600)
    path = folder / "node.toml"
    path.write_text(text)
    return path


def test_a_short_file_has_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path), NodeConfig)
    assert config.data_dir == tmp_path / "ledger"
    assert (config.listen.host, config.listen.port, config.log_level) == ("127.0.0.1", 7070, "info")
    assert config.key is not None
    assert load_key(config.key).public_key == SigningKey.from_scalar((7).to_bytes(32, "big")).public_key
    assert config_type("node") is NodeConfig


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TOML + "\n[listen]\nprot = 1\n", "listen.prot is an unknown key; did you mean 'port'"),
        (TOML + "\n[listen]\nport = 70000\n", "listen.port = 70000 is out of range"),
        (TOML.replace('"file:node.password"', '"hunter2"'), "a secret is given by reference"),
        (TOML.replace("file:node.pem", "tpm2:1"), "key.uri is no usable reference"),
        (TOML.replace('data_dir = "ledger"', ""), "data_dir is missing"),
        ('log_level = "loud"' + TOML, "log_level = 'loud' is not allowed"),
        (TOML + '\n[listen]\ncertificate = "c.pem"\n', "listen.certificate_key go together"),
        (TOML + '\n[engine]\nkind = "cometbft"\n', "engine: home is the engine's folder where kind is 'cometbft'"),
        (TOML + '\n[engine]\nhome = "engine"\n', "engine: home is the engine's folder where kind is 'cometbft'"),
        (TOML + '\n[engine]\nkind = "raft"\n', "engine.kind = 'raft' is not allowed"),
        (TOML + f'\n[engine]\nkind = "cometbft"\nhome = "{"e" * 120}"\n', "too long for a socket"),
        ('data_dir = "l"\n[engine]\nkind = "cometbft"\nhome = "e"\n', "engine is of a validator, which signs"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_config(write(tmp_path, text), NodeConfig)
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_file_without_a_key_is_that_of_a_standby(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, 'data_dir = "ledger"\n'), NodeConfig)
    assert (config.data_dir, config.key) == (tmp_path / "ledger", None)
    with pytest.raises(UsageError, match="guard is of a node that signs"):
        load_config(write(tmp_path, 'data_dir = "ledger"\nguard = "g"\n'), NodeConfig)


def test_a_wrong_password_is_said_to_be_one(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, password="wrong horse"), NodeConfig)
    assert config.key is not None
    with pytest.raises(UsageError, match="wrong password") as raised:
        load_key(config.key)
    assert str(tmp_path / "node.pem") in str(raised.value)
    assert "horse" not in str(raised.value)


def test_the_check_of_a_file_opens_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "node", str(write(tmp_path))]) == 0
    assert main(["config", "check", "node", str(write(tmp_path, password="wrong horse"))]) == 2
    assert "wrong password" in capsys.readouterr().err


def test_a_missing_or_foreign_keystore_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    config = KeyConfig(f"file:{tmp_path / 'no.pem'}", f"file:{tmp_path / 'node.password'}")
    with pytest.raises(UsageError, match=r"no\.pem: cannot be read \(No such file or directory\); check key\.uri"):
        load_key(config)
    (tmp_path / "no.pem").write_text("hello")
    with pytest.raises(UsageError, match=r"no\.pem: not a keystore"):
        load_key(config)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("node.example", False),
        ("::", False),
    ],
)
def test_loopback_is_told_from_the_network(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_an_address_that_cannot_be_had_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^192\.0\.2\.1:0: cannot listen there"):
        open_socket("192.0.2.1", 0)
    with open_socket("127.0.0.1", 0) as bound:
        assert url_of(bound).startswith("http://127.0.0.1:")
