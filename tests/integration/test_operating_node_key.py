"""docs/operating/node-key.md: a copy of the key opens, another key does not start, and trust files are of one chain."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gridledger.cli import main
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, blocks_of, founded


def test_a_copied_key_goes_on_and_another_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    copying, succession = blocks_of("node-key.md")
    (safe_toml,) = blocks_of("node-key.md", "toml")
    village = founded(tmp_path)
    (tmp_path / "safe").mkdir()
    (tmp_path / "safe" / "node.toml").write_text(safe_toml)
    village.do(copying)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
    keys = tmp_path / "village" / "keys"
    shutil.copy(keys / "utility.pem", keys / "operator.pem")
    shutil.copy(keys / "utility.password", keys / "operator.password")
    capsys.readouterr()
    assert main(["node", "run", "--config", "village/node.toml"]) == 2
    assert "the validators give it no power to certify block" in capsys.readouterr().err
    shutil.copy(tmp_path / "safe" / "operator.pem", keys / "operator.pem")
    shutil.copy(tmp_path / "safe" / "operator.password", keys / "operator.password")
    with village.running(RUN_NODE):
        village.advance(FIRST_S)
    village.do(succession)


def test_a_bundle_of_the_old_chain_stands_with_its_trust_file_and_is_not_decided_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    village = founded(tmp_path)
    village.do(blocks_of("node-key.md")[1])
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
        sender = village.sender(FIRST_S - SLOT_S)
        village.submit([sender.clock(FIRST_S), sender.batch("gateway-1", FIRST_S, [(1, 100, 0)])])
        village.submit([sender.clock(FIRST_S + SLOT_S), sender.batch("gateway-1", FIRST_S + SLOT_S, [(1, 350, 0)])])
        village.advance(FIRST_S + 2 * SLOT_S)
    export = f"gridledger evidence export --data village/ledger --party home-1 --slot {FIRST_S} --line residual_import --out bill.evd"
    village.do(export)
    shutil.rmtree(tmp_path / "village" / "ledger")
    assert main(["verify", "bill.evd", "--trust", "village/trust.json"]) == 0
    assert main(["verify", "bill.evd", "--trust", "village-2/trust.json"]) == 3
