"""Four organisations found a chain: each makes its own keys, whoever assembles the requests comes to the same genesis."""

from __future__ import annotations

import json
import shutil
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor
from gridcore.config import decode_config, load_config
from gridcore.genesis import decode_genesis
from gridledger.cli import main
from gridledger.founding.config import EXAMPLE
from gridledger.founding.consortium import found_consortium
from gridledger.founding.consortium_config import ConsortiumConfig, example_text
from gridledger.founding.request import load_request, make_request
from ledger.config import NodeConfig, check_node
from ledger.engines.cometbft.home import load_keys

NOW_S = 1_790_000_000
MEMBERS = ("grid", "retailer", "aggregator", "regulator")


def write_file(folder: Path, *changes: tuple[str, str]) -> Path:
    """consortium.toml: the example with other texts in it."""
    text = example_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "consortium.toml"
    path.write_text(text, encoding="utf-8")
    return path


def request(file: Path, name: str, folder: Path) -> Path:
    """The request of a member, made in its own folder."""
    assert main(["consortium", "request", "--config", str(file), "--name", name, "--out", str(folder / name)]) == 0
    return folder / name / f"{name}.request"


@pytest.fixture(scope="module")
def requested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with consortium.toml and a folder for each member, with its request."""
    folder = tmp_path_factory.mktemp("c")
    config = load_config(write_file(folder), ConsortiumConfig)
    for name in MEMBERS:
        make_request(config, name, folder / name, NOW_S)
    return folder


@pytest.fixture
def ceremony(requested: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(requested, tmp_path / "c"))


def paths_of(folder: Path) -> list[Path]:
    """All requests."""
    return [folder / name / f"{name}.request" for name in MEMBERS]


def found(folder: Path, name: str) -> int:
    """What a member does with all requests."""
    words = ["consortium", "found", *map(str, paths_of(folder)), "--config", str(folder / "consortium.toml")]
    return main([*words, "--own", str(folder / name)])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_every_member_comes_to_the_same_genesis_in_its_own_folder(ceremony: Path) -> None:
    assert [found(ceremony, name) for name in MEMBERS] == [0, 0, 0, 0]
    for file in ("genesis.cbor", "trust.json", "engine/config/genesis.json"):
        assert len({(ceremony / name / file).read_bytes() for name in MEMBERS}) == 1, file
    genesis = decode_genesis((ceremony / "grid" / "genesis.cbor").read_bytes())
    engine = json.loads((ceremony / "grid" / "engine" / "config" / "genesis.json").read_text())
    assert engine["chain_id"] == genesis.chain
    assert {validator.name for validator in genesis.validators} == set(MEMBERS)
    assert genesis.thresholds._asdict() == {"contract": 3, "protocol": 3, "registry": 1, "signers": 3}
    trust = json.loads((ceremony / "grid" / "trust.json").read_text())
    assert {signer["name"] for signer in trust["signers"]} == set(MEMBERS)


def test_order_of_the_requests_changes_nothing(requested: Path) -> None:
    config = load_config(requested / "consortium.toml", ConsortiumConfig)
    paths = paths_of(requested)
    assert found_consortium(config, paths).genesis == found_consortium(config, paths[::-1]).genesis


def test_layout_and_comments_of_the_file_do_not_count(requested: Path) -> None:
    text = (requested / "consortium.toml").read_text().replace("# what people read", "# title") + "\n\n"
    config = decode_config(text.encode(), ConsortiumConfig, EXAMPLE)
    assert config.digest == load_config(requested / "consortium.toml", ConsortiumConfig).digest


def test_no_private_key_leaves_its_folder_and_each_is_its_owners_alone(ceremony: Path) -> None:
    for name in MEMBERS:
        found(ceremony, name)
    for name in MEMBERS:
        secrets = [*(ceremony / name / "keys").iterdir(), *(ceremony / name / "engine" / "config").glob("*_key.json")]
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secrets)
        others = [
            path for other in MEMBERS if other != name for path in (ceremony / other).rglob("*") if path.is_file()
        ]
        for secret in secrets:
            assert all(secret.read_bytes() not in other.read_bytes() for other in others)


def test_the_engine_of_each_calls_the_three_others(ceremony: Path) -> None:
    for name in MEMBERS:
        found(ceremony, name)
    ids = {name: load_keys(ceremony / name / "engine").node_id for name in MEMBERS}
    for name in MEMBERS:
        config = tomllib.loads((ceremony / name / "engine" / "config" / "config.toml").read_text())
        peers = config["p2p"]["persistent_peers"].split(",")
        assert {peer.partition("@")[0] for peer in peers} == {ids[other] for other in MEMBERS if other != name}


def test_configuration_of_each_is_usable(ceremony: Path) -> None:
    for name in MEMBERS:
        found(ceremony, name)
        config = load_config(ceremony / name / "node.toml", NodeConfig)
        check_node(config)
        assert config.engine.kind == "cometbft"
    assert (ceremony / "grid" / "edge-1.toml").exists()
    assert not (ceremony / "retailer" / "edge-1.toml").exists()


def test_founding_again_changes_nothing_and_keeps_what_the_operator_edited(ceremony: Path) -> None:
    found(ceremony, "grid")
    file = ceremony / "grid" / "node.toml"
    file.write_text(file.read_text().replace('host = "127.0.0.1"', 'host = "192.0.2.1"'))
    assert found(ceremony, "grid") == 0
    assert "192.0.2.1" in file.read_text()


def change(path: Path, **values: Any) -> None:
    """Other content under the old signatures."""
    fields: Any = cbor.decode(path.read_bytes())
    fields[1] = cbor.encode({**cbor.decode(fields[1]), **values})
    path.write_bytes(cbor.encode(fields))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"made_s": 1}, "the signature by the key of validator does not hold"),
        ({"consensus_key": bytes(32)}, "the signature by the key of validator does not hold"),
        ({"salt": b""}, "salt is 32 bytes"),
        ({"node_id": "x"}, "node_id is 40 hex digits"),
        ({"validator": bytes(65)}, "validator is 65 bytes 04||x||y"),
        ({"signers": {}}, "has not one signature for each of its 1 keys"),
        ({"surprise": 1}, "content is a map of config, consensus_key"),
    ],
)
def test_request_that_was_changed_on_its_way_is_named(
    ceremony: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], words: str
) -> None:
    change(ceremony / "retailer" / "retailer.request", **values)
    assert found(ceremony, "grid") == 2
    line = said(capsys)
    assert "retailer.request" in line
    assert words in line


def test_signature_of_the_engines_key_is_asked_too(ceremony: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ceremony / "retailer" / "retailer.request"
    fields: Any = cbor.decode(path.read_bytes())
    fields[3] = bytes(64)
    path.write_bytes(cbor.encode(fields))
    assert found(ceremony, "grid") == 2
    assert "the signature by the engine's key does not hold" in said(capsys)


def test_missing_member_is_named(ceremony: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["consortium", "found", str(paths_of(ceremony)[0]), "--config", str(ceremony / "consortium.toml")]
    assert main([*words, "--own", str(ceremony / "grid")]) == 2
    assert "requests are missing of retailer, aggregator, regulator" in said(capsys)


def test_request_for_another_file_is_named(ceremony: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_file(tmp_path, ("levy_micro_per_kwh = 40000", "levy_micro_per_kwh = 50000"))
    shutil.rmtree(ceremony / "retailer")
    request(other, "retailer", ceremony)
    capsys.readouterr()
    assert found(ceremony, "grid") == 2
    assert "retailer made it for another founding file" in said(capsys)


def test_two_requests_of_one_member_are_named(
    ceremony: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = request(ceremony / "consortium.toml", "retailer", tmp_path)
    capsys.readouterr()
    words = ["consortium", "found", *map(str, paths_of(ceremony)), str(second)]
    assert main([*words, "--config", str(ceremony / "consortium.toml"), "--own", str(ceremony / "grid")]) == 2
    assert "retailer has made another request too" in said(capsys)


def test_folder_of_nobody_is_named(ceremony: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request(ceremony / "consortium.toml", "retailer", tmp_path)
    capsys.readouterr()
    words = ["consortium", "found", *map(str, paths_of(ceremony)), "--config", str(ceremony / "consortium.toml")]
    assert main([*words, "--own", str(tmp_path / "retailer")]) == 2
    assert "its keys are in none of these requests" in said(capsys)


def test_folder_of_another_chain_is_not_taken(ceremony: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found(ceremony, "grid")
    shutil.rmtree(ceremony / "retailer")
    request(ceremony / "consortium.toml", "retailer", ceremony)
    capsys.readouterr()
    assert found(ceremony, "grid") == 2
    assert "genesis.cbor: of another chain than these requests found" in said(capsys)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "village-"', f'name = "{"v" * 35}"', "the engine leaves 34 characters"),
        ('name = "retailer"', 'name = "grid"', "members: name"),
        ("peer_port = 26612", "peer_port = 26611", "members: host and peer_port"),
        ("utility = true", "utility = false", "exactly one has utility = true"),
        ('name = "retailer"', 'name = "re tailer"', "letters, digits"),
        ('roles = ["aggregator"]', 'roles = ["king"]', "roles[0] = 'king' is not allowed"),
        ("peer_port = 26612", "peer_port = 26612\ngateways_port = 7443", "gateways_port goes with utility = true"),
    ],
)
def test_wrong_founding_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    file = write_file(tmp_path, (old, new))
    assert main(["consortium", "request", "--config", str(file), "--name", "grid", "--out", str(tmp_path / "g")]) == 2
    assert words in said(capsys)


def test_name_that_is_no_member_lists_those_that_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_file(tmp_path)
    assert main(["consortium", "request", "--config", str(file), "--name", "bank", "--out", str(tmp_path / "b")]) == 2
    assert "its members are grid, retailer, aggregator, regulator" in said(capsys)


@pytest.mark.parametrize("organisations", [1, 4, 7])
def test_init_makes_a_folder_for_each_organisation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], organisations: int
) -> None:
    out = tmp_path / "c"
    assert main(["consortium", "init", "--organisations", str(organisations), "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["members"]) == organisations
    for name in result["members"]:
        check_node(load_config(out / name / "node.toml", NodeConfig))
    genesis = decode_genesis((out / "grid" / "genesis.cbor").read_bytes())
    assert (genesis.chain, genesis.digest.hex()) == (result["chain"], result["genesis"])


def test_init_by_a_file_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_file(tmp_path)
    assert main(["consortium", "init", "--config", str(file), "--out", str(tmp_path / "c"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["members"] == list(MEMBERS)
    assert load_config(tmp_path / "c" / "consortium.toml", ConsortiumConfig) == load_config(file, ConsortiumConfig)


def test_door_for_gateways_has_certificates_that_the_node_and_each_gateway_take_and_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_file(
        tmp_path,
        ("rpc_port = 26621", "rpc_port = 26621\ngateways_port = 7443"),
        ('host = "127.0.0.1"', 'host = "192.0.2.7"'),
    )
    out = tmp_path / "c"
    assert main(["consortium", "init", "--config", str(file), "--out", str(out), "--json"]) == 0
    node = load_config(out / "grid" / "node.toml", NodeConfig)
    check_node(node)
    assert node.gateways is not None
    assert (node.gateways.host, node.gateways.port, node.listen.host) == ("0.0.0.0", 7443, "127.0.0.1")
    edge = tomllib.loads((out / "grid" / "edge-1.toml").read_text(encoding="utf-8"))
    assert edge["node"] == "https://192.0.2.7:7443"
    capsys.readouterr()
    assert main(["edge", "check", "--config", str(out / "grid" / "edge-1.toml")]) == 0
    tls = {path.name: path.read_bytes() for path in (out / "grid" / "tls").iterdir()}
    assert sorted(name for name in tls if name.endswith(".key")) == ["authority.key", "gateway-1.key", "node.key"]
    assert [name for name in MEMBERS if (out / name / "tls").exists()] == ["grid"]
    assert found(out, "grid") == 0
    assert {path.name: path.read_bytes() for path in (out / "grid" / "tls").iterdir()} == tls


def test_request_holds_public_keys_alone(requested: Path) -> None:
    made = load_request(requested / "grid" / "grid.request")
    data = (requested / "grid" / "grid.request").read_bytes()
    assert made.consensus_key in data
    assert b"PRIVATE" not in data
    assert len(data) < 2_000
