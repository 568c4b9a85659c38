"""What is said of several nodes: who is away or behind, and what must not be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.serving.ports import free_port
from gridledger.cli import main
from gridledger.consortium.fleet import Asked, alarms_of
from ledger.client import NodeStatus

STATUS = NodeStatus(
    chain="village-1",
    instance=bytes(16),
    height=7,
    header_digest=bytes(32),
    state_root=bytes(32),
    ledger_time_s=0,
    clock="simulated",
    simulated=True,
    slot_s=900,
    currency="CNY",
    version="0",
)


def asked(name: str, status: NodeStatus | None) -> Asked:
    """A node that answered so."""
    return Asked(name, f"http://{name}", status, status is not None)


def test_nodes_that_differ_in_height_alone_raise_no_alarm() -> None:
    behind = replace(STATUS, height=5, header_digest=b"5" * 32)
    assert alarms_of([asked("grid", STATUS), asked("retailer", behind), asked("regulator", None)]) == []


def test_two_headers_of_one_height_and_another_chain_are_alarms() -> None:
    forked, foreign = replace(STATUS, header_digest=b"x" * 32), replace(STATUS, chain="village-2")
    alarms = alarms_of([asked("grid", STATUS), asked("retailer", forked)])
    assert alarms == [f"grid and retailer have two headers of height 7: {'00' * 32} and {'78' * 32}"]
    (alarm,) = alarms_of([asked("grid", STATUS), asked("retailer", foreign)])
    assert alarm == "retailer is of chain village-2, grid of village-1"


def test_node_that_is_away_is_named_and_the_answer_is_no(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert main(["consortium", "status", "--url", url, "--json"]) == 1
    (node,) = json.loads(capsys.readouterr().out)["nodes"]
    assert (node["ready"], node["url"]) == (False, url)
    assert "no node answers there" in node["reason"]


def test_folder_without_members_names_the_command_that_makes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("up", "status"):
        assert main(["consortium", action, str(tmp_path)]) == 2
        assert "make one with: gridledger consortium init" in capsys.readouterr().err


def test_status_is_asked_of_a_folder_or_of_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["consortium", "status"]) == 2
    assert "name a folder, or nodes by --url" in capsys.readouterr().err
