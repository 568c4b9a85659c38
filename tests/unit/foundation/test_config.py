from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gridcore.config import CONFIG_BYTES_MAX, ConfigError, as_table, load_config
from gridcore.errors import InvariantError, UsageError


@dataclass(frozen=True)
class MeterConfig:
    address: int = field(metadata={"min": 1, "max": 247})
    profile: str = field(default="sdm630", metadata={"choices": ("sdm630", "acrel")})


@dataclass(frozen=True)
class AgentConfig:
    gateway: str = field(metadata={"min": 1, "max": 8})
    outbox: Path = Path("outbox.db")
    timeout_ms: int = field(default=500, metadata={"min": 10, "max": 60_000})
    password: str | None = field(default=None, metadata={"secret": True})
    key: str = field(default="file:key.pem", metadata={"schemes": ("file", "tpm2")})
    is_late_allowed: bool = False
    first: MeterConfig | None = None
    meters: tuple[MeterConfig, ...] = field(default=(), metadata={"max": 2})
    hosts: tuple[str, ...] = ()
    limits_wh: dict[str, int] = field(default_factory=dict, metadata={"min": 0})

    def __post_init__(self) -> None:
        if self.gateway == "bad":
            raise UsageError("gateway 'bad' may not be late")


def write(folder: Path, text: str) -> Path:
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_type_of_field_is_loaded(tmp_path: Path) -> None:
    text = """
    gateway = "gw1"
    outbox = "data/outbox.db"
    timeout_ms = 1000
    password = "env:PASSWORD"
    key = "file:keys/gw1.pem"
    is_late_allowed = true
    hosts = ["a", "b"]
    limits_wh = { import = 5, export = 7 }
    [first]
    address = 1
    [[meters]]
    address = 0x02
    profile = "acrel"
    """
    config = load_config(write(tmp_path, text), AgentConfig)
    assert config == AgentConfig(
        gateway="gw1",
        outbox=tmp_path / "data/outbox.db",
        timeout_ms=1000,
        password="env:PASSWORD",
        key=f"file:{tmp_path}/keys/gw1.pem",
        is_late_allowed=True,
        first=MeterConfig(1),
        meters=(MeterConfig(2, "acrel"),),
        hosts=("a", "b"),
        limits_wh={"import": 5, "export": 7},
    )


def test_absolute_paths_stay(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, 'gateway = "g"\noutbox = "/var/x.db"\nkey = "tpm2:0x81"'), AgentConfig)
    assert config.outbox == Path("/var/x.db")
    assert config.key == "tpm2:0x81"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('gatway = "g"', "gatway is an unknown key; did you mean 'gateway'?"),
        ('gateway = "g"\nzzz = 1', "zzz is an unknown key; known here: gateway, outbox"),
        (
            'gateway = "g"\n[[meters]]\naddress = 1\n[[meters]]\nadress = 2',
            "meters[1].adress is an unknown key; did you mean 'address'?",
        ),
        ("", "gateway is missing; give text in quotes"),
        ("gateway = 5", "gateway = 5 does not fit; give text in quotes"),
        ('gateway = ""', "gateway = 0 characters is out of range; allowed: 1 to 8"),
        ('gateway = "g"\ntimeout_ms = 9', "timeout_ms = 9 is out of range; allowed: 10 to 60000"),
        ('gateway = "g"\ntimeout_ms = 60001', "timeout_ms = 60001 is out of range"),
        ('gateway = "g"\ntimeout_ms = "500"', "timeout_ms = '500' does not fit; give a whole number (10 to 60000)"),
        ('gateway = "g"\ntimeout_ms = 500.0', "timeout_ms = 500.0 does not fit"),
        ('gateway = "g"\ntimeout_ms = true', "timeout_ms = True does not fit"),
        ('gateway = "g"\nis_late_allowed = 1', "is_late_allowed = 1 does not fit; give true or false"),
        ('gateway = "g"\nfirst = 1', "first = 1 does not fit; give a table"),
        ('gateway = "g"\nmeters = [1]', "meters[0] = 1 does not fit; give a table"),
        ('gateway = "g"\nmeters = 1', "meters = 1 does not fit; give an array of tables"),
        ('gateway = "g"\nhosts = "a"', "hosts = 'a' does not fit; give an array"),
        ('gateway = "g"\nhosts = [1]', "hosts[0] = 1 does not fit"),
        ('gateway = "g"\nlimits_wh = {a = "x"}', "limits_wh.a = 'x' does not fit"),
        ('gateway = "g"\noutbox = ""', "outbox is empty; give a path"),
        (
            'gateway = "g"\noutbox = "~nobody-here/o"',
            "outbox begins with the home folder of a user who is not known here",
        ),
        ('gateway = "g"\noutbox = "a\\u0000b"', "outbox holds a control character; write text"),
        (
            'gateway = "g"\nkey = "file:~nobody-here/k"',
            "key begins with the home folder of a user who is not known here",
        ),
        (
            'gateway = "g"\n[first]\naddress = 1\nprofile = "sdm360"',
            "first.profile = 'sdm360' is not allowed; choose 'sdm630' or 'acrel'",
        ),
        ('gateway = "g"\nkey = "pkcs11:x"', "key is no usable reference; start it with file: or tpm2:"),
        ('gateway = "g\\u001b"', "gateway holds a control character; write text"),
        ('gateway = "g"\npassword = "hush\\u0007"', "password holds a control character; write text"),
        ('gateway = "bad"', "gateway 'bad' may not be late"),
        ("gateway = ", "not valid TOML"),
    ],
)
def test_wrong_entry_is_refused_with_one_line_naming_file_and_key(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, AgentConfig)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert expected in line
    assert "\n" not in line


