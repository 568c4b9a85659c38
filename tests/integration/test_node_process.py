"""The node as a process of its own: killed at any moment it loses nothing that it acknowledged, and its mistakes are one line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gridcore.envelope import decode_transaction
from gridcore.errors import InvariantError
from gridcore.header import check_receipt
from gridcore.node_interface import WAIT_S_MAX
from gridcore.sm.keystore import ITERATIONS_MIN, encode_private_key
from gridledger.cli import main
from gridledger.commands import node as node_command
from ledger.client import Client, NodeRefused, NodeUnreachable, run_with_client
from ledger.engines.embedded import EmbeddedEngine
from ledger.store.directory import init_ledger
from ledger.store.ledger import Ledger
from settlement.contract_kit_1 import ContractInvariantError
from tests.processes import ready_line
from tests.worlds.consortium import FIRST_S, START_S, Consortium, load
from tests.worlds.keys import key
from tests.worlds.nodes import wait_for_waiters
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

PASSWORD = "correct horse"
START_TIMEOUT_S = 120.0
PATIENCE_S = WAIT_S_MAX / 2
"""Less than those wait who are not told."""
ENVIRONMENT = {**os.environ, "GRIDLEDGER_LOG_LEVEL": "warning"}


class CommandLine:
    """The command line in this process: for whatever ends before a node serves."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str | Path) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        self._capsys.readouterr()
        status = main([*map(str, words), "--log-level", "warning"])
        return status, *self._capsys.readouterr()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line."""
    return CommandLine(capsys)


class NodeProcess:
    """``gridledger node run`` over a folder; ``url`` is known once it is ready."""

    def __init__(self, config: Path) -> None:
        self._command = [sys.executable, "-m", "gridledger", "node", "run", "--config", str(config), "--json"]
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> dict[str, Any]:
        """Start it and return what it says when it is ready."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
        ready = ready_line(self.process, START_TIMEOUT_S)
        self.url = ready["url"]
        return ready

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; the exit status and what went to stderr."""
        assert self.process is not None
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=START_TIMEOUT_S)
        status, self.process = self.process.returncode, None
        return status, errors.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with genesis, key, password and configuration of a node; the data directory is made."""
    (tmp_path / "genesis.cbor").write_bytes(TWO_AREAS.genesis_file)
    pem = encode_private_key(key("operator"), PASSWORD.encode(), iterations=ITERATIONS_MIN)
    (tmp_path / "node.pem").write_bytes(pem)
    (tmp_path / "node.password").write_text(PASSWORD)
    (tmp_path / "node.password").chmod(0o600)
    write_config(tmp_path)
    init_ledger(tmp_path / "ledger", TWO_AREAS.genesis_file)
    return tmp_path


def write_config(folder: Path, port: int = 0, extra: str = "") -> Path:
    """node.toml."""
    path = folder / "node.toml"
    path.write_text(
        f'data_dir = "ledger"\n{extra}[listen]\nport = {port}\n'
        '[key]\nuri = "file:node.pem"\npassword = "file:node.password"\n'
    )
    return path


@pytest.fixture
def node(folder: Path) -> Iterator[NodeProcess]:
    """A node that is not started yet; killed at the end if it still runs."""
    running = NodeProcess(folder / "node.toml")
    yield running
    if running.process is not None:
        running.end(signal.SIGKILL)


def submit(url: str, wires: list[bytes]) -> list[str]:
    """Names of the answers."""
    return [answer.name for answer in run_with_client(url, lambda client: client.submit(wires))]


def check_receipts(url: str, wires: list[bytes]) -> list[int]:
    """Heights of the receipts, each verified."""
    genesis = TWO_AREAS.genesis

    async def fetch(client: Client) -> list[int]:
        heights = []
        for wire in wires:
            transaction = decode_transaction(wire)
            receipt = await client.receipt(transaction.id)
            assert receipt is not None
            check_receipt(receipt, chain=genesis.chain, digest=transaction.digest, signers=genesis.signers)
            assert receipt.code == 0
            heights.append(receipt.header.height)
        return heights

    return run_with_client(url, fetch)


