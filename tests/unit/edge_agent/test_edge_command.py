"""What a field engineer gets wrong: each ends in one line and exit status 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edge.parts
from edge.config import EdgeConfig, load_device_profiles, load_profiles, open_profiles, profiles_digest
from edge.outbox import Entry
from edge.outbox_file import lock_outbox
from edge.progress import RefusedRow, Seen
from firmware_profiles import FOLDER, profile_digest
from gridcore import cbor
from gridcore.config import load_config, read_config
from gridcore.errors import UsageError
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridledger.cli import main
from tests.unit.edge_agent.edge_world import CHAIN, FIRST_S, new_outbox, next_batch, trust_root, write_config
from tests.worlds.keys import key

BROKER = '[[brokers]]\nbroker = "house"\nhost = "127.0.0.1"\nport = 1883\n'
DEVICE = '[[devices]]\nnumber = 9001\ndevice = "EM-1"\nbroker = "house"\naddress = "em-1"\nprofile = "shelly_pro3em"\n'
MQTT = BROKER + DEVICE


def line_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr (logs apart)."""
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, lines
    return lines[0]


def test_agent_in_order_passes_its_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path)
    assert main(["edge", "check", "--config", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert answer["public_key"] == key("gw-1").public_key.hex()
    assert answer["outbox_batches"] is None
    assert main(["config", "check", "edge", str(path)]) == 0
    new_outbox(tmp_path / "outbox.sqlite", 2).close()
    assert main(["edge", "check", "--config", str(path)]) == 0
    assert "2 batches wait" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outboxx": '"x"'}, "outboxx is an unknown key; did you mean 'outbox'?"),
        ({"outbox": ""}, "outbox is missing"),
        ({"clock": '"sundial"'}, "clock = 'sundial' is not allowed; choose 'wall' or 'ledger'"),
        ({"key_password": '"file:wrong-password"'}, "gateway.pem: wrong password for this keystore"),
        ({"trust": r'"a\u0000b"'}, "trust holds a control character; write text"),
        ({"key_password": ""}, "an encrypted key file needs a password; give a reference"),
        ({"key_password": '"hush"'}, "a secret is given by reference"),
        ({"key": '"file:none.pem"'}, "none.pem: cannot be read (No such file or directory); check key and"),
        ({"key": '"pkcs11:token"'}, "start it with file:, tpm2:, tpm2-sealed: or sdf:"),
        ({"key": '"gateway.pem"'}, "start it with file:, tpm2:"),
        ({"_profile": '"eastron_sdm63"'}, "unknown profile 'eastron_sdm63'; did you mean 'eastron_sdm630'?"),
        ({"trust": '"none.json"'}, "none.json: cannot be read (No such file or directory); check the key 'trust'"),
        ({"chain": '"other"'}, f"is of chain '{CHAIN}', the configuration of 'other'"),
        ({"node": "http://127.0.0.1:99999"}, "write http://HOST:PORT or https://HOST:PORT"),
        (
            {"node_authority": '"ca.pem"'},
            "node_authority: http://127.0.0.1:9 would be compared with none, in the clear",
        ),
        ({"node": "http://[::1"}, "write http://HOST:PORT or https://HOST:PORT"),
        ({"node": "ftp:x"}, "node URL 'ftp:x': write http://HOST:PORT or https://HOST:PORT"),
        ({"outbox": '"."'}, "is a folder; name the file"),
        ({"outbox": '"none/outbox.sqlite"'}, "its folder must exist and be ours"),
        ({"outbox": f'"{300 * "x"}"'}, ": File name too long"),
        ({"key_password": '"file:none"'}, "key_password: file:"),
        (
            {"_tables": '[[meters]]\nnumber=2\nmeter="M"\nline="l"\nunit_id=1\nlimit_wh=1\nprofile="acrel_adl400"\n'},
            "meters: line and place 'l/1' is given twice",
        ),
        (
            {
                "_tables": '[[lines]]\nline="k"\nhost="127.0.0.1"\nport=9\n'
                '[[meters]]\nnumber=2\nmeter="M"\nline="k"\nunit_id=1\nlimit_wh=1\nprofile="acrel_adl400"\n'
            },
            "meters: place of the line, and on it '127.0.0.1:9/1' is given twice",
        ),
        ({"gateway": '"gw 1"'}, "gateway = 'gw 1' is no id"),
        ({"_limit_wh": str(10**9 + 1)}, "meters[0].limit_wh = 1000000001 is out of range; allowed: 1 to 1000000000"),
        ({"first_boundary_s": "901"}, "first_boundary_s = 901 is no multiple of sampling.slot_s = 900"),
        ({"first_boundary_s": "1800", "last_boundary_s": "900"}, "last_boundary_s = 900 lies before"),
        ({"_tables": "[sampling]\nslot_s = 600\n"}, "sampling.slot_s = 600 is no slot length"),
        ({"_tables": "[sampling]\nslot_s = 300\nwindow_ms = 300000\n"}, "reaches the next boundary"),
        (
            {"_tables": "[submit]\nretry_ms_min = 9\nretry_ms_max = 8\n"},
            "retry_ms_max is less than submit.retry_ms_min",
        ),
        ({"_tables": "[outbox_limits]\nbatches_max = 0\n"}, "outbox_limits.batches_max = 0 is out of range"),
        ({"_observe": '["1.8.0"]'}, "meter 'M-1': observe: 1.8.0 is billed, it is read anyway; leave it out"),
        ({"_observe": '["99.7.0"]'}, "meter 'M-1': observe: profile eastron_sdm630 has no point '99.7.0'; it has"),
        ({"_observe": '["32.7.0", "32.7.0"]'}, "meter 'M-1': observe '32.7.0' is given twice"),
        *(
            ({"_tables": MQTT.replace(old, new, 1)}, reason)
            for old, new, reason in (
                ("port = 1883", "prt = 1883", "brokers[0].prt is an unknown key; did you mean 'port'?"),
                ("port = 1883", "port = 0", "brokers[0].port = 0 is out of range"),
                ("port = 1883", 'password = "file:password"', "broker 'house' has a password but no user"),
                ("port = 1883", 'user = "u"\npassword = "hush"', "a secret is given by reference"),
                ("port = 1883", 'user = "u"\npassword = "file:none"', "broker 'house': password: file:"),
                ("port = 1883", 'ca = "ca.pem"', "broker 'house' has a ca but tls is false"),
                ("port = 1883", 'tls = true\nca = "none.pem"', "none.pem cannot be used (No such file or directory)"),
                ("port = 1883", 'tls = true\nca = "edge.toml"', "edge.toml cannot be used ("),
                ("port = 1883", 'client_id = "a/b"', "client_id 'a/b' stands in topics"),
                ("[[brokers]]", BROKER + "[[brokers]]", "brokers: broker 'house' is given twice"),
                (
                    "[[brokers]]",
                    BROKER.replace("house", "k") + "[[brokers]]",
                    "host:port '127.0.0.1:1883' is given twice",
                ),
                (
                    "[[brokers]]",
                    BROKER.replace("house", "k").replace("1883", "1") + "[[brokers]]",
                    "no device is on broker 'k'",
                ),
                (
                    'broker = "house"\naddress',
                    'broker = "k"\naddress',
                    "device 'EM-1' is on broker 'k'; brokers are house",
                ),
                ("number = 9001", "number = 1", "meters and devices: number '1' is given twice"),
                ("number = 9001", "nmber = 9001", "devices[0].nmber is an unknown key; did you mean 'number'?"),
                ("em-1", "em/+", "device 'EM-1': address 'em/+' stands in topics"),
                ("shelly_pro3em", "shelly_pro3e", "unknown profile 'shelly_pro3e'; did you mean 'shelly_pro3em'?"),
                ("[[devices]]", DEVICE + "[[devices]]", "devices: device 'EM-1' is given twice"),
                (
                    "[[devices]]",
                    DEVICE.replace("EM-1", "EM-2") + "[[devices]]",
                    "broker and address 'house/em-1' is given twice",
                ),
            )
        ),
        (
            {"_tables": MQTT + "".join(DEVICE.replace("1", f"1{n}") for n in range(400))},
            "values of 401 meters and devices may take",
        ),
    ],
)
def test_bad_configuration_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], reason: str
) -> None:
    path = write_config(tmp_path, **changes)
    asked = (["edge", "check", "--config"], ["config", "check", "edge"], ["edge", "run", "--config"])
    for words in asked:  # all three refuse alike, and before a socket is opened
        assert main([*words, str(path)]) == 2
        line = line_of(capsys)
        assert line.startswith(f"{path}: ")
        assert reason in line