def test_plain_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for value in ('"hunter2"', "[1, 22]", "8341"):
        with pytest.raises(ConfigError) as caught:
            load_config(write(tmp_path, f'gateway = "g"\npassword = {value}'), AgentConfig)
        assert "hunter2" not in str(caught.value)
        assert "8341" not in str(caught.value)
        assert "file:PATH" in str(caught.value)


def test_an_array_at_its_limit_is_loaded_and_above_it_refused(tmp_path: Path) -> None:
    meter = "[[meters]]\naddress = 1\n"
    assert len(load_config(write(tmp_path, 'gateway = "g"\n' + 2 * meter), AgentConfig).meters) == 2
    with pytest.raises(ConfigError, match="meters = 3 entries is out of range; allowed: at most 2"):
        load_config(write(tmp_path, 'gateway = "g"\n' + 3 * meter), AgentConfig)


def test_absent_binary_and_oversized_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read \(No such file or directory\); check the path"):
        load_config(tmp_path / "none.toml", AgentConfig)
    path = tmp_path / "edge.toml"
    path.write_bytes(b'gateway = "\xff"')
    with pytest.raises(ConfigError, match="byte 11 is not UTF-8"):
        load_config(path, AgentConfig)
    path.write_bytes(b"#" * (CONFIG_BYTES_MAX + 1))
    with pytest.raises(UsageError, match="larger than"):
        load_config(path, AgentConfig)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("[" * 20_000, "nested too deeply"),
        ("9" * 5_000, "a number has more than 4,300 digits"),
        ("0x" + "f" * 5_000, "a number has more than 4,300 digits"),
    ],
)
def test_toml_that_breaks_its_reader_is_one_line(tmp_path: Path, value: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=rf"edge\.toml: not valid TOML: {fault}$") as caught:
        load_config(write(tmp_path, f"gateway = {value}"), AgentConfig)
    assert "\n" not in str(caught.value)


def test_toml_that_an_editor_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text('gateway = "g"', encoding="utf-8-sig")
    assert load_config(path, AgentConfig).gateway == "g"


def test_table_of_a_configuration_can_be_loaded_again(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, 'gateway = "g"\n[[meters]]\naddress = 3'), AgentConfig)
    table = as_table(config)
    assert table["outbox"] == str(config.outbox) == "outbox.db"
    assert table["meters"] == [{"address": 3, "profile": "sdm630"}]
    assert "first" not in table


def test_type_that_is_not_frozen_is_our_own_fault(tmp_path: Path) -> None:
    @dataclass
    class Loose:
        a: int = 0

    with pytest.raises(InvariantError, match="frozen"):
        load_config(write(tmp_path, "a = 1"), Loose)