def test_a_killed_node_keeps_what_it_acknowledged(folder: Path, node: NodeProcess, command: CommandLine) -> None:
    submissions = one_settled_slot(TWO_AREAS.sender())
    sent = [wire for wires in submissions for wire in wires]
    for half in (submissions[:3], submissions[3:]):
        node.start()
        for wires in half:
            assert set(submit(node.url, wires)) == {"ACCEPTED"}
        assert node.end(signal.SIGKILL) == (-signal.SIGKILL, "")
    assert node.start()["height"] == len(submissions)
    heights = check_receipts(node.url, sent)
    assert heights == sorted(heights)
    again = submit(node.url, sent)
    assert again[:2] == ["EXISTS", "EXISTS"]
    assert "ACCEPTED" not in again
    run = run_with_client(
        node.url,
        lambda client: client.query(f"areas/a-1/slots/{FIRST_S}/run"),
        signer_id="util",
        signer=key("util"),
    )
    assert len(run["lines"]) == 10
    status, out, _ = command("node", "status", "--url", node.url)
    assert status == 0
    assert f"chain {TWO_AREAS.chain}" in out
    assert "SIMULATED" in out
    assert node.end(signal.SIGTERM) == (0, "")
    status, out, _ = command("node", "check", "--data", folder / "ledger", "--json")
    assert (status, json.loads(out)["holds"]) == (0, True)


def test_sigterm_ends_it_at_once_while_others_wait(folder: Path, node: NodeProcess, command: CommandLine) -> None:
    node.start()
    status, _, errors = command("node", "run", "--config", folder / "node.toml")
    assert status == 2
    assert_one_line(errors, "in use by another node")
    assert command("node", "check", "--data", folder / "ledger")[0] == 2

    async def wait_and_end(client: Client) -> None:
        waiting = asyncio.create_task(client.wait_clock(START_S, WAIT_S_MAX))
        await wait_for_waiters(node.url, 1)
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.to_thread(node.end, signal.SIGTERM) == (0, "")
            with pytest.raises(NodeUnreachable):
                await waiting

    run_with_client(node.url, wait_and_end)
    status, _, errors = command("node", "status", "--url", node.url)
    assert status == 1
    assert_one_line(errors, "no node answers there")


def test_a_port_in_use_is_one_line(folder: Path, command: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, errors = command("node", "run", "--config", write_config(folder, port))
    assert status == 2
    assert_one_line(errors, f"127.0.0.1:{port}: in use by another program")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"node.password": "wrong horse"}, "wrong password"),
        ({"node.toml": 'data_dirr = "x"\n'}, "data_dirr is an unknown key; did you mean 'data_dir'?"),
        ({"node.pem": "no key"}, "not a keystore"),
        ({"ledger/genesis.cbor": "\x00"}, "genesis: a map of type 'genesis'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    folder: Path, command: CommandLine, change: Mapping[str, str], words: str
) -> None:
    for name, text in change.items():
        (folder / name).write_text(text)
    status, _, errors = command("node", "run", "--config", folder / "node.toml")
    assert status == 2
    assert_one_line(errors, words)
    assert "horse" not in errors


def test_a_key_that_genesis_does_not_name_is_one_line(folder: Path, command: CommandLine) -> None:
    pem = encode_private_key(key("stranger"), PASSWORD.encode(), iterations=ITERATIONS_MIN)
    (folder / "node.pem").write_bytes(pem)
    status, _, errors = command("node", "run", "--config", folder / "node.toml")
    assert status == 2
    assert_one_line(errors, "the validators give it no power to certify block 1 alone")