def test_outbox_of_another_gateway_is_refused_by_every_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path)
    new_outbox(tmp_path / "outbox.sqlite", 1).close()
    path.write_text(path.read_text().replace('gateway = "gw-1"', 'gateway = "gw-2"'))
    for words in (["edge", "check", "--config"], ["config", "check", "edge"]):
        assert main([*words, str(path)]) == 2
        assert "outbox.sqlite: belongs to gateway 'gw-1', the configuration says 'gw-2'" in line_of(capsys)


def test_one_shot_command_prints_no_log_before_its_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path)
    assert main(["edge", "check", "--config", str(path)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "malformed"),
        (json.dumps({**trust_root(), "signers": []}).encode(), "it names no signer, or one key twice"),
        (json.dumps({**trust_root(), "version": 3}).encode(), "version 3"),
        (json.dumps({**trust_root(), "type": "x"}).encode(), "is no gridledger-trust"),
    ],
)
def test_bad_trust_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    path = write_config(tmp_path)
    (tmp_path / "trust.json").write_bytes(content)
    assert main(["edge", "check", "--config", str(path)]) == 2
    line = line_of(capsys)
    assert line.startswith(f"{path}: trust: {tmp_path / 'trust.json'}: ")
    assert reason in line


def test_agent_with_devices_passes_its_check_and_shows_their_brokers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = 'user = "gw-1"\npassword = "file:password"\ntls = true\n'
    path = write_config(tmp_path, _tables=BROKER + secret + DEVICE, _observe='["32.7.0"]')
    assert main(["edge", "check", "--config", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["brokers"], answer["devices"]) == (1, 1)
    outbox = new_outbox(tmp_path / "outbox.sqlite", 1)
    assert main(["edge", "status", "--config", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    place = {"broker": "house", "host": "127.0.0.1", "port": 1883}
    assert (answer["brokers"], answer["not_observed"]) == ([{**place, "last": None}], {})
    seen = Seen((("house", "no connection (Connection refused)"),), (("EM-1", "broker_down"),))
    outbox.store([Entry(FIRST_S, next_batch, seen=seen)])
    outbox.close()
    assert main(["edge", "status", "--config", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["brokers"] == [{**place, "last": "no connection (Connection refused)"}]
    assert answer["not_observed"] == {"EM-1": "broker_down"}
    assert main(["edge", "status", "--config", str(path)]) == 0
    text = capsys.readouterr().out
    assert "house at 127.0.0.1:1883 (no connection (Connection refused))" in text
    assert "EM-1 (broker_down)" in text


def test_damaged_outbox_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path)
    (tmp_path / "outbox.sqlite").write_bytes(b"x" * 5000)
    for action in ("check", "status", "run"):
        assert main(["edge", action, "--config", str(path)]) == 2
        assert f"{tmp_path / 'outbox.sqlite'}: damaged (" in line_of(capsys)


def test_second_agent_and_missing_folder_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path)
    with lock_outbox(tmp_path / "outbox.sqlite"):
        assert main(["edge", "run", "--config", str(path)]) == 2
    assert "another agent has this outbox open; stop it first" in line_of(capsys)
    path = write_config(tmp_path, outbox='"none/outbox.sqlite"')
    assert main(["edge", "run", "--config", str(path)]) == 2
    assert "its folder must exist and be ours" in line_of(capsys)


def test_status_tells_depth_and_witness_and_shows_an_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path)
    assert main(["edge", "status", "--config", str(path)]) == 2
    assert "there is no outbox; the agent makes it at its first start" in line_of(capsys)
    outbox = new_outbox(tmp_path / "outbox.sqlite", 3)
    outbox.acknowledge([1], 12, b"\x01" * 32)
    assert main(["edge", "status", "--config", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["outbox_batches"], answer["counter"], answer["receipt_height"]) == (2, 3, 12)
    assert (answer["oldest_boundary_s"], answer["last_boundary_s"]) == (FIRST_S + 900, FIRST_S + 1800)
    assert answer["refused_rows"] == []
    outbox.acknowledge([2], 13, b"\x02" * 32, [RefusedRow(FIRST_S + 900, 7, 83)])
    outbox.note_alarm("batch 2 was refused: 47 ROWS_MISMATCH")
    outbox.close()
    assert main(["edge", "status", "--config", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "submission is halted: batch 2 was refused" in shown
    assert "readings of installations 7 are not used: ROW_GOES_BACK" in shown
    assert f"installation 7 at {FIRST_S + 900}: ROW_GOES_BACK: register the exchange or the reset" in shown


def test_key_is_made_once_and_opens_with_its_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path)
    (tmp_path / "gateway.pem").unlink()
    words = ["edge", "keygen", "--out", str(tmp_path / "gateway.pem"), "--password-file", str(tmp_path / "password")]
    assert main(words) == 0
    public_key = capsys.readouterr().out.strip()
    assert (tmp_path / "gateway.pem").stat().st_mode & 0o777 == 0o600
    assert main(["edge", "check", "--config", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["public_key"] == public_key
    assert main(words) == 2
    assert "exists already and is not overwritten" in line_of(capsys)


def test_probe_of_a_wrong_address_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for address in ("meter", "http://h:1", "tcp://", "tcp://h:99999", "tcp://h:0", "tcp://[::1", "tcp://h:1#x"):
        assert main(["edge", "probe", address, "--unit", "1", "--profile", "eastron_sdm630"]) == 2
        assert "write tcp://HOST:PORT" in line_of(capsys)


def test_signer_that_fails_its_self_test_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gridcore.signers import check_signer

    class Stuck:
        """Signs with the same random number each time."""

        public_key = key("gw-1").public_key

        def __init__(self) -> None:
            self._signature: bytes | None = None

        def sign(self, message: bytes) -> bytes:
            self._signature = self._signature or key("gw-1").sign(message)
            return self._signature

    class Foreign:
        """Signs with another key than it says."""

        public_key = key("gw-1").public_key

        def sign(self, message: bytes) -> bytes:
            return SigningKey.generate().sign(message)

    with pytest.raises(UsageError, match="twice with the same random number"):
        check_signer(Stuck(), "sdf:1")
    with pytest.raises(UsageError, match="do not verify with its own public key"):
        check_signer(Foreign(), "sdf:1")


def test_batches_name_the_configuration_that_the_agent_runs_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_config(tmp_path)
    before = path.read_bytes()

    def read_and_change(file: Path) -> bytes:
        data = read_config(file)
        file.write_bytes(data + b"# changed while the agent started\n")
        return data

    monkeypatch.setattr(edge.parts, "read_config", read_and_change)
    parts = edge.parts.load_parts(path, "0")
    assert path.read_bytes() != before
    assert parts.maker.configuration == sm3(before)


def test_batches_name_profiles_by_digest(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    config = load_config(path, EdgeConfig)
    profiles = load_profiles(config, open_profiles(config))
    file_digest = profile_digest((FOLDER / "eastron_sdm630.toml").read_bytes())
    assert profiles_digest(profiles) == sm3(cbor.encode([["eastron_sdm630", file_digest]]))
    path = write_config(tmp_path, _tables=MQTT)
    device_digest = profile_digest((FOLDER / "shelly_pro3em.toml").read_bytes())
    parts = edge.parts.load_parts(path, "0")
    named = cbor.encode([["eastron_sdm630", file_digest], ["shelly_pro3em", device_digest]])
    assert parts.maker.profiles == sm3(named)


def test_profiles_of_one_s_own_add_to_the_shipped_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    text = (FOLDER / "eastron_sdm630.toml").read_text().replace('"eastron_sdm630"', '"sdm630_of_ours"', 1)
    (folder / "sdm630_of_ours.toml").write_text(text)
    path = write_config(tmp_path, profiles='"own"')
    path.write_text(path.read_text().replace('"eastron_sdm630"', '"sdm630_of_ours"'))
    assert main(["edge", "check", "--config", str(path)]) == 0
    capsys.readouterr()
    (folder / "acrel_adl400.toml").write_text((FOLDER / "acrel_adl400.toml").read_text())
    assert main(["edge", "check", "--config", str(path)]) == 2
    assert "'acrel_adl400' is the id of " in line_of(capsys)


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ("huawei_sun2000", "profile 'huawei_sun2000' informs only (it has no billing registers)"),
        ("shelly_pro3em", "profile 'shelly_pro3em' informs only"),
    ],
)
def test_meter_with_a_profile_that_bills_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], profile: str, reason: str
) -> None:
    path = write_config(tmp_path)
    path.write_text(path.read_text().replace('"eastron_sdm630"', f'"{profile}"'))
    assert main(["edge", "check", "--config", str(path)]) == 2
    assert reason in line_of(capsys)


def test_shipped_example_is_a_usable_configuration(repository: Path) -> None:
    config = load_config(repository / "examples" / "edge.toml", EdgeConfig)
    assert config.clock == "wall"
    library = open_profiles(config)
    assert load_profiles(config, library)
    devices = load_device_profiles(config, library)
    assert {devices[row.profile].mqtt.mode for row in config.devices} == {"rpc", "push"}
    assert any(row.observe for row in config.meters)
