"""docs/operating/backup.md: its commands as they stand, on the node of docs/node.md."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, blocks_of, founded


def test_a_running_node_is_backed_up_restored_as_a_standby_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    archive, restore, serve, status, move, renew, *_of_validators = blocks_of("backup.md")
    (standby_toml,) = blocks_of("backup.md", "toml")
    village = founded(tmp_path)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
        village.do(archive)
        village.advance(FIRST_S)
        village.do(archive)
    village.do(restore)
    (tmp_path / "standby" / "node.toml").write_text(village.text(standby_toml))
    check, run = serve.splitlines()
    village.do(check)
    with village.running(run):
        capsys.readouterr()
        village.do(status.rstrip("\n") + " --json")
        assert json.loads(capsys.readouterr().out)["height"] == 2
        url = f"http://127.0.0.1:{village.ports['7171']}"
        for answer in (httpx.get(f"{url}/readyz"), httpx.post(f"{url}/api/v1/transactions", content=b"\x81\x41\x00")):
            assert answer.status_code == 503
            assert answer.json()["detail"].startswith("a standby: ")
    with village.running(RUN_NODE):
        village.advance(FIRST_S + SLOT_S)
    village.do(move)
    with village.running("gridledger node run --config standby/node.toml"):
        village.advance(FIRST_S + 2 * SLOT_S)
    (tmp_path / "standby" / "ledger" / "guard").unlink()
    village.do(renew)
    with village.running("gridledger node run --config standby/node.toml"):
        village.advance(FIRST_S + 3 * SLOT_S)