@pytest.mark.parametrize("error", [InvariantError, ContractInvariantError])
@pytest.mark.parametrize("place", ["make_block", "examine", "receipt", "make_block while it goes down"])
def test_a_broken_promise_ends_the_process(
    folder: Path, command: CommandLine, monkeypatch: pytest.MonkeyPatch, place: str, error: type[BaseException]
) -> None:
    method, _, when = place.partition(" ")
    closing = threading.Event()
    close = EmbeddedEngine.close

    async def say_and_close(engine: EmbeddedEngine) -> None:
        closing.set()
        await close(engine)

    def fail(*_: object) -> NoReturn:
        if when:
            os.kill(os.getpid(), signal.SIGTERM)
            closing.wait(START_TIMEOUT_S)
        raise error("debits equal credits")

    def ask(_: object, result: Mapping[str, Any], __: str) -> None:
        def work() -> None:
            with contextlib.suppress(NodeRefused, NodeUnreachable):
                run_with_client(result["url"], lambda client: client.receipt(bytes(32)))
                run_with_client(result["url"], lambda client: client.submit([TWO_AREAS.sender().clock(FIRST_S)]))

        asking.append(threading.Thread(target=work))
        asking[0].start()

    asking: list[threading.Thread] = []
    monkeypatch.setattr(Ledger, method, fail)
    monkeypatch.setattr(EmbeddedEngine, "close", say_and_close)
    monkeypatch.setattr(node_command, "print_result", ask)
    status, _, errors = command("node", "run", "--config", folder / "node.toml")
    asking[0].join()
    assert status == 70
    assert "debits equal credits" in errors


def test_init_names_what_is_wrong_with_a_genesis(tmp_path: Path, command: CommandLine) -> None:
    bad = Consortium(meters=[load(3, "l-1", ratio=0)])
    (tmp_path / "bad.cbor").write_bytes(bad.genesis_file)
    status, _, errors = command("node", "init", "--genesis", tmp_path / "bad.cbor", "--data", tmp_path / "ledger")
    assert status == 2
    assert_one_line(errors, "installation/3: ratio is a whole number, 1 to 10000")
    assert not (tmp_path / "ledger").exists()
    status, _, errors = command("node", "init", "--genesis", tmp_path / "no.cbor", "--data", tmp_path / "ledger")
    assert status == 2
    assert_one_line(errors, "no.cbor: cannot be read")


def test_a_lost_guard_is_renewed_on_demand_and_never_overwritten(folder: Path, command: CommandLine) -> None:
    guard = folder / "ledger" / "guard"
    before = guard.read_bytes()
    status, _, errors = command("node", "renew-guard", "--data", folder / "ledger")
    assert status == 1
    assert_one_line(errors, "never overwritten")
    guard.unlink()
    status, _, errors = command("node", "run", "--config", folder / "node.toml")
    assert status == 1
    assert_one_line(errors, f"gridledger node renew-guard --data DIR --guard {guard}")
    status, out, _ = command("node", "renew-guard", "--data", folder / "ledger", "--json")
    assert (status, json.loads(out)["height"]) == (0, 0)
    assert guard.read_bytes() == before
    assert command("node", "check", "--data", folder / "ledger")[0] == 0


def test_in_a_pipe_only_a_running_node_tells_what_it_does(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GRIDLEDGER_LOG_LEVEL"}
    words = [sys.executable, "-m", "gridledger", "node", "check", "--data", str(folder / "ledger")]
    checked = subprocess.run(words, capture_output=True, check=True, env=environment)
    assert (checked.stdout != b"", checked.stderr) == (True, b"")


def test_init_twice_changes_nothing(folder: Path, command: CommandLine) -> None:
    before = sorted((path.name, path.read_bytes()) for path in (folder / "ledger").iterdir())
    status, out, _ = command(
        "node", "init", "--genesis", folder / "genesis.cbor", "--data", folder / "ledger", "--json"
    )
    assert (status, json.loads(out)["chain"]) == (0, TWO_AREAS.chain)
    assert sorted((path.name, path.read_bytes()) for path in (folder / "ledger").iterdir()) == before
    (folder / "other.cbor").write_bytes(replace(TWO_AREAS, name="other-").genesis_file)
    status, _, errors = command("node", "init", "--genesis", folder / "other.cbor", "--data", folder / "ledger")
    assert status == 2
    assert_one_line(errors, "of chain test-")


def assert_one_line(text: str, words: str) -> None:
    """One line for a person, no traceback."""
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 1, text
    assert words in lines[0]
